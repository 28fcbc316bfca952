//! What sessions and paths tell the `metrics` facade. The crate's documentation has the list of names.

use std::time::Duration;

use metrics::Gauge;

use crate::proto::session::{AdviceNotFollowed, SessionStats};
use crate::proto::time::Time;
use crate::proto::wire::id::Side;

/// Between two reports of a session that is busy: often enough for a graph, too rare to cost anything.
const INTERVAL: Duration = Duration::from_secs(1);

/// Something that there is one more of while this lives.
pub(crate) struct Counted(Gauge);

impl Counted {
    /// A path of a session.
    pub(crate) fn path(side: Side) -> Self {
        Self::new(metrics::gauge!("kwik_paths", "side" => label(side)))
    }

    fn session(side: Side) -> Self {
        metrics::counter!("kwik_sessions_total", "side" => label(side)).increment(1);
        Self::new(metrics::gauge!("kwik_sessions", "side" => label(side)))
    }

    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Reports what has come on top of a session's figures since it last did.
pub(crate) struct Meter {
    side: Side,
    reported: SessionStats,
    due: Time,
    _session: Counted,
}

impl Meter {
    pub(crate) fn new(side: Side, now: Time) -> Self {
        let reported = SessionStats::default();
        Self { side, reported, due: now + INTERVAL, _session: Counted::session(side) }
    }

    /// Whether the last report is long enough ago.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        now >= self.due
    }

    pub(crate) fn report(&mut self, now: Time, stats: SessionStats) {
        self.due = now + INTERVAL;
        let before = std::mem::replace(&mut self.reported, stats);
        self.report_advice(stats.advice_not_followed, before.advice_not_followed);
        for (name, after, before) in [
            ("kwik_path_failures_total", stats.path_failures, before.path_failures),
            ("kwik_resumes_total", stats.resumes, before.resumes),
            ("kwik_sent_bytes_total", stats.sent_bytes, before.sent_bytes),
            ("kwik_delivered_bytes_total", stats.delivered_bytes, before.delivered_bytes),
            ("kwik_reinjected_bytes_total", stats.reinjected_bytes, before.reinjected_bytes),
            ("kwik_retransmitted_bytes_total", stats.retransmitted_bytes, before.retransmitted_bytes),
            ("kwik_dropped_datagrams_total", stats.dropped_datagrams, before.dropped_datagrams),
        ] {
            let more = after.saturating_sub(before);
            if more > 0 {
                metrics::counter!(name, "side" => label(self.side)).increment(more);
            }
        }
    }

    fn report_advice(&self, after: AdviceNotFollowed, before: AdviceNotFollowed) {
        for (reason, after, before) in [
            ("address", after.address, before.address),
            ("taken_back", after.taken_back, before.taken_back),
            ("room", after.room, before.room),
            ("budget", after.budget, before.budget),
        ] {
            let more = after.saturating_sub(before);
            if more > 0 {
                metrics::counter!("kwik_advice_not_followed_total", "reason" => reason).increment(more);
            }
        }
    }
}

fn label(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}
