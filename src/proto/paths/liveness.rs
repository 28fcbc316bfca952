//! Liveness of a path: probes, since when an answer is due, and the deadlines for the next probe and for suspicion.

use std::collections::VecDeque;
use std::time::Duration;

use super::estimator::Estimator;
use crate::proto::time::Time;

/// No path is suspected before it was silent for this long: shorter silences are scheduling noise.
pub(super) const MIN_SUSPICION: Duration = Duration::from_millis(100);
/// A path whose carrier tells nothing is asked after so long a silence even when nothing is due, so that the death of
/// an idle one is noticed: what its keep-alive does for a carrier that tells.
const IDLE_PROBE: Duration = Duration::from_secs(5);
/// Pings that may wait for their answers to be written; of more, the newest are answered (docs/PROTOCOL.md section 4.2).
const MAX_PONGS: usize = 64;
/// Pings that may be under way and are remembered.
const MAX_PINGS: usize = 64;

/// A PING that is under way.
#[derive(Clone, Copy, Debug)]
struct SentPing {
    token: u64,
    at: Time,
}

/// What was asked on a path, and what came of it.
#[derive(Debug)]
pub(crate) struct Liveness {
    next_token: u64,
    /// Tokens of pings to send.
    pings: Vec<u64>,
    /// Pings that are under way, oldest first.
    sent_pings: VecDeque<SentPing>,
    /// Tokens of pings to answer.
    pongs: VecDeque<u64>,
    /// Without the carrier's help: when something was sent that has not been answered in any way.
    unanswered_since: Option<Time>,
    /// When anything last arrived.
    last_received_at: Time,
}

impl Liveness {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            next_token: 0,
            pings: Vec::new(),
            sent_pings: VecDeque::new(),
            pongs: VecDeque::new(),
            unanswered_since: None,
            last_received_at: now,
        }
    }

    /// Queues a PING; returns its token.
    pub(crate) fn ping(&mut self) -> u64 {
        self.next_token += 1;
        self.pings.push(self.next_token);
        self.next_token
    }

    /// The tokens of the PINGs that go out now.
    pub(crate) fn take_pings(&mut self, now: Time) -> Vec<u64> {
        for token in &self.pings {
            if self.sent_pings.len() >= MAX_PINGS {
                self.sent_pings.pop_front();
            }
            self.sent_pings.push_back(SentPing { token: *token, at: now });
        }
        std::mem::take(&mut self.pings)
    }

    /// PING: the answer goes out with the next transmission.
    pub(crate) fn on_ping(&mut self, token: u64) {
        if self.pongs.len() >= MAX_PONGS {
            self.pongs.pop_front();
        }
        self.pongs.push_back(token);
    }

    /// The tokens of the PONGs that go out now.
    pub(crate) fn drain_pongs(&mut self) -> impl Iterator<Item = u64> + '_ {
        self.pongs.drain(..)
    }

    /// PONG: how long the round trip took, if it was awaited. The peer may answer only the newest of several.
    pub(crate) fn on_pong(&mut self, now: Time, token: u64) -> Option<Duration> {
        let index = self.sent_pings.iter().position(|ping| ping.token == token)?;
        let answered = self.sent_pings.drain(..=index).next_back()?;
        Some(now - answered.at)
    }

    /// Something went out that the peer answers, sooner or later.
    pub(crate) fn on_sent(&mut self, now: Time) {
        self.unanswered_since.get_or_insert(now);
    }

    /// Anything at all arrived on the path.
    pub(crate) fn on_received(&mut self, now: Time) {
        self.unanswered_since = None;
        self.last_received_at = now;
    }

    /// How long the path may stay silent while an answer is due.
    pub(crate) fn probe_timeout(&self, path: &Estimator, peer_ack_delay: Duration) -> Duration {
        (path.pto() + path.rtt() + peer_ack_delay).max(MIN_SUSPICION)
    }

    /// Since when an answer is due, as far as this end can know.
    pub(crate) fn silent_since(&self, path: &Estimator) -> Option<Time> {
        if path.metrics().knows_acks {
            path.metrics().awaiting_since
        } else {
            self.sent_pings.front().map(|ping| ping.at)
        }
    }

    /// When the path is too silent, or has to be asked, if nothing arrives until then.
    pub(crate) fn deadline(&self, path: &Estimator, peer_ack_delay: Duration) -> Option<Time> {
        let probe_timeout = self.probe_timeout(path, peer_ack_delay);
        self.silent_since(path).map(|since| since + probe_timeout).or(self.probe_at(path, peer_ack_delay))
    }

    /// When the peer has to be asked, if nothing arrives until then.
    pub(crate) fn probe_at(&self, path: &Estimator, peer_ack_delay: Duration) -> Option<Time> {
        let is_asked = !self.sent_pings.is_empty() || !self.pings.is_empty();
        if path.metrics().knows_acks || is_asked {
            return None;
        }
        let probe_timeout = self.probe_timeout(path, peer_ack_delay);
        let unanswered = self.unanswered_since.map(|since| since + probe_timeout);
        Some(unanswered.unwrap_or(self.last_received_at + IDLE_PROBE))
    }

    /// When a path that is suspect since then is given up: after time for a few probes on a slow path. Where the
    /// carrier cannot tell, one that still delivers stays: its answer may be held up by no more than a busy machine,
    /// and a peer that hears nothing soon delivers nothing, either.
    pub(crate) fn give_up_at(&self, path: &Estimator, suspect_since: Time, path_timeout: Duration) -> Time {
        let silent_since = match path.metrics().knows_acks {
            true => suspect_since,
            false => suspect_since.max(self.last_received_at),
        };
        silent_since + path_timeout.max(path.rtt() * 6)
    }
}
