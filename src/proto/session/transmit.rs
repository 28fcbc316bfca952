//! A path can take more: what goes on it, in this order: greetings, what has to be stated, datagrams, chunks.

use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Session;
use super::choose::{Blocked, Next};
use crate::proto::carrier::{Carrier, Lanes};
use crate::proto::paths::path::Phase;
use crate::proto::streams::send::{Expected, OVERDUE, SendStream};
use crate::proto::time::Time;
use crate::proto::wire::frame::Frame;
use crate::proto::wire::id::{Dir, LaneId, PathId, StreamId};
use crate::proto::wire::lane::{put_record_header, put_stream_header};
use crate::proto::wire::limits::{MAX_FRAME_DATA_BYTES, MAX_RECORD_BYTES};

/// Payloads up to this size are copied behind their header: one small buffer costs less than two.
const COPY_BYTES: u64 = 512;
/// A path that wants anything at all gets this much: about a packet's worth.
const MIN_RECORD_BYTES: usize = 1_200;
/// How long after its round trip an acknowledgement may come before what it is for counts as late.
const ACK_DELAY_ALLOWANCE: Duration = Duration::from_millis(25);

/// Something to do to a lane of a path when its carrier is next at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneCommand {
    Finish(LaneId),
    Reset(LaneId),
}

impl Session {
    /// The path can take more: fills it, as far as there is something for it and its carrier wants it.
    ///
    /// To be called after anything happened to the path's carrier, and when an `Action::Transmit` names it.
    pub fn transmit(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        path.wake_queued = false;
        path.learn(carrier);
        self.check_path(now, id);
        let Some(path) = self.paths.get_mut(&id) else { return };
        match path.phase {
            Phase::Dialling | Phase::Greeting { hello_sent: Some(_) } => {}
            Phase::Greeting { hello_sent: None } => self.write_hello(now, id, carrier),
            Phase::Accepting => {
                self.write_accept(now, id, carrier);
                self.fill(now, id, carrier);
            }
            Phase::Established | Phase::Suspect { .. } => self.fill(now, id, carrier),
            Phase::Closing { .. } => self.write_close(id, carrier),
        }
    }

    fn fill(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        self.run_lane_commands(id, carrier);
        self.write_pending(now, id, carrier);
        self.send_datagrams(now, id, carrier);
        self.send_chunks(now, id, carrier);
        if let Some(path) = self.paths.get_mut(&id) {
            path.learn(carrier);
        }
    }

    // ---- chunks ----

    fn send_chunks(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let mut blocked = Blocked::default();
        let mut sent_any = false;
        let mut declined = false;
        let full = loop {
            let capacity = match self.capacity(now, id, carrier) {
                0 => break true,
                // A record for a few bytes would cost more than it carries.
                some => some.max(MIN_RECORD_BYTES),
            };
            match self.next_chunk(now, id, capacity, blocked) {
                Next::Chunk { stream, range, is_copy } => {
                    match self.send_chunk(now, id, carrier, stream, range, is_copy) {
                        Ok(()) => sent_any = true,
                        Err(dir) => blocked.add(self.side, dir),
                    }
                }
                Next::Declined => {
                    declined = true;
                    break false;
                }
                Next::Nothing => break false,
            }
        };
        let Some(path) = self.paths.get_mut(&id) else { return };
        path.app_limited = !full;
        path.idle_polled_at = (!full && !sent_any).then_some(now);
        if !full && !declined {
            path.on_app_limited();
        }
        if self.has_backlog() && self.paths.len() > 1 {
            self.wake_others(now, id, sent_any);
        }
    }

    fn has_backlog(&self) -> bool {
        self.ready.values().any(|queue| !queue.is_empty())
    }

    /// Puts a stream in the queue of those with something to send.
    pub(super) fn enqueue(&mut self, id: StreamId) {
        if let Some(stream) = self.send.get_mut(&id)
            && !stream.queued
            && stream.has_work(u64::MAX)
        {
            stream.queued = true;
            self.ready.entry(std::cmp::Reverse(stream.priority)).or_default().push_back(id);
        }
    }

    /// Writes one record. Fails when the carrier has no lane of the kind that it needs at the moment.
    fn send_chunk(
        &mut self,
        now: Time,
        id: PathId,
        carrier: &mut dyn Carrier,
        stream: StreamId,
        range: Range<u64>,
        is_copy: bool,
    ) -> Result<(), Dir> {
        let one_lane = carrier.lanes() == Lanes::One;
        let (lane, is_new) =
            if one_lane { self.only_lane(id, stream)? } else { self.lane_for(id, carrier, stream)? };
        let Some(entry) = self.send.get_mut(&stream) else { return Ok(()) };
        let limit = if one_lane { MAX_FRAME_DATA_BYTES as u64 } else { MAX_RECORD_BYTES };
        let range = entry.cut(range.clone(), limit.min(range.end - range.start));
        let payload = entry.payload(&range);
        let written = if one_lane {
            let data = gather(entry, payload.offset, payload.len);
            let mut buf = BytesMut::new();
            Frame::Stream { stream, offset: payload.offset, fin: payload.fin, data }.encode(&mut buf);
            carrier.write(lane, buf.freeze())
        } else {
            let header = &mut self.scratch;
            if header.capacity() < 64 {
                header.reserve(4096);
            }
            if is_new {
                put_stream_header(header, stream);
            }
            put_record_header(header, payload.offset, payload.len as usize, payload.fin);
            write_record(carrier, lane, header, entry, payload.offset, payload.len)
        };
        if written.is_err() {
            entry.on_lane_lost(id, lane);
            return Ok(());
        }
        if payload.fin {
            self.overdue_at.get_or_insert(now + OVERDUE);
        }
        if payload.fin && !one_lane && entry.finish_lane(id, lane) {
            carrier.finish(lane);
        }
        let unsent = entry.unsent_bytes();
        let is_repeat = range.start < entry.next_offset();
        let path = self.paths.get(&id).map(|path| path.view(now));
        let arrival = now + path.map(|view| view.delivery_time(payload.len)).unwrap_or_default();
        let overdue_at = arrival + path.map(|view| view.rtt).unwrap_or_default() + ACK_DELAY_ALLOWANCE;
        let new_bytes = entry.on_sent(now, id, lane, range, Expected { arrival, overdue_at });
        let now_unsent = entry.unsent_bytes();
        self.unsent_bytes -= unsent - now_unsent;
        self.credit.consume(new_bytes);
        self.account(now, id, payload.len, new_bytes, is_copy, is_repeat);
        self.requeue(stream);
        self.outstanding.insert(stream);
        if unsent != now_unsent {
            self.notify_writers();
        }
        Ok(())
    }

    fn account(&mut self, now: Time, id: PathId, bytes: u64, new_bytes: u64, is_copy: bool, is_repeat: bool) {
        self.stats.sent_bytes += new_bytes;
        self.budget.on_sent(new_bytes);
        if is_copy {
            self.budget.spend(bytes);
        } else if is_repeat {
            self.stats.retransmitted_bytes += bytes;
        } else {
            self.scheduler.on_sent(id, bytes as usize);
        }
        if let Some(path) = self.paths.get_mut(&id) {
            path.on_sent(now, bytes);
            if is_copy || is_repeat {
                path.counts.reinjected_bytes += bytes;
            }
        }
    }

    /// The stream had its turn: to the back of its queue, or out of it.
    fn requeue(&mut self, id: StreamId) {
        let Some(stream) = self.send.get_mut(&id) else { return };
        if !stream.queued {
            return;
        }
        if let Some(queue) = self.ready.get_mut(&std::cmp::Reverse(stream.priority)) {
            if queue.front() == Some(&id) {
                queue.pop_front();
            } else {
                queue.retain(|queued| *queued != id);
            }
        }
        stream.queued = false;
        self.enqueue(id);
    }

    fn only_lane(&mut self, id: PathId, stream: StreamId) -> Result<(LaneId, bool), Dir> {
        let control = self.paths.get(&id).and_then(|path| path.control).ok_or(Dir::Bi)?;
        let entry = self.send.get_mut(&stream).ok_or(Dir::Bi)?;
        if entry.open_lane(id).is_none() {
            entry.add_lane(id, control);
        }
        Ok((control, false))
    }

    /// The lane of `stream` on this path, opened if need be, and whether it is new.
    fn lane_for(
        &mut self,
        id: PathId,
        carrier: &mut dyn Carrier,
        stream: StreamId,
    ) -> Result<(LaneId, bool), Dir> {
        let side = self.side;
        let entry = self.send.get_mut(&stream).ok_or(Dir::Uni)?;
        if let Some(lane) = entry.lane_to_write(id) {
            return Ok(lane);
        }
        let dir = entry.next_lane_dir(id, side);
        let lane = carrier.open_lane(dir).ok_or(dir)?;
        entry.add_lane(id, lane);
        // Its header goes out with the first record.
        let _ = entry.lane_to_write(id);
        if dir == Dir::Bi
            && let Some(path) = self.paths.get_mut(&id)
        {
            path.own_lanes.insert(lane, stream);
        }
        Ok((lane, true))
    }

    // ---- lane_commands ----

    pub(super) fn command_lane(&mut self, path: PathId, command: LaneCommand) {
        if let Some(entry) = self.paths.get_mut(&path) {
            entry.lane_commands.push(command);
            self.wake(path);
        }
    }

    fn run_lane_commands(&mut self, id: PathId, carrier: &mut dyn Carrier) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        let control = path.control;
        for command in path.lane_commands.drain(..) {
            match command {
                LaneCommand::Finish(lane) | LaneCommand::Reset(lane) if Some(lane) == control => {}
                LaneCommand::Finish(lane) => carrier.finish(lane),
                LaneCommand::Reset(lane) => carrier.reset(lane),
            }
        }
    }
}

fn write_record(
    carrier: &mut dyn Carrier,
    lane: LaneId,
    header: &mut BytesMut,
    stream: &mut SendStream,
    offset: u64,
    len: u64,
) -> Result<(), crate::proto::carrier::LaneClosed> {
    if len <= COPY_BYTES {
        let mut at = 0;
        while at < len {
            let slice = stream.slice(offset + at, len - at);
            at += slice.len() as u64;
            header.extend_from_slice(&slice);
        }
        return carrier.write(lane, header.split().freeze());
    }
    carrier.write(lane, header.split().freeze())?;
    let mut at = 0;
    while at < len {
        let slice = stream.slice(offset + at, len - at);
        at += slice.len() as u64;
        carrier.write(lane, slice)?;
    }
    Ok(())
}

fn gather(stream: &mut SendStream, offset: u64, len: u64) -> Bytes {
    let mut data = BytesMut::with_capacity(len as usize);
    while (data.len() as u64) < len {
        let slice = stream.slice(offset + data.len() as u64, len - data.len() as u64);
        data.extend_from_slice(&slice);
    }
    data.freeze()
}
