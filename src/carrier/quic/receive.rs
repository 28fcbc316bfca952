//! Input of a QUIC connection: lanes in order, ends of lanes, datagrams.

use bytes::Bytes;
use quinn_proto::{Chunk, ReadError, StreamId, VarInt};

use super::{QuicCarrier, dir_of, lane_of};
use crate::carrier::allowance::Allowance;
use crate::carrier::reassembly::{Frames, InboundLane, LaneEnd, Order};
use crate::proto::wire::id::{Dir, LaneId};

/// Something that has arrived.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The next bytes of a lane.
    Data { lane: LaneId, dir: Dir, data: Bytes },
    /// The peer finished its half of a lane.
    Finished(LaneId),
    /// The peer gave its half of a lane up.
    Reset(LaneId),
    /// The peer reads no more from a lane.
    Stopped(LaneId),
    /// A datagram.
    Datagram(Bytes),
    /// So many datagrams, for which there was no time.
    DatagramsDropped(u64),
}

impl QuicCarrier {
    /// Whether there is anything for [`receive`](Self::receive).
    pub(crate) fn has_arrivals(&self) -> bool {
        !self.readable.is_empty() || self.datagrams_wait || !self.stopped.is_empty()
    }

    /// Takes in what has arrived, as far as the allowance goes, which `take` spends. What is left of the lanes waits;
    /// of datagrams, which flow control does not cover, nothing is left.
    pub(crate) fn receive(&mut self, allowance: &Allowance, mut take: impl FnMut(Arrival)) {
        self.receive_stopped(&mut take);
        while !allowance.is_spent()
            && let Some((id, frames)) = self.readable.pop_first()
        {
            let reader = self.reassembly.take(id);
            if let Some(frames) = self.read(id, reader, frames, allowance, usize::MAX, &mut take) {
                *self.readable.entry(id).or_default() += frames;
            }
        }
        self.receive_datagrams(allowance, take);
    }

    fn receive_stopped(&mut self, take: &mut impl FnMut(Arrival)) {
        for lane in self.stopped.drain(..) {
            take(Arrival::Stopped(lane));
        }
    }

    fn receive_datagrams(&mut self, allowance: &Allowance, mut take: impl FnMut(Arrival)) {
        if std::mem::take(&mut self.datagrams_wait) {
            let mut dropped = 0;
            while let Some(data) = self.connection.datagrams().recv() {
                match allowance.is_spent() {
                    true => dropped += 1,
                    false => take(Arrival::Datagram(data)),
                }
            }
            if dropped > 0 {
                take(Arrival::DatagramsDropped(dropped));
            }
        }
    }

    /// Drops datagrams that arrived before there was a session.
    pub(crate) fn drop_datagrams(&mut self) {
        while self.connection.datagrams().recv().is_some() {}
        self.datagrams_wait = false;
    }

    /// The peer may have this many bytes of lanes on their way. Never less than before.
    pub(crate) fn allow_bytes(&mut self, bytes: u64) {
        if bytes > self.receive_window_bytes {
            self.receive_window_bytes = bytes;
            self.connection.set_receive_window(VarInt::from_u64(bytes).unwrap_or(VarInt::MAX));
        }
    }

    /// What [`allow_bytes`](Self::allow_bytes) has allowed; 0 before there is a session.
    pub(crate) fn allowed_bytes(&self) -> u64 {
        self.receive_window_bytes
    }

    /// Takes in what has arrived on lanes, and hands on of each as many bytes as `wanted` says. The rest waits, and is
    /// [counted](Self::held_bytes).
    pub(crate) fn receive_from(
        &mut self,
        wanted: impl Fn(LaneId, Dir) -> usize,
        mut take: impl FnMut(Arrival),
    ) {
        for (id, frames) in std::mem::take(&mut self.readable) {
            let max_bytes = wanted(lane_of(id), dir_of(id));
            let mut reader = self.reassembly.take(id);
            reader.take_order();
            if let Some(frames) = self.read(id, reader, frames, &Allowance::unlimited(), max_bytes, &mut take)
            {
                *self.readable.entry(id).or_default() += frames;
            }
        }
    }

    /// As [`receive`](Self::receive), without the lanes.
    pub(crate) fn receive_apart_from_lanes(&mut self, mut take: impl FnMut(Arrival)) {
        self.receive_stopped(&mut take);
        self.receive_datagrams(&Allowance::unlimited(), take);
    }

    /// What has arrived on lanes and was not handed on, in bytes of memory.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.reassembly.held_bytes()
    }

    /// How many lanes that are open are in this order.
    #[cfg(test)]
    pub(crate) fn lanes_in(&self, order: Order) -> usize {
        self.reassembly.count(order)
    }

    /// Hands on what has arrived of a lane, as much as may be. Returns how many of the `frames` that came for it were
    /// not looked at, if there may be more to hand on.
    fn read(
        &mut self,
        id: StreamId,
        mut reader: InboundLane,
        mut frames: Frames,
        allowance: &Allowance,
        mut max_bytes: usize,
        take: &mut impl FnMut(Arrival),
    ) -> Option<Frames> {
        let (lane, dir) = (lane_of(id), dir_of(id));
        let mut stream = self.connection.recv_stream(id);
        let mut chunks = stream.read(reader.order() == Order::Quic).ok();
        if chunks.is_none() && reader.end().is_none() {
            // Nothing more is wanted of it.
            return None;
        }
        let is_all = loop {
            if allowance.is_spent() {
                break false;
            }
            if let Some(data) = reader.next(max_bytes) {
                max_bytes -= data.len();
                take(Arrival::Data { lane, dir, data });
                continue;
            }
            let Some(next) = chunks.as_mut().filter(|_| reader.end().is_none()) else { break true };
            match next.next(usize::MAX) {
                Ok(Some(Chunk { offset, bytes: data })) => {
                    frames = frames.saturating_sub(1);
                    self.observations.on_heard();
                    if data.len() <= max_bytes && reader.pass(offset, data.len()) {
                        max_bytes -= data.len();
                        take(Arrival::Data { lane, dir, data });
                    } else {
                        reader.keep(offset, data);
                    }
                }
                Ok(None) => reader.on_end(LaneEnd::Finished),
                Err(ReadError::Reset(_)) => reader.on_end(LaneEnd::Reset),
                Err(ReadError::Blocked) if frames > 0 && reader.order() == Order::Quic => {
                    reader.take_order();
                    drop(chunks);
                    chunks = stream.read(false).ok();
                }
                Err(ReadError::Blocked) => break true,
            }
        };
        drop(chunks);
        let waits = !is_all || reader.is_ready();
        if let Some(end) = reader.end()
            && !waits
            && max_bytes > 0
        {
            take(match end {
                LaneEnd::Finished => Arrival::Finished(lane),
                LaneEnd::Reset => Arrival::Reset(lane),
            });
            return None;
        }
        let is_more = waits || reader.end().is_some();
        self.reassembly.put_back(id, reader);
        is_more.then_some(frames)
    }
}
