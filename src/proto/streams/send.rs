//! The sending half of one stream: what was written, what was sent, what has to be sent again.
//!
//! ```text
//!            finish            all acknowledged
//!   Open ------------> Finished ----------------> Done
//!     | reset / stopped    | reset / stopped       ^
//!     +--------> Reset <---+      confirmed        |
//!                  +-------------------------------+
//! ```
//!
//! The end of the stream is treated as one more byte, at the offset of the final size. So whatever keeps the
//! account of bytes (what was sent on which path, what is to be sent again) keeps that of the end, too.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::flow::SendCredit;
use super::ready::Place;
use super::send_buffer::SendBuffer;
use super::send_lanes::{Expected, LaneToWrite, PathLane, SendLanes};
use crate::proto::config::PathPolicy;
use crate::proto::range_set::RangeSet;
use crate::proto::time::Time;
use crate::proto::wire::code::AppCode;
use crate::proto::wire::frame::Ack;
use crate::proto::wire::id::{Dir, LaneId, PathId, Side, StreamId};
use crate::proto::wire::limits::MAX_STREAM_CHUNKS_OUTSTANDING;

/// An end that is not acknowledged within this time is asked about; each further time it takes twice as long.
pub(crate) const OVERDUE: Duration = Duration::from_secs(1);

/// Where a sending half is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendState {
    Open,
    Finished,
    Reset { code: AppCode },
    Done,
}

/// What to send next, and whether it was sent before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Never sent before.
    New(Range<u64>),
    /// Lost, as far as anyone can tell, with a silent or closed path.
    Again(Range<u64>),
}

#[derive(Debug)]
pub(crate) struct SendStream {
    pub(crate) id: StreamId,
    pub(crate) state: SendState,
    pub(crate) priority: i32,
    pub(crate) policy: PathPolicy,
    pub(crate) credit: SendCredit,
    /// The application has let go of its handle.
    pub(crate) released: bool,
    /// The peer's code, if it stopped reading.
    pub(crate) stopped: Option<AppCode>,
    /// Where it stands in the session's queue of streams with something to send.
    pub(crate) queued: Option<Place>,
    /// When acknowledgement last advanced, or the first byte went out.
    pub(crate) progress_at: Time,
    /// Half of a `PathPolicy::Deadline` has passed without an acknowledgement.
    pub(crate) deadline_passed: bool,
    /// How long after its last sign of progress the peer is asked whether it has everything.
    completion_timeout: Duration,
    buffer: SendBuffer,
    /// First offset that was never sent; one past the final size when the end was sent, too.
    next: u64,
    again: RangeSet,
    lanes: SendLanes,
}

impl SendStream {
    pub(crate) fn new(id: StreamId, credit_bytes: u64) -> Self {
        Self {
            id,
            state: SendState::Open,
            priority: 0,
            policy: PathPolicy::Any,
            credit: SendCredit::new(credit_bytes),
            released: false,
            stopped: None,
            queued: None,
            progress_at: Time::ZERO,
            deadline_passed: false,
            completion_timeout: OVERDUE,
            buffer: SendBuffer::new(MAX_STREAM_CHUNKS_OUTSTANDING),
            next: 0,
            again: RangeSet::new(),
            lanes: SendLanes::default(),
        }
    }

    /// Bytes kept until they are acknowledged.
    pub(crate) fn retained_bytes(&self) -> u64 {
        self.buffer.retained_bytes()
    }

    /// Bytes that were never sent.
    pub(crate) fn unsent_bytes(&self) -> u64 {
        self.buffer.end_offset().saturating_sub(self.next)
    }

    /// Bytes that the peer has not acknowledged.
    pub(crate) fn undelivered_bytes(&self) -> u64 {
        match self.state {
            SendState::Open | SendState::Finished => self.unacked_bytes(),
            SendState::Reset { .. } | SendState::Done => 0,
        }
    }

    /// Whether everything written so far, and the end if it was given, is acknowledged.
    pub(crate) fn is_flushed(&self) -> bool {
        match self.state {
            SendState::Open => self.unacked_bytes() == 0,
            SendState::Finished | SendState::Reset { .. } => false,
            SendState::Done => true,
        }
    }

    fn unacked_bytes(&self) -> u64 {
        self.buffer.end_offset() - self.buffer.acked().total()
    }

    /// Takes bytes from the application; the caller has checked that there is room.
    pub(crate) fn write(&mut self, data: Bytes) {
        debug_assert_eq!(self.state, SendState::Open);
        self.buffer.push(data);
    }

    pub(crate) fn finish(&mut self) {
        if self.state == SendState::Open {
            self.state = SendState::Finished;
        }
    }

    /// Drops what is kept, which will not be sent again.
    fn let_go(&mut self) {
        self.buffer.ack(0..self.buffer.end_offset());
        self.again = RangeSet::new();
    }

    /// The session is over: nothing is sent or kept any more.
    pub(crate) fn abandon(&mut self) {
        self.let_go();
        self.lanes.clear();
    }

    /// Gives up; returns the lanes to reset.
    pub(crate) fn reset(&mut self, code: AppCode) -> Vec<PathLane> {
        self.state = SendState::Reset { code };
        self.let_go();
        self.take_open_lanes()
    }

    /// The size to state in a RESET_STREAM: flow control has counted this much.
    pub(crate) fn final_size(&self) -> u64 {
        self.next.min(self.buffer.end_offset())
    }

    /// Whether the peer needs nothing more and the application has let go.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.state == SendState::Done && self.released
    }

    /// One past what can be sent in all, the end included.
    fn end(&self) -> u64 {
        let end = self.buffer.end_offset();
        if self.state == SendState::Finished { end + 1 } else { end }
    }

    /// Whether bytes of it may still go out.
    pub(crate) fn is_sending(&self) -> bool {
        matches!(self.state, SendState::Open | SendState::Finished)
    }

    /// Whether there is anything that waits to be sent, given the session's credit.
    pub(crate) fn has_work(&self, session_credit: u64) -> bool {
        self.is_sending() && (!self.again.is_empty() || !self.new_range(session_credit).is_empty())
    }

    fn new_range(&self, session_credit: u64) -> Range<u64> {
        if self.lanes.fragments() >= MAX_STREAM_CHUNKS_OUTSTANDING {
            return self.next..self.next;
        }
        let written = self.buffer.end_offset();
        let credit = self.credit.available().min(session_credit);
        let allowed = written.min(self.next.saturating_add(credit));
        if allowed >= written {
            self.next..self.end().max(self.next)
        } else {
            self.next..allowed.max(self.next)
        }
    }

    /// The next piece, what was lost first. A path that is `suspect` still has what it was given: to give it
    /// the same again would not help.
    pub(crate) fn next_piece(
        &self,
        max_bytes: u64,
        session_credit: u64,
        suspect: Option<PathId>,
    ) -> Option<Piece> {
        if !self.is_sending() {
            return None;
        }
        let unsent =
            |range| suspect.map_or(Some(Range::clone(&range)), |path| self.lanes.first_gap_on(path, range));
        if let Some(range) = self.again.iter().find_map(unsent) {
            return Some(Piece::Again(self.cut(range, max_bytes)));
        }
        let range = self.new_range(session_credit);
        if range.is_empty() { None } else { Some(Piece::New(self.cut(range, max_bytes))) }
    }

    /// At most `max_bytes`, where the end of the stream comes for free.
    pub(crate) fn cut(&self, range: Range<u64>, max_bytes: u64) -> Range<u64> {
        let end = range.start.saturating_add(max_bytes.max(1)).min(range.end);
        if end == self.buffer.end_offset() && end < range.end {
            range.start..range.end
        } else {
            range.start..end
        }
    }

    /// The first outstanding range that `path` has not sent: what a copy on that path would carry.
    pub(crate) fn copy_for(&self, path: PathId, max_bytes: u64) -> Option<Range<u64>> {
        if !self.is_sending() {
            return None;
        }
        let mut from = self.buffer.acked_contiguous();
        while let Some(gap) = self.buffer.acked().first_gap(from..self.next) {
            match self.lanes.first_gap_on(path, gap.clone()) {
                Some(gap) => return Some(self.cut(gap, max_bytes)),
                None => from = gap.end,
            }
        }
        None
    }

    /// What other paths deliver after `arrival`, or should have delivered by now: what a copy on `path`, which
    /// arrives by then, would bring sooner.
    pub(crate) fn late_for(
        &self,
        path: PathId,
        now: Time,
        arrival: Time,
        max_bytes: u64,
    ) -> Option<Range<u64>> {
        if !self.is_sending() {
            return None;
        }
        let late = self.lanes.late_for(path, now, arrival, |range| self.missing_on(path, range));
        late.map(|range| self.cut(range, max_bytes))
    }

    /// The first part of `range` that is not acknowledged and that no lane of `path` carries.
    fn missing_on(&self, path: PathId, range: Range<u64>) -> Option<Range<u64>> {
        self.lanes.first_gap_on(path, self.buffer.acked().first_gap(range)?)
    }

    /// Whether anything is out there without an acknowledgement.
    pub(crate) fn has_outstanding(&self) -> bool {
        self.is_sending()
            && self.buffer.acked().first_gap(self.buffer.acked_contiguous()..self.next).is_some()
    }

    /// Whether the part of `range` at its end is the end of the stream, and how many bytes it has.
    pub(crate) fn payload(&self, range: &Range<u64>) -> Payload {
        let written = self.buffer.end_offset();
        let fin = self.state == SendState::Finished && range.end > written;
        let end = range.end.min(written);
        Payload { offset: range.start, len: end.saturating_sub(range.start), fin }
    }

    /// The longest slice at `offset`, up to `max_bytes`.
    pub(crate) fn slice(&mut self, offset: u64, max_bytes: u64) -> Bytes {
        self.buffer.slice(offset, usize::try_from(max_bytes).unwrap_or(usize::MAX))
    }

    /// The lane on `path` that can still be written to.
    pub(crate) fn open_lane(&self, path: PathId) -> Option<LaneId> {
        self.lanes.open_on(path)
    }

    /// The lane on `path` to write to. A header that is due is the caller's to write.
    pub(crate) fn lane_to_write(&mut self, path: PathId) -> Option<LaneToWrite> {
        self.lanes.writable_on(path)
    }

    /// Which kind of lane the next one on `path` is: the one that opened a bidirectional stream opens its first
    /// lane for both directions.
    pub(crate) fn next_lane_dir(&self, path: PathId, side: Side) -> Dir {
        let both_ways =
            self.id.dir() == Dir::Bi && self.id.initiator() == side && !self.lanes.has_any_on(path);
        if both_ways { Dir::Bi } else { Dir::Uni }
    }

    pub(crate) fn add_lane(&mut self, at: PathLane) {
        self.lanes.add(at);
    }

    /// `range` was written to a lane. Returns how many bytes of it were new to flow control.
    pub(crate) fn on_sent(&mut self, now: Time, at: PathLane, range: Range<u64>, expected: Expected) -> u64 {
        self.again.remove(range.clone());
        self.lanes.on_sent(at, range.clone(), expected);
        if range.end <= self.next {
            return 0;
        }
        let written = self.buffer.end_offset();
        let new_bytes = range.end.min(written).saturating_sub(self.next.min(written));
        if self.next == 0 || self.buffer.acked_contiguous() == self.next || range.end > written {
            self.progress_at = now;
        }
        self.next = range.end;
        self.credit.consume(new_bytes);
        new_bytes
    }

    /// The end of the stream went out on this lane: nothing may follow. Returns whether it was open.
    pub(crate) fn finish_lane(&mut self, at: PathLane) -> bool {
        self.lanes.finish(at)
    }

    /// Closes the books on all lanes; returns those that were still open.
    pub(crate) fn take_open_lanes(&mut self) -> Vec<PathLane> {
        self.lanes.take_open()
    }

    /// Applies an acknowledgement. The ranges were checked to lie within what was sent.
    pub(crate) fn on_ack(&mut self, now: Time, ack: &Ack) -> u64 {
        let mut freed = self.buffer.ack(0..ack.contiguous.min(self.next));
        for range in &ack.ranges {
            freed += self.buffer.ack(range.clone());
        }
        if freed > 0 {
            self.progress_at = now;
        }
        for range in std::iter::once(&(0..ack.contiguous)).chain(&ack.ranges) {
            self.again.remove(range.clone());
        }
        self.lanes.on_ack(self.buffer.acked_contiguous(), ack);
        freed
    }

    /// Whether an acknowledgement claims no more than was sent.
    pub(crate) fn is_ack_plausible(&self, ack: &Ack) -> bool {
        let sent = self.final_size();
        let ended = self.next > self.buffer.end_offset();
        (ended || !ack.complete)
            && ack.contiguous <= sent
            && ack.ranges.last().is_none_or(|range| range.end <= sent)
    }

    /// The peer has everything it will ever want. Returns the lanes to finish.
    pub(crate) fn on_complete(&mut self) -> Vec<PathLane> {
        self.state = SendState::Done;
        self.let_go();
        self.take_open_lanes()
    }

    /// `path` does not answer: what only it carries has to go again.
    ///
    /// `is_healthy` tells whether another path that carries the same bytes can be trusted with them.
    pub(crate) fn on_path_silent(&mut self, path: PathId, is_healthy: impl Fn(PathId) -> bool) {
        if !self.is_sending() {
            return;
        }
        let mut lost = self.lanes.only_on(path, is_healthy);
        for range in self.buffer.acked().iter() {
            lost.remove(range);
        }
        insert_all(&mut self.again, lost.iter());
    }

    /// An acknowledgement may have been lost with a path. A receiver that has everything has forgotten the
    /// stream and will not repeat it unless it is asked: the end, sent again, asks (PROTOCOL section 5.4).
    pub(crate) fn ask_again(&mut self) {
        let end = self.buffer.end_offset();
        if self.state == SendState::Finished && self.next > end {
            self.again.insert(end..end + 1);
        }
    }

    /// When half of its time has passed without an acknowledgement, if its policy is a deadline.
    pub(crate) fn half_time(&self) -> Option<Time> {
        match self.policy {
            PathPolicy::Deadline(within) => Some(self.progress_at + within / 2),
            _ => None,
        }
    }

    /// Whether all was said and only the peer's last word is missing.
    pub(crate) fn awaits_completion(&self) -> bool {
        match self.state {
            SendState::Open | SendState::Done => false,
            SendState::Finished => self.next > self.buffer.end_offset(),
            SendState::Reset { .. } => true,
        }
    }

    /// Whether that word should have come by now; if so, it is given longer the next time.
    pub(crate) fn is_overdue(&mut self, now: Time) -> bool {
        if !self.awaits_completion() || now < self.progress_at + self.completion_timeout {
            return false;
        }
        self.completion_timeout *= 2;
        self.progress_at = now;
        true
    }

    /// `path` answers again: its carrier delivers what it has, so that need not go again.
    pub(crate) fn on_path_recovered(&mut self, path: PathId) {
        self.lanes.sent_on(path).for_each(|range| self.again.remove(range));
    }

    /// `path` is gone, and its lanes with it.
    pub(crate) fn on_path_closed(&mut self, path: PathId, is_healthy: impl Fn(PathId) -> bool) {
        self.on_path_silent(path, is_healthy);
        self.lanes.forget_path(path);
        if self.policy == PathPolicy::Pin(path) {
            self.policy = PathPolicy::Any;
        }
    }

    /// A lane broke while its path lives on.
    pub(crate) fn on_lane_lost(&mut self, at: PathLane) {
        let Some(lost) = self.lanes.remove(at) else { return };
        if self.is_sending() {
            insert_all(&mut self.again, lost.iter());
            for range in self.buffer.acked().iter() {
                self.again.remove(range);
            }
        }
    }
}

/// What a piece carries once the end of the stream is no longer counted as a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) fin: bool,
}

fn insert_all(set: &mut RangeSet, ranges: impl Iterator<Item = Range<u64>>) {
    for range in ranges {
        set.insert(range);
    }
}

#[cfg(test)]
mod tests;
