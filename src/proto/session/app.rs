//! What the application asks of its session.

use bytes::Bytes;

use super::{Advice, DatagramTag, Session, State};
use crate::proto::config::PathPolicy;
use crate::proto::datagrams::Datagram;
use crate::proto::error::{
    AdvertiseError, AppCode, DatagramError, OpenError, PathError, ReadError, SessionError, WriteError,
};
use crate::proto::event::{Event, PathAddress};
use crate::proto::memory::Pressure;
use crate::proto::scheduler::Copies;
use crate::proto::streams::flow::Growth;
use crate::proto::streams::recv::{Read, RecvState, RecvStream};
use crate::proto::streams::send::{OVERDUE, SendState, SendStream};
use crate::proto::time::Time;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::frame::{AddPath, Close};
use crate::proto::wire::id::{Dir, PathId, Side, StreamId};
use crate::proto::wire::limits::{MAX_AUTHORITY_BYTES, MAX_REASON_BYTES};

/// How far the end of a session has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseState {
    /// Not closed.
    Open,
    /// A graceful close waits for the peer to acknowledge what was written.
    Flushing,
    /// Over, and why. The backend may still be telling the peer.
    Closed(SessionError),
}

/// What a session keeps for a peer that has not acknowledged anything yet; it grows by what the peer acknowledges. As
/// much as one stream may keep, so that a transfer of one stream never notices.
const UNPROVEN_SEND_BUFFER_BYTES: usize = 8 << 20;

/// What a session may keep for its peer while the server is short of memory: a short answer's worth, which goes on.
const PRESSED_SEND_BUFFER_BYTES: usize = 256 * 1024;

/// The least room that is worth waking a writer for.
const WRITER_WAKE_BYTES: usize = 64 * 1024;

impl Session {
    /// Opens a stream; `None` until the peer allows one more: then [`Event::Available`] follows.
    pub fn open(&mut self, dir: Dir) -> Result<Option<StreamId>, OpenError> {
        self.check_alive()?;
        if self.draining.own || self.draining.peer || matches!(self.state, State::Flushing { .. }) {
            return Err(OpenError::GoingAway);
        }
        let Some(id) = self.ids.open(dir) else { return Ok(None) };
        self.insert_stream(id);
        Ok(Some(id))
    }

    /// The next stream that the peer opened; `None` until there is one: then [`Event::Incoming`] follows.
    pub fn accept(&mut self, dir: Dir) -> Option<StreamId> {
        self.ids.accept(dir)
    }

    pub(super) fn insert_stream(&mut self, id: StreamId) {
        let own = id.initiator() == self.side;
        if own || id.dir() == Dir::Bi {
            let credit = self.peer_parameters.as_ref().map_or(0, |peer| peer.initial_max_stream_data_bytes);
            self.send.insert(id, SendStream::new(id, credit));
        }
        if !own || id.dir() == Dir::Bi {
            self.recv.insert(id, RecvStream::new(id, self.config.stream_receive_window));
        }
    }

    /// Takes as much of `data` as there is room for and returns how much that was. When it was not all,
    /// [`Event::Writable`] follows.
    pub fn write(&mut self, id: StreamId, data: &mut Bytes) -> Result<usize, WriteError> {
        self.check_alive()?;
        let room = self.room_for(id);
        let Some(stream) = self.send.get_mut(&id) else { return Err(WriteError::Closed { stream: id }) };
        if let Some(code) = stream.stopped {
            return Err(WriteError::Stopped { stream: id, code });
        }
        if stream.state != SendState::Open {
            return Err(WriteError::Closed { stream: id });
        }
        let take = data.len().min(room);
        if take < data.len() {
            self.writers.insert(id);
        } else {
            self.writers.remove(&id);
        }
        if take == 0 {
            return Ok(0);
        }
        stream.write(data.split_to(take));
        self.retained_bytes += take as u64;
        self.unsent_bytes += take as u64;
        self.enqueue(id);
        self.wake_for_data();
        Ok(take)
    }

    /// Whether a write of at least one byte would be taken, or fail at once.
    pub fn is_writable(&self, id: StreamId) -> bool {
        match self.send.get(&id) {
            Some(stream) if stream.state == SendState::Open && !self.is_closed() => self.room_for(id) > 0,
            _ => true,
        }
    }

    fn room_for(&self, id: StreamId) -> usize {
        let Some(stream) = self.send.get(&id) else { return 0 };
        let left =
            |limit: usize, used: u64| limit.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX));
        left(self.config.stream_send_buffer_bytes, stream.retained_bytes())
            .min(left(self.config.stream_unsent_bytes, stream.unsent_bytes()))
            .min(left(self.session_send_buffer_bytes(), self.retained_bytes))
    }

    fn session_send_buffer_bytes(&self) -> usize {
        let proven = usize::try_from(self.acknowledged_bytes).unwrap_or(usize::MAX);
        match self.pressure {
            Pressure::None => {
                self.config.session_send_buffer_bytes.min(UNPROVEN_SEND_BUFFER_BYTES.saturating_add(proven))
            }
            Pressure::High | Pressure::Exceeded => {
                self.config.session_send_buffer_bytes.min(PRESSED_SEND_BUFFER_BYTES)
            }
        }
    }

    /// Tells writers that wait about room, once there is enough of it to be worth their while.
    pub(super) fn notify_writers(&mut self) {
        if self.writers.is_empty() {
            return;
        }
        let least = WRITER_WAKE_BYTES
            .min(self.config.stream_send_buffer_bytes / 2)
            .min(self.config.stream_unsent_bytes / 2)
            .min(self.session_send_buffer_bytes() / 2)
            .max(1);
        for id in std::mem::take(&mut self.writers) {
            if self.room_for(id) >= least {
                self.events.push_back(Event::Writable(id));
            } else {
                self.writers.insert(id);
            }
        }
    }

    /// Ends the stream after what was written.
    pub fn finish(&mut self, id: StreamId) -> Result<(), WriteError> {
        self.check_alive()?;
        let stream = self.send.get_mut(&id).ok_or(WriteError::Closed { stream: id })?;
        if let Some(code) = stream.stopped {
            return Err(WriteError::Stopped { stream: id, code });
        }
        if stream.state != SendState::Open {
            return Err(WriteError::Closed { stream: id });
        }
        stream.finish();
        self.enqueue(id);
        self.wake_for_data();
        Ok(())
    }

    /// Gives the stream up: what the peer does not have yet, it will not get.
    pub fn reset(&mut self, now: Time, id: StreamId, code: AppCode) -> Result<(), WriteError> {
        self.check_alive()?;
        let stream = self.send.get_mut(&id).ok_or(WriteError::Closed { stream: id })?;
        if !matches!(stream.state, SendState::Open | SendState::Finished) {
            return Err(WriteError::Closed { stream: id });
        }
        self.reset_stream(now, id, code);
        self.wake_for_control(now);
        Ok(())
    }

    pub(super) fn reset_stream(&mut self, now: Time, id: StreamId, code: AppCode) {
        let Some(stream) = self.send.get_mut(&id) else { return };
        stream.progress_at = now;
        let (retained, unsent) = (stream.retained_bytes(), stream.unsent_bytes());
        for (path, lane) in stream.reset(code) {
            self.command_lane(path, super::transmit::LaneCommand::Reset(lane));
        }
        self.retained_bytes -= retained;
        self.unsent_bytes -= unsent;
        self.outstanding.remove(&id);
        self.writers.remove(&id);
        self.pending.resets.insert(id);
        self.overdue_at.get_or_insert(now + OVERDUE);
    }

    /// Streams of a higher priority go first; those of the same take turns. The default is 0.
    pub fn set_priority(&mut self, id: StreamId, priority: i32) {
        let Some(stream) = self.send.get_mut(&id) else { return };
        let old = std::mem::replace(&mut stream.priority, priority);
        if std::mem::take(&mut stream.queued) {
            if let Some(queue) = self.ready.get_mut(&std::cmp::Reverse(old)) {
                queue.retain(|queued| *queued != id);
            }
            self.enqueue(id);
        }
    }

    /// On which paths the stream may travel. Pinned to a path that is gone already, it may travel on any.
    pub fn set_policy(&mut self, id: StreamId, policy: PathPolicy) {
        let is_gone = matches!(policy, PathPolicy::Pin(path) if !self.paths.contains_key(&path));
        if let Some(stream) = self.send.get_mut(&id) {
            stream.policy = if is_gone { PathPolicy::Any } else { policy };
            if stream.policy == PathPolicy::Redundant {
                self.redundant.insert(id);
            } else {
                self.redundant.remove(&id);
            }
            self.wake_for_data();
        }
    }

    /// The next bytes of a stream, up to `max_bytes`. After [`Read::Blocked`], [`Event::Readable`] follows.
    pub fn read(&mut self, now: Time, id: StreamId, max_bytes: usize) -> Result<Read, ReadError> {
        let over = match &self.state {
            State::Closed { error, .. } => Some(error.clone()),
            _ => None,
        };
        let Some(stream) = self.recv.get_mut(&id) else { return Err(ReadError::Closed { stream: id }) };
        match stream.state {
            RecvState::Open => {}
            RecvState::Reset { code } => return Err(ReadError::Reset { stream: id, code }),
            RecvState::Stopped { .. } | RecvState::Done => return Err(ReadError::Closed { stream: id }),
        }
        let held_before = stream.held();
        let read = stream.read(max_bytes);
        self.held.exchange(held_before, stream.held());
        match (&read, over) {
            (Read::Blocked, Some(error)) => return Err(ReadError::Session(error)),
            (Read::Data(data), _) => {
                self.stats.delivered_bytes += data.len() as u64;
                self.consumed(now, Some(id), data.len() as u64);
            }
            (Read::Finished, _) => self.retire_recv(id),
            (Read::Blocked, None) => {}
        }
        Ok(read)
    }

    /// Whether [`read`](Self::read) would return something, or fail.
    pub fn is_readable(&self, id: StreamId) -> bool {
        self.is_closed() || self.recv.get(&id).is_none_or(RecvStream::is_readable)
    }

    /// Whether all bytes of a stream have been read, and its end is known.
    pub fn is_read_to_end(&self, id: StreamId) -> bool {
        self.recv.get(&id).is_some_and(RecvStream::is_read_to_end)
    }

    /// Credit for what was read or dropped, and the statements that follow from it.
    pub(super) fn consumed(&mut self, now: Time, id: Option<StreamId>, bytes: u64) {
        let rtt = self.longest_rtt();
        self.recv_window.on_consumed(bytes);
        let growth = match self.pressure {
            Pressure::None => Growth::Allowed,
            Pressure::High | Pressure::Exceeded => Growth::Denied,
        };
        let mut is_news = self.recv_window.next_update(now, rtt, growth).is_some();
        self.pending.max_data |= is_news;
        if let Some((id, stream)) = id.and_then(|id| self.recv.get_mut(&id).map(|stream| (id, stream)))
            && !stream.is_complete()
            && stream.window.next_update(now, rtt, growth).is_some()
        {
            self.pending.max_stream_data.insert(id);
            is_news = true;
        }
        if is_news {
            self.wake_for_control(now);
        }
    }

    /// The application wants no more of the stream.
    pub fn stop(&mut self, now: Time, id: StreamId, code: AppCode) -> Result<(), ReadError> {
        let stream = self.recv.get_mut(&id).ok_or(ReadError::Closed { stream: id })?;
        let held_before = stream.held();
        let freed = stream.stop(code).ok_or(ReadError::Closed { stream: id })?;
        self.held.exchange(held_before, stream.held());
        if matches!(stream.state, RecvState::Stopped { .. }) {
            self.pending.stops.insert(id);
            self.wake_for_control(now);
        }
        self.consumed(now, None, freed);
        self.retire_recv(id);
        Ok(())
    }

    /// The application lets go of a sending half; an open one is finished, as if `finish` had been called.
    pub fn release_send(&mut self, id: StreamId) {
        // Finishing what is over already changes nothing, so there is nothing to report.
        let _ = self.finish(id);
        if let Some(stream) = self.send.get_mut(&id) {
            stream.released = true;
        }
        self.retire_send(id);
    }

    /// The application lets go of a receiving half; what it has not read is stopped with code 0.
    pub fn release_recv(&mut self, now: Time, id: StreamId) {
        // Stopping what is over already changes nothing, so there is nothing to report.
        let _ = self.stop(now, id, AppCode(0));
        if let Some(stream) = self.recv.get_mut(&id) {
            stream.released = true;
        }
        self.retire_recv(id);
    }

    /// Whether the peer has all of a stream: `None` while it has not, then how that ended.
    pub fn send_outcome(&self, id: StreamId) -> Option<Result<(), WriteError>> {
        let stream = self.send.get(&id)?;
        match (&self.state, stream.state, stream.stopped) {
            (_, _, Some(code)) => Some(Err(WriteError::Stopped { stream: id, code })),
            (_, SendState::Done, None) => Some(Ok(())),
            (_, SendState::Reset { .. }, None) => Some(Err(WriteError::Closed { stream: id })),
            (State::Closed { error, .. }, ..) => Some(Err(WriteError::Session(error.clone()))),
            (_, SendState::Open | SendState::Finished, None) => None,
        }
    }

    /// Forgets a sending half once nobody needs it.
    pub(super) fn retire_send(&mut self, id: StreamId) {
        if self.send.get(&id).is_some_and(SendStream::is_forgettable) {
            self.send.remove(&id);
            self.redundant.remove(&id);
            self.replenish(id);
        }
    }

    /// Forgets a receiving half once nobody needs it.
    pub(super) fn retire_recv(&mut self, id: StreamId) {
        if self.recv.get(&id).is_some_and(RecvStream::is_forgettable) {
            self.recv.remove(&id);
            self.pending.stops.remove(&id);
            self.pending.max_stream_data.remove(&id);
            self.replenish(id);
        }
    }

    /// When both halves of one of the peer's streams are forgotten, it may open another.
    fn replenish(&mut self, id: StreamId) {
        if id.initiator() == self.side || self.send.contains_key(&id) || self.recv.contains_key(&id) {
            return;
        }
        self.ids.replenish(id.dir());
        match id.dir() {
            Dir::Bi => self.pending.max_streams_bidi = true,
            Dir::Uni => self.pending.max_streams_uni = true,
        }
        if let Some(best) = self.control_path() {
            self.wake(best);
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
        let sequence = self.next_datagram;
        self.next_datagram += 1;
        let everywhere = policy == PathPolicy::Redundant || self.scheduler.copies() == Copies::Everywhere;
        let policies = if everywhere {
            self.paths
                .keys()
                .filter(|path| self.is_usable(**path))
                .map(|path| PathPolicy::Pin(*path))
                .collect()
        } else {
            vec![policy]
        };
        for policy in policies {
            let tag = DatagramTag { policy, sequence };
            self.datagrams_out.push(Datagram { data: data.clone(), deadline, tag });
        }
        self.wake_all();
        Ok(())
    }

    /// The longest datagram that the peer takes and a path carries; `None` when there are none.
    pub fn max_datagram_bytes(&self) -> Option<usize> {
        let peer = self.peer_parameters.as_ref().map_or(u64::MAX, |peer| peer.max_datagram_bytes);
        let peer = usize::try_from(peer).unwrap_or(usize::MAX);
        let path =
            self.paths.values().filter(|path| path.is_attached()).map(|path| path.max_datagram_bytes).max();
        // A session without a path keeps datagrams for the next one, so the last known limit would do; the
        // smallest that every QUIC path carries is the honest guess.
        let max = peer.min(path.unwrap_or(1_000));
        (max > 0).then_some(max)
    }

    /// The oldest datagram that has arrived.
    pub fn recv_datagram(&mut self, now: Time) -> Option<Bytes> {
        self.datagrams_in.pop(now).map(|datagram| datagram.data)
    }

    /// Client: adds a path to `address`, and keeps one there until it is removed.
    pub fn add_path(&mut self, now: Time, address: PathAddress) -> Result<PathId, PathError> {
        self.check_alive()?;
        if self.side == Side::Server {
            return Err(PathError::NotClient);
        }
        if self.destinations.len() >= self.max_paths() {
            return Err(PathError::TooMany { max: self.max_paths() });
        }
        if self.id.is_none() {
            return Err(PathError::NotOpen);
        }
        // Whatever else is due is dialled first, so that the next id is this one's.
        self.dial_due(now);
        let path = PathId(self.next_path);
        self.destinations.add(now, address);
        self.dial_due(now);
        match self.paths.get_mut(&path) {
            Some(entry) => {
                entry.opened_by_application = true;
                Ok(path)
            }
            // Other addresses are being dialled in place of paths that were lost: no room for this one.
            None => {
                self.destinations.forget_undialled();
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
        priority: u64,
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
        if self.advice.values().filter(|advice| matches!(advice, Advice::Add(_))).count() >= max {
            return Err(AdvertiseError::TooMany { max });
        }
        let advice = self.next_advice;
        self.next_advice += 1;
        let add = AddPath { advice, priority, relay: false, authority, certificate_hash: pin };
        self.advice.insert(advice, Advice::Add(add));
        self.pending.advice.insert(advice);
        self.wake_for_control(now);
        Ok(advice)
    }

    /// Server: withdraws an address; the client closes the path that came of it.
    pub fn withdraw(&mut self, now: Time, advice: u64) {
        if let Some(entry) = self.advice.get_mut(&advice) {
            *entry = Advice::Withdrawn;
            self.pending.advice.insert(advice);
            self.wake_for_control(now);
        }
    }

    /// No new streams from either end; those that are open go on.
    pub fn drain(&mut self, now: Time) {
        self.draining.own = true;
        self.pending.go_away = true;
        self.wake_for_control(now);
    }

    /// Ends the session once the peer has acknowledged everything written, or `close_timeout` has passed.
    pub fn close(&mut self, now: Time, code: AppCode, reason: Bytes) {
        match self.state {
            State::Opening => self.abort(now, code, reason),
            State::Open => {
                let reason = clip(reason);
                let until = now + self.config.close_timeout;
                self.state = State::Flushing { code, reason, until };
                self.check_flushed(now);
            }
            State::Flushing { .. } | State::Closed { .. } => {}
        }
    }

    /// Ends the session at once.
    pub fn abort(&mut self, now: Time, code: AppCode, reason: Bytes) {
        let close = Close { application: true, code: code.0, reason: clip(reason) };
        let undelivered_bytes = self.undelivered_bytes();
        self.end(now, SessionError::LocallyClosed { code, undelivered_bytes }, Some(close));
    }

    /// Ends the session at once, through no fault of the peer's: something here has failed, and nobody knows how far
    /// it came.
    pub fn fail(&mut self, now: Time, reason: String) {
        let close =
            Close { application: false, code: TransportCode::Internal.as_u64(), reason: Bytes::new() };
        self.end(now, SessionError::Failed { reason }, Some(close));
    }

    /// Whether the session has ended, or is about to.
    pub fn close_state(&self) -> CloseState {
        match &self.state {
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
        matches!(self.state, State::Closed { .. })
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.send.values().all(SendStream::is_flushed) && self.pending.resets.is_empty()
    }

    pub(super) fn check_flushed(&mut self, now: Time) {
        if matches!(self.state, State::Flushing { .. }) && self.is_flushed() {
            self.end_flush(now);
        }
    }

    pub(super) fn end_flush(&mut self, now: Time) {
        let State::Flushing { code, reason, .. } = &self.state else { return };
        let (code, reason) = (*code, reason.clone());
        self.abort(now, code, reason);
    }

    fn undelivered_bytes(&self) -> u64 {
        self.send.values().map(SendStream::undelivered_bytes).sum()
    }

    fn check_alive(&self) -> Result<(), SessionError> {
        match &self.state {
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
        self.destinations.clear();
        self.suspended_since = None;
        self.overdue_at = None;
        self.close_all_paths(now, code, say.is_some());
        self.state = State::Closed { error, said: say };
        self.send.values_mut().for_each(SendStream::abandon);
        self.retained_bytes = 0;
        self.unsent_bytes = 0;
        self.ready.clear();
        self.outstanding.clear();
        self.writers.clear();
        self.events.push_back(Event::Closed);
    }
}

/// As much of a reason as fits on the wire.
fn clip(mut reason: Bytes) -> Bytes {
    reason.truncate(MAX_REASON_BYTES);
    reason
}
