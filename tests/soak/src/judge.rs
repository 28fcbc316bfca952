//! What has to hold in the end.

use crate::child::Account;
use crate::message::Sample;
use crate::trend::Trend;

/// One of the figures that have to stay flat.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) of: fn(&Sample) -> f64,
    /// By how much the line through the samples after the warm-up may rise from its first to its last, however long
    /// the run: what `part` of the mean is, and `more`.
    part: f64,
    more: f64,
}

/// Memory is the one that swings: six busy sessions, with up to 32 MiB each on their way, are interrupted by faults.
/// A minute has some 1,000 fresh sessions, each of which takes 50 KB or more at each end, so that one that leaks shows
/// as 50 MB. Descriptors and threads do not depend on sessions at all; a connection that is being looked up, or a
/// file read, may have one for a moment.
pub(crate) const FIGURES: [Figure; 3] = [
    Figure {
        name: "memory",
        unit: "MB",
        of: |sample| sample.resident_bytes as f64 / 1e6,
        part: 0.10,
        more: 16.0,
    },
    Figure { name: "descriptors", unit: "", of: |sample| sample.descriptors as f64, part: 0.0, more: 2.0 },
    Figure { name: "threads", unit: "", of: |sample| sample.threads as f64, part: 0.0, more: 2.0 },
];

/// Until windows, pools and caches have their size: half of a short run, of a long one the first two minutes.
pub(crate) fn warm_up_seconds(run_seconds: f64) -> f64 {
    (run_seconds / 2.0).min(120.0)
}

impl Figure {
    /// Of the samples after the warm-up.
    pub(crate) fn trend(&self, account: &Account) -> Option<Trend> {
        let end = account.samples.last()?.seconds;
        let warm = account.samples.iter().filter(|sample| sample.seconds >= warm_up_seconds(end));
        let points: Vec<_> = warm.map(|sample| (sample.seconds, (self.of)(sample))).collect();
        Trend::of(&points)
    }

    fn limit(&self, trend: &Trend) -> f64 {
        self.part * trend.mean + self.more
    }
}

/// Whatever is wrong with one process.
pub(crate) fn violations(process: &str, account: &Account) -> Vec<String> {
    let mut found: Vec<_> = account.end.violations.iter().map(|text| format!("{process}: {text}")).collect();
    for figure in &FIGURES {
        match figure.trend(account) {
            None => found.push(format!("{process}: too few samples of its {}", figure.name)),
            Some(trend) if trend.rise > figure.limit(&trend) => found.push(format!(
                "{process}: {} rose by {:.1} {} around {:.1}, {:.1} may be",
                figure.name,
                trend.rise,
                figure.unit,
                trend.mean,
                figure.limit(&trend)
            )),
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(memory_per_second: f64) -> Account {
        let sample = |second: u64| Sample {
            seconds: second as f64,
            resident_bytes: (100e6 + memory_per_second * second as f64) as u64,
            descriptors: 20,
            threads: 8,
            checked_bytes: 0,
        };
        Account { samples: (0..60).map(sample).collect(), ..Account::default() }
    }

    #[test]
    fn a_leak_of_a_session_with_every_fresh_dial_is_a_violation() {
        assert_eq!(violations("server", &account(0.0)), Vec::<String>::new());
        let found = violations("server", &account(20.0 * 60e3));
        assert!(found.len() == 1 && found[0].contains("memory rose by"), "{found:?}");
    }

    #[test]
    fn a_process_that_gave_no_figures_is_not_taken_for_flat() {
        assert_eq!(violations("server", &Account::default()).len(), 3);
    }
}
