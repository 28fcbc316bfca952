//! Which chunk a path carries next: what was lost, what is new, or a copy of what is late.

use std::ops::Range;

use super::Session;
use crate::proto::carrier::Carrier;
use crate::proto::config::PathPolicy;
use crate::proto::paths::path::{Path, PathState};
use crate::proto::scheduler::{Copies, PathView, Verdict, Work};
use crate::proto::streams::send::{Piece, SendStream};
use crate::proto::time::Time;
use crate::proto::wire::id::{Dir, PathId, Side, StreamId};
use crate::proto::wire::limits::MAX_RECORD_BYTES;

/// Streams that are looked at for a copy when nothing new is left; more would be a search, not a decision.
const COPY_CANDIDATES: usize = 16;

/// The next chunk for a path.
#[derive(Debug)]
pub(super) enum Next {
    Chunk {
        stream: StreamId,
        range: Range<u64>,
        is_copy: bool,
    },
    /// There is work, and another path does it better.
    Declined,
    Nothing,
}

/// The kinds of lanes that a carrier has none of at the moment: streams that need a new one wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blocked {
    side: Option<Side>,
    bidi: bool,
    uni: bool,
}

impl Blocked {
    pub(super) fn add(&mut self, side: Side, dir: Dir) {
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
    /// What the carrier wants, and never more than a path of unknown capacity can have under way.
    pub(super) fn capacity(&self, now: Time, id: PathId, carrier: &mut dyn Carrier) -> usize {
        let capacity = carrier.capacity();
        let Some(path) = self.paths.get(&id) else { return 0 };
        if path.metrics.congestion_window_bytes.is_some() || self.usable_count() < 2 {
            return capacity;
        }
        let view = path.view(now);
        capacity
            .min(usize::try_from(view.window_bytes.saturating_sub(view.committed_bytes)).unwrap_or(capacity))
    }

    fn usable_count(&self) -> usize {
        self.paths.keys().filter(|id| self.is_usable(**id)).count()
    }

    pub(super) fn next_chunk(&mut self, now: Time, id: PathId, capacity: usize, blocked: Blocked) -> Next {
        self.refresh_views(now);
        let everywhere = self.scheduler.copies() == Copies::Everywhere;
        if self.is_usable(id)
            && let Some(copy) = self.next_copy_everywhere(id, capacity, everywhere, blocked)
        {
            return copy;
        }
        let Some((stream, piece)) = self.next_piece(id, capacity, blocked) else {
            return self.next_copy(now, id, capacity, blocked).unwrap_or(Next::Nothing);
        };
        let (range, credit) = match piece {
            Piece::New(range) => (range, self.credit_of(stream)),
            Piece::Again(range) => (range, u64::MAX),
        };
        match self.verdict(now, id, stream, &range, credit) {
            Verdict::Send { max_bytes } => {
                let max = capacity.min(max_bytes) as u64;
                let range = self.send.get(&stream).map_or(range.clone(), |entry| entry.cut(range, max));
                Next::Chunk { stream, range, is_copy: false }
            }
            Verdict::Decline => Next::Declined,
        }
    }

    fn credit_of(&self, stream: StreamId) -> u64 {
        let own = self.send.get(&stream).map_or(0, |stream| stream.credit.available());
        own.min(self.credit.available())
    }

    fn verdict(
        &mut self,
        now: Time,
        id: PathId,
        stream: StreamId,
        range: &Range<u64>,
        credit_bytes: u64,
    ) -> Verdict {
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

    fn allowed_views(&self, policy: PathPolicy) -> Vec<PathView> {
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
                wanted == path
                    || self.paths.get(&wanted).is_none_or(|entry| entry.state() != PathState::Active)
            }
            PathPolicy::Pin(wanted) => wanted == path,
            PathPolicy::AvoidCostly => {
                let least = self.views.iter().map(|view| view.cost).min();
                self.views.iter().any(|view| view.id == path && Some(view.cost) == least)
            }
            PathPolicy::Deadline(within) => {
                let in_time = |view: &PathView| view.delivery_time(1) <= within;
                !self.views.iter().any(in_time)
                    || self.views.iter().any(|view| view.id == path && in_time(view))
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
                PathPolicy::Deadline(within) if now >= stream.progress_at + within / 2 => {
                    stream.copy_for(id, max)
                }
                // Out of credit: what is missing at the other end holds it, and the soonest path is idle.
                _ if is_soonest && stream.unsent_bytes() > 0 => stream.copy_for(id, max),
                _ => stream.late_for(id, now, arrival, max),
            }?;
            Some(Next::Chunk { stream: stream.id, range, is_copy: true })
        })
    }
}
