//! Calls of the application on its session.

use bytes::Bytes;

use super::path_health::Farewell;
use super::{CloseState, Session, State};
use crate::proto::config::PathPolicy;
use crate::proto::error::{
    AdvertiseError, DatagramError, OpenError, PathError, ReadError, SessionError, WriteError,
};
use crate::proto::event::{Event, PathAddress};
use crate::proto::scheduler::Copies;
use crate::proto::streams::SendOutcome;
use crate::proto::streams::recv::Read;
use crate::proto::time::Time;
use crate::proto::wire::code::{AppCode, TransportCode};
use crate::proto::wire::frame::Close;
use crate::proto::wire::id::{Dir, PathId, Side, StreamId};
use crate::proto::wire::limits::{MAX_AUTHORITY_BYTES, MAX_REASON_BYTES};

impl Session {
    /// Opens a stream; `None` until the peer allows one more: then [`Event::Available`] follows.
    pub fn open(&mut self, dir: Dir) -> Result<Option<StreamId>, OpenError> {
        self.check_alive()?;
        if self.life.draining.own
            || self.life.draining.peer
            || matches!(self.life.state, State::Flushing { .. })
        {
            return Err(OpenError::GoingAway);
        }
        Ok(self.streams.open(dir))
    }

    /// The next stream that the peer opened; `None` until there is one: then [`Event::Incoming`] follows.
    pub fn accept(&mut self, dir: Dir) -> Option<StreamId> {
        self.streams.accept(dir)
    }

    /// Takes as much of `data` as there is room for and returns how much that was. When it was not all,
    /// [`Event::Writable`] follows.
    pub fn write(&mut self, id: StreamId, data: &mut Bytes) -> Result<usize, WriteError> {
        self.check_alive()?;
        let taken = self.streams.write(id, data)?;
        if taken > 0 {
            self.wake_for_data();
        }
        Ok(taken)
    }

    /// Whether a write of at least one byte would be taken, or fail at once.
    pub fn is_writable(&self, id: StreamId) -> bool {
        self.is_closed() || self.streams.is_writable(id)
    }

    /// Ends the stream after what was written.
    pub fn finish(&mut self, id: StreamId) -> Result<(), WriteError> {
        self.check_alive()?;
        self.streams.finish(id)?;
        self.wake_for_data();
        Ok(())
    }

    /// Gives the stream up: what the peer does not have yet, it will not get.
    pub fn reset(&mut self, now: Time, id: StreamId, code: AppCode) -> Result<(), WriteError> {
        self.check_alive()?;
        self.streams.reset(now, id, code, &mut self.effects)?;
        self.carry_out(now);
        Ok(())
    }

    /// Streams of a higher priority go first; those of the same take turns. The default is 0.
    pub fn set_priority(&mut self, id: StreamId, priority: i32) {
        self.streams.set_priority(id, priority);
    }

    /// On which paths the stream may travel. Pinned to a path that is gone already, it may travel on any.
    pub fn set_policy(&mut self, id: StreamId, policy: PathPolicy) {
        let is_gone = matches!(policy, PathPolicy::Pin(path) if !self.paths.contains(path));
        self.streams.set_policy(id, if is_gone { PathPolicy::Any } else { policy });
        self.wake_for_data();
    }

    /// The next bytes of a stream, up to `max_bytes`. After [`Read::Blocked`], [`Event::Readable`] follows.
    pub fn read(&mut self, now: Time, id: StreamId, max_bytes: usize) -> Result<Read, ReadError> {
        let paths = &self.paths;
        let read = self.streams.read(now, id, max_bytes, || paths.longest_rtt(), &mut self.effects);
        self.carry_out(now);
        match (read, &self.life.state) {
            (Ok(Read::Blocked), State::Closed { error, .. }) => Err(ReadError::Session(error.clone())),
            (read, _) => read,
        }
    }

    /// Whether [`read`](Self::read) would return something, or fail.
    pub fn is_readable(&self, id: StreamId) -> bool {
        self.is_closed() || self.streams.is_readable(id)
    }

    /// Whether all bytes of a stream have been read, and its end is known.
    pub fn is_read_to_end(&self, id: StreamId) -> bool {
        self.streams.is_read_to_end(id)
    }

    /// The application wants no more of the stream.
    pub fn stop(&mut self, now: Time, id: StreamId, code: AppCode) -> Result<(), ReadError> {
        self.streams.stop(now, id, code, self.paths.longest_rtt(), &mut self.effects)?;
        self.carry_out(now);
        Ok(())
    }

    /// The application lets go of a sending half; an open one is finished, as if `finish` had been called.
    pub fn release_send(&mut self, now: Time, id: StreamId) {
        // Finishing what is over already changes nothing, so there is nothing to report.
        let _ = self.finish(id);
        self.streams.release_send(id, &mut self.effects);
        self.carry_out(now);
    }

    /// The application lets go of a receiving half; what it has not read is stopped with code 0.
    pub fn release_recv(&mut self, now: Time, id: StreamId) {
        // Stopping what is over already changes nothing, so there is nothing to report.
        let _ = self.stop(now, id, AppCode::new(0));
        self.streams.release_recv(id, &mut self.effects);
        self.carry_out(now);
    }

    /// Whether the peer has all of a stream: `None` while it has not, then how that ended.
    pub fn send_outcome(&self, id: StreamId) -> Option<Result<(), WriteError>> {
        match (self.streams.send_outcome(id)?, &self.life.state) {
            (SendOutcome::Over(outcome), _) => Some(outcome),
            (SendOutcome::Pending, State::Closed { error, .. }) => {
                Some(Err(WriteError::Session(error.clone())))
            }
            (SendOutcome::Pending, _) => None,
        }
    }

    /// Sends a datagram, once, without a promise. `policy` as for streams.
    pub fn send_datagram(&mut self, now: Time, data: Bytes, policy: PathPolicy) -> Result<(), DatagramError> {
        self.check_alive()?;
        let max = self.max_datagram_bytes().ok_or(DatagramError::Unsupported)?;
        if data.len() > max {
            return Err(DatagramError::TooLong { len: data.len(), max });
        }
        let deadline = match policy {
            PathPolicy::Deadline(within) => Some(now + within),
            _ => None,
        };
        let everywhere = policy == PathPolicy::Redundant || self.selector.copies() == Copies::Everywhere;
        if everywhere {
            let policies = self.paths.usable().map(|path| PathPolicy::Pin(path.id));
            self.datagrams.send(&data, deadline, policies);
        } else {
            self.datagrams.send(&data, deadline, [policy]);
        }
        self.wake_all();
        Ok(())
    }

    /// The longest datagram that the peer takes and a path carries; `None` when there are none.
    pub fn max_datagram_bytes(&self) -> Option<usize> {
        let peer = self.peer_parameters.as_ref().map_or(u64::MAX, |peer| peer.max_datagram_bytes);
        let peer = usize::try_from(peer).unwrap_or(usize::MAX);
        let path = self.paths.attached().map(|path| path.max_datagram_bytes()).max();
        // A session without a path keeps datagrams for the next one, so the last known limit would do; the
        // smallest that every QUIC path carries is the honest guess.
        let max = peer.min(path.unwrap_or(1_000));
        (max > 0).then_some(max)
    }

    /// The oldest datagram that has arrived.
    pub fn recv_datagram(&mut self, now: Time) -> Option<Bytes> {
        self.datagrams.recv(now)
    }

    /// Client: adds a path to `address`, and keeps one there until it is removed.
    pub fn add_path(&mut self, now: Time, address: PathAddress) -> Result<PathId, PathError> {
        self.check_alive()?;
        if self.side == Side::Server {
            return Err(PathError::NotClient);
        }
        if self.dialing.len() >= self.max_paths() {
            return Err(PathError::TooMany { max: self.max_paths() });
        }
        if self.identity.id.is_none() {
            return Err(PathError::NotOpen);
        }
        // Whatever else is due is dialled first, so that the next id is this one's.
        self.dial_due(now);
        let path = self.paths.next_id();
        self.dialing.add(now, address);
        self.dial_due(now);
        match self.paths.get_mut(path) {
            Some(entry) => {
                entry.set_opened_by_application();
                Ok(path)
            }
            // Other addresses are being dialled in place of paths that were lost: no room for this one.
            None => {
                self.dialing.forget_undialled();
                Err(PathError::TooMany { max: self.max_paths() })
            }
        }
    }

    /// Server: tells the client of another address. Returns what to withdraw it with.
    pub fn advertise(
        &mut self,
        now: Time,
        authority: String,
        pin: Option<[u8; 32]>,
        priority: u32,
    ) -> Result<u64, AdvertiseError> {
        if self.side == Side::Client {
            return Err(AdvertiseError::NotServer);
        }
        if authority.len() > MAX_AUTHORITY_BYTES {
            return Err(AdvertiseError::TooLong { len: authority.len(), max: MAX_AUTHORITY_BYTES });
        }
        // PROTOCOL 4.2, ADD_PATH: the client may ignore what is beyond.
        let max = self.peer_parameters.as_ref().map_or(1, |peer| peer.max_paths.max(1));
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        if self.advertised.count() >= max {
            return Err(AdvertiseError::TooMany { max });
        }
        let advice = self.advertised.add(authority, pin, priority.into());
        self.effects.control.advice.insert(advice);
        self.wake_for_control(now);
        Ok(advice)
    }

    /// Server: withdraws an address; the client closes the path that came of it.
    pub fn withdraw(&mut self, now: Time, advice: u64) {
        if self.advertised.withdraw(advice) {
            self.effects.control.advice.insert(advice);
            self.wake_for_control(now);
        }
    }

    /// No new streams from either end; those that are open go on.
    pub fn drain(&mut self, now: Time) {
        self.life.draining.own = true;
        self.effects.control.go_away = true;
        self.wake_for_control(now);
    }

    /// Ends the session once the peer has acknowledged everything written, or `close_timeout` has passed.
    pub fn close(&mut self, now: Time, code: AppCode, reason: Bytes) {
        match self.life.state {
            State::Opening => self.abort(now, code, reason),
            State::Open => {
                let reason = clip(reason);
                let until = now + self.config.close_timeout;
                self.life.state = State::Flushing { code, reason, until };
                self.check_flushed(now);
            }
            State::Flushing { .. } | State::Closed { .. } => {}
        }
    }

    /// Ends the session at once.
    pub fn abort(&mut self, now: Time, code: AppCode, reason: Bytes) {
        let close = Close { application: true, code: code.as_u64(), reason: clip(reason) };
        let undelivered_bytes = self.streams.undelivered_bytes();
        self.end(now, SessionError::LocallyClosed { code, undelivered_bytes }, Some(close));
    }

    /// Ends the session at once, through no fault of the peer's: something here has failed, and it is not known how far
    /// it came.
    pub fn fail(&mut self, now: Time, reason: String) {
        let close =
            Close { application: false, code: TransportCode::Internal.as_u64(), reason: Bytes::new() };
        self.end(now, SessionError::Failed { reason }, Some(close));
    }

    /// Whether the session has ended, or is about to.
    pub fn close_state(&self) -> CloseState {
        match &self.life.state {
            State::Opening | State::Open => CloseState::Open,
            State::Flushing { .. } => CloseState::Flushing,
            State::Closed { error, .. } => CloseState::Closed(error.clone()),
        }
    }

    /// Whether the session has ended and every carrier is closed.
    pub fn is_over(&self) -> bool {
        self.is_closed() && self.paths.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.life.state, State::Closed { .. })
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.streams.is_flushed() && self.effects.control.resets.is_empty()
    }

    pub(super) fn check_flushed(&mut self, now: Time) {
        if matches!(self.life.state, State::Flushing { .. }) && self.is_flushed() {
            self.end_flush(now);
        }
    }

    pub(super) fn end_flush(&mut self, now: Time) {
        let State::Flushing { code, reason, .. } = &self.life.state else { return };
        let (code, reason) = (*code, reason.clone());
        self.abort(now, code, reason);
    }

    fn check_alive(&self) -> Result<(), SessionError> {
        match &self.life.state {
            State::Closed { error, .. } => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Server: the session has no path, and its room is needed for another.
    pub fn evict(&mut self, now: Time) {
        self.end(now, SessionError::Evicted, None);
    }

    /// The session is over; `say` goes out on every path that can still carry it.
    pub(super) fn end(&mut self, now: Time, error: SessionError, say: Option<Close>) {
        if self.is_closed() {
            return;
        }
        let code = match (&say, &error) {
            (Some(close), _) if !close.application => close.code,
            (_, SessionError::ResumeTimeout { .. }) => TransportCode::ResumeTimeout.as_u64(),
            _ => TransportCode::SessionClosed.as_u64(),
        };
        self.dialing.clear();
        self.life.suspended_since = None;
        self.close_all_paths(now, code, if say.is_some() { Farewell::Close } else { Farewell::None });
        self.life.state = State::Closed { error, close: say };
        self.streams.abandon();
        self.effects.events.push_back(Event::Closed);
    }
}

/// As much of a reason as fits on the wire.
fn clip(mut reason: Bytes) -> Bytes {
    reason.truncate(MAX_REASON_BYTES);
    reason
}
