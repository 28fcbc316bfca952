//! Writing of chunks to lanes: the next stream for a path, and the record or frame that carries a piece of it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Streams;
use super::chunk::{Blocked, NextChunk, Outlet, SendReason, Sent, Written};
use super::ready::ReadyQueue;
use super::send::{OVERDUE, Payload, Piece, SendStream};
use super::send_lanes::{Expected, Header, LaneToWrite, PathLane};
use crate::proto::carrier::{Carrier, LaneClosed, Lanes};
use crate::proto::config::PathPolicy;
use crate::proto::effects::Effects;
use crate::proto::scheduler::Copies;
use crate::proto::time::Time;
use crate::proto::wire::frame::Frame;
use crate::proto::wire::id::{Dir, LaneId, PathId, StreamId};
use crate::proto::wire::lane::{put_record_header, put_stream_header};
use crate::proto::wire::limits::{MAX_FRAME_DATA_BYTES, MAX_RECORD_BYTES};

/// Payloads up to this size are copied behind their header: one small buffer costs less than two.
const COPY_BYTES: u64 = 512;

/// How long after its round trip an acknowledgement may come before what it is for counts as late.
const ACK_DELAY_ALLOWANCE: Duration = Duration::from_millis(25);

/// A lane to write on.
#[derive(Clone, Copy, Debug)]
struct OpenLane {
    to: LaneToWrite,
    /// Set if it was opened for both directions just now.
    opened: Option<LaneId>,
}

impl Streams {
    /// Puts a stream in the queue of those with something to send.
    pub(super) fn enqueue(&mut self, id: StreamId) {
        if let Some(stream) = self.send.get_mut(&id) {
            enqueue(stream, &mut self.ready);
        }
    }

    /// Makes a change to every sending half, after which it may have something to send.
    pub(super) fn for_each_sending(&mut self, mut change: impl FnMut(&mut SendStream)) {
        for stream in self.send.values_mut() {
            change(stream);
            enqueue(stream, &mut self.ready);
        }
    }

    /// The stream had its turn: to the back of its queue, or out of it.
    pub(super) fn requeue(&mut self, id: StreamId) {
        if let Some(stream) = self.send.get_mut(&id)
            && let Some(place) = stream.queued.take()
        {
            self.ready.remove(place);
            self.enqueue(id);
        }
    }

    /// Whether any stream has something to send.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The first stream in line with something that may go on `path`: one whose policy `may_carry` lets through. A path
    /// that is `suspect` gets nothing that it has already.
    pub(crate) fn next_piece(
        &mut self,
        path: PathId,
        max_bytes: u64,
        suspect: Option<PathId>,
        blocked: Blocked,
        may_carry: impl Fn(PathPolicy) -> bool,
    ) -> Option<NextChunk> {
        let session_credit = self.credit.available();
        let mut idle = Vec::new();
        let mut found = None;
        for (place, id) in self.ready.iter() {
            let Some(stream) = self.send.get(&id).filter(|stream| stream.has_work(u64::MAX)) else {
                idle.push((place, id));
                continue;
            };
            if !blocked.blocks(stream, path)
                && may_carry(stream.policy)
                && let Some(piece) = stream.next_piece(max_bytes, session_credit, suspect)
            {
                let (range, reason) = match piece {
                    Piece::New(range) => (range, SendReason::New),
                    Piece::Again(range) => (range, SendReason::Retransmit),
                };
                found = Some(NextChunk { stream: id, range, reason });
                break;
            }
        }
        for (place, id) in idle {
            self.ready.remove(place);
            if let Some(stream) = self.send.get_mut(&id) {
                stream.queued = None;
            }
        }
        found
    }

    /// A copy for a path that is to carry everything, in order, whichever other path carries it.
    pub(crate) fn next_duplicate(
        &self,
        path: PathId,
        max_bytes: u64,
        copies: Copies,
        blocked: Blocked,
    ) -> Option<NextChunk> {
        let ids = match copies {
            Copies::Everywhere => &self.outstanding,
            Copies::Capped => &self.redundant,
        };
        let streams = ids.iter().filter_map(|id| self.send.get(id));
        streams.filter(|stream| !blocked.blocks(stream, path)).find_map(|stream| {
            let range = stream.copy_for(path, max_bytes)?;
            Some(NextChunk { stream: stream.id, range, reason: SendReason::Duplicate })
        })
    }

    /// Streams with bytes under way.
    pub(crate) fn outstanding(&self) -> impl Iterator<Item = &SendStream> {
        self.outstanding.iter().filter_map(|id| self.send.get(id))
    }

    /// The sending half of a stream.
    pub(crate) fn sending(&self, id: StreamId) -> Option<&SendStream> {
        self.send.get(&id)
    }

    /// How many more bytes of a stream flow control lets out.
    pub(crate) fn credit_of(&self, id: StreamId) -> u64 {
        let own = self.send.get(&id).map_or(0, |stream| stream.credit.available());
        own.min(self.credit.available())
    }

    /// Writes one record, or one frame where the control lane is the only one. Fails when the carrier has no lane of
    /// the kind that it needs at the moment.
    pub(crate) fn write_chunk(
        &mut self,
        now: Time,
        on: Outlet,
        chunk: &NextChunk,
        carrier: &mut dyn Carrier,
        effects: &mut Effects,
    ) -> Result<Written, Dir> {
        let NextChunk { stream: id, ref range, .. } = *chunk;
        let one_lane = carrier.lanes() == Lanes::One;
        let OpenLane { to: LaneToWrite { lane, header }, opened } =
            if one_lane { self.only_lane(on, id)? } else { self.lane_for(on.id, carrier, id)? };
        let at = PathLane { path: on.id, lane };
        let Some(stream) = self.send.get_mut(&id) else { return Ok(Written { opened, sent: None }) };
        let limit = if one_lane { MAX_FRAME_DATA_BYTES as u64 } else { MAX_RECORD_BYTES };
        let range = stream.cut(range.clone(), limit.min(range.end - range.start));
        let payload = stream.payload(&range);
        let written = if one_lane {
            write_frame(carrier, lane, stream, payload)
        } else {
            let scratch = &mut self.scratch;
            if scratch.capacity() < 64 {
                scratch.reserve(4096);
            }
            if header == Header::Due {
                put_stream_header(scratch, id);
            }
            put_record_header(scratch, payload.offset, payload.len as usize, payload.fin);
            write_record(carrier, lane, scratch, stream, payload)
        };
        if written.is_err() {
            stream.on_lane_lost(at);
            return Ok(Written { opened, sent: None });
        }
        if payload.fin {
            self.overdue_at.get_or_insert(now + OVERDUE);
            if !one_lane && stream.finish_lane(at) {
                carrier.finish(lane);
            }
        }
        let unsent = stream.unsent_bytes();
        let arrival = now + on.view.delivery_time(payload.len);
        let overdue_at = arrival + on.view.rtt + ACK_DELAY_ALLOWANCE;
        let new_bytes = stream.on_sent(now, at, range, Expected { arrival, overdue_at });
        if payload.fin {
            self.ending.insert(id);
        }
        let newly_sent = unsent - stream.unsent_bytes();
        self.totals.unsent -= newly_sent;
        self.credit.consume(new_bytes);
        self.requeue(id);
        self.outstanding.insert(id);
        if newly_sent > 0 {
            self.notify_writer(id, effects);
        }
        Ok(Written { opened, sent: Some(Sent { bytes: payload.len, new_bytes }) })
    }

    fn only_lane(&mut self, on: Outlet, id: StreamId) -> Result<OpenLane, Dir> {
        let lane = on.control.ok_or(Dir::Bi)?;
        let stream = self.send.get_mut(&id).ok_or(Dir::Bi)?;
        if stream.open_lane(on.id).is_none() {
            stream.add_lane(PathLane { path: on.id, lane });
        }
        Ok(OpenLane { to: LaneToWrite { lane, header: Header::Written }, opened: None })
    }

    /// The lane of a stream on this path, opened if need be.
    fn lane_for(&mut self, path: PathId, carrier: &mut dyn Carrier, id: StreamId) -> Result<OpenLane, Dir> {
        let side = self.side;
        let stream = self.send.get_mut(&id).ok_or(Dir::Uni)?;
        if let Some(to) = stream.lane_to_write(path) {
            return Ok(OpenLane { to, opened: None });
        }
        let dir = stream.next_lane_dir(path, side);
        let lane = carrier.open_lane(dir).ok_or(dir)?;
        stream.add_lane(PathLane { path, lane });
        let to = stream.lane_to_write(path).ok_or(dir)?;
        Ok(OpenLane { to, opened: (dir == Dir::Bi).then_some(lane) })
    }
}

fn enqueue(stream: &mut SendStream, ready: &mut ReadyQueue) {
    if stream.queued.is_none() && stream.has_work(u64::MAX) {
        stream.queued = Some(ready.push(stream.id, stream.priority));
    }
}

fn write_record(
    carrier: &mut dyn Carrier,
    lane: LaneId,
    header: &mut BytesMut,
    stream: &mut SendStream,
    payload: Payload,
) -> Result<(), LaneClosed> {
    let Payload { offset, len, .. } = payload;
    let mut at = 0;
    if len <= COPY_BYTES {
        while at < len {
            let slice = stream.slice(offset + at, len - at);
            at += slice.len() as u64;
            header.extend_from_slice(&slice);
        }
        return carrier.write(lane, header.split().freeze());
    }
    carrier.write(lane, header.split().freeze())?;
    while at < len {
        let slice = stream.slice(offset + at, len - at);
        at += slice.len() as u64;
        carrier.write(lane, slice)?;
    }
    Ok(())
}

fn write_frame(
    carrier: &mut dyn Carrier,
    lane: LaneId,
    stream: &mut SendStream,
    payload: Payload,
) -> Result<(), LaneClosed> {
    let Payload { offset, len, fin } = payload;
    let data = gather(stream, offset, len);
    let mut buf = BytesMut::new();
    Frame::Stream { stream: stream.id, offset, fin, data }.encode(&mut buf);
    carrier.write(lane, buf.freeze())
}

fn gather(stream: &mut SendStream, offset: u64, len: u64) -> Bytes {
    let mut data = BytesMut::with_capacity(len as usize);
    while (data.len() as u64) < len {
        let slice = stream.slice(offset + data.len() as u64, len - data.len() as u64);
        data.extend_from_slice(&slice);
    }
    data.freeze()
}
