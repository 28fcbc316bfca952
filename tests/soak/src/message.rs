//! What the processes under test print, one JSON object a line, for the one that has started them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::counts::{COUNTS, DialTimes};
use crate::heap::HEAP;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Message {
    /// The server's addresses.
    Listening { urls: Vec<String> },
    /// Once a second.
    Sample(Sample),
    /// The last line.
    End(End),
}

/// What the process holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Since the process began.
    pub(crate) seconds: f64,
    /// Of the heap, in use.
    pub(crate) live_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    pub(crate) checked_bytes: u64,
}

/// What the process has to say in the end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct End {
    /// Bytes that were checked.
    pub(crate) checked_bytes: u64,
    /// Of the heap, in use when all sessions are over.
    pub(crate) live_bytes: u64,
    /// What happened how often.
    pub(crate) events: BTreeMap<String, u64>,
    /// Of the fresh ones, if the process dials.
    pub(crate) dial_times: Option<DialTimes>,
    /// What must not happen.
    pub(crate) violations: Vec<String>,
}

impl Message {
    pub(crate) fn print(&self) -> Result<()> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        std::io::stdout().write_all(line.as_bytes()).context("nobody listens")
    }
}

impl End {
    /// Of this process.
    pub(crate) fn now() -> Self {
        let mut violations = COUNTS.violations();
        let panicked = kwik::stats().workers.panicked;
        if panicked > 0 {
            violations.push(format!("{panicked} jobs of the worker pool panicked"));
        }
        Self {
            checked_bytes: COUNTS.checked_bytes(),
            live_bytes: HEAP.live_bytes(),
            events: COUNTS.events(),
            dial_times: COUNTS.dial_times(),
            violations,
        }
    }
}

impl Sample {
    /// Of this process.
    fn now(since: Instant) -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").context("this needs Linux's /proc")?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Ok(Self {
            seconds: since.elapsed().as_secs_f64(),
            live_bytes: HEAP.live_bytes(),
            resident_bytes: number("VmRSS").context("no VmRSS in /proc/self/status")? * 1024,
            descriptors: std::fs::read_dir("/proc/self/fd")?.count() as u64,
            threads: number("Threads").context("no Threads in /proc/self/status")?,
            checked_bytes: COUNTS.checked_bytes(),
        })
    }
}

/// Prints a sample each second, until it is dropped or nobody listens.
pub(crate) async fn print_samples() -> Result<()> {
    let since = Instant::now();
    let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        Message::Sample(Sample::now(since)?).print()?;
    }
}
