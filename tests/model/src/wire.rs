//! What one end of a connection has sent and the other has not seen: lanes that overtake one another, and datagrams.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kwik::proto::carrier::{Carrier, CarrierMetrics, LaneClosed, Lanes};
use kwik::proto::wire::id::{Dir, LaneId, Side};

/// So much of stream data is taken before something arrives.
const CAPACITY_BYTES: usize = 4_000;

#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    Finished,
    Reset,
}

/// One direction of a connection, and the carrier by which its sender fills it.
#[derive(Debug)]
pub(crate) struct Wire {
    side: Side,
    kind: Lanes,
    pub(crate) lanes: BTreeMap<LaneId, VecDeque<Piece>>,
    pub(crate) datagrams: VecDeque<Bytes>,
    opened: [u64; 2],
}

impl Wire {
    pub(crate) fn new(side: Side, kind: Lanes) -> Self {
        Self { side, kind, lanes: BTreeMap::new(), datagrams: VecDeque::new(), opened: [0; 2] }
    }

    /// Takes out what comes next on a lane.
    pub(crate) fn take(&mut self, lane: LaneId) -> Option<Piece> {
        let pieces = self.lanes.get_mut(&lane)?;
        let piece = pieces.pop_front();
        if pieces.is_empty() {
            self.lanes.remove(&lane);
        }
        piece
    }

    /// Everything that is under way is lost.
    pub(crate) fn clear(&mut self) {
        self.lanes.clear();
        self.datagrams.clear();
    }

    fn waiting_bytes(&self) -> usize {
        let bytes = |piece: &Piece| if let Piece::Data(data) = piece { data.len() } else { 0 };
        self.lanes.values().flatten().map(bytes).sum()
    }

    fn push(&mut self, lane: LaneId, piece: Piece) {
        self.lanes.entry(lane).or_default().push_back(piece);
    }
}

pub(crate) fn dir_of(lane: LaneId) -> Dir {
    if lane.0 & 2 == 0 { Dir::Bi } else { Dir::Uni }
}

impl Carrier for Wire {
    fn capacity(&mut self) -> usize {
        CAPACITY_BYTES.saturating_sub(self.waiting_bytes())
    }

    fn open_lane(&mut self, dir: Dir) -> Option<LaneId> {
        let (side, uni) = (u64::from(self.side == Side::Server), u64::from(dir == Dir::Uni));
        let opened = if dir == Dir::Uni { &mut self.opened[1] } else { &mut self.opened[0] };
        *opened += 1;
        Some(LaneId((*opened - 1) << 2 | uni << 1 | side))
    }

    fn write(&mut self, lane: LaneId, data: Bytes) -> Result<(), LaneClosed> {
        // A control lane's frames of one turn arrive together or not at all: fewer courses, none of them different.
        let pieces = self.lanes.entry(lane).or_default();
        match pieces.back_mut() {
            Some(Piece::Data(last)) => *last = [&last[..], &data[..]].concat().into(),
            _ => pieces.push_back(Piece::Data(data)),
        }
        Ok(())
    }

    fn finish(&mut self, lane: LaneId) {
        self.push(lane, Piece::Finished);
    }

    fn reset(&mut self, lane: LaneId) {
        self.lanes.remove(&lane);
        self.push(lane, Piece::Reset);
    }

    fn send_datagram(&mut self, data: Bytes) -> bool {
        self.datagrams.push_back(data);
        true
    }

    fn max_datagram_bytes(&mut self) -> Option<usize> {
        (self.kind == Lanes::Many).then_some(1_200)
    }

    fn lanes(&self) -> Lanes {
        self.kind
    }

    fn metrics(&self) -> CarrierMetrics {
        CarrierMetrics::default()
    }
}
