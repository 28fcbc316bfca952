//! A path can take more: what goes on it, in this order: greetings, what has to be stated, datagrams, chunks.

use std::ops::Range;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use rand_core::Rng;

use super::{Advice, Session, State};
use crate::proto::carrier::{Carrier, Lanes};
use crate::proto::code::TransportCode;
use crate::proto::config::PathPolicy;
use crate::proto::event::{Action, PathLoss};
use crate::proto::frame::{Ack, Frame, PathReport, PathStatus};
use crate::proto::grease::put_grease_frame;
use crate::proto::id::{Dir, LaneId, PathId, Side, StreamId};
use crate::proto::lane::{put_control_header, put_record_header, put_stream_header};
use crate::proto::limits::{MAX_FRAME_DATA_BYTES, MAX_RECORD_BYTES};
use crate::proto::path::{Path, PathState, Phase};
use crate::proto::scheduler::{Copies, Verdict, Work};
use crate::proto::send_stream::{Expected, OVERDUE, Piece, SendState, SendStream};
use crate::proto::time::Time;

/// Payloads up to this size are copied behind their header: one small buffer costs less than two.
const COPY_BYTES: u64 = 512;
/// A path that wants anything at all gets this much: about a packet's worth.
const MIN_RECORD_BYTES: usize = 1_200;
/// Streams that are looked at for a copy when nothing new is left; more would be a search, not a decision.
const COPY_CANDIDATES: usize = 16;

/// How long after its round trip an acknowledgement may come before what it is for counts as late.
const ACK_DELAY_ALLOWANCE: Duration = Duration::from_millis(25);

/// Something to do to a lane of a path when its carrier is next at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneDuty {
    Finish(LaneId),
    Reset(LaneId),
}

/// The next chunk for a path.
#[derive(Debug)]
enum Next {
    Chunk { stream: StreamId, range: Range<u64>, is_copy: bool },
    /// There is work, and another path does it better.
    Declined,
    Nothing,
}

/// The kinds of lanes that a carrier has none of at the moment: streams that need a new one wait.
#[derive(Clone, Copy, Debug, Default)]
struct Blocked {
    side: Option<Side>,
    bidi: bool,
    uni: bool,
}

impl Blocked {
    fn add(&mut self, side: Side, dir: Dir) {
        self.side = Some(side);
        match dir {
            Dir::Bi => self.bidi = true,
            Dir::Uni => self.uni = true,
        }
    }

    fn blocks(&self, stream: &SendStream, path: PathId) -> bool {
        let Some(side) = self.side else { return false };
        stream.open_lane(path).is_none()
            && match stream.next_lane_dir(path, side) {
                Dir::Bi => self.bidi,
                Dir::Uni => self.uni,
            }
    }
}

impl Session {
    /// The path can take more: fills it, as far as there is something for it and its carrier wants it.
    ///
    /// To be called after anything happened to the path's carrier, and when [`Action::Transmit`] names it.
    pub fn transmit(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        path.wake_queued = false;
        path.learn(carrier);
        self.check_path(now, id);
        let Some(path) = self.paths.get_mut(&id) else { return };
        match path.phase {
            Phase::Dialling | Phase::Greeting { hello_sent: Some(_) } => {}
            Phase::Greeting { hello_sent: None } => self.say_hello(now, id, carrier),
            Phase::Accepting => {
                self.say_accept(now, id, carrier);
                self.fill(now, id, carrier);
            }
            Phase::Established | Phase::Suspect { .. } => self.fill(now, id, carrier),
            Phase::Closing { .. } => self.say_farewell(id, carrier),
        }
    }

    fn fill(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        self.do_duties(id, carrier);
        self.say_statements(now, id, carrier);
        self.send_datagrams(now, id, carrier);
        self.send_chunks(now, id, carrier);
        if let Some(path) = self.paths.get_mut(&id) {
            path.learn(carrier);
        }
    }

    // ---- control lane ----

    fn say_hello(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let Some(lane) = carrier.open_lane(Dir::Bi) else { return };
        let mut buf = BytesMut::new();
        put_control_header(&mut buf);
        Frame::Hello(self.hello(id)).encode(&mut buf);
        put_grease_frame(&mut buf, self.rng.next_u64());
        let Some(path) = self.paths.get_mut(&id) else { return };
        path.control = Some(lane);
        path.phase = Phase::Greeting { hello_sent: Some(now) };
        self.write_control(now, id, carrier, buf);
    }

    fn say_accept(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let Some(accept) = self.accept_frame(id) else { return };
        let mut buf = BytesMut::new();
        put_control_header(&mut buf);
        Frame::Accept(accept).encode(&mut buf);
        put_grease_frame(&mut buf, self.rng.next_u64());
        self.write_control(now, id, carrier, buf);
        self.establish(now, id);
    }

    fn say_farewell(&mut self, id: PathId, carrier: &mut dyn Carrier) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        let Some(control) = path.control else { return };
        if std::mem::replace(&mut path.farewell_said, true) {
            return;
        }
        let mut buf = BytesMut::new();
        match &self.state {
            State::Closed { said: Some(close), .. } => Frame::Close(close.clone()).encode(&mut buf),
            _ => {
                let code = path.close_code.unwrap_or(TransportCode::NoError.as_u64());
                Frame::PathClose { path: id, code, reason: Bytes::new() }.encode(&mut buf);
            }
        }
        // A lane that is closed already needs no farewell.
        let _ = carrier.write(control, buf.freeze());
        carrier.finish(control);
    }

    fn write_control(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier, buf: BytesMut) {
        if buf.is_empty() {
            return;
        }
        let Some(path) = self.paths.get_mut(&id) else { return };
        let Some(control) = path.control else { return };
        path.on_spoke(now);
        if carrier.write(control, buf.freeze()).is_err() {
            // Without its control lane a path is of no use.
            let reason = "the peer stopped the control lane".to_owned();
            self.path_closed(now, id, PathLoss::Failed(reason));
        }
    }

    /// States what is due, on this path if it is as good as any, and always what concerns this path alone.
    fn say_statements(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let mut buf = std::mem::take(&mut self.control_scratch);
        if self.statements.is_due(now) {
            if self.may_state(id) {
                self.put_statements(now, &mut buf);
            } else {
                self.wake_for_statements(now);
            }
        }
        if let Some(path) = self.paths.get_mut(&id) {
            put_path_frames(now, path, &mut buf);
        }
        let frames = buf.split();
        self.control_scratch = buf;
        self.write_control(now, id, carrier, frames);
    }

    /// Whether `id` is a path for statements: healthy, and not much slower than the best.
    fn may_state(&self, id: PathId) -> bool {
        let Some(path) = self.paths.get(&id) else { return false };
        match self.statement_path() {
            Some(best) if best == id => true,
            Some(best) => {
                let best_rtt = self.paths.get(&best).map(Path::rtt).unwrap_or_default();
                path.is_healthy() && path.rtt() <= best_rtt * 3 / 2
            }
            None => true,
        }
    }

    /// The healthy path with the least rtt.
    pub(super) fn statement_path(&self) -> Option<PathId> {
        let healthy = self.paths.values().filter(|path| path.is_healthy());
        healthy.min_by_key(|path| (path.is_standby(), path.rtt(), path.id)).map(|path| path.id)
    }

    fn put_statements(&mut self, now: Time, buf: &mut BytesMut) {
        for id in self.statements.take_acks(now) {
            let complete = Ack { stream: id, complete: true, contiguous: 0, ranges: Vec::new() };
            let ack = self.recv.get_mut(&id).map_or(complete, |stream| stream.ack());
            Frame::Ack(ack).encode(buf);
        }
        if std::mem::take(&mut self.statements.max_data) {
            Frame::MaxData { max_bytes: self.recv_window.limit() }.encode(buf);
        }
        for stream in std::mem::take(&mut self.statements.max_stream_data) {
            if let Some(entry) = self.recv.get(&stream) {
                Frame::MaxStreamData { stream, max_bytes: entry.window.limit() }.encode(buf);
            }
        }
        if std::mem::take(&mut self.statements.max_streams_bidi) {
            Frame::MaxStreams { dir: Dir::Bi, max: self.ids.peer_limit(Dir::Bi) }.encode(buf);
        }
        if std::mem::take(&mut self.statements.max_streams_uni) {
            Frame::MaxStreams { dir: Dir::Uni, max: self.ids.peer_limit(Dir::Uni) }.encode(buf);
        }
        for stream in std::mem::take(&mut self.statements.resets) {
            if let Some(entry) = self.send.get(&stream)
                && let SendState::Reset { code } = entry.state
            {
                Frame::ResetStream { stream, code: code.0, final_size: entry.final_size() }.encode(buf);
            }
        }
        for stream in std::mem::take(&mut self.statements.stops) {
            if let Some(code) = self.recv.get(&stream).and_then(|entry| entry.stop_code()) {
                Frame::StopSending { stream, code: code.0 }.encode(buf);
            }
        }
        self.put_rare_statements(buf);
    }

    fn put_rare_statements(&mut self, buf: &mut BytesMut) {
        for id in std::mem::take(&mut self.statements.path_statuses) {
            if let Some(path) = self.paths.get(&id) {
                let wish = path.own;
                let (sequence, standby, cost) = (wish.sequence, wish.standby, wish.cost);
                Frame::PathStatus(PathStatus { path: id, sequence, standby, cost }).encode(buf);
            }
        }
        for advice in std::mem::take(&mut self.statements.advice) {
            match self.advice.get(&advice) {
                Some(Advice::Add(add)) => Frame::AddPath(add.clone()).encode(buf),
                Some(Advice::Withdrawn) => Frame::RemovePath { advice }.encode(buf),
                None => {}
            }
        }
        for (path, code) in std::mem::take(&mut self.statements.path_closes) {
            Frame::PathClose { path, code, reason: Bytes::new() }.encode(buf);
        }
        if std::mem::take(&mut self.statements.go_away) {
            Frame::GoAway.encode(buf);
        }
    }

    // ---- datagrams ----

    fn send_datagrams(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        if self.datagrams_out.is_empty() || !self.is_usable(id) {
            return;
        }
        let best = self.best_path_for_datagrams();
        let max = carrier.max_datagram_bytes();
        let usable: Vec<_> = self.paths.keys().copied().filter(|path| self.is_usable(*path)).collect();
        let fits = |policy: PathPolicy| match policy {
            PathPolicy::Pin(path) => path == id,
            PathPolicy::Prefer(path) if usable.contains(&path) => path == id,
            _ => best == Some(id),
        };
        let mut frames = BytesMut::new();
        while let Some(datagram) = self.datagrams_out.pop_where(now, |datagram| fits(datagram.tag.policy)) {
            let sequence = datagram.tag.sequence;
            let sent = match max {
                Some(max) => {
                    let mut buf = BytesMut::with_capacity(8 + datagram.data.len());
                    crate::proto::varint::put(&mut buf, sequence);
                    buf.put_slice(&datagram.data);
                    buf.len() <= max && carrier.send_datagram(buf.freeze())
                }
                None => {
                    Frame::Datagram { sequence, data: datagram.data }.encode(&mut frames);
                    true
                }
            };
            if let Some(path) = self.paths.get_mut(&id)
                && sent
            {
                path.counts.datagrams_sent += 1;
                path.on_spoke(now);
            } else {
                self.stats.dropped_datagrams += 1;
            }
        }
        if !self.datagrams_out.is_empty()
            && let Some(best) = best.filter(|best| *best != id)
        {
            self.wake(best);
        }
        self.write_control(now, id, carrier, frames);
    }

    fn best_path_for_datagrams(&self) -> Option<PathId> {
        let usable = self.paths.values().filter(|path| self.is_usable(path.id));
        usable.min_by_key(|path| (path.rtt(), path.id)).map(|path| path.id)
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
        path.starved = !full;
        path.passed = !full && !sent_any;
        if !full && !declined {
            path.on_starved();
        }
        if self.has_backlog() && self.paths.len() > 1 {
            self.wake_others(id, sent_any);
        }
    }

    /// What the carrier wants, and never more than a path of unknown capacity can have under way.
    fn capacity(&self, now: Time, id: PathId, carrier: &mut dyn Carrier) -> usize {
        let capacity = carrier.capacity();
        let Some(path) = self.paths.get(&id) else { return 0 };
        if path.figures.congestion_window_bytes.is_some() || self.usable_count() < 2 {
            return capacity;
        }
        let view = path.view(now);
        capacity.min(usize::try_from(view.window_bytes.saturating_sub(view.committed_bytes)).unwrap_or(capacity))
    }

    fn usable_count(&self) -> usize {
        self.paths.keys().filter(|id| self.is_usable(**id)).count()
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

    fn next_chunk(&mut self, now: Time, id: PathId, capacity: usize, blocked: Blocked) -> Next {
        self.refresh_views(now);
        let everywhere = self.scheduler.copies() == Copies::Everywhere;
        if self.is_usable(id)
            && let Some(copy) = self.next_copy_everywhere(id, capacity, everywhere, blocked)
        {
            return copy;
        }
        if let Some((stream, piece)) = self.next_piece(id, capacity, blocked) {
            let (range, credit) = match piece {
                Piece::New(range) => (range, self.credit_of(stream)),
                Piece::Again(range) => (range, u64::MAX),
            };
            return match self.verdict(now, id, stream, &range, credit) {
                Verdict::Send { max_bytes } => {
                    let max = capacity.min(max_bytes) as u64;
                    let range = self.send.get(&stream).map_or(range.clone(), |entry| entry.cut(range, max));
                    Next::Chunk { stream, range, is_copy: false }
                }
                Verdict::Decline => Next::Declined,
            };
        }
        self.next_copy(now, id, capacity, blocked).unwrap_or(Next::Nothing)
    }

    fn credit_of(&self, stream: StreamId) -> u64 {
        let own = self.send.get(&stream).map_or(0, |stream| stream.credit.available());
        own.min(self.credit.available())
    }

    fn verdict(&mut self, now: Time, id: PathId, stream: StreamId, range: &Range<u64>, credit_bytes: u64) -> Verdict {
        if self.views.len() < 2 {
            return Verdict::Send { max_bytes: MAX_RECORD_BYTES as usize };
        }
        let Some(entry) = self.send.get(&stream) else { return Verdict::Decline };
        let backlog_bytes = self.unsent_bytes.max(range.end - range.start);
        let work = Work { chunk_bytes: (range.end - range.start) as usize, backlog_bytes, credit_bytes };
        // The scheduler compares only the paths that the stream may use.
        let allowed = self.allowed_views(entry.policy);
        if allowed.len() < 2 || !allowed.iter().any(|view| view.id == id) {
            return Verdict::Send { max_bytes: MAX_RECORD_BYTES as usize };
        }
        self.scheduler.decide(now, id, &allowed, &work)
    }

    fn refresh_views(&mut self, now: Time) {
        let mut views = std::mem::take(&mut self.views);
        views.clear();
        views.extend(self.paths.values().filter(|path| self.is_usable(path.id)).map(|path| path.view(now)));
        self.views = views;
    }

    fn allowed_views(&self, policy: PathPolicy) -> Vec<crate::proto::scheduler::PathView> {
        self.views.iter().filter(|view| self.allows(policy, view.id)).copied().collect()
    }

    /// Whether a stream of this policy may send on `path` now: what is pinned to a path goes on it even when the
    /// path is on standby.
    fn may_carry(&self, policy: PathPolicy, path: PathId) -> bool {
        let pinned = policy == PathPolicy::Pin(path) && self.paths.get(&path).is_some_and(Path::is_healthy);
        pinned || (self.is_usable(path) && self.allows(policy, path))
    }

    /// Whether `policy` lets data travel on `path`, which is usable.
    fn allows(&self, policy: PathPolicy, path: PathId) -> bool {
        match policy {
            PathPolicy::Any | PathPolicy::Redundant => true,
            PathPolicy::Prefer(wanted) => {
                wanted == path || self.paths.get(&wanted).is_none_or(|entry| entry.state() != PathState::Active)
            }
            PathPolicy::Pin(wanted) => wanted == path,
            PathPolicy::AvoidCostly => {
                let least = self.views.iter().map(|view| view.cost).min();
                self.views.iter().any(|view| view.id == path && Some(view.cost) == least)
            }
            PathPolicy::Deadline(within) => {
                let in_time = |view: &crate::proto::scheduler::PathView| view.delivery_time(1) <= within;
                !self.views.iter().any(in_time) || self.views.iter().any(|view| view.id == path && in_time(view))
            }
        }
    }

    /// The first stream in line with something that may go on this path.
    fn next_piece(&mut self, id: PathId, capacity: usize, blocked: Blocked) -> Option<(StreamId, Piece)> {
        let session_credit = self.credit.available();
        let max = (capacity as u64).min(MAX_RECORD_BYTES);
        let suspect = self.paths.get(&id).is_some_and(|path| !path.is_healthy()).then_some(id);
        let mut idle = Vec::new();
        let mut found = None;
        'search: for queue in self.ready.values() {
            for stream in queue {
                let Some(entry) = self.send.get(stream) else {
                    idle.push(*stream);
                    continue;
                };
                if !entry.has_work(u64::MAX) {
                    idle.push(*stream);
                } else if !blocked.blocks(entry, id)
                    && self.may_carry(entry.policy, id)
                    && let Some(piece) = entry.next_piece(max, session_credit, suspect)
                {
                    found = Some((*stream, piece));
                    break 'search;
                }
            }
        }
        if !idle.is_empty() {
            for queue in self.ready.values_mut() {
                queue.retain(|stream| !idle.contains(stream));
            }
            for stream in idle {
                if let Some(entry) = self.send.get_mut(&stream) {
                    entry.queued = false;
                }
            }
        }
        found
    }

    /// A copy for a path that is to carry everything, in order, whoever else carries it.
    fn next_copy_everywhere(&self, id: PathId, capacity: usize, all: bool, blocked: Blocked) -> Option<Next> {
        let streams = if all { &self.outstanding } else { &self.redundant };
        let streams = streams.iter().filter_map(|stream| self.send.get(stream));
        streams.filter(|stream| !blocked.blocks(stream, id)).find_map(|stream| {
            let range = stream.copy_for(id, capacity as u64)?;
            Some(Next::Chunk { stream: stream.id, range, is_copy: false })
        })
    }

    /// Nothing new is left for this path, or no credit: a copy of what another path delivers later, within the
    /// cap.
    fn next_copy(&self, now: Time, id: PathId, capacity: usize, blocked: Blocked) -> Option<Next> {
        let allowance = self.budget.allowance().min(capacity as u64);
        if allowance == 0 || self.views.len() < 2 {
            return None;
        }
        let own = self.views.iter().find(|view| view.id == id)?;
        let max = allowance.min(own.turn_bytes());
        let arrival = now + own.delivery_time(max) + own.rtt / 4;
        let is_soonest = self.views.iter().all(|view| own.delivery_time(max) <= view.delivery_time(max));
        let streams = self.outstanding.iter().filter_map(|stream| self.send.get(stream));
        let streams = streams.filter(|stream| !blocked.blocks(stream, id) && self.allows(stream.policy, id));
        streams.take(COPY_CANDIDATES).find_map(|stream| {
            let range = match stream.policy {
                PathPolicy::Deadline(within) if now >= stream.progress_at + within / 2 => stream.copy_for(id, max),
                // Out of credit: what is missing at the other end holds it, and the soonest path is idle.
                _ if is_soonest && stream.unsent_bytes() > 0 => stream.copy_for(id, max),
                _ => stream.late_for(id, now, arrival, max),
            }?;
            Some(Next::Chunk { stream: stream.id, range, is_copy: true })
        })
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

    // ---- duties ----

    pub(super) fn lane_duty(&mut self, path: PathId, duty: LaneDuty) {
        if let Some(entry) = self.paths.get_mut(&path) {
            entry.duties.push(duty);
            self.wake(path);
        }
    }

    fn do_duties(&mut self, id: PathId, carrier: &mut dyn Carrier) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        let control = path.control;
        for duty in path.duties.drain(..) {
            match duty {
                LaneDuty::Finish(lane) | LaneDuty::Reset(lane) if Some(lane) == control => {}
                LaneDuty::Finish(lane) => carrier.finish(lane),
                LaneDuty::Reset(lane) => carrier.reset(lane),
            }
        }
    }

    // ---- waking paths ----

    pub(super) fn wake(&mut self, id: PathId) {
        if let Some(path) = self.paths.get_mut(&id)
            && !std::mem::replace(&mut path.wake_queued, true)
        {
            self.actions.push_back(Action::Transmit { path: id });
        }
    }

    pub(super) fn wake_all(&mut self, _now: Time) {
        let ids: Vec<_> = self.paths.keys().copied().collect();
        for id in ids {
            if let Some(path) = self.paths.get_mut(&id) {
                path.passed = false;
            }
            self.wake(id);
        }
    }

    /// There is new data: the best path that waits for some gets to ask first; the rest follow if it leaves any.
    pub(super) fn wake_for_data(&mut self, _now: Time) {
        self.paths.values_mut().for_each(|path| path.passed = false);
        let waiting = self.paths.values().filter(|path| path.starved && self.is_usable(path.id));
        let best = waiting.min_by_key(|path| (path.rtt(), path.id)).map(|path| path.id);
        if let Some(best) = best {
            self.wake(best);
        }
    }

    pub(super) fn wake_for_statements(&mut self, now: Time) {
        if self.statements.is_due(now)
            && let Some(best) = self.statement_path()
        {
            self.wake(best);
        }
        let due: Vec<_> = self.paths.values().filter(|path| path.has_due_report(now)).map(|path| path.id).collect();
        due.into_iter().for_each(|id| self.wake(id));
    }

    /// There is more than `id` took: the others that wait for something get to ask.
    fn wake_others(&mut self, id: PathId, sent_any: bool) {
        let ids: Vec<_> = self
            .paths
            .values()
            .filter(|path| path.id != id && path.starved && (sent_any || !path.passed))
            .map(|path| path.id)
            .collect();
        ids.into_iter().for_each(|id| self.wake(id));
    }

    // ---- streams whose time has come ----

    /// An acknowledgement can be lost with a path that only the peer knew to be bad. Whoever waits for the last
    /// one of a stream asks for it, by saying once more how the stream ended.
    pub(super) fn ask_overdue(&mut self, now: Time) {
        if self.overdue_at.is_none_or(|at| now < at) {
            return;
        }
        self.overdue_at = self.send.values().any(SendStream::awaits_completion).then_some(now + OVERDUE);
        let can_ask = self.has_healthy_path() && !self.is_closed();
        let overdue = self.send.values_mut().filter_map(|stream| stream.is_overdue(now).then_some(stream.id));
        for id in overdue.collect::<Vec<_>>() {
            match self.send.get_mut(&id) {
                Some(stream) if can_ask && matches!(stream.state, SendState::Finished) => stream.ask_again(),
                Some(_) if can_ask => drop(self.statements.resets.insert(id)),
                _ => {}
            }
            self.enqueue(id);
        }
        self.wake_for_data(now);
    }

    pub(super) fn stream_deadline(&self) -> Option<Time> {
        let streams = self.outstanding.iter().filter_map(|stream| self.send.get(stream));
        let due = streams.filter(|stream| !stream.deadline_passed).filter_map(|stream| match stream.policy {
            PathPolicy::Deadline(within) => Some(stream.progress_at + within / 2),
            _ => None,
        });
        due.min()
    }

    pub(super) fn check_deadline_streams(&mut self, now: Time) {
        let mut late = false;
        for stream in self.send.values_mut() {
            if let PathPolicy::Deadline(within) = stream.policy {
                stream.deadline_passed = now >= stream.progress_at + within / 2;
                late |= stream.deadline_passed;
            }
        }
        if late {
            self.wake_all(now);
        }
    }
}

/// The frames that concern only the path they travel on.
fn put_path_frames(now: Time, path: &mut Path, buf: &mut BytesMut) {
    for token in path.pongs.drain(..) {
        Frame::Pong { token }.encode(buf);
    }
    for token in std::mem::take(&mut path.pings) {
        path.on_pinged(now, token);
        Frame::Ping { token }.encode(buf);
    }
    if let Some((received_bytes, delay)) = path.take_report(now) {
        let delay_us = u64::try_from(delay.as_micros()).unwrap_or(0);
        Frame::PathReport(PathReport { received_bytes, delay_us }).encode(buf);
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
