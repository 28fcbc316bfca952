//! Sessions that come and go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::super::case::DIALS_AT_ONCE;
use super::super::protocol::request;
use super::super::report::Report;
use super::super::session::{Dialer, Session as _};
use super::window::Window;
use crate::process::Server;

pub(crate) async fn drive<D: Dialer>(dialer: &D, server: &mut Server, duration: Duration) -> Result<Report> {
    // The first of a process makes what the others share.
    visit(dialer).await?;
    let at_once = dial_at_once(dialer).await?;
    let window = Arc::new(Window::default());
    let mut workers = JoinSet::new();
    for _ in 0..DIALS_AT_ONCE {
        let (dialer, window) = (dialer.clone(), Arc::clone(&window));
        workers.spawn(async move {
            while !window.is_over() {
                let began = Instant::now();
                visit(&dialer).await?;
                window.count(began);
            }
            Ok(())
        });
    }
    let span = window.measure(server, workers, duration).await?;
    let mut report = window.report(&span, "sessions", "session");
    report.add("50 dials at once, ms", at_once.as_secs_f64() * 1e3);
    report.add_processes(&span);
    Ok(report)
}

/// One session, from dial to close. Nobody waits for the peer to hear of the end.
async fn visit(dialer: &impl Dialer) -> Result<()> {
    let session = dialer.dial().await?;
    request(&session).await?;
    session.end();
    Ok(())
}

/// Until the last of the sessions is open.
async fn dial_at_once<D: Dialer>(dialer: &D) -> Result<Duration> {
    let began = Instant::now();
    let mut dials = JoinSet::new();
    for _ in 0..DIALS_AT_ONCE {
        let dialer = dialer.clone();
        dials.spawn(async move { dialer.dial().await });
    }
    let mut sessions = Vec::new();
    while let Some(session) = dials.join_next().await {
        sessions.push(session??);
    }
    let duration = began.elapsed();
    sessions.iter().for_each(|session| session.end());
    Ok(duration)
}
