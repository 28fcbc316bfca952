//! The while in which work that goes on and on is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinSet;

use super::super::histogram::Histogram;
use super::super::report::{Report, Span};
use super::mark;
use crate::process::Server;

/// What is under way when a window ends has so long to come to its end.
const PATIENCE: Duration = Duration::from_secs(30);

const WARMING_UP: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;
const OVER: u8 = 3;

/// What workers and driver share.
#[derive(Debug, Default)]
pub(crate) struct Window {
    phase: AtomicU8,
    latencies: Histogram,
}

impl Window {
    /// Whether workers have to end.
    pub(crate) fn is_over(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == OVER
    }

    /// A piece of work that began then has been done now. It counts if the window is open.
    pub(crate) fn count(&self, began: Instant) {
        if self.phase.load(Ordering::Relaxed) == OPEN {
            self.latencies.add(began.elapsed());
        }
    }

    fn enter(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// Adds what the work was, how fast it was done, and what it has cost.
    pub(crate) fn report(&self, span: &Span, plural: &str, singular: &str) -> Report {
        let count = self.latencies.count() as f64;
        let mut report = Report::default();
        report.add(format!("{plural}/s"), count / span.duration.as_secs_f64());
        report.add_cpu(&format!("CPU us/{singular}"), count, 1e6, span);
        report.add("p50, us", self.latencies.quantile_us(0.5));
        report.add("p99, us", self.latencies.quantile_us(0.99));
        report
    }

    /// Measures what `workers` do for as long as they are told to, and waits until all have ended.
    pub(crate) async fn measure(
        self: &Arc<Self>,
        server: &mut Server,
        mut workers: JoinSet<Result<()>>,
        duration: Duration,
    ) -> Result<Span> {
        let span = tokio::select! {
            span = self.open_for(server, duration) => span?,
            ended = workers.join_next() => {
                ended.context("there is no work")??.context("a worker failed")?;
                bail!("a worker ended before its time");
            }
        };
        self.enter(OVER);
        let ended = async {
            while let Some(ended) = workers.join_next().await {
                ended?.context("a worker failed")?;
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, ended).await {
            Ok(ended) => ended.map(|()| span),
            Err(_) => bail!("{} workers have not ended after {} s", workers.len(), PATIENCE.as_secs()),
        }
    }

    /// Work goes on while both processes are asked, at the end as at the beginning.
    async fn open_for(&self, server: &mut Server, duration: Duration) -> Result<Span> {
        self.enter(WARMING_UP);
        tokio::time::sleep(duration / 4).await;
        let begin = mark(server).await?;
        let began = Instant::now();
        self.enter(OPEN);
        tokio::time::sleep(duration).await;
        // A short window on a slow machine: a cost is that of something.
        while self.latencies.count() == 0 {
            tokio::time::sleep(duration).await;
        }
        self.enter(CLOSED);
        let duration = began.elapsed();
        Ok(Span { begin, end: mark(server).await?, duration })
    }
}
