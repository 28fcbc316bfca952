//! The schedulers that fit in a few lines each.

use std::collections::BTreeMap;

use super::interface::{Copies, PathView, Scheduler, Verdict, Work};
use crate::proto::time::Time;
use crate::proto::wire::id::PathId;

/// Most bytes of one verdict where the scheduler has no reason for fewer.
const TURN_BYTES: usize = 64 * 1024;

fn accept_if(best: Option<&PathView>, ready: PathId) -> Verdict {
    match best {
        Some(best) if best.id != ready => Verdict::Decline,
        _ => Verdict::Send { max_bytes: TURN_BYTES },
    }
}

/// The path with the least rtt among those with room.
#[derive(Debug, Default)]
pub struct MinRtt;

impl Scheduler for MinRtt {
    fn decide(&mut self, _: Time, ready: PathId, paths: &[PathView], _: &Work) -> Verdict {
        accept_if(paths.iter().filter(|p| p.has_room()).min_by_key(|p| (p.rtt, p.id)), ready)
    }
}

/// Every path in turn, as far as it has room.
#[derive(Debug, Default)]
pub struct RoundRobin {
    last: Option<PathId>,
}

impl Scheduler for RoundRobin {
    fn decide(&mut self, _: Time, ready: PathId, paths: &[PathView], _: &Work) -> Verdict {
        let with_room = || paths.iter().filter(|p| p.has_room());
        let next = with_room().find(|p| Some(p.id) > self.last).or_else(|| with_room().next());
        match next {
            Some(next) if next.id != ready => Verdict::Decline,
            _ => Verdict::Send { max_bytes: TURN_BYTES / 4 },
        }
    }

    fn on_sent(&mut self, path: PathId, _: usize) {
        self.last = Some(path);
    }
}

/// Bytes in proportion to the paths' weights, as far as they have room.
#[derive(Debug, Default)]
pub struct Weighted {
    sent: BTreeMap<PathId, u64>,
}

impl Weighted {
    fn share(&self, path: &PathView) -> u64 {
        let sent = self.sent.get(&path.id).copied().unwrap_or(0);
        sent.saturating_mul(1024) / u64::from(path.weight.max(1))
    }
}

impl Scheduler for Weighted {
    fn decide(&mut self, _: Time, ready: PathId, paths: &[PathView], _: &Work) -> Verdict {
        // A path that was away must not make up for it: it starts where the others are.
        let floor =
            paths.iter().filter_map(|p| self.sent.get(&p.id).map(|_| self.share(p))).min().unwrap_or(0);
        for path in paths {
            let start = (floor / 1024).saturating_mul(path.weight.max(1).into());
            self.sent.entry(path.id).or_insert(start);
        }
        self.sent.retain(|id, _| paths.iter().any(|p| p.id == *id));
        let next = paths.iter().filter(|p| p.has_room()).min_by_key(|p| (self.share(p), p.id));
        match next {
            Some(next) if next.id != ready => Verdict::Decline,
            _ => Verdict::Send { max_bytes: TURN_BYTES / 4 },
        }
    }

    fn on_sent(&mut self, path: PathId, bytes: usize) {
        let sent = self.sent.entry(path).or_default();
        *sent = sent.saturating_add(bytes as u64);
    }
}

/// Everything on every path: the lowest latency that the paths have, for the bytes of all of them.
#[derive(Debug, Default)]
pub struct Redundant;

impl Scheduler for Redundant {
    fn decide(&mut self, _: Time, _: PathId, _: &[PathView], _: &Work) -> Verdict {
        Verdict::Send { max_bytes: TURN_BYTES }
    }

    fn copies(&self) -> Copies {
        Copies::Everywhere
    }
}

/// The path with the lowest id carries everything; the others wait until it is away.
#[derive(Debug, Default)]
pub struct PrimaryBackup;

impl Scheduler for PrimaryBackup {
    fn decide(&mut self, _: Time, ready: PathId, paths: &[PathView], _: &Work) -> Verdict {
        accept_if(paths.first(), ready)
    }
}
