//! Requests in one session, each a stream of its own.

use std::time::Duration;

use anyhow::Result;

use super::super::protocol::request;
use super::super::report::Report;
use super::super::session::{Dialer, Session};
use super::window::{Work, measure};
use crate::process::Server;

pub(crate) async fn drive<D: Dialer>(
    dialer: &D,
    server: &mut Server,
    outstanding: usize,
    duration: Duration,
) -> Result<Report> {
    let session = dialer.dial().await?;
    let requesters = (0..outstanding).map(|_| Requester(session.clone()));
    let measured = measure(server, requesters, duration).await?;
    let mut report = measured.report("streams", "stream");
    report.add_processes(&measured.span);
    Ok(report)
}

/// Has one request outstanding at any time.
struct Requester<S>(S);

impl<S: Session> Work for Requester<S> {
    async fn once(&mut self) -> Result<()> {
        request(&self.0).await
    }
}
