//! A path's carrier as the core sees it: everything here only queues, and the lanes' tasks do the rest.

use std::rc::Rc;

use bytes::Bytes;

use super::path::Path;
use crate::proto::carrier::{Carrier, CarrierMetrics, LaneClosed};
use crate::proto::wire::id::{Dir, LaneId};

/// Bytes that may wait in a path's lanes: what a fast link takes in a millisecond or two, which is how long an answer
/// of the browser's network process takes.
pub(super) const MAX_HELD_BYTES: usize = 256 * 1024;

/// Streams that may wait for the browser to open them. More of them wait in the core, which can still choose
/// another path.
const MAX_OPENING_LANES: usize = 32;

/// Datagrams that may wait in the browser's own queue.
pub(super) const MAX_WAITING_DATAGRAMS: usize = 100;

impl Carrier for Rc<Path> {
    fn capacity(&mut self) -> usize {
        let lanes = self.senders.borrow();
        MAX_HELD_BYTES.saturating_sub(lanes.values().map(|lane| lane.held_bytes()).sum())
    }

    fn open_lane(&mut self, dir: Dir) -> Option<LaneId> {
        if self.opening.get() >= MAX_OPENING_LANES {
            return None;
        }
        Some(self.open_stream(dir))
    }

    fn write(&mut self, lane: LaneId, data: Bytes) -> Result<(), LaneClosed> {
        let lanes = self.senders.borrow();
        let lane = lanes.get(&lane).filter(|lane| lane.is_open()).ok_or(LaneClosed)?;
        lane.push(data);
        Ok(())
    }

    fn finish(&mut self, lane: LaneId) {
        if let Some(lane) = self.senders.borrow().get(&lane) {
            lane.finish();
        }
    }

    fn reset(&mut self, lane: LaneId) {
        if let Some(lane) = self.senders.borrow().get(&lane) {
            lane.reset();
        }
    }

    fn send_datagram(&mut self, data: Bytes) -> bool {
        let datagrams = self.datagrams.borrow();
        let Some(datagrams) = datagrams.as_ref().filter(|_| self.has_datagram_room()) else { return false };
        self.write_datagram(&datagrams.writer, &data);
        true
    }

    fn max_datagram_bytes(&mut self) -> Option<usize> {
        let datagrams = self.datagrams.borrow();
        let max = datagrams.as_ref()?.object.max_datagram_size()?;
        Some(max as usize).filter(|max| *max > 0)
    }

    fn metrics(&self) -> CarrierMetrics {
        CarrierMetrics::default()
    }
}
