//! Requests in one session, each a stream of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::super::protocol::request;
use super::super::report::Report;
use super::super::session::Dialer;
use super::window::Window;
use crate::process::Server;

pub(crate) async fn drive<D: Dialer>(
    dialer: &D,
    server: &mut Server,
    outstanding: usize,
    duration: Duration,
) -> Result<Report> {
    let session = dialer.dial().await?;
    let window = Arc::new(Window::default());
    let mut workers = JoinSet::new();
    for _ in 0..outstanding {
        let (session, window) = (session.clone(), Arc::clone(&window));
        workers.spawn(async move {
            while !window.is_over() {
                let began = Instant::now();
                request(&session).await?;
                window.count(began);
            }
            Ok(())
        });
    }
    let span = window.measure(server, workers, duration).await?;
    let mut report = window.report(&span, "streams", "stream");
    report.add_processes(&span);
    Ok(report)
}
