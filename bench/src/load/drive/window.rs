//! The while in which work that goes on and on is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::histogram::Histogram;
use super::super::report::{Report, Span};
use super::mark;
use crate::process::Server;

/// Workers that do their first piece of work at one time. If thousands began at once, what they send would not fit into
/// a socket's buffer, and all of them would send again and again what is only late, since round trips grow a
/// thousandfold between one and the next. What is measured is the load, not how it begins.
const BEGIN_AT_ONCE: usize = 200;

/// What is under way when a window ends has so long to come to its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Something that can be done again and again.
pub(crate) trait Work: Send + 'static {
    /// Does it once.
    fn once(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// What was done in the meantime.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) span: Span,
    latencies: Histogram,
}

impl Measured {
    /// How fast the work was done, and what it has cost.
    pub(crate) fn report(&self, plural: &str, singular: &str) -> Report {
        let count = self.latencies.count() as f64;
        let mut report = Report::default();
        report.add(format!("{plural}/s"), count / self.span.duration.as_secs_f64());
        report.add_cpu(&format!("CPU us/{singular}"), count, 1e6, &self.span);
        report.add("p50, us", self.latencies.quantile_us(0.5));
        report.add("p99, us", self.latencies.quantile_us(0.99));
        report
    }
}

/// Has each worker work without a pause, and measures for so long once all are at it.
pub(crate) async fn measure<W: Work>(
    server: &mut Server,
    workers: impl IntoIterator<Item = W>,
    duration: Duration,
) -> Result<Measured> {
    let window = Arc::new(Window::new());
    let mut tasks = JoinSet::new();
    for mut worker in workers {
        let window = Arc::clone(&window);
        tasks.spawn(async move { window.repeat(&mut worker).await });
    }
    let count = u32::try_from(tasks.len())?;
    let span = tokio::select! {
        span = window.open_for(server, count, duration) => span?,
        ended = tasks.join_next() => {
            ended.context("there is no work")??.context("a worker failed")?;
            bail!("a worker ended before its time");
        }
    };
    window.enter(OVER);
    let Ok(ended) = tokio::time::timeout(PATIENCE, all(&mut tasks)).await else {
        bail!("{} workers have not ended after {} s", tasks.len(), PATIENCE.as_secs());
    };
    ended?;
    let window = Arc::into_inner(window).context("a worker is left")?;
    Ok(Measured { span, latencies: window.latencies })
}

async fn all(tasks: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended?.context("a worker failed")?;
    }
    Ok(())
}

const WARMING_UP: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;
const OVER: u8 = 3;

/// What workers and driver share.
#[derive(Debug)]
struct Window {
    phase: AtomicU8,
    latencies: Histogram,
    may_begin: Semaphore,
    /// A permit for each worker that has begun.
    begun: Semaphore,
}

impl Window {
    fn new() -> Self {
        Self {
            phase: AtomicU8::new(WARMING_UP),
            latencies: Histogram::default(),
            may_begin: Semaphore::new(BEGIN_AT_ONCE),
            begun: Semaphore::new(0),
        }
    }

    fn enter(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
    }

    fn is_in(&self, phase: u8) -> bool {
        self.phase.load(Ordering::Relaxed) == phase
    }

    /// What a worker does until the window is over. What ends while the window is open counts.
    async fn repeat(&self, worker: &mut impl Work) -> Result<()> {
        let permit = self.may_begin.acquire().await?;
        worker.once().await?;
        drop(permit);
        self.begun.add_permits(1);
        while !self.is_in(OVER) {
            let began = Instant::now();
            worker.once().await?;
            if self.is_in(OPEN) {
                self.latencies.add(began.elapsed());
            }
        }
        Ok(())
    }

    /// Work goes on while both processes are asked, at the end as at the beginning.
    async fn open_for(&self, server: &mut Server, workers: u32, duration: Duration) -> Result<Span> {
        self.begun.acquire_many(workers).await?.forget();
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
