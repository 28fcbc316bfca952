//! The default scheduler: earliest completion first.
//!
//! Three questions, after ECF (CoNEXT 2017) and BLEST (IFIP Networking 2016):
//!
//! 1. *Would another path deliver everything that waits, this chunk included, before this path delivered the
//!    chunk alone?* Then this path would only delay the end of the transfer: decline.
//! 2. *Does this path add anything worth mentioning to what the sooner ones carry?* If not: decline.
//! 3. *Would the chunk hold the receive window for so long that sooner paths run out of credit?* Bytes behind
//!    a late chunk cannot be handed to the application, so they keep their credit: decline.
//!
//! While paths start up, rates from before they grew answer these wrongly. So a path of which nothing is known
//! waits until there is, and one that is twice as far away until the nearer one has shown its rate.
//!
//! A path always takes the chunk: no path declines in favour of one that waits, and among the others all that
//! waits takes no less time than one chunk of it, so the path on which the chunk arrives first never declines.

use std::time::Duration;

use super::interface::{PathView, Scheduler, Verdict, Work};
use crate::proto::time::Time;
use crate::proto::wire::id::PathId;

/// A path that would add less than this part of what the sooner ones carry is left alone: what its chunks cost
/// when they are late is more than it could give.
const NEGLIGIBLE: u64 = 16;

/// The path on which the chunk arrives first, all that waits considered.
#[derive(Debug, Default)]
pub struct EarliestCompletion;

impl Scheduler for EarliestCompletion {
    fn decide(&mut self, _: Time, ready: PathId, paths: &[PathView], work: &Work) -> Verdict {
        let Some(own) = paths.iter().find(|path| path.id == ready) else { return Verdict::Decline };
        let waits = |path: &PathView| paths.iter().any(|other| is_better_known(other, path));
        if waits(own) {
            return Verdict::Decline;
        }
        let turn = own.turn_bytes();
        let chunk = (work.chunk_bytes as u64).min(turn);
        let arrival = own.delivery_time(chunk);
        let mut sooner_rate = 0;
        for other in paths.iter().filter(|other| is_sooner(other, own, chunk) && !waits(other)) {
            let is_near = other.delivery_time(chunk) * 2 < arrival;
            let takes_all = other.rate_bytes_per_s > 0 && other.delivery_time(work.backlog_bytes) <= arrival;
            if takes_all || (is_near && other.is_growing) {
                return Verdict::Decline;
            }
            sooner_rate += other.rate_bytes_per_s;
        }
        // A path whose rate is not known yet has to be tried before it can be called slow.
        if !own.is_growing && own.rate_bytes_per_s > 0 && own.rate_bytes_per_s < sooner_rate / NEGLIGIBLE {
            return Verdict::Decline;
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

/// Whether the chunk would arrive sooner on `other`; equals are told apart by id, so that never both decline.
fn is_sooner(other: &PathView, own: &PathView, chunk: u64) -> bool {
    (other.delivery_time(chunk), other.id) < (own.delivery_time(chunk), own.id)
}

/// Whether `own` can wait until more is known. Without a round trip it is not known what the path is good for; and
/// without a rate, it looks idle beside a nearer path that starts up and seems busy, unless that is busy for longer
/// than a round trip or two.
fn is_better_known(other: &PathView, own: &PathView) -> bool {
    let starts_up = other.is_growing && other.min_rtt * 2 < own.min_rtt && other.queued < own.min_rtt * 2;
    other.is_measured && (!own.is_measured || (own.is_growing && starts_up))
}
