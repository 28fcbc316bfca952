//! Sessions that do nothing.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::super::protocol::request;
use super::super::report::{Report, Span};
use super::super::session::Dialer;
use super::establish::establish;
use super::mark;
use crate::process::Server;

pub(crate) async fn drive<D: Dialer>(
    dialer: &D,
    server: &mut Server,
    sessions: usize,
    duration: Duration,
) -> Result<Report> {
    // What the first session brings (threads, buffers) is not its own.
    let first = dialer.dial().await?;
    request(&first).await?;
    let before = mark(server).await?;
    let open = establish(dialer, sessions, |session| async move {
        request(&session).await?;
        Ok(session)
    });
    let open = open.await?;
    // Acknowledgements are still under way.
    tokio::time::sleep(duration / 4).await;
    let begin = mark(server).await?;
    let began = Instant::now();
    tokio::time::sleep(duration).await;
    let span = Span { begin, duration: began.elapsed(), end: mark(server).await? };
    drop(open);
    let mut report = Report::default();
    let grown = |before: u64, now: u64| now.saturating_sub(before) as f64 / 1e3 / sessions as f64;
    let [client, server] = [
        grown(before.client.resident_bytes, begin.client.resident_bytes),
        grown(before.server.resident_bytes, begin.server.resident_bytes),
    ];
    report.add("kB/session", client + server);
    report.add("kB/session, client", client);
    report.add("kB/session, server", server);
    let session_seconds = sessions as f64 * span.duration.as_secs_f64();
    report.add_cpu("CPU us/session and second", session_seconds, 1e6, &span);
    report.add_processes(&span);
    Ok(report)
}
