//! Outages: a path that carries nothing for a while, and then does again.
//!
//! QUIC takes whatever is lost for a sign of congestion, and asks a silent peer at times that lie further and further
//! apart (RFC 9002 sections 6.2 and 7.3). Both are wrong for a path whose radio was away for 200 ms: it is used again
//! late, and then with a fraction of its rate. With two paths that were up and down for 200 ms in turn, 5 MB took 13 s.
//!
//! So a silence that is longer than congestion explains ([`patience`]) is taken for an outage. While it lasts, the
//! peer is asked at intervals of an eighth of it, so that no outage gets longer by more than that ([`Probes`]); a probe
//! is one packet, and not held up by the congestion window (RFC 9002 section 7.5). What was lost in it says nothing
//! about the path's rate, which may be another one now all the same: the path begins with half of its window and
//! grows back to it within a few round trips ([`Restart`]), as after any pause (RFC 5681 section 4.1).

use std::time::{Duration, Instant};

/// The shortest silence that can be an outage: shorter ones are scheduling noise on a busy machine.
const MIN_PATIENCE: Duration = Duration::from_millis(100);
/// The shortest interval between two probes.
const MIN_INTERVAL: Duration = Duration::from_millis(40);
/// Of the silence so far, to the next probe.
const SHARE_OF_SILENCE: u32 = 8;

/// How long the peer may take to answer before this is an outage: a probe timeout has passed, and the probe's answer
/// would be here.
pub(crate) fn patience(pto: Duration, rtt: Duration) -> Duration {
    (pto + rtt).max(MIN_PATIENCE)
}

/// When to ask a silent peer.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    asked_at: Option<Instant>,
}

impl Probes {
    /// When the next one is due on a path that has been silent for so long.
    pub(crate) fn next(&self, silent_since: Instant, patience: Duration, rtt: Duration) -> Instant {
        let first = silent_since + patience;
        match self.asked_at {
            Some(asked) if asked >= first => {
                let silence = asked.saturating_duration_since(silent_since);
                asked + (silence / SHARE_OF_SILENCE).max(MIN_INTERVAL).max(rtt / 2)
            }
            _ => first,
        }
    }

    pub(crate) fn on_asked(&mut self, now: Instant) {
        self.asked_at = Some(now);
    }
}

/// What is left of an outage once the peer has answered.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Restart {
    /// Losses of packets sent up to then belong to the outage.
    ended_at: Option<Instant>,
    /// Bytes that may be under way, less than the congestion window.
    window: Option<u64>,
    /// The window has been made smaller for this outage.
    is_answered: bool,
}

impl Restart {
    /// The first answer after an outage.
    pub(crate) fn on_outage_ended(&mut self, now: Instant) {
        self.ended_at = Some(now);
        self.is_answered = false;
    }

    /// Packets are lost, the newest of them sent at `sent`; whether the outage explains it. `window` is the
    /// congestion window, `least` what may be under way in any case.
    pub(crate) fn explains_loss(&mut self, sent: Instant, window: u64, least: u64) -> bool {
        let is_explained = self.ended_at.is_some_and(|ended| sent <= ended);
        if is_explained && !std::mem::replace(&mut self.is_answered, true) {
            self.window = Some((self.limit(window) / 2).max(least));
        }
        is_explained
    }

    /// Bytes have arrived; `window` is the congestion window.
    pub(crate) fn on_ack(&mut self, bytes: u64, window: u64) {
        let grown = self.window.map(|restart| restart + bytes);
        self.window = grown.filter(|restart| *restart < window);
    }

    /// The window to keep to.
    pub(crate) fn limit(&self, window: u64) -> u64 {
        self.window.map_or(window, |restart| restart.min(window))
    }
}
