//! Receiving halves of all streams: arrivals, reads, and the credit that reads free.

use std::time::Duration;

use super::Streams;
use super::assembler::Pinning;
use super::chunk::{Chunk, PeerReset};
use super::flow::Growth;
use super::recv::{Read, RecvState, RecvStream, ResetCredit, Violation};
use crate::proto::effects::{ControlWake, Effects};
use crate::proto::error::ReadError;
use crate::proto::event::Event;
use crate::proto::futile::Use;
use crate::proto::memory::Pressure;
use crate::proto::time::Time;
use crate::proto::wire::code::{AppCode, TransportCode};
use crate::proto::wire::frame::{Ack, Frame};
use crate::proto::wire::id::StreamId;

/// Slabs that one session may keep alive for a part of them: 4 MiB, as much as its first receive window. A batch of the
/// socket is eight slabs, so a reader that is there at all never has as many to wait for it.
const MAX_PINNED_SLABS: u64 = 64;

/// What may wait for the application may cost this much more than twice the session's receive window.
const HELD_FLOOR_BYTES: u64 = 1024 * 1024;

impl Streams {
    // ---- the peer ----

    /// A chunk arrived. `rtt` is asked for when credit is given: the longest of the session's paths.
    pub(crate) fn on_chunk(
        &mut self,
        now: Time,
        chunk: Chunk,
        rtt: impl Fn() -> Duration,
        effects: &mut Effects,
    ) -> Result<Use, Violation> {
        let Chunk { stream: id, offset, fin, data } = chunk;
        self.learn(id, effects)?;
        let Some(stream) = self.recv.get_mut(&id) else {
            // Forgotten here, so it is over: the peer's acknowledgement of that was lost.
            effects.control.ack(id, now);
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
            effects.control.ack(id, now);
        } else {
            effects.control.ack_bytes(id, stream.unacked_bytes - arrived_before, now);
        }
        self.count_received(advance)?;
        if freed > 0 {
            self.on_consumed(now, None, freed, rtt(), effects);
        }
        if notify {
            effects.events.push_back(Event::Readable(id));
        }
        self.retire_recv(id, effects);
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

    /// RESET_STREAM.
    pub(crate) fn on_reset_stream(
        &mut self,
        now: Time,
        reset: PeerReset,
        rtt: Duration,
        effects: &mut Effects,
    ) -> Result<Use, Violation> {
        let PeerReset { stream: id, code, final_size } = reset;
        self.learn(id, effects)?;
        effects.control.ack(id, now);
        let Some(stream) = self.recv.get_mut(&id) else { return Ok(Use::None) };
        let (held_before, state_before) = (stream.held(), stream.state);
        let ResetCredit { advance, freed } = stream.on_reset(code, final_size)?;
        let is_news = stream.state != state_before;
        self.held.exchange(held_before, stream.held());
        let notify = std::mem::take(&mut stream.reader_waits);
        self.count_received(advance)?;
        self.on_consumed(now, None, freed, rtt, effects);
        if notify {
            effects.events.push_back(Event::Readable(id));
        }
        effects.control.stops.remove(&id);
        self.retire_recv(id, effects);
        Ok(if is_news { Use::Some } else { Use::None })
    }

    // ---- the application ----

    /// The next bytes of a stream, up to `max_bytes`.
    pub(crate) fn read(
        &mut self,
        now: Time,
        id: StreamId,
        max_bytes: usize,
        rtt: impl Fn() -> Duration,
        effects: &mut Effects,
    ) -> Result<Read, ReadError> {
        let stream = self.recv.get_mut(&id).ok_or(ReadError::Closed { stream: id })?;
        match stream.state {
            RecvState::Open => {}
            RecvState::Reset { code } => return Err(ReadError::Reset { stream: id, code }),
            RecvState::Stopped { .. } | RecvState::Done => return Err(ReadError::Closed { stream: id }),
        }
        let held_before = stream.held();
        let read = stream.read(max_bytes);
        self.held.exchange(held_before, stream.held());
        match &read {
            Read::Data(data) => {
                self.totals.delivered += data.len() as u64;
                self.on_consumed(now, Some(id), data.len() as u64, rtt(), effects);
            }
            Read::Finished => self.retire_recv(id, effects),
            Read::Blocked => {}
        }
        Ok(read)
    }

    /// Whether [`read`](Self::read) would return something, or fail.
    pub(crate) fn is_readable(&self, id: StreamId) -> bool {
        self.recv.get(&id).is_none_or(RecvStream::is_readable)
    }

    /// Whether all bytes of a stream have been read, and its end is known.
    pub(crate) fn is_read_to_end(&self, id: StreamId) -> bool {
        self.recv.get(&id).is_some_and(RecvStream::is_read_to_end)
    }

    /// Credit for what was read or dropped.
    fn on_consumed(
        &mut self,
        now: Time,
        id: Option<StreamId>,
        bytes: u64,
        rtt: Duration,
        effects: &mut Effects,
    ) {
        self.recv_window.on_consumed(bytes);
        let growth = match self.pressure {
            Pressure::None => Growth::Allowed,
            Pressure::High | Pressure::Exceeded => Growth::Denied,
        };
        let mut is_raised = self.recv_window.next_update(now, rtt, growth).is_some();
        if let Some((id, stream)) = id.and_then(|id| self.recv.get_mut(&id).map(|stream| (id, stream)))
            && !stream.is_complete()
        {
            let window_before = stream.window.window();
            if stream.window.next_update(now, rtt, growth).is_some() {
                effects.control.max_stream_data.insert(id);
                effects.wake_control(ControlWake::Due);
                // Otherwise a stream that was read fast and then no more could take all of the session's credit, which
                // is renewed when half of it is used up.
                self.grown_windows += stream.window.window() - window_before;
                let grown = self.grown_windows.saturating_mul(2);
                let enough = self.limits.session_window_bytes.saturating_add(grown);
                is_raised |= self.recv_window.grow_to(now, enough);
            }
        }
        if is_raised {
            effects.control.max_data = true;
            effects.wake_control(ControlWake::Due);
        }
    }

    /// The application wants no more of the stream.
    pub(crate) fn stop(
        &mut self,
        now: Time,
        id: StreamId,
        code: AppCode,
        rtt: Duration,
        effects: &mut Effects,
    ) -> Result<(), ReadError> {
        let stream = self.recv.get_mut(&id).ok_or(ReadError::Closed { stream: id })?;
        let held_before = stream.held();
        let freed = stream.stop(code).ok_or(ReadError::Closed { stream: id })?;
        self.held.exchange(held_before, stream.held());
        if matches!(stream.state, RecvState::Stopped { .. }) {
            effects.control.stops.insert(id);
            effects.wake_control(ControlWake::Due);
        }
        self.on_consumed(now, None, freed, rtt, effects);
        self.retire_recv(id, effects);
        Ok(())
    }

    /// The application lets go of its handle.
    pub(crate) fn release_recv(&mut self, id: StreamId, effects: &mut Effects) {
        if let Some(stream) = self.recv.get_mut(&id) {
            stream.released = true;
        }
        self.retire_recv(id, effects);
    }

    /// Forgets a receiving half once neither end needs it.
    fn retire_recv(&mut self, id: StreamId, effects: &mut Effects) {
        if let Some(stream) = self.recv.get(&id).filter(|stream| stream.is_forgettable()) {
            self.grown_windows -= stream.window.window() - self.limits.receive_window.initial_bytes;
            self.recv.remove(&id);
            effects.control.stops.remove(&id);
            effects.control.max_stream_data.remove(&id);
            self.on_forgotten(id, effects);
        }
    }

    // ---- frames ----

    /// ACK: what has arrived of a stream.
    pub(crate) fn ack_frame(&mut self, id: StreamId) -> Frame {
        let complete = Ack { stream: id, complete: true, contiguous: 0, ranges: Vec::new() };
        Frame::Ack(self.recv.get_mut(&id).map_or(complete, RecvStream::ack))
    }

    /// MAX_DATA.
    pub(crate) fn max_data_frame(&self) -> Frame {
        Frame::MaxData { max_bytes: self.recv_window.limit() }
    }

    /// MAX_STREAM_DATA, if the stream is still here.
    pub(crate) fn max_stream_data_frame(&self, id: StreamId) -> Option<Frame> {
        let stream = self.recv.get(&id)?;
        Some(Frame::MaxStreamData { stream: id, max_bytes: stream.window.limit() })
    }

    /// STOP_SENDING, if the peer has not ended the stream meanwhile.
    pub(crate) fn stop_frame(&self, id: StreamId) -> Option<Frame> {
        let code = self.recv.get(&id)?.stop_code()?;
        Some(Frame::StopSending { stream: id, code: code.as_u64() })
    }
}
