//! Input from carriers: lanes, frames, chunks, datagrams.

use std::time::Duration;

use bytes::Bytes;

use super::{Session, State};
use crate::proto::error::SessionError;
use crate::proto::event::{Action, Event, PathLoss, SessionEvent};
use crate::proto::futile::{TooMuch, Use};
use crate::proto::paths::estimator::TooManyBytes;
use crate::proto::paths::lanes::Early;
use crate::proto::paths::reports::Report;
use crate::proto::streams::recv::Violation;
use crate::proto::streams::{Chunk, PeerReset};
use crate::proto::time::Time;
use crate::proto::wire::code::{AppCode, TransportCode};
use crate::proto::wire::frame::{Close, Frame};
use crate::proto::wire::id::{Dir, LaneId, PathId, Side, StreamId};
use crate::proto::wire::lane::{LaneItem, LaneKind};

/// What lanes may hold that wait for bytes before them, in windows, on all paths together. A window that waits in pieces
/// of a packet costs some 1.2 times its bytes; copies of it may wait on several paths.
const LANES_HELD_WINDOWS: u64 = 3;

impl Session {
    /// Bytes arrived on a lane, in the lane's order. `dir` is the lane's, opened by either end.
    pub fn on_lane_data(&mut self, now: Time, path: PathId, lane: LaneId, dir: Dir, data: Bytes) {
        if self.is_closed() {
            return;
        }
        let Some(entry) = self.paths.get_mut(path) else { return };
        entry.liveness.on_received(now);
        if entry.is_greeting() && !entry.lanes.is_control(lane) {
            self.defer(now, path, Early::Data(lane, dir, data));
            return;
        }
        entry.lanes.push(lane, data);
        self.read_lane(now, path, lane, dir);
    }

    fn defer(&mut self, now: Time, path: PathId, early: Early) {
        if let Some(Err(violation)) = self.paths.get_mut(path).map(|entry| entry.lanes.defer(early)) {
            self.violation(now, path, violation);
        }
    }

    /// Client: the path is accepted, so what came before that can be read.
    pub(super) fn read_early(&mut self, now: Time, path: PathId) {
        for early in self.paths.get_mut(path).map(|entry| entry.lanes.take_early()).unwrap_or_default() {
            match early {
                Early::Data(lane, dir, data) => self.on_lane_data(now, path, lane, dir, data),
                Early::Finished(lane) => self.on_lane_finished(now, path, lane),
            }
        }
    }

    /// The peer finished its half of a lane.
    pub fn on_lane_finished(&mut self, now: Time, path: PathId, lane: LaneId) {
        let Some(entry) = self.paths.get_mut(path) else { return };
        entry.liveness.on_received(now);
        if entry.lanes.is_control(lane) {
            self.lose_control(now, path);
            return;
        }
        if entry.is_greeting() {
            self.defer(now, path, Early::Finished(lane));
            return;
        }
        let reader = entry.lanes.close(lane);
        if let Some(Err(error)) = reader.map(|reader| reader.finish())
            && !self.is_closed()
        {
            self.violation(now, path, Violation::new(error.code(), error.to_string()));
        }
    }

    /// The peer gave a lane up. What it carried comes another way, or its stream was reset.
    pub fn on_lane_reset(&mut self, now: Time, path: PathId, lane: LaneId) {
        let Some(entry) = self.paths.get_mut(path) else { return };
        entry.liveness.on_received(now);
        entry.lanes.close(lane);
        if entry.lanes.is_control(lane) {
            self.lose_control(now, path);
        }
    }

    /// A path without its control lane is of no use.
    fn lose_control(&mut self, now: Time, path: PathId) {
        let code = TransportCode::NoError.as_u64();
        self.effects.actions.push_back(Action::ClosePath { path, code, reason: Bytes::new() });
        self.path_closed(now, path, PathLoss::ClosedByPeer(AppCode::from_wire(code)));
    }

    /// The peer reads no more from a lane that this end writes to: what was on it goes another way.
    pub fn on_lane_stopped(&mut self, now: Time, path: PathId, lane: LaneId) {
        if self.paths.get(path).is_some_and(|entry| entry.lanes.is_control(lane)) {
            self.lose_control(now, path);
            return;
        }
        self.streams.on_lane_lost(path, lane);
        self.wake_for_data();
    }

    /// The carrier of `path` holds so many bytes of memory for the lanes that it puts in order. What an honest peer has on
    /// its way costs less than three windows, whatever is lost of it and comes late, and however many copies there are.
    pub fn on_lanes_held(&mut self, now: Time, path: PathId, held_bytes: u64) {
        let Some(entry) = self.paths.get_mut(path) else { return };
        entry.on_lanes_held(held_bytes);
        let held_bytes = self.paths.held_bytes();
        let limit_bytes = self.lane_window_bytes().saturating_mul(LANES_HELD_WINDOWS);
        if held_bytes > limit_bytes && !self.is_closed() {
            let reason =
                format!("lanes with gaps hold {held_bytes} bytes, and may hold {limit_bytes} on all paths");
            self.violation(now, path, Violation::new(TransportCode::LimitExceeded, reason));
        }
    }

    /// A carrier datagram arrived. One without a sequence number is dropped.
    pub fn on_datagram(&mut self, now: Time, path: PathId, mut data: Bytes) {
        let Some(sequence) = crate::proto::wire::varint::get(&mut data) else {
            self.datagrams.on_dropped(1);
            return;
        };
        let was = self.take_datagram(now, path, sequence, data);
        if let Err(violation) = self.count_work(now, Some(was), 0) {
            self.violation(now, path, violation);
        }
    }

    /// Datagrams arrived that the backend had no time for.
    pub fn on_datagrams_dropped(&mut self, count: u64) {
        self.datagrams.on_dropped(count);
    }

    fn take_datagram(&mut self, now: Time, path: PathId, sequence: u64, data: Bytes) -> Use {
        let Some(entry) = self.paths.get_mut(path) else { return Use::None };
        entry.liveness.on_received(now);
        entry.on_datagram_received();
        if self.is_closed() || self.datagrams.on_received(sequence, &data) == Use::None {
            return Use::None;
        }
        self.effects.events.push_back(Event::Datagram);
        Use::Some
    }

    /// Goes through what a lane has so far.
    pub(super) fn read_lane(&mut self, now: Time, path: PathId, lane: LaneId, dir: Dir) {
        // A CLOSE may be in the middle of what has arrived: nothing behind it counts.
        while !self.is_closed() {
            let Some(reader) = self.paths.get_mut(path).and_then(|entry| entry.lanes.reader(lane)) else {
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
        self.work.count(now, was, skipped, self.streams.halves()).map_err(|TooMuch| {
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
        let is_control = self.paths.get(path).is_some_and(|entry| entry.lanes.is_control(lane));
        match item {
            LaneItem::Kind(LaneKind::Control) if is_control => Ok(Use::None),
            LaneItem::Kind(LaneKind::Control) => {
                Err(Violation::new(TransportCode::ProtocolViolation, "a second control lane on one path"))
            }
            LaneItem::Kind(LaneKind::Stream(stream)) => {
                self.check_lane(path, lane, stream)?;
                self.streams.learn(stream, &mut self.effects)?;
                if dir == Dir::Bi && stream.dir() == Dir::Bi && !self.owns_lane(path, lane, stream) {
                    self.streams.on_peer_lane(path, lane, stream, &mut self.effects);
                    self.carry_out(now);
                }
                Ok(Use::None)
            }
            LaneItem::Kind(LaneKind::Unknown(_)) => Ok(Use::None),
            LaneItem::Frame(frame) => self.on_frame(now, path, frame),
            LaneItem::Chunk { stream, offset, fin, data } => {
                self.on_chunk(now, path, Chunk { stream, offset, fin, data })
            }
        }
    }

    /// A lane of a stream comes after ACCEPT, and the answer on it is of the same stream.
    fn check_lane(&self, path: PathId, lane: LaneId, stream: StreamId) -> Result<(), Violation> {
        let Some(entry) = self.paths.get(path) else { return Ok(()) };
        let what = match entry.lanes.opened_for(lane) {
            _ if !entry.is_accepted() => "a stream before ACCEPT".to_owned(),
            Some(own) if own != stream => format!("stream {stream} on the lane of stream {own}"),
            _ => return Ok(()),
        };
        Err(Violation::new(TransportCode::ProtocolViolation, what))
    }

    /// Whether this end opened the lane or has already answered on it.
    fn owns_lane(&self, path: PathId, lane: LaneId, stream: StreamId) -> bool {
        let opened = self.paths.get(path).is_some_and(|entry| entry.lanes.opened_for(lane).is_some());
        opened || self.streams.answers_on(path, lane, stream)
    }

    fn on_chunk(&mut self, now: Time, path: PathId, chunk: Chunk) -> Result<Use, Violation> {
        if let Some(entry) = self.paths.get_mut(path) {
            entry.on_received(now, chunk.data.len() as u64, self.effects.control.ack_delay());
        }
        let paths = &self.paths;
        let outcome = self.streams.on_chunk(now, chunk, || paths.longest_rtt(), &mut self.effects);
        self.carry_out(now);
        outcome
    }

    fn on_frame(&mut self, now: Time, path: PathId, frame: Frame) -> Result<Use, Violation> {
        let Some(entry) = self.paths.get_mut(path) else { return Ok(Use::None) };
        if entry.is_greeting() {
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
                entry.liveness.on_ping(token);
                Ok(Use::None)
            }
            Frame::Pong { token } => {
                let Some(rtt) = entry.on_pong(now, token) else { return Ok(Use::None) };
                self.effects.events.push_back(Event::Pong(path, token, rtt));
                Ok(Use::Some)
            }
            Frame::PathReport(report) => {
                let delay = Duration::from_micros(report.delay_us);
                let report = Report { received_bytes: report.received_bytes, delay };
                entry.on_report(now, report).map_err(|TooManyBytes| {
                    let what = "a report of more bytes than were sent on the path";
                    Violation::new(TransportCode::ProtocolViolation, what)
                })
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
                if !std::mem::replace(&mut self.life.draining.peer, true) {
                    self.effects.notify(SessionEvent::Draining);
                    self.effects.events.extend([Event::Available(Dir::Bi), Event::Available(Dir::Uni)]);
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
        let effects = &mut self.effects;
        let was = match frame {
            Frame::Ack(ack) => {
                let was = self.streams.on_ack(now, &ack, effects)?;
                self.carry_out(now);
                self.check_flushed(now);
                was
            }
            Frame::MaxData { max_bytes } => {
                let was = self.streams.on_max_data(max_bytes);
                self.on_credit(was)
            }
            Frame::MaxStreamData { stream, max_bytes } => {
                let was = self.streams.on_max_stream_data(stream, max_bytes, effects)?;
                self.on_credit(was)
            }
            Frame::MaxStreams { dir, max } => self.streams.on_max_streams(dir, max, effects),
            Frame::ResetStream { stream, code, final_size } => {
                let reset = PeerReset { stream, code: AppCode::from_wire(code), final_size };
                self.streams.on_reset_stream(now, reset, self.paths.longest_rtt(), effects)?
            }
            Frame::StopSending { stream, code } => {
                self.streams.on_stop_sending(now, stream, AppCode::from_wire(code), effects)?
            }
            Frame::Stream { stream, offset, fin, data } => {
                return self.on_chunk(now, path, Chunk { stream, offset, fin, data });
            }
            _ => Use::None,
        };
        self.carry_out(now);
        Ok(was)
    }

    /// The peer has said how much it takes: if that is more than before, more may go out.
    fn on_credit(&mut self, was: Use) -> Use {
        if was == Use::Some {
            self.wake_for_data();
        }
        was
    }

    fn on_close(&mut self, now: Time, close: Close) {
        if let State::Closed { .. } = self.life.state {
            return;
        }
        let error = if close.application {
            SessionError::ClosedByPeer { code: AppCode::from_wire(close.code), reason: close.reason }
        } else {
            let code = TransportCode::from_u64(close.code).unwrap_or(TransportCode::Internal);
            SessionError::PeerError { code, reason: close.reason }
        };
        self.end(now, error, None);
    }
}
