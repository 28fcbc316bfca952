//! The default scheduler: a chunk goes where it arrives first.
//!
//! Two questions, after ECF (CoNEXT 2017) and BLEST (IFIP Networking 2016):
//!
//! 1. *Would another path deliver everything that waits, this chunk included, before this path delivered the
//!    chunk alone?* Then this path would only delay the end of the transfer: decline.
//! 2. *Would the chunk hold the receive window for so long that sooner paths run out of credit?* Bytes behind
//!    a late chunk cannot be handed to the application, so they keep their credit: decline.
//!
//! A path of which nothing is known yet waits until there is. All waiting bytes take no less time than one chunk of them, so the path on which a chunk arrives first never
//! declines.

use std::time::Duration;

use super::{PathView, Scheduler, Verdict, Work};
use crate::proto::id::PathId;
use crate::proto::time::Time;

/// The path on which the chunk arrives first, all that waits considered.
#[derive(Debug, Default)]
pub struct EarliestCompletion;

impl Scheduler for EarliestCompletion {
    fn decide(&mut self, _: Time, ready: PathId, paths: &[PathView], work: &Work) -> Verdict {
        let Some(own) = paths.iter().find(|path| path.id == ready) else { return Verdict::Decline };
        if !own.is_measured && paths.iter().any(|path| path.is_measured) {
            // Within a round trip it will be known what the path is good for.
            return Verdict::Decline;
        }
        let turn = own.turn_bytes();
        let chunk = (work.chunk_bytes as u64).min(turn);
        let arrival = own.delivery_time(chunk);
        let mut sooner_rate = 0;
        for other in paths.iter().filter(|other| is_sooner(other, own, chunk)) {
            if other.delivery_time(work.backlog_bytes) <= arrival {
                return Verdict::Decline;
            }
            sooner_rate += other.rate_bytes_per_s;
        }
        if sooner_rate > 0 && (work.credit_bytes as f64) < chunk as f64 + held(own, arrival, sooner_rate) {
            return Verdict::Decline;
        }
        Verdict::Send { max_bytes: turn as usize }
    }
}

/// What sooner paths send until the chunk has arrived and its credit has come back.
fn held(own: &PathView, arrival: Duration, rate: u64) -> f64 {
    rate as f64 * (arrival + own.min_rtt / 2).as_secs_f64()
}

/// Whether the chunk would arrive sooner on `other`, as far as that is known; equals are told apart by id, so that
/// never both decline.
fn is_sooner(other: &PathView, own: &PathView, chunk: u64) -> bool {
    let is_known = other.rate_bytes_per_s > 0 && other.is_measured;
    other.id != own.id && is_known && (other.delivery_time(chunk), other.id) < (own.delivery_time(chunk), own.id)
}
