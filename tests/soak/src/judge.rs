//! What has to hold in the end.

use crate::child::Account;
use crate::message::Sample;
use crate::trend::Trend;

/// One of the figures that have to stay flat.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) of: fn(&Sample) -> f64,
    /// When it has to be flat, in a run of so many seconds.
    pub(crate) judged_from: fn(f64) -> f64,
    /// By how much the line through the samples from then on may rise from its first to its last, however long the
    /// run: what `part` of the mean is, and `more`.
    part: f64,
    more: f64,
}

/// Memory is the one that swings: six busy sessions, with up to 32 MiB each on their way, are interrupted by faults.
/// A minute has some 1,000 fresh sessions, each of which takes 50 KB or more at each end, so that one that leaks shows
/// as 50 MB. Descriptors and threads do not depend on sessions at all; a connection that is being looked up, or a
/// file read, may have one for a moment.
pub(crate) const FIGURES: [Figure; 4] = [
    Figure {
        name: "live heap",
        unit: "MB",
        of: |sample| sample.live_bytes as f64 / 1e6,
        judged_from: after_warm_up,
        part: 0.10,
        more: 16.0,
    },
    Figure {
        name: "resident memory",
        unit: "MB",
        of: |sample| sample.resident_bytes as f64 / 1e6,
        judged_from: second_half,
        part: 0.10,
        more: 16.0,
    },
    Figure {
        name: "descriptors",
        unit: "",
        of: |sample| sample.descriptors as f64,
        judged_from: after_warm_up,
        part: 0.0,
        more: 2.0,
    },
    Figure {
        name: "threads",
        unit: "",
        of: |sample| sample.threads as f64,
        judged_from: after_warm_up,
        part: 0.0,
        more: 2.0,
    },
];

/// Until windows, pools and caches have their size: half of a short run, of a long one the first two minutes.
fn after_warm_up(run_seconds: f64) -> f64 {
    second_half(run_seconds).min(120.0)
}

fn second_half(run_seconds: f64) -> f64 {
    run_seconds / 2.0
}

/// What of the heap may be in use when all sessions are over: the pool's idle buffers, 8 MiB of each kind.
const MOST_LEFT_MB: f64 = 20.0;

impl Figure {
    /// Of the samples that are judged.
    pub(crate) fn trend(&self, account: &Account) -> Option<Trend> {
        let end = account.samples.last()?.seconds;
        let from = (self.judged_from)(end);
        let judged = account.samples.iter().filter(|sample| sample.seconds >= from);
        let points: Vec<_> = judged.map(|sample| (sample.seconds, (self.of)(sample))).collect();
        Trend::of(&points)
    }

    /// The average of each tenth of the run, as far as there are samples of it.
    pub(crate) fn tenths(&self, account: &Account) -> Vec<f64> {
        let end = account.samples.last().map_or(0.0, |sample| sample.seconds);
        let in_tenth = |sample: &&Sample, tenth| (sample.seconds / end * 10.0).min(9.0) as u32 == tenth;
        let average = |tenth| {
            let samples = account.samples.iter().filter(|sample| in_tenth(sample, tenth));
            let (count, sum) =
                samples.fold((0.0, 0.0), |(count, sum), sample| (count + 1.0, sum + (self.of)(sample)));
            (count > 0.0).then(|| sum / count)
        };
        (0..10).filter_map(average).collect()
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
    let left = account.end.live_bytes as f64 / 1e6;
    if left > MOST_LEFT_MB {
        found.push(format!(
            "{process}: {left:.1} MB are left when all sessions are over, {MOST_LEFT_MB} may be"
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a session that is leaked keeps of the heap.
    const SESSION_BYTES: f64 = 50e3;
    const MB: f64 = 1e6;

    /// Of a run of so many seconds: the live heap and the resident memory at each of them, in bytes.
    fn account(seconds: u64, live: impl Fn(f64) -> f64, resident: impl Fn(f64) -> f64) -> Account {
        let sample = |second: u64| Sample {
            seconds: second as f64,
            live_bytes: live(second as f64) as u64,
            resident_bytes: resident(second as f64) as u64,
            descriptors: 20,
            threads: 8,
            checked_bytes: 0,
        };
        Account { samples: (0..seconds).map(sample).collect(), ..Account::default() }
    }

    fn flat(_: f64) -> f64 {
        100.0 * MB
    }

    #[test]
    fn a_leak_of_a_session_with_every_fresh_dial_is_a_violation() {
        let leak = |second: f64| 50.0 * MB + second * 20.0 * SESSION_BYTES;
        assert_eq!(violations("server", &account(60, flat, flat)), Vec::<String>::new());
        let found = violations("server", &account(60, leak, flat));
        assert!(found.len() == 1 && found[0].contains("live heap rose by"), "{found:?}");
    }

    #[test]
    fn memory_that_the_allocator_takes_ever_more_slowly_is_no_violation_and_memory_that_never_ends_is_one() {
        // As measured in half an hour: twice as much in the end as after two minutes, and nearly all of it in the first half.
        let plateau = |second: f64| (185.0 - 90.0 * (-second / 400.0).exp()) * MB;
        assert_eq!(violations("server", &account(1_800, flat, plateau)), Vec::<String>::new());
        let endless = |second: f64| (100.0 + second / 20.0) * MB;
        let found = violations("server", &account(1_800, flat, endless));
        assert!(found.len() == 1 && found[0].contains("resident memory rose by"), "{found:?}");
    }

    #[test]
    fn the_live_heap_of_a_long_run_has_to_be_flat_from_the_second_minute_on() {
        let plateau = |second: f64| (185.0 - 90.0 * (-second / 400.0).exp()) * MB;
        let found = violations("server", &account(1_800, plateau, flat));
        assert!(found.len() == 1 && found[0].contains("live heap rose by"), "{found:?}");
    }

    #[test]
    fn what_sessions_leave_behind_is_a_violation() {
        let mut account = account(60, flat, flat);
        account.end.live_bytes = 30_000_000;
        let found = violations("clients", &account);
        assert!(found.len() == 1 && found[0].contains("are left when all sessions are over"), "{found:?}");
    }

    #[test]
    fn a_process_that_gave_no_figures_is_not_taken_for_flat() {
        assert_eq!(violations("server", &Account::default()).len(), FIGURES.len());
    }

    #[test]
    fn the_tenths_of_a_run_are_averages_of_what_there_is() {
        let live = &FIGURES[0];
        assert_eq!(live.tenths(&Account::default()), Vec::<f64>::new());
        let steps = account(101, |second| (second / 10.0).floor() * MB, flat);
        let tenths = live.tenths(&steps);
        assert_eq!(tenths[..9], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert!(tenths.len() == 10 && tenths[9] > 9.0, "{tenths:?}");
    }
}
