//! The interface between the core and a carrier: lanes, datagrams, metrics.

use std::time::Duration;

use bytes::Bytes;

use super::time::Time;
use crate::proto::wire::id::{Dir, LaneId};

/// One path's carrier, as the core sees it while it fills the path.
///
/// A carrier takes every byte that it is given: [`capacity`](Carrier::capacity) says how much it *wants*, and
/// the core keeps to that for stream data (control frames are small and always go). An implementation
/// therefore holds at most its own capacity, one record and the control frames.
pub trait Carrier {
    /// How many bytes of stream data the carrier wants now. What it takes should leave soon: the less a
    /// carrier holds back, the later the scheduler decides, and the better.
    fn capacity(&mut self) -> usize;

    /// Opens a lane; `None` when the peer allows no more at the moment.
    fn open_lane(&mut self, dir: Dir) -> Option<LaneId>;

    /// Appends to a lane.
    fn write(&mut self, lane: LaneId, data: Bytes) -> Result<(), LaneClosed>;

    /// Ends the sending half of a lane after what was written.
    fn finish(&mut self, lane: LaneId);

    /// Drops the sending half of a lane and what it still holds.
    fn reset(&mut self, lane: LaneId);

    /// Sends a datagram, now or never. Returns whether it was taken.
    fn send_datagram(&mut self, data: Bytes) -> bool;

    /// The longest datagram that fits now; `None` when the carrier has no datagrams.
    fn max_datagram_bytes(&mut self) -> Option<usize>;

    /// Whether the carrier has many lanes, or just the control lane.
    fn lanes(&self) -> Lanes {
        Lanes::Many
    }

    /// What the carrier knows about its path.
    fn metrics(&self) -> CarrierMetrics;
}

/// How many lanes a carrier has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lanes {
    /// As many as streams need: no head-of-line blocking between streams.
    Many,
    /// One ordered channel: everything travels as frames on the control lane.
    One,
}

/// Something to do to a lane of a path when its carrier is next at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneCommand {
    Finish(LaneId),
    Reset(LaneId),
}

/// The peer stopped this lane, or it is gone; what was written to it may be lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the lane is closed")]
pub struct LaneClosed;

/// What a carrier knows about its path. A browser tells almost nothing, QUIC nearly everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarrierMetrics {
    /// Smoothed round-trip time.
    pub rtt: Option<Duration>,
    /// Probe timeout without the peer's acknowledgement delay: smoothed rtt + 4 x its variation.
    pub pto: Option<Duration>,
    /// Congestion window.
    pub congestion_window_bytes: Option<u64>,
    /// Bytes sent and neither acknowledged nor lost.
    pub in_flight_bytes: Option<u64>,
    /// Since when the carrier waits for an acknowledgement without any having come; `None` when it waits for
    /// none, or cannot know.
    pub awaiting_since: Option<Time>,
    /// Whether `awaiting_since` is known at all. If not, the core probes the path with pings of its own.
    pub knows_acks: bool,
    /// Packets that the carrier found lost.
    pub lost_packets: u64,
    /// Packets that the carrier sent.
    pub sent_packets: u64,
}
