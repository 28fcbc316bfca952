//! Echoes on one stream of each session.

use std::time::Duration;

use anyhow::Result;

use super::super::protocol::Echo;
use super::super::report::Report;
use super::super::session::{Dialer, Session};
use super::establish::establish;
use super::window::{Work, measure};
use crate::process::Server;

pub(crate) async fn drive<D: Dialer>(
    dialer: &D,
    server: &mut Server,
    sessions: usize,
    duration: Duration,
) -> Result<Report> {
    // A session stays as long as its stream does.
    let echoes = establish(dialer, sessions, |session| async move { Echo::start(&session).await }).await?;
    let measured = measure(server, echoes, duration).await?;
    let mut report = measured.report("echoes", "echo");
    report.add_processes(&measured.span);
    Ok(report)
}

impl<S: Session> Work for Echo<S> {
    async fn once(&mut self) -> Result<()> {
        self.send_and_receive().await
    }
}
