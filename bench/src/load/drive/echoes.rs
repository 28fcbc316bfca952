//! Echoes on one stream of each session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::super::protocol::Echo;
use super::super::report::Report;
use super::super::session::Dialer;
use super::establish::establish;
use super::window::Window;
use crate::process::Server;

pub(crate) async fn drive<D: Dialer>(
    dialer: &D,
    server: &mut Server,
    sessions: usize,
    duration: Duration,
) -> Result<Report> {
    // A session stays as long as its stream does.
    let echoes = establish(dialer, sessions, |session| async move { Echo::start(&session).await }).await?;
    let window = Arc::new(Window::default());
    let mut workers = JoinSet::new();
    for mut echo in echoes {
        let window = Arc::clone(&window);
        workers.spawn(async move {
            while !window.is_over() {
                let began = Instant::now();
                echo.once().await?;
                window.count(began);
            }
            Ok(())
        });
    }
    let span = window.measure(server, workers, duration).await?;
    let mut report = window.report(&span, "echoes", "echo");
    report.add_processes(&span);
    Ok(report)
}
