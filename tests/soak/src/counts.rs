//! What one process has done and seen, counted for its samples and for its last word.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The counts of this process.
pub(crate) static COUNTS: Counts =
    Counts { checked_bytes: AtomicU64::new(0), panics: AtomicU64::new(0), record: Mutex::new(Record::new()) };

/// Violations that are told in full. A thousand more say nothing new.
const MAX_TOLD: usize = 20;

/// See [`COUNTS`].
pub(crate) struct Counts {
    checked_bytes: AtomicU64,
    panics: AtomicU64,
    record: Mutex<Record>,
}

/// How long fresh dials took, each with its small download and its close. Only to be read: the machine has its part in it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct DialTimes {
    pub(crate) count: usize,
    pub(crate) median_ms: u64,
    pub(crate) p99_ms: u64,
    pub(crate) max_ms: u64,
}

#[derive(Debug)]
struct Record {
    events: BTreeMap<String, u64>,
    dial_times: Vec<Duration>,
    violations: Vec<String>,
    untold: u64,
}

impl Record {
    const fn new() -> Self {
        Self { events: BTreeMap::new(), dial_times: Vec::new(), violations: Vec::new(), untold: 0 }
    }
}

impl Counts {
    /// Bytes have arrived and are what they have to be.
    pub(crate) fn checked(&self, bytes: usize) {
        self.checked_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn checked_bytes(&self) -> u64 {
        self.checked_bytes.load(Ordering::Relaxed)
    }

    /// Something happened that may happen, such as a dial.
    pub(crate) fn event(&self, name: &str) {
        *self.record().events.entry(name.to_owned()).or_default() += 1;
    }

    /// A fresh dial went well and took so long, with its small download.
    pub(crate) fn dialled(&self, took: Duration) {
        self.record().dial_times.push(took);
    }

    /// How long fresh dials took.
    pub(crate) fn dial_times(&self) -> Option<DialTimes> {
        let mut times = self.record().dial_times.clone();
        times.sort_unstable();
        let ms = |time: &Duration| time.as_millis() as u64;
        Some(DialTimes {
            count: times.len(),
            median_ms: times.get(times.len() / 2).map(ms)?,
            p99_ms: times.get(times.len() * 99 / 100).map(ms)?,
            max_ms: times.last().map(ms)?,
        })
    }

    /// Something happened that must not.
    pub(crate) fn violation(&self, text: String) {
        eprintln!("VIOLATION: {text}");
        let mut record = self.record();
        if record.violations.len() < MAX_TOLD {
            record.violations.push(text);
        } else {
            record.untold += 1;
        }
    }

    /// From now on every panic counts, also those that somebody catches.
    pub(crate) fn watch_panics(&'static self) {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            self.panics.fetch_add(1, Ordering::Relaxed);
            print(panic);
        }));
    }

    pub(crate) fn events(&self) -> BTreeMap<String, u64> {
        self.record().events.clone()
    }

    /// All violations so far, panics included.
    pub(crate) fn violations(&self) -> Vec<String> {
        let record = self.record();
        let mut all = record.violations.clone();
        if record.untold > 0 {
            all.push(format!("and {} more of these", record.untold));
        }
        let panics = self.panics.load(Ordering::Relaxed);
        if panics > 0 {
            all.push(format!("{panics} panics"));
        }
        all
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
