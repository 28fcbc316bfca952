//! The lanes that carry one stream: the ranges that went out on each, and when they are expected at the peer.
//!
//! Promise: what is recorded for a lane is what was written on it and is not acknowledged; nothing else. Which of that has
//! to go again, and where, is the stream's to decide.

use std::collections::VecDeque;
use std::ops::Range;

use crate::proto::range_set::RangeSet;
use crate::proto::time::Time;
use crate::proto::wire::frame::Ack;
use crate::proto::wire::id::{LaneId, PathId};

/// Chunks that are looked at for one that needs a copy: those before them have copies already.
const MAX_LATE_CHUNKS: usize = 64;

/// When a chunk is expected at the peer, and when its acknowledgement should be here at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) arrival: Time,
    pub(crate) overdue_at: Time,
}

/// A lane, by its path and its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathLane {
    pub(crate) path: PathId,
    pub(crate) lane: LaneId,
}

/// Whether a lane still needs the header that says whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Due,
    Written,
}

/// A lane to write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneToWrite {
    pub(crate) lane: LaneId,
    pub(crate) header: Header,
}

/// One lane that carries the stream.
#[derive(Debug)]
struct SendLane {
    at: PathLane,
    /// What was written on it and is not acknowledged yet.
    sent: RangeSet,
    /// The chunks of `sent`, oldest first, and when they are expected. What is acknowledged goes when it gets to
    /// the front.
    expected: VecDeque<(Range<u64>, Expected)>,
    /// The end of the stream went out on it, or it was given up: nothing follows.
    finished: bool,
    header: Header,
}

/// All lanes of one stream that are open, or have something on them that is not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct SendLanes {
    lanes: Vec<SendLane>,
}

impl SendLanes {
    fn get_mut(&mut self, at: PathLane) -> Option<&mut SendLane> {
        self.lanes.iter_mut().find(|entry| entry.at == at)
    }

    fn on_path(&self, path: PathId) -> impl Iterator<Item = &SendLane> {
        self.lanes.iter().filter(move |entry| entry.at.path == path)
    }

    /// How many separate ranges the receiver may have to hold at worst.
    pub(crate) fn fragments(&self) -> usize {
        self.lanes.iter().map(|entry| entry.sent.len()).sum()
    }

    /// Whether there is one on `path`, open or not.
    pub(crate) fn has_any_on(&self, path: PathId) -> bool {
        self.on_path(path).next().is_some()
    }

    /// The one on `path` that can still be written to.
    pub(crate) fn open_on(&self, path: PathId) -> Option<LaneId> {
        self.on_path(path).find(|entry| !entry.finished).map(|entry| entry.at.lane)
    }

    /// The one on `path` that can still be written to. A header that is due is the caller's to write, now.
    pub(crate) fn writable_on(&mut self, path: PathId) -> Option<LaneToWrite> {
        let entry = self.lanes.iter_mut().find(|entry| entry.at.path == path && !entry.finished)?;
        Some(LaneToWrite {
            lane: entry.at.lane,
            header: std::mem::replace(&mut entry.header, Header::Written),
        })
    }

    /// A lane was opened for the stream.
    pub(crate) fn add(&mut self, at: PathLane) {
        self.lanes.push(SendLane {
            at,
            sent: RangeSet::new(),
            expected: VecDeque::new(),
            finished: false,
            header: Header::Due,
        });
    }

    /// `range` was written to a lane.
    pub(crate) fn on_sent(&mut self, at: PathLane, range: Range<u64>, expected: Expected) {
        if let Some(entry) = self.get_mut(at) {
            entry.sent.insert(range.clone());
            entry.expected.push_back((range, expected));
        }
    }

    /// Nothing follows on this lane. Returns whether it was open.
    pub(crate) fn finish(&mut self, at: PathLane) -> bool {
        self.get_mut(at).is_some_and(|entry| !std::mem::replace(&mut entry.finished, true))
    }

    /// Forgets all lanes; returns those that were open.
    pub(crate) fn take_open(&mut self) -> Vec<PathLane> {
        self.lanes.drain(..).filter(|entry| !entry.finished).map(|entry| entry.at).collect()
    }

    /// The peer has everything before `contiguous`, and the ranges that `ack` names.
    pub(crate) fn on_ack(&mut self, contiguous: u64, ack: &Ack) {
        for entry in &mut self.lanes {
            entry.sent.trim_below(contiguous);
            for range in &ack.ranges {
                entry.sent.remove(range.clone());
            }
            let is_acked = |range: &Range<u64>| entry.sent.first_gap(range.clone()).as_ref() == Some(range);
            while entry.expected.front().is_some_and(|(range, _)| is_acked(range)) {
                entry.expected.pop_front();
            }
        }
        self.lanes.retain(|entry| !entry.finished || !entry.sent.is_empty());
    }

    /// The first part of `range` that no lane on `path` carries.
    pub(crate) fn first_gap_on(&self, path: PathId, range: Range<u64>) -> Option<Range<u64>> {
        let mut from = range.start;
        while from < range.end {
            let mut own = self.on_path(path);
            let gap =
                own.try_fold(from..range.end, |gap, entry| entry.sent.first_gap(gap.clone()).ok_or(gap));
            match gap {
                Ok(gap) => return Some(gap),
                // One lane has all of what the others lack here: look behind it.
                Err(covered) => from = covered.end,
            }
        }
        None
    }

    /// The first range, by its place in the stream, that paths other than `path` deliver after `arrival`, or should have
    /// delivered by now, and of which `missing` says that it is worth a copy, or which part of it.
    pub(crate) fn late_for(
        &self,
        path: PathId,
        now: Time,
        arrival: Time,
        missing: impl Fn(Range<u64>) -> Option<Range<u64>>,
    ) -> Option<Range<u64>> {
        let others = self.lanes.iter().filter(|entry| entry.at.path != path);
        let late = others.filter_map(|entry| {
            let is_overdue = entry.expected.front().is_some_and(|(_, expected)| expected.overdue_at <= now);
            let first =
                if is_overdue { 0 } else { entry.expected.partition_point(|(_, e)| e.arrival <= arrival) };
            let chunks = entry.expected.range(first..).take(MAX_LATE_CHUNKS);
            let late = chunks.take_while(|(_, e)| e.arrival > arrival || e.overdue_at <= now);
            late.filter_map(|(range, _)| missing(range.clone())).next()
        });
        late.min_by_key(|range| range.start)
    }

    /// What lanes on `path` carry and none on the other paths that are healthy.
    pub(crate) fn only_on(&self, path: PathId, is_healthy: impl Fn(PathId) -> bool) -> RangeSet {
        let mut only = RangeSet::new();
        for range in self.on_path(path).flat_map(|entry| entry.sent.iter()) {
            only.insert(range);
        }
        let trusted = self.lanes.iter().filter(|entry| entry.at.path != path && is_healthy(entry.at.path));
        trusted.flat_map(|entry| entry.sent.iter()).for_each(|range| only.remove(range));
        only
    }

    /// What lanes on `path` carry.
    pub(crate) fn sent_on(&self, path: PathId) -> impl Iterator<Item = Range<u64>> {
        self.on_path(path).flat_map(|entry| entry.sent.iter())
    }

    /// `path` is gone, and its lanes with it.
    pub(crate) fn forget_path(&mut self, path: PathId) {
        self.lanes.retain(|entry| entry.at.path != path);
    }

    /// A lane broke. Returns what it carried, if it was the stream's.
    pub(crate) fn remove(&mut self, at: PathLane) -> Option<RangeSet> {
        let index = self.lanes.iter().position(|entry| entry.at == at)?;
        Some(self.lanes.swap_remove(index).sent)
    }

    /// Forgets all lanes.
    pub(crate) fn clear(&mut self) {
        self.lanes.clear();
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list of one range is what is meant")]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: PathId = PathId(0);
    const B: PathId = PathId(1);

    fn at(path: PathId, lane: u64) -> PathLane {
        PathLane { path, lane: LaneId(lane) }
    }

    fn expected(ms: u64) -> Expected {
        let arrival = Time::ZERO + Duration::from_millis(ms);
        Expected { arrival, overdue_at: arrival + Duration::from_millis(100) }
    }

    fn two_paths() -> SendLanes {
        let mut lanes = SendLanes::default();
        lanes.add(at(A, 0));
        lanes.add(at(B, 2));
        lanes
    }

    fn ranges(set: &RangeSet) -> Vec<Range<u64>> {
        set.iter().collect()
    }

    fn ack(contiguous: u64, ranges: &[Range<u64>]) -> Ack {
        let stream = crate::proto::wire::id::StreamId(2);
        Ack { stream, complete: false, contiguous, ranges: ranges.to_vec() }
    }

    #[test]
    fn what_only_one_path_carries_is_what_its_loss_costs() {
        let mut lanes = two_paths();
        lanes.on_sent(at(A, 0), 0..100, expected(10));
        lanes.on_sent(at(B, 2), 50..150, expected(10));
        assert_eq!(ranges(&lanes.only_on(A, |_| true)), [0..50]);
        assert_eq!(ranges(&lanes.only_on(A, |_| false)), [0..100]);
        lanes.forget_path(A);
        assert!(!lanes.has_any_on(A));
        assert_eq!(lanes.sent_on(A).count() + lanes.sent_on(B).count(), 1);
    }

    #[test]
    fn an_acknowledgement_takes_out_what_it_names_and_lanes_that_are_done() {
        let mut lanes = two_paths();
        lanes.on_sent(at(A, 0), 0..100, expected(10));
        lanes.on_sent(at(B, 2), 100..200, expected(10));
        assert!(lanes.finish(at(A, 0)));
        assert!(!lanes.finish(at(A, 0)), "it is finished already");
        lanes.on_ack(100, &ack(100, &[150..200]));
        assert!(!lanes.has_any_on(A));
        assert_eq!(lanes.sent_on(B).collect::<Vec<_>>(), [100..150]);
        assert_eq!(lanes.take_open(), [at(B, 2)]);
    }

    #[test]
    fn a_gap_is_found_behind_what_two_lanes_of_a_path_cover_between_them() {
        let mut lanes = SendLanes::default();
        for (lane, range) in [(0, 0..10), (4, 10..20)] {
            lanes.add(at(A, lane));
            lanes.on_sent(at(A, lane), range, expected(10));
        }
        assert_eq!(lanes.first_gap_on(A, 0..30), Some(20..30));
        assert_eq!(lanes.first_gap_on(A, 5..20), None);
        assert_eq!(lanes.first_gap_on(B, 5..20), Some(5..20));
        assert_eq!(lanes.fragments(), 2);
    }

    #[test]
    fn a_header_is_due_once() {
        let mut lanes = two_paths();
        assert_eq!(lanes.writable_on(A).map(|to| to.header), Some(Header::Due));
        assert_eq!(lanes.writable_on(A).map(|to| to.header), Some(Header::Written));
        lanes.finish(at(A, 0));
        assert_eq!((lanes.writable_on(A), lanes.open_on(A)), (None, None));
        assert!(lanes.has_any_on(A));
    }

    #[test]
    fn what_other_paths_deliver_late_is_found_in_the_order_of_the_stream() {
        let mut lanes = two_paths();
        lanes.on_sent(at(A, 0), 0..10, expected(10));
        lanes.on_sent(at(A, 0), 10..20, expected(50));
        let late = |lanes: &SendLanes, ms: u64| lanes.late_for(B, Time::ZERO, expected(ms).arrival, Some);
        assert_eq!(late(&lanes, 5), Some(0..10));
        assert_eq!(late(&lanes, 20), Some(10..20));
        assert_eq!(late(&lanes, 60), None);
        let overdue = lanes.late_for(B, expected(10).overdue_at, expected(300).arrival, Some);
        assert_eq!(overdue, Some(0..10));
    }

    #[test]
    fn a_lane_that_breaks_gives_back_what_it_carried() {
        let mut lanes = two_paths();
        lanes.on_sent(at(A, 0), 0..10, expected(10));
        assert_eq!(lanes.remove(at(A, 0)).map(|set| ranges(&set)), Some(vec![0..10]));
        assert_eq!(lanes.remove(at(A, 0)), None);
    }
}
