//! Sessions that come and go.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::super::case::DIALS_AT_ONCE;
use super::super::protocol::request;
use super::super::report::Report;
use super::super::session::{Dialer, Session as _};
use super::window::{Work, measure};
use crate::process::Server;

pub(crate) async fn drive<D: Dialer>(dialer: &D, server: &mut Server, duration: Duration) -> Result<Report> {
    // The first of a process makes what the others share.
    visit(dialer).await?;
    let at_once = dial_at_once(dialer).await?;
    let visitors = (0..DIALS_AT_ONCE).map(|_| Visitor(dialer.clone()));
    let measured = measure(server, visitors, duration).await?;
    let mut report = measured.report("sessions", "session");
    report.add("50 dials at once, ms", at_once.as_secs_f64() * 1e3);
    report.add_processes(&measured.span);
    Ok(report)
}

/// Has one session at any time.
struct Visitor<D>(D);

impl<D: Dialer> Work for Visitor<D> {
    async fn once(&mut self) -> Result<()> {
        visit(&self.0).await
    }
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
