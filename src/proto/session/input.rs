//! Bytes that arrive: lanes, frames, chunks, datagrams.

use bytes::Bytes;

use super::{Session, State};
use crate::proto::datagrams::Datagram;
use crate::proto::error::{AppCode, SessionError};
use crate::proto::event::{Action, Event, PathLoss, SessionEvent};
use crate::proto::futile::{TooMuch, Use};
use crate::proto::paths::path::{Early, Path, Phase};
use crate::proto::streams::assembler::Pinning;
use crate::proto::streams::ids::Known;
use crate::proto::streams::recv::Violation;
use crate::proto::streams::send::SendState;
use crate::proto::time::Time;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::frame::{Ack, Close, Frame};
use crate::proto::wire::id::{Dir, LaneId, PathId, Side, StreamId};
use crate::proto::wire::lane::{LaneItem, LaneKind, LaneReader};

/// Slabs that one session may keep alive for a part of them: 4 MiB, as much as its first receive window. A batch of the
/// socket is eight slabs, so a reader that is there at all never has as many to wait for it.
const MAX_PINNED_SLABS: u64 = 64;

/// What may wait for the application may cost this much more than twice the session's receive window.
const HELD_FLOOR_BYTES: u64 = 1024 * 1024;

/// Acknowledgements go out after so many bytes, if not before: this is bulk data.
const ACK_BYTES: u64 = 64 * 1024;

impl Session {
    /// Bytes arrived on a lane, in the lane's order. `dir` is the lane's, whoever opened it.
    pub fn on_lane_data(&mut self, now: Time, path: PathId, lane: LaneId, dir: Dir, data: Bytes) {
        if self.is_closed() {
            return;
        }
        let Some(entry) = self.paths.get_mut(&path) else { return };
        entry.on_activity(now);
        if matches!(entry.phase, Phase::Greeting { .. }) && entry.control != Some(lane) {
            self.defer(now, path, Early::Data(lane, dir, data));
            return;
        }
        entry.lanes.entry(lane).or_insert_with(LaneReader::new).push(data);
        self.read_lane(now, path, lane, dir);
    }

    fn defer(&mut self, now: Time, path: PathId, early: Early) {
        if let Some(Err(violation)) = self.paths.get_mut(&path).map(|entry| entry.defer(early)) {
            self.violation(now, path, violation);
        }
    }

    /// Client: the path is accepted, so what came before that can be read.
    pub(super) fn read_early(&mut self, now: Time, path: PathId) {
        for early in self.paths.get_mut(&path).map(Path::take_early).unwrap_or_default() {
            match early {
                Early::Data(lane, dir, data) => self.on_lane_data(now, path, lane, dir, data),
                Early::Finished(lane) => self.on_lane_finished(now, path, lane),
            }
        }
    }

    /// The peer finished its half of a lane.
    pub fn on_lane_finished(&mut self, now: Time, path: PathId, lane: LaneId) {
        let Some(entry) = self.paths.get_mut(&path) else { return };
        entry.on_activity(now);
        if entry.control == Some(lane) {
            self.lose_control(now, path);
            return;
        }
        if matches!(entry.phase, Phase::Greeting { .. }) {
            self.defer(now, path, Early::Finished(lane));
            return;
        }
        entry.own_lanes.remove(&lane);
        let reader = entry.lanes.remove(&lane);
        if let Some(Err(error)) = reader.map(|reader| reader.finish())
            && !self.is_closed()
        {
            self.violation(now, path, Violation::new(error.code(), error.to_string()));
        }
    }

    /// The peer gave a lane up. What it carried comes another way, or its stream was reset.
    pub fn on_lane_reset(&mut self, now: Time, path: PathId, lane: LaneId) {
        let Some(entry) = self.paths.get_mut(&path) else { return };
        entry.on_activity(now);
        entry.lanes.remove(&lane);
        entry.own_lanes.remove(&lane);
        if entry.control == Some(lane) {
            self.lose_control(now, path);
        }
    }

    /// A path without its control lane is of no use.
    fn lose_control(&mut self, now: Time, path: PathId) {
        let code = TransportCode::NoError.as_u64();
        self.actions.push_back(Action::ClosePath { path, code, reason: Bytes::new() });
        self.path_closed(now, path, PathLoss::ClosedByPeer(AppCode(code)));
    }

    /// The peer reads no more from a lane that this end writes to: what was on it goes another way.
    pub fn on_lane_stopped(&mut self, now: Time, path: PathId, lane: LaneId) {
        if self.paths.get(&path).is_some_and(|entry| entry.control == Some(lane)) {
            self.lose_control(now, path);
            return;
        }
        let ids: Vec<_> = self.send.keys().copied().collect();
        for id in ids {
            if let Some(stream) = self.send.get_mut(&id) {
                stream.on_lane_lost(path, lane);
            }
            self.enqueue(id);
        }
        self.wake_for_data();
    }

    /// A carrier datagram arrived. One without a sequence number is dropped.
    pub fn on_datagram(&mut self, now: Time, path: PathId, mut data: Bytes) {
        let Some(sequence) = crate::proto::wire::varint::get(&mut data) else {
            self.stats.dropped_datagrams += 1;
            return;
        };
        let was = self.take_datagram(now, path, sequence, data);
        if let Err(violation) = self.count_work(now, Some(was), 0) {
            self.violation(now, path, violation);
        }
    }

    /// Datagrams arrived that the backend had no time for.
    pub fn on_datagrams_dropped(&mut self, count: u64) {
        self.stats.dropped_datagrams += count;
    }

    fn take_datagram(&mut self, now: Time, path: PathId, sequence: u64, data: Bytes) -> Use {
        let Some(entry) = self.paths.get_mut(&path) else { return Use::None };
        entry.on_activity(now);
        entry.counts.datagrams_received += 1;
        if data.len() > self.config.max_datagram_bytes {
            self.stats.dropped_datagrams += 1;
        } else if self.datagrams_seen.insert(sequence) && !self.is_closed() {
            // By reference it would keep the whole slab alive that it was received in.
            let data = Bytes::copy_from_slice(&data);
            self.datagrams_in.push(Datagram { data, deadline: None, tag: () });
            self.events.push_back(Event::Datagram);
            return Use::Some;
        }
        Use::None
    }

    /// Goes through what a lane has so far.
    pub(super) fn read_lane(&mut self, now: Time, path: PathId, lane: LaneId, dir: Dir) {
        // A CLOSE may be in the middle of what has arrived: nothing behind it counts.
        while !self.is_closed() {
            let Some(reader) = self.paths.get_mut(&path).and_then(|entry| entry.lanes.get_mut(&lane)) else {
                return;
            };
            let item = reader.next();
            let skipped = reader.take_skipped();
            let outcome = match item {
                Ok(None) => Ok(None),
                Ok(Some(item)) => self.on_item(now, path, lane, dir, item).map(Some),
                Err(error) => Err(Violation::new(error.code(), error.to_string())),
            };
            let outcome = outcome.and_then(|was| self.count_work(now, was, skipped).map(|()| was));
            match outcome {
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(violation) => return self.violation(now, path, violation),
            }
        }
    }

    /// Keeps account of what the peer makes this end do, and what of it was of use.
    fn count_work(&mut self, now: Time, was: Option<Use>, skipped: u64) -> Result<(), Violation> {
        self.items += skipped + u64::from(was.is_some());
        if was == Some(Use::Some) {
            self.futile.on_useful();
        }
        let futile = skipped + u64::from(was == Some(Use::None));
        if futile == 0 {
            return Ok(());
        }
        let streams = self.send.len() + self.recv.len();
        self.futile.on_futile(now, futile, streams).map_err(|TooMuch| {
            Violation::new(TransportCode::LimitExceeded, "the peer sends little that is of any use")
        })
    }

    fn on_item(
        &mut self,
        now: Time,
        path: PathId,
        lane: LaneId,
        dir: Dir,
        item: LaneItem,
    ) -> Result<Use, Violation> {
        let is_control = self.paths.get(&path).and_then(|entry| entry.control) == Some(lane);
        match item {
            LaneItem::Kind(LaneKind::Control) if is_control => Ok(Use::None),
            LaneItem::Kind(LaneKind::Control) => {
                Err(Violation::new(TransportCode::ProtocolViolation, "a second control lane on one path"))
            }
            LaneItem::Kind(LaneKind::Stream(stream)) => {
                self.check_lane(path, lane, stream)?;
                self.learn_stream(stream)?;
                if dir == Dir::Bi && stream.dir() == Dir::Bi && !self.owns_lane(path, lane, stream) {
                    self.lane_of_peer(path, lane, stream);
                }
                Ok(Use::None)
            }
            LaneItem::Kind(LaneKind::Unknown(_)) => Ok(Use::None),
            LaneItem::Frame(frame) => self.on_frame(now, path, frame),
            LaneItem::Chunk { stream, offset, fin, data } => {
                self.on_chunk(now, path, stream, offset, fin, data)
            }
        }
    }

    /// A lane of a stream comes after ACCEPT, and the answer on it is of the same stream.
    fn check_lane(&self, path: PathId, lane: LaneId, stream: StreamId) -> Result<(), Violation> {
        let Some(entry) = self.paths.get(&path) else { return Ok(()) };
        let what = match entry.own_lanes.get(&lane) {
            _ if !entry.is_accepted() => "a stream before ACCEPT".to_owned(),
            Some(own) if *own != stream => format!("stream {stream} on the lane of stream {own}"),
            _ => return Ok(()),
        };
        Err(Violation::new(TransportCode::ProtocolViolation, what))
    }

    /// Whether this end opened the lane or has already answered on it.
    fn owns_lane(&self, path: PathId, lane: LaneId, stream: StreamId) -> bool {
        let opened = self.paths.get(&path).is_some_and(|entry| entry.own_lanes.contains_key(&lane));
        opened || self.send.get(&stream).is_some_and(|stream| stream.open_lane(path) == Some(lane))
    }

    /// The peer mentions a stream that it sends on: opens it if it is new.
    fn learn_stream(&mut self, id: StreamId) -> Result<(), Violation> {
        let peer_sends = id.dir() == Dir::Bi || id.initiator() != self.side;
        if !peer_sends {
            let what = format!("the peer sends on stream {id}, which is not its to send on");
            return Err(Violation::new(TransportCode::StreamState, what));
        }
        self.require_stream(id)
    }

    fn require_stream(&mut self, id: StreamId) -> Result<(), Violation> {
        match self.ids.lookup(id) {
            Known::Yes => Ok(()),
            Known::Never => {
                let what = format!("the peer mentions stream {id}, which was never opened");
                Err(Violation::new(TransportCode::StreamState, what))
            }
            Known::OverLimit => {
                let what = format!("the peer opens stream {id}, beyond the limit");
                Err(Violation::new(TransportCode::StreamLimit, what))
            }
            Known::Opens => {
                for opened in self.ids.opened_by_peer(id) {
                    self.insert_stream(opened);
                    self.events.push_back(Event::Incoming(opened.dir()));
                }
                Ok(())
            }
        }
    }

    fn on_chunk(
        &mut self,
        now: Time,
        path: PathId,
        id: StreamId,
        offset: u64,
        fin: bool,
        data: Bytes,
    ) -> Result<Use, Violation> {
        let bytes = data.len() as u64;
        if let Some(entry) = self.paths.get_mut(&path) {
            entry.on_received(now, bytes, self.config.max_ack_delay);
        }
        self.learn_stream(id)?;
        let Some(stream) = self.recv.get_mut(&id) else {
            // Forgotten here, so it is over: the peer's acknowledgement of that was lost.
            self.pending.ack(id, now);
            return Ok(Use::None);
        };
        let was_readable = stream.is_readable();
        let (held_before, arrived_before, was_complete) =
            (stream.held(), stream.unacked_bytes, stream.is_complete());
        let pinning = match self.held.pinned_slabs < MAX_PINNED_SLABS {
            true => Pinning::Allowed,
            false => Pinning::Denied,
        };
        let advance = stream.on_chunk(offset, data, fin, pinning)?;
        let is_news =
            advance > 0 || stream.unacked_bytes > arrived_before || stream.is_complete() != was_complete;
        self.held.exchange(held_before, stream.held());
        let notify = !was_readable && stream.is_readable() && std::mem::take(&mut stream.reader_waits);
        let freed = stream.settle_stopped();
        if stream.is_complete() {
            self.pending.ack(id, now);
        } else if stream.unacked_bytes >= ACK_BYTES {
            self.pending.ack_bulk(id, now);
        } else {
            self.pending.ack(id, now + self.config.max_ack_delay);
        }
        self.count_received(advance)?;
        if freed > 0 {
            self.consumed(now, None, freed);
        }
        if notify {
            self.events.push_back(Event::Readable(id));
        }
        self.retire_recv(id);
        self.check_held()?;
        Ok(if is_news { Use::Some } else { Use::None })
    }

    /// Flow control bounds the bytes that wait; this bounds what they cost.
    fn check_held(&self) -> Result<(), Violation> {
        let allowed = self.recv_window.window().saturating_mul(2).saturating_add(HELD_FLOOR_BYTES);
        if self.held.cost_bytes <= allowed {
            return Ok(());
        }
        let what = format!("what has arrived costs {} bytes, in too many pieces", self.held.cost_bytes);
        Err(Violation::new(TransportCode::LimitExceeded, what))
    }

    fn count_received(&mut self, advance: u64) -> Result<(), Violation> {
        self.recv_window.on_received(advance).map_err(|exceeded| {
            Violation::new(TransportCode::FlowControl, format!("all streams together: {exceeded}"))
        })
    }

    fn on_frame(&mut self, now: Time, path: PathId, frame: Frame) -> Result<Use, Violation> {
        let Some(entry) = self.paths.get_mut(&path) else { return Ok(Use::None) };
        if let Phase::Greeting { .. } = entry.phase {
            match frame {
                Frame::Accept(accept) => self.on_accept(now, path, accept),
                Frame::Reject(reject) => self.on_reject(now, path, &reject),
                _ => return Err(Violation::new(TransportCode::ProtocolViolation, "a frame before ACCEPT")),
            }
            return Ok(Use::Some);
        }
        match frame {
            _ if !entry.is_accepted() => {
                Err(Violation::new(TransportCode::ProtocolViolation, "a frame before ACCEPT"))
            }
            Frame::Hello(_) | Frame::Accept(_) | Frame::Reject(_) => {
                Err(Violation::new(TransportCode::ProtocolViolation, "a second greeting on one path"))
            }
            Frame::PathStatus(status) => Ok(self.on_path_status(&status)),
            Frame::Ping { token } => {
                entry.queue_pong(token);
                Ok(Use::None)
            }
            Frame::Pong { token } => {
                let Some(rtt) = entry.on_pong(now, token) else { return Ok(Use::None) };
                self.events.push_back(Event::Pong(path, token, rtt));
                Ok(Use::Some)
            }
            Frame::PathReport(report) => {
                let delay = std::time::Duration::from_micros(report.delay_us);
                let before = entry.reported_bytes();
                if !entry.on_report(now, report.received_bytes, delay) {
                    let what = "a report of more bytes than were sent on the path";
                    return Err(Violation::new(TransportCode::ProtocolViolation, what));
                }
                Ok(if entry.reported_bytes() > before { Use::Some } else { Use::None })
            }
            Frame::PathClose { path: closed, code, .. } => {
                self.on_path_close(now, closed, code);
                Ok(Use::None)
            }
            Frame::AddPath(_) | Frame::RemovePath { .. } if self.side == Side::Server => {
                Err(Violation::new(TransportCode::ProtocolViolation, "advice from a client"))
            }
            Frame::AddPath(add) => {
                self.on_advice(now, add);
                Ok(Use::None)
            }
            Frame::RemovePath { advice } => {
                self.on_advice_withdrawn(now, advice);
                Ok(Use::None)
            }
            Frame::GoAway => {
                if !std::mem::replace(&mut self.draining.peer, true) {
                    self.notify(SessionEvent::Draining);
                    self.events.extend([Event::Available(Dir::Bi), Event::Available(Dir::Uni)]);
                }
                Ok(Use::None)
            }
            Frame::Close(close) => {
                self.on_close(now, close);
                Ok(Use::None)
            }
            Frame::Datagram { sequence, data } => Ok(self.take_datagram(now, path, sequence, data)),
            other => self.on_stream_frame(now, path, other),
        }
    }

    fn on_stream_frame(&mut self, now: Time, path: PathId, frame: Frame) -> Result<Use, Violation> {
        match frame {
            Frame::Ack(ack) => self.on_ack(now, ack),
            Frame::MaxData { max_bytes } => {
                if !self.credit.raise(max_bytes) {
                    return Ok(Use::None);
                }
                self.wake_for_data();
                Ok(Use::Some)
            }
            Frame::MaxStreamData { stream, max_bytes } => {
                self.check_own_half(stream)?;
                self.require_stream(stream)?;
                if !self.send.get_mut(&stream).is_some_and(|entry| entry.credit.raise(max_bytes)) {
                    return Ok(Use::None);
                }
                self.enqueue(stream);
                self.wake_for_data();
                Ok(Use::Some)
            }
            Frame::MaxStreams { dir, max } => {
                if !self.ids.raise_limit(dir, max) {
                    return Ok(Use::None);
                }
                self.events.push_back(Event::Available(dir));
                Ok(Use::Some)
            }
            Frame::ResetStream { stream, code, final_size } => {
                self.on_reset_stream(now, stream, code, final_size)
            }
            Frame::StopSending { stream, code } => self.on_stop_sending(now, stream, code),
            Frame::Stream { stream, offset, fin, data } => {
                self.on_chunk(now, path, stream, offset, fin, data)
            }
            _ => Ok(Use::None),
        }
    }

    /// The peer speaks of this end's sending half of a stream.
    fn check_own_half(&self, id: StreamId) -> Result<(), Violation> {
        if id.dir() == Dir::Bi || id.initiator() == self.side {
            return Ok(());
        }
        let what = format!("the peer speaks of a sending half that stream {id} does not have");
        Err(Violation::new(TransportCode::StreamState, what))
    }

    fn on_ack(&mut self, now: Time, ack: Ack) -> Result<Use, Violation> {
        self.check_own_half(ack.stream)?;
        self.require_stream(ack.stream)?;
        let id = ack.stream;
        let Some(stream) = self.send.get_mut(&id) else { return Ok(Use::None) };
        if matches!(stream.state, SendState::Open | SendState::Finished) && !stream.is_ack_plausible(&ack) {
            let what = format!("an acknowledgement of bytes of stream {id} that were never sent");
            return Err(Violation::new(TransportCode::ProtocolViolation, what));
        }
        let (retained, unsent) = (stream.retained_bytes(), stream.unsent_bytes());
        let mut is_news = stream.on_ack(now, &ack) > 0;
        if ack.complete && stream.state != SendState::Done {
            is_news = true;
            let lanes = stream.on_complete();
            for (path, lane) in lanes {
                self.command_lane(path, super::transmit::LaneCommand::Finish(lane));
            }
            self.pending.resets.remove(&id);
            self.events.push_back(Event::SendDone(id));
            self.events.push_back(Event::Writable(id));
        }
        if let Some(stream) = self.send.get(&id) {
            let let_go = retained - stream.retained_bytes();
            self.retained_bytes -= let_go;
            self.acknowledged_bytes += let_go;
            self.unsent_bytes -= unsent - stream.unsent_bytes();
            if !stream.has_outstanding() {
                self.outstanding.remove(&id);
            }
        }
        if !is_news {
            return Ok(Use::None);
        }
        self.notify_writers();
        self.retire_send(id);
        self.check_flushed(now);
        Ok(Use::Some)
    }

    fn on_reset_stream(
        &mut self,
        now: Time,
        id: StreamId,
        code: u64,
        final_size: u64,
    ) -> Result<Use, Violation> {
        self.learn_stream(id)?;
        self.pending.ack(id, now);
        let Some(stream) = self.recv.get_mut(&id) else { return Ok(Use::None) };
        let (held_before, state_before) = (stream.held(), stream.state);
        let (advance, freed) = stream.on_reset(AppCode(code), final_size)?;
        let is_news = stream.state != state_before;
        self.held.exchange(held_before, stream.held());
        let notify = std::mem::take(&mut stream.reader_waits);
        self.count_received(advance)?;
        self.consumed(now, None, freed);
        if notify {
            self.events.push_back(Event::Readable(id));
        }
        self.pending.stops.remove(&id);
        self.retire_recv(id);
        Ok(if is_news { Use::Some } else { Use::None })
    }

    fn on_stop_sending(&mut self, now: Time, id: StreamId, code: u64) -> Result<Use, Violation> {
        self.check_own_half(id)?;
        self.require_stream(id)?;
        let Some(stream) = self.send.get_mut(&id) else { return Ok(Use::None) };
        if matches!(stream.state, SendState::Open | SendState::Finished) {
            stream.stopped = Some(AppCode(code));
            self.reset_stream(now, id, AppCode(code));
            self.events.push_back(Event::Writable(id));
            self.events.push_back(Event::SendDone(id));
            self.wake_for_control(now);
            return Ok(Use::Some);
        }
        Ok(Use::None)
    }

    fn on_close(&mut self, now: Time, close: Close) {
        if let State::Closed { .. } = self.state {
            return;
        }
        let error = if close.application {
            SessionError::ClosedByPeer { code: AppCode(close.code), reason: close.reason }
        } else {
            let code = TransportCode::from_u64(close.code).unwrap_or(TransportCode::Internal);
            SessionError::PeerError { code, reason: close.reason }
        };
        self.end(now, error, None);
    }
}
