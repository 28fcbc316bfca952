//! What a process reports as metrics.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// Counters and gauges by `name{side}`, added up: reading one sets it back.
pub(crate) struct Figures {
    snapshotter: Snapshotter,
    values: BTreeMap<String, f64>,
}

impl Figures {
    /// Installs the recorder of this process: once.
    pub(crate) fn install() -> Self {
        let recorder = DebuggingRecorder::new();
        let figures = Self { snapshotter: recorder.snapshotter(), values: BTreeMap::new() };
        recorder.install().unwrap();
        figures
    }

    fn refresh(&mut self) {
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let key = key.key();
            let label = key.labels().next().map_or(String::new(), |label| format!("{{{}}}", label.value()));
            let entry = self.values.entry(format!("{}{label}", key.name())).or_default();
            match value {
                DebugValue::Counter(more) => *entry += more as f64,
                DebugValue::Gauge(more) => *entry += more.into_inner(),
                DebugValue::Histogram(_) => {}
            }
        }
    }

    pub(crate) fn get(&mut self, name: &str) -> f64 {
        self.refresh();
        self.values.get(name).copied().unwrap_or_default()
    }

    pub(crate) async fn until(&mut self, name: &str, value: f64) {
        while self.get(name) != value {
            tokio::task::yield_now().await;
        }
    }
}
