//! The default scheduler: a chunk goes where it arrives first.
//!
//! Two questions, after ECF (CoNEXT 2017) and BLEST (IFIP Networking 2016):
//!
//! 1. *Would the faster paths deliver everything that waits, this chunk included, before this path delivered
//!    the chunk alone?* Then the slow path would only delay the end of the transfer: decline.
//! 2. *Would the chunk hold the receive window for so long that faster paths run out of credit?* Bytes behind
//!    a late chunk cannot be handed to the application, so they keep their credit: decline.

use std::time::Duration;

use super::{PathView, Scheduler, Verdict, Work};
use crate::proto::id::PathId;
use crate::proto::time::Time;

/// The path on which the chunk arrives first, all that waits considered.
#[derive(Debug, Default)]
pub struct EarliestCompletion {
    /// The path that declined last: it takes a clear advantage to change one's mind (ECF's hysteresis).
    declined: Option<PathId>,
}

impl Scheduler for EarliestCompletion {
    fn decide(&mut self, _: Time, ready: PathId, paths: &[PathView], work: &Work) -> Verdict {
        let Some(own) = paths.iter().find(|p| p.id == ready) else { return Verdict::Decline };
        let turn = own.turn_bytes();
        let chunk = (work.chunk_bytes as u64).min(turn);
        let arrival = own.delivery_time(chunk);
        let faster = || paths.iter().filter(|p| p.id != ready && is_faster(p, own));
        let mut faster_rate = 0;
        let mut faster_done = Duration::MAX;
        for path in faster() {
            faster_rate += path.rate_bytes_per_s;
            faster_done = faster_done.min(path.delivery_time(work.backlog_bytes.min(u64::MAX / 4)));
        }
        let hysteresis = if self.declined == Some(ready) { arrival / 4 } else { Duration::ZERO };
        let pointless = faster_done <= arrival + hysteresis;
        // What the faster paths send until the chunk has arrived and its credit has come back.
        let held = faster_rate as f64 * (arrival + own.rtt / 2).as_secs_f64();
        let blocking = faster_rate > 0 && (work.credit_bytes as f64) < held + chunk as f64;
        if pointless || blocking {
            self.declined = Some(ready);
            return Verdict::Decline;
        }
        if self.declined == Some(ready) {
            self.declined = None;
        }
        Verdict::Send { max_bytes: turn as usize }
    }
}

/// Whether `other` is the faster path; equals are told apart by id, so that never both decline.
fn is_faster(other: &PathView, own: &PathView) -> bool {
    (other.rtt, other.id) < (own.rtt, own.id)
}
