//! Reassembly of lanes from stream data that QUIC delivers out of order.
//!
//! Promise: what was not handed on is counted, in memory, so that it can be bounded. quinn-proto bounds it in bytes of
//! streams and in gaps of each, and keeps the packets alive that the pieces lie in: a connection whose every lane has gaps
//! could make it hold hundreds of megabytes within a window of five.
//!
//! Most lanes never see a gap, and quinn-proto is quicker with these when it is asked for the bytes in order. So a lane is
//! read in QUIC's order as long as every frame that arrived for it gives bytes at once. From the first that does not, it is
//! read as it comes.

use std::collections::HashMap;

use bytes::Bytes;
use quinn_proto::StreamId;

use crate::proto::streams::assembler::{Assembler, Pinning};

/// What quinn-proto keeps for each gap, to know again what it has given already: a share of a tree's nodes.
const GAP_COST_BYTES: u64 = 32;

/// The lanes of one connection that have not come to their ends.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    lanes: HashMap<StreamId, InboundLane>,
    held_bytes: u64,
}

/// A number of frames with bytes of a lane; too high does no harm.
pub(crate) type Frames = u64;

/// Who puts the bytes of a lane in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// quinn-proto, which holds nothing.
    Quic,
    /// This end, for good.
    Own,
}

/// How the peer's half of a lane ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneEnd {
    Finished,
    Reset,
}

/// One lane: what has arrived of it and was not handed on.
#[derive(Debug, Default)]
pub(crate) struct InboundLane {
    /// Bytes that have passed. What `early` has is behind them, and counts from there.
    base: u64,
    /// If it is in its own order: what has arrived, and was or will be handed on from here.
    early: Option<Box<Early>>,
    end: Option<LaneEnd>,
}

#[derive(Debug)]
struct Early {
    bytes: Assembler,
    /// Pieces that were kept since it was last empty: no fewer than there are gaps.
    pieces: u64,
}

impl Default for Early {
    /// What may wait is bounded by what it costs, not by the number of gaps: a fast path that reorders has thousands.
    fn default() -> Self {
        Self { bytes: Assembler::new(usize::MAX), pieces: 0 }
    }
}

impl Reassembly {
    /// The lane, to be given back with [`put_back`](Self::put_back) unless its end was handed on.
    pub(crate) fn take(&mut self, id: StreamId) -> InboundLane {
        let lane = self.lanes.remove(&id).unwrap_or_default();
        self.held_bytes -= lane.held_bytes();
        lane
    }

    /// There is more to come of it.
    pub(crate) fn put_back(&mut self, id: StreamId, lane: InboundLane) {
        self.held_bytes += lane.held_bytes();
        self.lanes.insert(id, lane);
    }

    /// Nothing more is wanted of a lane.
    pub(crate) fn forget(&mut self, id: StreamId) {
        drop(self.take(id));
    }

    /// What was not handed on, most of it because it waits for bytes before it, in bytes of memory.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// How many lanes are in this order.
    #[cfg(test)]
    pub(crate) fn count(&self, order: Order) -> usize {
        self.lanes.values().filter(|lane| lane.order() == order).count()
    }
}

impl InboundLane {
    pub(crate) fn order(&self) -> Order {
        if self.early.is_some() { Order::Own } else { Order::Quic }
    }

    /// From now on it is read as it comes: some of it has come early, or is not wanted yet.
    pub(crate) fn take_order(&mut self) {
        self.early.get_or_insert_default();
    }

    fn held_bytes(&self) -> u64 {
        self.early
            .as_ref()
            .map_or(0, |early| early.bytes.held().memory_bytes() + early.pieces * GAP_COST_BYTES)
    }

    /// Lets the `len` bytes at `offset` pass, if they are the next ones and nothing else waits. Returns whether they are:
    /// then they are handed on as they are.
    pub(crate) fn pass(&mut self, offset: u64, len: usize) -> bool {
        let passes = self.early.as_ref().is_none_or(|early| {
            early.bytes.buffered_bytes() == 0 && offset == self.base + early.bytes.read_offset()
        });
        if passes {
            self.base += len as u64;
        }
        passes
    }

    /// Keeps the bytes at `offset`; as a copy, so that they keep no packet alive.
    pub(crate) fn keep(&mut self, offset: u64, piece: Bytes) {
        let early = self.early.get_or_insert_default();
        // QUIC gives no byte twice.
        let Some(offset) = offset.checked_sub(self.base) else { return };
        early.pieces += 1;
        let outcome = early.bytes.insert(offset, piece, Pinning::Denied);
        debug_assert!(outcome.is_ok(), "any number of gaps is allowed");
    }

    /// The next bytes that can be handed on, at most so many.
    pub(crate) fn next(&mut self, max_bytes: usize) -> Option<Bytes> {
        let early = self.early.as_mut()?;
        let data = early.bytes.read(max_bytes)?;
        if early.bytes.buffered_bytes() == 0 {
            early.pieces = 0;
        }
        Some(data)
    }

    /// Whether [`next`](Self::next) would give something.
    pub(crate) fn is_ready(&self) -> bool {
        self.early.as_ref().is_some_and(|early| early.bytes.read_offset() < early.bytes.contiguous_end())
    }

    /// Nothing more arrives. What waits for bytes before it is of no use if these never come.
    pub(crate) fn on_end(&mut self, end: LaneEnd) {
        if end == LaneEnd::Reset
            && let Some(early) = &mut self.early
        {
            **early = Early::default();
        }
        self.end = Some(end);
    }

    /// How it ends, if nothing more arrives.
    pub(crate) fn end(&self) -> Option<LaneEnd> {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u64) -> StreamId {
        StreamId::new(quinn_proto::Side::Client, quinn_proto::Dir::Uni, index)
    }

    fn piece(len: usize) -> Bytes {
        vec![7; len].into()
    }

    #[test]
    fn what_is_in_order_passes_and_costs_nothing() {
        let mut lanes = Reassembly::default();
        let mut lane = lanes.take(id(0));
        assert!(lane.pass(0, 1_200));
        assert!(lane.pass(1_200, 1_200));
        assert_eq!(lane.order(), Order::Quic);
        lane.take_order();
        assert!(lane.pass(2_400, 1_200));
        assert!(!lane.pass(3_601, 1_200), "there is a gap");
        lanes.put_back(id(0), lane);
        assert_eq!(lanes.held_bytes(), 0);
    }

    #[test]
    fn what_waits_is_counted_until_it_is_handed_on_or_forgotten() {
        let mut lanes = Reassembly::default();
        for index in 0..2 {
            let mut lane = lanes.take(id(index));
            (0..100).for_each(|number| lane.keep(2 * number + 1, piece(1)));
            assert!(!lane.is_ready());
            lanes.put_back(id(index), lane);
        }
        let held = lanes.held_bytes();
        assert!(held > 2 * 100 * 200, "a byte that waits alone costs some 200, and 200 of them {held}");

        let mut lane = lanes.take(id(0));
        (0..100).for_each(|number| lane.keep(2 * number, piece(1)));
        let handed_on: usize = std::iter::from_fn(|| lane.next(usize::MAX)).map(|data| data.len()).sum();
        assert_eq!(handed_on, 200);
        lanes.put_back(id(0), lane);
        assert_eq!(lanes.held_bytes(), held / 2);
        lanes.forget(id(1));
        assert_eq!(lanes.held_bytes(), 0);
    }

    #[test]
    fn no_more_is_handed_on_than_is_asked_for() {
        let mut lane = InboundLane::default();
        lane.keep(10, piece(10));
        assert_eq!(lane.next(15), None);
        lane.keep(0, piece(10));
        assert_eq!(lane.next(15), Some(piece(15)));
        assert_eq!(lane.next(15), Some(piece(5)));
        assert_eq!(lane.next(15), None);
    }

    #[test]
    fn a_piece_that_waits_does_not_keep_its_packet_alive() {
        let mut lane = InboundLane::default();
        let packet = piece(1_200);
        lane.keep(1, packet.slice(600..601));
        assert!(packet.is_unique());
    }

    #[test]
    fn what_comes_next_passes_again_when_the_gaps_are_filled() {
        let mut lane = InboundLane::default();
        assert!(lane.pass(0, 10));
        lane.keep(20, piece(10));
        assert!(!lane.pass(10, 10), "something waits behind it");
        lane.keep(10, piece(10));
        while lane.next(usize::MAX).is_some() {}
        assert!(lane.pass(30, 10));
        assert!(lane.pass(40, 10));
        assert!(!lane.pass(51, 10));
    }

    #[test]
    fn a_reset_takes_what_was_not_handed_on_with_it() {
        let mut lane = InboundLane::default();
        lane.keep(0, piece(10));
        lane.on_end(LaneEnd::Reset);
        assert_eq!((lane.next(10), lane.end()), (None, Some(LaneEnd::Reset)));
    }
}
