//! Sending halves of all streams: writes, acknowledgements, and what has to be sent again.

use bytes::Bytes;

use super::Streams;
use super::chunk::{PathFailure, SendOutcome};
use super::recv::Violation;
use super::send::{OVERDUE, SendState, SendStream};
use super::send_lanes::PathLane;
use crate::proto::carrier::LaneCommand;
use crate::proto::config::PathPolicy;
use crate::proto::effects::{ControlWake, Effects};
use crate::proto::error::WriteError;
use crate::proto::event::Event;
use crate::proto::futile::Use;
use crate::proto::memory::Pressure;
use crate::proto::time::Time;
use crate::proto::wire::code::{AppCode, TransportCode};
use crate::proto::wire::frame::{Ack, Frame};
use crate::proto::wire::id::{LaneId, PathId, StreamId};

/// What a session keeps for a peer that has not acknowledged anything yet; it grows by what the peer acknowledges. As
/// much as one stream may keep, so that a transfer of one stream never notices.
const UNPROVEN_SEND_BUFFER_BYTES: usize = 8 << 20;

/// What a session may keep for its peer while the server is short of memory: a short answer's worth, which goes on.
const PRESSED_SEND_BUFFER_BYTES: usize = 256 * 1024;

/// The least room that is worth waking a writer for.
const WRITER_WAKE_BYTES: usize = 64 * 1024;

impl Streams {
    // ---- the application ----

    /// Takes as much of `data` as there is room for.
    pub(crate) fn write(&mut self, id: StreamId, data: &mut Bytes) -> Result<usize, WriteError> {
        let room = self.room_for(id);
        let stream = open_half(self.send.get_mut(&id), id)?;
        let take = data.len().min(room);
        if take > 0 {
            stream.write(data.split_to(take));
            self.totals.retained += take as u64;
            self.totals.unsent += take as u64;
            self.enqueue(id);
        }
        if data.is_empty() {
            self.writers.remove(id);
        } else {
            self.queue_writer(id);
        }
        Ok(take)
    }

    /// Whether a write of at least one byte would be taken, or fail at once.
    pub(crate) fn is_writable(&self, id: StreamId) -> bool {
        match self.send.get(&id) {
            Some(stream) if stream.state == SendState::Open => self.room_for(id) > 0,
            _ => true,
        }
    }

    fn room_for(&self, id: StreamId) -> usize {
        self.own_room(id).min(self.session_room())
    }

    /// What the stream's own limits leave.
    fn own_room(&self, id: StreamId) -> usize {
        let Some(stream) = self.send.get(&id) else { return 0 };
        left(self.limits.send_buffer_bytes, stream.retained_bytes())
            .min(left(self.limits.unsent_bytes, stream.unsent_bytes()))
    }

    /// What the limit of all together leaves.
    fn session_room(&self) -> usize {
        left(self.session_send_buffer_bytes(), self.totals.retained)
    }

    fn session_send_buffer_bytes(&self) -> usize {
        let limit = self.limits.session_send_buffer_bytes;
        let proven = usize::try_from(self.totals.acknowledged).unwrap_or(usize::MAX);
        match self.pressure {
            Pressure::None => limit.min(UNPROVEN_SEND_BUFFER_BYTES.saturating_add(proven)),
            Pressure::High | Pressure::Exceeded => limit.min(PRESSED_SEND_BUFFER_BYTES),
        }
    }

    /// The least room that is worth waking a writer for.
    fn worthwhile_room(&self) -> usize {
        WRITER_WAKE_BYTES
            .min(self.limits.send_buffer_bytes / 2)
            .min(self.limits.unsent_bytes / 2)
            .min(self.session_send_buffer_bytes() / 2)
            .max(1)
    }

    /// There may be more room in this stream: tells its writer, if it waits and there is enough to be worth its while.
    pub(super) fn notify_writer(&mut self, id: StreamId, effects: &mut Effects) {
        if !self.writers.contains(id) {
            return;
        }
        if self.room_for(id) < self.worthwhile_room() {
            self.queue_writer(id);
        } else {
            self.writers.remove(id);
            effects.events.push_back(Event::Writable(id));
        }
    }

    /// The stream's writer waits: for room of its own as long as that is short, then for the session's.
    fn queue_writer(&mut self, id: StreamId) {
        if self.own_room(id) < self.worthwhile_room() {
            self.writers.wait_for_own(id);
        } else {
            self.writers.wait_for_session(id);
        }
    }

    /// There may be more room for all streams together: tells the writers that wait for nothing else.
    pub(crate) fn notify_writers(&mut self, effects: &mut Effects) {
        if self.session_room() < self.worthwhile_room() {
            return;
        }
        for id in self.writers.for_session() {
            self.notify_writer(id, effects);
        }
    }

    /// Ends the stream after what was written.
    pub(crate) fn finish(&mut self, id: StreamId) -> Result<(), WriteError> {
        open_half(self.send.get_mut(&id), id)?.finish();
        self.enqueue(id);
        Ok(())
    }

    /// Gives the stream up: what the peer does not have yet, it will not get.
    pub(crate) fn reset(
        &mut self,
        now: Time,
        id: StreamId,
        code: AppCode,
        effects: &mut Effects,
    ) -> Result<(), WriteError> {
        let stream = self.send.get_mut(&id).ok_or(WriteError::Closed { stream: id })?;
        if !stream.is_sending() {
            return Err(WriteError::Closed { stream: id });
        }
        stream.progress_at = now;
        let (retained, unsent) = (stream.retained_bytes(), stream.unsent_bytes());
        for PathLane { path, lane } in stream.reset(code) {
            effects.command(path, LaneCommand::Reset(lane));
        }
        self.totals.retained -= retained;
        self.totals.unsent -= unsent;
        self.outstanding.remove(&id);
        self.writers.remove(id);
        self.ending.insert(id);
        self.overdue_at.get_or_insert(now + OVERDUE);
        effects.control.resets.insert(id);
        effects.wake_control(ControlWake::Due);
        Ok(())
    }

    /// Streams of a higher priority go first.
    pub(crate) fn set_priority(&mut self, id: StreamId, priority: i32) {
        let Some(stream) = self.send.get_mut(&id) else { return };
        stream.priority = priority;
        self.requeue(id);
    }

    /// On which paths the stream may travel.
    pub(crate) fn set_policy(&mut self, id: StreamId, policy: PathPolicy) {
        let Some(stream) = self.send.get_mut(&id) else { return };
        stream.policy = policy;
        stream.deadline_passed = false;
        self.redundant.remove(&id);
        self.timed.remove(&id);
        match policy {
            PathPolicy::Redundant => drop(self.redundant.insert(id)),
            PathPolicy::Deadline(_) => drop(self.timed.insert(id)),
            PathPolicy::Any | PathPolicy::Prefer(_) | PathPolicy::Pin(_) | PathPolicy::AvoidCostly => {}
        }
    }

    /// Whether the peer has all of a stream, and how that ended, while the session lives: `None` while it has not.
    pub(crate) fn send_outcome(&self, id: StreamId) -> Option<SendOutcome> {
        let stream = self.send.get(&id)?;
        Some(match (stream.state, stream.stopped) {
            (_, Some(code)) => SendOutcome::Over(Err(WriteError::Stopped { stream: id, code })),
            (SendState::Done, None) => SendOutcome::Over(Ok(())),
            (SendState::Reset { .. }, None) => SendOutcome::Over(Err(WriteError::Closed { stream: id })),
            (SendState::Open | SendState::Finished, None) => SendOutcome::Pending,
        })
    }

    /// The application lets go of its handle.
    pub(crate) fn release_send(&mut self, id: StreamId, effects: &mut Effects) {
        if let Some(stream) = self.send.get_mut(&id) {
            stream.released = true;
        }
        self.retire_send(id, effects);
    }

    /// Forgets a sending half once neither end needs it.
    fn retire_send(&mut self, id: StreamId, effects: &mut Effects) {
        if self.send.get(&id).is_some_and(SendStream::is_forgettable) {
            self.send.remove(&id);
            self.writers.remove(id);
            self.redundant.remove(&id);
            self.timed.remove(&id);
            self.on_forgotten(id, effects);
        }
    }

    // ---- the peer ----

    /// MAX_DATA. Whether it allows more than before.
    pub(crate) fn on_max_data(&mut self, max_bytes: u64) -> Use {
        if self.credit.raise(max_bytes) { Use::Some } else { Use::None }
    }

    /// MAX_STREAM_DATA.
    pub(crate) fn on_max_stream_data(
        &mut self,
        id: StreamId,
        max_bytes: u64,
        effects: &mut Effects,
    ) -> Result<Use, Violation> {
        self.learn_own_half(id, effects)?;
        if !self.send.get_mut(&id).is_some_and(|stream| stream.credit.raise(max_bytes)) {
            return Ok(Use::None);
        }
        self.enqueue(id);
        Ok(Use::Some)
    }

    /// ACK.
    pub(crate) fn on_ack(&mut self, now: Time, ack: &Ack, effects: &mut Effects) -> Result<Use, Violation> {
        let id = ack.stream;
        self.learn_own_half(id, effects)?;
        let Some(stream) = self.send.get_mut(&id) else { return Ok(Use::None) };
        if stream.is_sending() && !stream.is_ack_plausible(ack) {
            let what = format!("an acknowledgement of bytes of stream {id} that were never sent");
            return Err(Violation::new(TransportCode::ProtocolViolation, what));
        }
        let (retained, unsent) = (stream.retained_bytes(), stream.unsent_bytes());
        let mut is_news = stream.on_ack(now, ack) > 0;
        if ack.complete && stream.state != SendState::Done {
            is_news = true;
            for PathLane { path, lane } in stream.on_complete() {
                effects.command(path, LaneCommand::Finish(lane));
            }
            effects.control.resets.remove(&id);
            self.ending.remove(&id);
            effects.events.push_back(Event::SendDone(id));
            effects.events.push_back(Event::Writable(id));
        }
        let let_go = retained - stream.retained_bytes();
        self.totals.retained -= let_go;
        self.totals.acknowledged += let_go;
        self.totals.unsent -= unsent - stream.unsent_bytes();
        if !stream.has_outstanding() {
            self.outstanding.remove(&id);
        }
        if !is_news {
            return Ok(Use::None);
        }
        self.notify_writer(id, effects);
        self.notify_writers(effects);
        self.retire_send(id, effects);
        Ok(Use::Some)
    }

    /// STOP_SENDING.
    pub(crate) fn on_stop_sending(
        &mut self,
        now: Time,
        id: StreamId,
        code: AppCode,
        effects: &mut Effects,
    ) -> Result<Use, Violation> {
        self.learn_own_half(id, effects)?;
        let Some(stream) = self.send.get_mut(&id).filter(|stream| stream.is_sending()) else {
            return Ok(Use::None);
        };
        stream.stopped = Some(code);
        if self.reset(now, id, code, effects).is_err() {
            return Ok(Use::None);
        }
        effects.events.push_back(Event::Writable(id));
        effects.events.push_back(Event::SendDone(id));
        Ok(Use::Some)
    }

    /// The peer has opened `lane` for a bidirectional stream: this end answers on it, or ends its half at once.
    pub(crate) fn on_peer_lane(&mut self, path: PathId, lane: LaneId, id: StreamId, effects: &mut Effects) {
        match self.send.get_mut(&id) {
            Some(stream) if stream.is_sending() && stream.open_lane(path).is_none() => {
                stream.add_lane(PathLane { path, lane });
            }
            _ => effects.command(path, LaneCommand::Finish(lane)),
        }
    }

    /// Whether this end answers on `lane` already.
    pub(crate) fn answers_on(&self, path: PathId, lane: LaneId, id: StreamId) -> bool {
        self.send.get(&id).is_some_and(|stream| stream.open_lane(path) == Some(lane))
    }

    // ---- paths ----

    /// The peer reads no more from a lane: what was on it goes another way.
    pub(crate) fn on_lane_lost(&mut self, path: PathId, lane: LaneId) {
        self.for_each_sending(|stream| stream.on_lane_lost(PathLane { path, lane }));
    }

    /// Makes what `path` carries, and none of the `healthy` ones does, work for the others.
    pub(crate) fn on_path_failed(&mut self, path: PathId, failure: PathFailure, healthy: &[PathId]) {
        let is_healthy = |id: PathId| healthy.contains(&id);
        self.for_each_sending(|stream| {
            match failure {
                PathFailure::Silent => stream.on_path_silent(path, is_healthy),
                PathFailure::Closed => stream.on_path_closed(path, is_healthy),
            }
            stream.ask_again();
        });
    }

    /// `path` answers again: what it carries need not go again.
    pub(crate) fn on_path_recovered(&mut self, path: PathId) {
        self.send.values_mut().for_each(|stream| stream.on_path_recovered(path));
    }

    // ---- time ----

    /// When to look for ends whose acknowledgement is overdue.
    pub(crate) fn overdue_at(&self) -> Option<Time> {
        self.overdue_at
    }

    /// Streams whose last acknowledgement should have come by now; each has longer the next time.
    pub(crate) fn take_overdue(&mut self, now: Time) -> Vec<StreamId> {
        self.overdue_at = (!self.ending.is_empty()).then_some(now + OVERDUE);
        let mut overdue = Vec::new();
        for id in &self.ending {
            if self.send.get_mut(id).is_some_and(|stream| stream.is_overdue(now)) {
                overdue.push(*id);
            }
        }
        overdue
    }

    /// Asks the peer how these streams have ended for it, by saying once more how they ended here.
    pub(crate) fn ask_again(&mut self, ids: &[StreamId], effects: &mut Effects) {
        for id in ids {
            match self.send.get_mut(id) {
                Some(stream) if stream.state == SendState::Finished => stream.ask_again(),
                Some(_) => drop(effects.control.resets.insert(*id)),
                None => {}
            }
            self.enqueue(*id);
        }
    }

    /// When half of a stream's time will have passed without an acknowledgement.
    pub(crate) fn policy_deadline(&self) -> Option<Time> {
        let streams = self.timed.intersection(&self.outstanding).filter_map(|id| self.send.get(id));
        streams.filter(|stream| !stream.deadline_passed).filter_map(SendStream::half_time).min()
    }

    /// Looks for streams of which half the time has passed. Whether there are any.
    pub(crate) fn check_policy_deadlines(&mut self, now: Time) -> bool {
        let mut late = false;
        for id in &self.timed {
            if let Some(stream) = self.send.get_mut(id)
                && let Some(half_time) = stream.half_time()
            {
                stream.deadline_passed = now >= half_time;
                late |= stream.deadline_passed;
            }
        }
        late
    }

    // ---- questions ----

    /// Whether everything written so far, and each end that was given, is acknowledged.
    pub(crate) fn is_flushed(&self) -> bool {
        self.send.values().all(SendStream::is_flushed)
    }

    /// Bytes that the peer has not acknowledged.
    pub(crate) fn undelivered_bytes(&self) -> u64 {
        self.send.values().map(SendStream::undelivered_bytes).sum()
    }

    /// RESET_STREAM, if the stream is still in need of one.
    pub(crate) fn reset_frame(&self, id: StreamId) -> Option<Frame> {
        let stream = self.send.get(&id)?;
        let SendState::Reset { code } = stream.state else { return None };
        Some(Frame::ResetStream { stream: id, code: code.as_u64(), final_size: stream.final_size() })
    }
}

fn left(limit: usize, used: u64) -> usize {
    limit.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX))
}

/// A half that takes bytes, or the error for a write to it.
fn open_half(stream: Option<&mut SendStream>, id: StreamId) -> Result<&mut SendStream, WriteError> {
    let stream = stream.ok_or(WriteError::Closed { stream: id })?;
    if let Some(code) = stream.stopped {
        return Err(WriteError::Stopped { stream: id, code });
    }
    if stream.state != SendState::Open {
        return Err(WriteError::Closed { stream: id });
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::config::SessionConfig;
    use crate::proto::streams::send_lanes::Expected;
    use crate::proto::wire::frame::Parameters;
    use crate::proto::wire::id::{Dir, Side};

    fn streams() -> Streams {
        let mut streams = Streams::new(Side::Client, &SessionConfig::default());
        streams.on_peer_parameters(&Parameters {
            initial_max_data_bytes: 1_000,
            initial_max_stream_data_bytes: 1_000,
            initial_max_streams_bidi: 4,
            ..Parameters::default()
        });
        streams
    }

    #[test]
    fn totals_follow_what_is_written_reset_and_acknowledged() {
        let (mut streams, mut effects) = (streams(), Effects::default());
        let (first, second) = (streams.open(Dir::Bi).unwrap(), streams.open(Dir::Bi).unwrap());
        assert_eq!(streams.write(first, &mut Bytes::from_static(b"hello")), Ok(5));
        assert_eq!(streams.write(second, &mut Bytes::from_static(b"abc")), Ok(3));
        assert_eq!((streams.totals().retained, streams.totals().unsent), (8, 8));
        streams.reset(Time::ZERO, first, AppCode::new(1), &mut effects).unwrap();
        assert_eq!((streams.totals().retained, streams.totals().unsent), (3, 3));
        assert_eq!(effects.take_wake(), ControlWake::Due);
        assert!(effects.control.resets.contains(&first));
        let complete = Ack { stream: first, complete: true, contiguous: 0, ranges: Vec::new() };
        assert_eq!(streams.on_ack(Time::ZERO, &complete, &mut effects), Ok(Use::Some));
        assert!(!effects.control.resets.contains(&first), "the peer knows");
        assert_eq!(streams.overdue_at(), Some(Time::ZERO + OVERDUE));
        assert_eq!(streams.take_overdue(Time::ZERO + OVERDUE), []);
        assert_eq!(streams.overdue_at(), None, "no end is awaited");
    }

    /// What the events say of writers.
    fn told(effects: &mut Effects) -> Vec<StreamId> {
        let writable = |event| if let Event::Writable(id) = event { Some(id) } else { None };
        effects.events.drain(..).filter_map(writable).collect()
    }

    /// The peer has the first `bytes` of a stream, all of which went out.
    fn deliver(streams: &mut Streams, id: StreamId, bytes: u64) -> Vec<StreamId> {
        let at = PathLane { path: PathId(0), lane: LaneId(id.0) };
        let stream = streams.send.get_mut(&id).unwrap();
        stream.add_lane(at);
        let (unsent, end) = (stream.unsent_bytes(), stream.final_size() + stream.unsent_bytes());
        let expected = Expected { arrival: Time::ZERO, overdue_at: Time::ZERO };
        stream.on_sent(Time::ZERO, at, 0..end, expected);
        streams.totals.unsent -= unsent;
        let ack = Ack { stream: id, complete: false, contiguous: bytes, ranges: Vec::new() };
        let mut effects = Effects::default();
        streams.on_ack(Time::ZERO, &ack, &mut effects).unwrap();
        told(&mut effects)
    }

    #[test]
    fn a_writer_is_told_of_room_of_its_own_and_of_the_sessions_if_that_is_what_it_waits_for() {
        let mut streams = streams();
        streams.limits.send_buffer_bytes = 100;
        streams.limits.session_send_buffer_bytes = 250;
        let [first, second, third, fourth] = std::array::from_fn(|_| streams.open(Dir::Bi).unwrap());
        let write = |streams: &mut Streams, id, len| streams.write(id, &mut Bytes::from(vec![7; len]));
        assert_eq!(write(&mut streams, first, 150), Ok(100));
        assert_eq!(write(&mut streams, second, 150), Ok(100));
        assert_eq!(write(&mut streams, third, 100), Ok(50), "the session is full");
        assert_eq!(write(&mut streams, fourth, 10), Ok(0), "it has nothing under way");
        assert_eq!(deliver(&mut streams, first, 40), [], "40 bytes are not worth a wake-up");
        assert_eq!(
            deliver(&mut streams, first, 60),
            [first, third, fourth],
            "there is room for all who can use it"
        );
        assert_eq!(deliver(&mut streams, first, 100), [], "each is told once");
        assert_eq!(write(&mut streams, fourth, 150), Ok(100));
        assert_eq!(write(&mut streams, first, 10), Ok(0), "the session is full again");
        assert_eq!(deliver(&mut streams, second, 100), [second, first]);
    }

    #[test]
    fn streams_with_a_deadline_are_found_without_looking_at_the_others() {
        let mut streams = streams();
        let (first, second) = (streams.open(Dir::Bi).unwrap(), streams.open(Dir::Bi).unwrap());
        streams.set_policy(first, PathPolicy::Deadline(OVERDUE));
        streams.set_policy(second, PathPolicy::Redundant);
        assert!(streams.check_policy_deadlines(Time::ZERO + OVERDUE));
        streams.set_policy(first, PathPolicy::Any);
        assert!(!streams.check_policy_deadlines(Time::ZERO + OVERDUE));
        assert!(streams.timed.is_empty() && streams.redundant.contains(&second));
    }
}
