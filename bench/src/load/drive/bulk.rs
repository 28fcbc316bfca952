//! Bytes from memory to memory.

use std::time::Instant;

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use super::super::case::{Bulk, Direction};
use super::super::protocol::{download, upload};
use super::super::report::{Report, Span};
use super::super::session::{Dialer, Session};
use super::establish::establish;
use super::mark;
use crate::process::Server;

/// Of the size, this part is transferred before: windows and packets have grown then.
const WARM_UP: u64 = 8;

pub(crate) async fn drive<D: Dialer>(dialer: &D, server: &mut Server, bulk: Bulk) -> Result<Report> {
    let sessions = establish(dialer, bulk.sessions as usize, |session| async move { Ok(session) }).await?;
    let bytes_each = (bulk.size.0 / u64::from(bulk.sessions)).max(1);
    transfer(&sessions, bulk.direction, bytes_each / WARM_UP).await?;
    let begin = mark(server).await?;
    let began = Instant::now();
    transfer(&sessions, bulk.direction, bytes_each).await?;
    let span = Span { begin, duration: began.elapsed(), end: mark(server).await? };
    let gigabytes = (bytes_each * u64::from(bulk.sessions)) as f64 / 1e9;
    let mut report = Report::default();
    report.add("MB/s", gigabytes * 1e3 / span.duration.as_secs_f64());
    report.add_cpu("CPU s/GB", gigabytes, 1.0, &span);
    report.add_processes(&span);
    Ok(report)
}

/// So many bytes in each session, in all at once.
async fn transfer<S: Session>(sessions: &[S], direction: Direction, bytes_each: u64) -> Result<()> {
    let mut transfers = JoinSet::new();
    for session in sessions {
        let session = session.clone();
        transfers.spawn(async move {
            match direction {
                Direction::Down => download(&session, bytes_each).await,
                Direction::Up => upload(&session, bytes_each).await,
            }
        });
    }
    while let Some(transfer) = transfers.join_next().await {
        transfer?.context("a transfer failed")?;
    }
    Ok(())
}
