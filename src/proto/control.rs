//! Control frames that are pending, independent of the path that will carry them.
//!
//! This is not a queue of frames but a set of facts that are due: each is read when its frame is written. So the newest
//! goes out, each fact at most once per turn, and when a path dies, what may have been lost with it is due again
//! (docs/PROTOCOL.md section 6.3).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::BytesMut;

use super::time::Time;
use crate::proto::wire::id::{PathId, StreamId};

/// Acknowledgements of bulk data, and reports on it, are at least this far apart: on a path of 100 MB/s, each of them
/// would otherwise go for 64 KiB, in a packet and a system call (or a browser's) of its own.
pub(crate) const BULK_ACK_INTERVAL: Duration = Duration::from_millis(10);

/// Acknowledgements go out after so many bytes, if not before: this is bulk data.
pub(crate) const ACK_BYTES: u64 = 64 * 1024;

/// After so many, acknowledgements do not wait for [`BULK_ACK_INTERVAL`]: a sender that keeps 8 MiB would be held to that
/// much for each interval.
const BULK_ACK_BYTES: u64 = 1024 * 1024;

/// What else is about to go out on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Nothing that is known of.
    None,
    /// Chunks: what has waited for some time goes with them.
    Data,
}

/// Closed paths of which the peer is told again when another path dies: more than are open at a time by default. What
/// an older one was worth is told by now, or by the peer's own probes.
const MAX_REMEMBERED_PATH_CLOSES: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct PendingControl {
    pub(crate) acks: BTreeSet<StreamId>,
    pub(crate) max_data: bool,
    pub(crate) max_stream_data: BTreeSet<StreamId>,
    pub(crate) max_streams_bidi: bool,
    pub(crate) max_streams_uni: bool,
    pub(crate) resets: BTreeSet<StreamId>,
    pub(crate) stops: BTreeSet<StreamId>,
    pub(crate) path_statuses: BTreeSet<PathId>,
    pub(crate) advice: BTreeSet<u64>,
    pub(crate) go_away: bool,
    /// Paths that this end has abandoned, with the code of their PATH_CLOSE.
    pub(crate) path_closes: BTreeMap<PathId, u64>,
    /// Those whose PATH_CLOSE was written, newest last: it may have died on its way.
    sent_path_closes: VecDeque<(PathId, u64)>,
    /// How long an acknowledgement of little may wait.
    ack_delay: Duration,
    /// When acknowledgements have to go out.
    ack_at: Option<Time>,
    /// From when on they go with whatever goes out anyway.
    ack_rides_at: Option<Time>,
    /// Bytes that have arrived since they last went out.
    unacked_bytes: u64,
    /// When they last did.
    acked_at: Option<Time>,
    /// What they are written into.
    buffer: BytesMut,
}

impl PendingControl {
    /// How long an acknowledgement of little may wait from now on, those that wait already included.
    pub(crate) fn set_ack_delay(&mut self, now: Time, delay: Duration) {
        if delay < self.ack_delay {
            self.ack_at = self.ack_at.map(|at| at.min(now + delay));
            self.ack_rides_at = self.ack_rides_at.map(|at| at.min(now + delay / 2));
        }
        self.ack_delay = delay;
    }

    pub(crate) fn ack_delay(&self) -> Duration {
        self.ack_delay
    }

    /// An acknowledgement of `stream` is wanted by `at`.
    pub(crate) fn ack(&mut self, stream: StreamId, at: Time) {
        self.acks.insert(stream);
        self.ack_at = earliest(self.ack_at, at);
    }

    /// The same for so many bytes that have just arrived: in a while, if they are few. Bulk data is acknowledged at once,
    /// but not oftener than every so often, unless it is very much.
    pub(crate) fn ack_bytes(&mut self, stream: StreamId, bytes: u64, now: Time) {
        self.unacked_bytes += bytes;
        match self.unacked_bytes {
            ..ACK_BYTES => {
                self.ack(stream, now + self.ack_delay);
                self.ack_rides_at = earliest(self.ack_rides_at, now + self.ack_delay / 2);
            }
            ACK_BYTES..BULK_ACK_BYTES => {
                let next = self.acked_at.map_or(now, |at| at + BULK_ACK_INTERVAL);
                self.ack(stream, next.max(now));
            }
            BULK_ACK_BYTES.. => self.ack(stream, now),
        }
    }

    /// An empty buffer to write frames into, to be given back with [`keep_buffer`](Self::keep_buffer).
    pub(crate) fn take_buffer(&mut self) -> BytesMut {
        std::mem::take(&mut self.buffer)
    }

    pub(crate) fn keep_buffer(&mut self, buffer: BytesMut) {
        self.buffer = buffer;
    }

    /// The paths whose PATH_CLOSE is to be written now.
    pub(crate) fn take_path_closes(&mut self) -> BTreeMap<PathId, u64> {
        let closes = std::mem::take(&mut self.path_closes);
        self.sent_path_closes.extend(closes.iter().map(|(path, code)| (*path, *code)));
        let beyond = self.sent_path_closes.len().saturating_sub(MAX_REMEMBERED_PATH_CLOSES);
        self.sent_path_closes.drain(..beyond);
        closes
    }

    /// What was written about closed paths may not have arrived.
    pub(crate) fn requeue_path_closes(&mut self) {
        self.path_closes.extend(self.sent_path_closes.drain(..));
    }

    pub(crate) fn ack_deadline(&self) -> Option<Time> {
        self.ack_at
    }

    /// The streams to acknowledge now: all of them once one is due, since the packet goes out anyway.
    pub(crate) fn take_acks(&mut self, now: Time, occasion: Occasion) -> BTreeSet<StreamId> {
        if !self.has_due_acks(now) && !self.may_ride(now, occasion) {
            return BTreeSet::new();
        }
        self.ack_at = None;
        self.ack_rides_at = None;
        self.unacked_bytes = 0;
        self.acked_at = Some(now);
        std::mem::take(&mut self.acks)
    }

    pub(crate) fn has_due_acks(&self, now: Time) -> bool {
        self.ack_at.is_some_and(|at| at <= now)
    }

    /// Whether acknowledgements have waited so long that they go with what goes out.
    fn may_ride(&self, now: Time, occasion: Occasion) -> bool {
        occasion == Occasion::Data && self.ack_rides_at.is_some_and(|at| at <= now)
    }

    /// Whether there is anything to write at this time.
    pub(crate) fn is_wanted(&self, now: Time, occasion: Occasion) -> bool {
        self.is_due(now) || self.may_ride(now, occasion)
    }

    /// Whether any frame is due at this time.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.has_due_acks(now)
            || self.max_data
            || self.max_streams_bidi
            || self.max_streams_uni
            || self.go_away
            || !self.max_stream_data.is_empty()
            || !self.resets.is_empty()
            || !self.stops.is_empty()
            || !self.path_statuses.is_empty()
            || !self.advice.is_empty()
            || !self.path_closes.is_empty()
    }
}

fn earliest(set: Option<Time>, at: Time) -> Option<Time> {
    Some(set.map_or(at, |set| set.min(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_epoch(Duration::from_millis(ms))
    }

    #[test]
    fn acknowledgements_wait_for_the_first_that_is_due_and_then_go_together() {
        let mut pending = PendingControl::default();
        pending.ack(StreamId(4), at(30));
        pending.ack(StreamId(8), at(20));
        assert_eq!(pending.ack_deadline(), Some(at(20)));
        assert!(!pending.is_due(at(19)));
        assert!(pending.take_acks(at(19), Occasion::None).is_empty());
        assert!(pending.is_due(at(20)));
        assert_eq!(pending.take_acks(at(20), Occasion::None), BTreeSet::from([StreamId(4), StreamId(8)]));
        assert_eq!(pending.ack_deadline(), None);
        assert!(!pending.is_due(at(100)));
    }

    #[test]
    fn bulk_data_is_acknowledged_at_once_but_not_without_end() {
        let mut pending = PendingControl::default();
        pending.set_ack_delay(at(0), Duration::from_millis(25));
        pending.ack_bytes(StreamId(0), ACK_BYTES / 2, at(9));
        pending.ack_bytes(StreamId(4), ACK_BYTES / 2, at(10));
        assert_eq!(pending.take_acks(at(10), Occasion::None).len(), 2, "whatever streams they are of");
        pending.ack_bytes(StreamId(4), ACK_BYTES, at(11));
        assert_eq!(pending.ack_deadline(), Some(at(20)));
        pending.ack(StreamId(8), at(11));
        assert_eq!(pending.take_acks(at(11), Occasion::None).len(), 2, "an end does not wait");
        pending.ack_bytes(StreamId(4), BULK_ACK_BYTES / 2, at(12));
        pending.ack_bytes(StreamId(4), BULK_ACK_BYTES / 2, at(13));
        assert_eq!(pending.take_acks(at(13), Occasion::None).len(), 1, "it is very much");
        pending.ack_bytes(StreamId(4), ACK_BYTES, at(30));
        assert_eq!(pending.take_acks(at(30), Occasion::None).len(), 1, "the last ones are long ago");
    }

    #[test]
    fn an_acknowledgement_of_little_waits_but_goes_with_data_when_it_has_waited_for_half_of_that() {
        let mut pending = PendingControl::default();
        pending.set_ack_delay(at(0), Duration::from_millis(200));
        pending.ack_bytes(StreamId(4), 100, at(1));
        pending.ack_bytes(StreamId(8), 100, at(90));
        assert_eq!(pending.ack_deadline(), Some(at(201)));
        assert!(!pending.is_wanted(at(100), Occasion::Data));
        assert!(!pending.is_wanted(at(101), Occasion::None));
        assert!(pending.is_wanted(at(101), Occasion::Data));
        assert_eq!(pending.take_acks(at(101), Occasion::Data).len(), 2);
        pending.ack_bytes(StreamId(4), 100, at(102));
        assert_eq!(pending.ack_deadline(), Some(at(302)), "it begins anew");
    }

    #[test]
    fn acknowledgements_that_wait_are_hastened_when_there_is_less_time() {
        let mut pending = PendingControl::default();
        pending.set_ack_delay(at(0), Duration::from_millis(200));
        pending.ack_bytes(StreamId(4), 100, at(1));
        pending.set_ack_delay(at(2), Duration::from_millis(20));
        assert_eq!(pending.ack_deadline(), Some(at(22)));
        assert!(pending.is_wanted(at(12), Occasion::Data));
        pending.set_ack_delay(at(3), Duration::from_millis(200));
        assert_eq!(pending.ack_deadline(), Some(at(22)), "what was promised is kept");
    }

    #[test]
    fn a_fact_is_stated_once_however_often_it_changed() {
        let mut pending = PendingControl::default();
        pending.ack(StreamId(4), at(1));
        pending.ack(StreamId(4), at(2));
        assert_eq!(pending.take_acks(at(2), Occasion::None).len(), 1);
    }

    #[test]
    fn the_closing_of_a_path_is_stated_again_when_what_said_it_may_be_lost() {
        let mut pending = PendingControl::default();
        pending.path_closes.insert(PathId(1), 15);
        assert_eq!(pending.take_path_closes(), BTreeMap::from([(PathId(1), 15)]));
        assert!(!pending.is_due(at(0)));
        pending.requeue_path_closes();
        assert_eq!(pending.take_path_closes(), BTreeMap::from([(PathId(1), 15)]));
        pending.path_closes.extend((2..100).map(|path| (PathId(path), 0)));
        pending.take_path_closes();
        pending.requeue_path_closes();
        assert_eq!(pending.take_path_closes().len(), MAX_REMEMBERED_PATH_CLOSES, "there is an end to it");
    }

    #[test]
    fn everything_but_acknowledgements_is_due_at_once() {
        let mut pending = PendingControl::default();
        assert!(!pending.is_due(at(0)));
        pending.stops.insert(StreamId(4));
        assert!(pending.is_due(at(0)));
    }
}
