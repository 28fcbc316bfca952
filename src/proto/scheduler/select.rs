//! Selection of the next chunk for a path: lost data, then new data, then copies of what is late.

use super::budget::ReinjectionBudget;
use super::{Copies, PathView, Scheduler, Verdict, Work};
use crate::proto::config::PathPolicy;
use crate::proto::paths::Paths;
use crate::proto::paths::path::{Path, PathState};
use crate::proto::streams::send::SendStream;
use crate::proto::streams::{Blocked, NextChunk, SendReason, Sent, Streams};
use crate::proto::time::Time;
use crate::proto::wire::id::PathId;
use crate::proto::wire::limits::MAX_RECORD_BYTES;

/// Copies may be this many bytes whatever the share that the configuration allows, so that short transfers
/// have a tail reinjection, too.
const REINJECTION_FLOOR_BYTES: u64 = 64 * 1024;

/// Streams that are looked at for a copy when nothing new is left; more would be a search, not a decision.
const COPY_CANDIDATES: usize = 16;

/// The next chunk for a path.
#[derive(Debug)]
pub(crate) enum Next {
    Chunk(NextChunk),
    /// There is work, and another path does it better.
    Declined,
    Nothing,
}

/// The path that asks for a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) now: Time,
    pub(crate) path: PathId,
    /// What it can take.
    pub(crate) capacity: usize,
    pub(crate) blocked: Blocked,
}

/// A scheduler, and what it goes by.
#[derive(Debug)]
pub(crate) struct Selector {
    scheduler: Box<dyn Scheduler>,
    /// The usable paths, as they are at this decision.
    views: Vec<PathView>,
    budget: ReinjectionBudget,
}

impl Selector {
    pub(crate) fn new(scheduler: Box<dyn Scheduler>, reinjection_permille: u32) -> Self {
        let budget = ReinjectionBudget::new(reinjection_permille * 1000, REINJECTION_FLOOR_BYTES);
        Self { scheduler, views: Vec::new(), budget }
    }

    /// Whether every path is to carry everything.
    pub(crate) fn copies(&self) -> Copies {
        self.scheduler.copies()
    }

    pub(crate) fn on_sent(&mut self, path: PathId, reason: SendReason, sent: Sent) {
        self.budget.on_sent(sent.new_bytes);
        match reason {
            SendReason::New => self.scheduler.on_sent(path, sent.bytes as usize),
            SendReason::Reinject => self.budget.spend(sent.bytes),
            SendReason::Retransmit | SendReason::Duplicate => {}
        }
    }

    pub(crate) fn next_chunk(&mut self, ask: Ask, streams: &mut Streams, paths: &Paths) -> Next {
        self.views.clear();
        self.views.extend(paths.usable().map(|path| path.view(ask.now)));
        if paths.is_usable(ask.path)
            && let Some(chunk) =
                streams.next_duplicate(ask.path, ask.capacity as u64, self.copies(), ask.blocked)
        {
            return Next::Chunk(chunk);
        }
        let max = (ask.capacity as u64).min(MAX_RECORD_BYTES);
        let suspect = paths.get(ask.path).is_some_and(|path| !path.is_healthy()).then_some(ask.path);
        let may_carry = |policy| self.may_carry(policy, ask.path, paths);
        let next = streams.next_piece(ask.path, max, suspect, ask.blocked, may_carry);
        let Some(NextChunk { stream, range, reason }) = next else {
            return self.next_copy(ask, streams, paths).map_or(Next::Nothing, Next::Chunk);
        };
        let credit = if reason == SendReason::New { streams.credit_of(stream) } else { u64::MAX };
        let Some(entry) = streams.sending(stream) else { return Next::Nothing };
        let chunk_bytes = range.end - range.start;
        let backlog_bytes = streams.totals().unsent.max(chunk_bytes);
        let work = Work { chunk_bytes: chunk_bytes as usize, backlog_bytes, credit_bytes: credit };
        match self.verdict(ask, entry.policy, &work, paths) {
            Verdict::Send { max_bytes } => {
                let range = entry.cut(range, ask.capacity.min(max_bytes) as u64);
                Next::Chunk(NextChunk { stream, range, reason })
            }
            Verdict::Decline => Next::Declined,
        }
    }

    fn verdict(&mut self, ask: Ask, policy: PathPolicy, work: &Work, paths: &Paths) -> Verdict {
        let whole_record = Verdict::Send { max_bytes: MAX_RECORD_BYTES as usize };
        if self.views.len() < 2 {
            return whole_record;
        }
        // The scheduler compares only the paths that the stream may use.
        let allowed: Vec<_> =
            self.views.iter().filter(|view| self.allows(policy, view.id, paths)).copied().collect();
        if allowed.len() < 2 || !allowed.iter().any(|view| view.id == ask.path) {
            return whole_record;
        }
        self.scheduler.decide(ask.now, ask.path, &allowed, work)
    }

    /// Whether a stream of this policy may send on `path` now: what is pinned to a path goes on it even when the
    /// path is on standby.
    fn may_carry(&self, policy: PathPolicy, path: PathId, paths: &Paths) -> bool {
        let pinned = policy == PathPolicy::Pin(path) && paths.get(path).is_some_and(Path::is_healthy);
        pinned || (paths.is_usable(path) && self.allows(policy, path, paths))
    }

    /// Whether `policy` lets data travel on `path`, which is usable.
    fn allows(&self, policy: PathPolicy, path: PathId, paths: &Paths) -> bool {
        match policy {
            PathPolicy::Any | PathPolicy::Redundant => true,
            PathPolicy::Prefer(wanted) => {
                wanted == path || paths.get(wanted).is_none_or(|entry| entry.state() != PathState::Active)
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

    /// Nothing new is left for this path, or no credit: a copy of what another path delivers later, within the
    /// cap.
    fn next_copy(&self, ask: Ask, streams: &Streams, paths: &Paths) -> Option<NextChunk> {
        let Ask { now, path, capacity, blocked } = ask;
        let allowance = self.budget.allowance().min(capacity as u64);
        if allowance == 0 || self.views.len() < 2 {
            return None;
        }
        let own = self.views.iter().find(|view| view.id == path)?;
        let max = allowance.min(own.turn_bytes());
        let arrival = now + own.delivery_time(max) + own.rtt / 4;
        let is_soonest = self.views.iter().all(|view| own.delivery_time(max) <= view.delivery_time(max));
        let may_carry =
            |stream: &&SendStream| !blocked.blocks(stream, path) && self.allows(stream.policy, path, paths);
        streams.outstanding().filter(may_carry).take(COPY_CANDIDATES).find_map(|stream| {
            let range = match stream.half_time() {
                Some(half_time) if now >= half_time => stream.copy_for(path, max),
                // Out of credit: what is missing at the other end holds it, and the soonest path is idle.
                _ if is_soonest && stream.unsent_bytes() > 0 => stream.copy_for(path, max),
                _ => stream.late_for(path, now, arrival, max),
            }?;
            Some(NextChunk { stream: stream.id, range, reason: SendReason::Reinject })
        })
    }
}
