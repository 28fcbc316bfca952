//! The interface of a scheduler: what it is asked, what it knows of paths and data, and what it answers.

use std::fmt;
use std::time::Duration;

use crate::proto::time::Time;
use crate::proto::wire::id::PathId;

/// Decides which path carries the next chunk. Implement it to bring your own:
/// [`SchedulerKind::Custom`](crate::proto::scheduler::SchedulerKind::Custom) takes a function that makes one for each session.
pub trait Scheduler: fmt::Debug + Send {
    /// `ready` can take more now: should it carry the next chunk?
    ///
    /// `paths` are the usable paths, `ready` among them, ordered by id; there are at least two.
    fn decide(&mut self, now: Time, ready: PathId, paths: &[PathView], work: &Work) -> Verdict;

    /// `bytes` went to `path`, by this scheduler's verdict.
    fn on_sent(&mut self, path: PathId, bytes: usize) {
        let _ = (path, bytes);
    }

    /// Whether every path should get a copy of everything.
    fn copies(&self) -> Copies {
        Copies::Capped
    }
}

/// The answer of a [`Scheduler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The path carries the next chunk, up to this many bytes of it.
    Send {
        /// Most bytes to send before asking again.
        max_bytes: usize,
    },
    /// Another path does better. The session asks again when anything changes; it also makes sure that the
    /// other paths get to ask, so a scheduler must not decline on behalf of a path that would decline too.
    Decline,
}

/// Whether bytes travel more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// Only within the cap on reinjection.
    Capped,
    /// Everything on every path.
    Everywhere,
}

/// What a scheduler knows of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathView {
    /// The path.
    pub id: PathId,
    /// Smoothed round-trip time; a guess before one was measured.
    pub rtt: Duration,
    /// Whether one was measured.
    pub is_measured: bool,
    /// Least round-trip time seen lately.
    pub min_rtt: Duration,
    /// Expected rate in bytes per second; 0 while unknown.
    pub rate_bytes_per_s: u64,
    /// Whether the rate still grows from one round trip to the next, as it does while a path starts up.
    pub is_growing: bool,
    /// How long the path is busy with what it was given, at that rate.
    pub queued: Duration,
    /// Bytes given to the path that the peer has not reported as arrived.
    pub committed_bytes: u64,
    /// Bytes that the path can have under way before more has to queue: the congestion window where the
    /// carrier tells, 1.5 x the bandwidth-delay product otherwise.
    pub window_bytes: u64,
    /// What a byte costs; only comparisons matter.
    pub cost: u64,
    /// Share of the traffic that a weighted scheduler gives it; 0 counts as 1.
    pub weight: u32,
}

impl PathView {
    /// When the last of `bytes`, given to the path now, is expected at the peer.
    pub fn delivery_time(&self, bytes: u64) -> Duration {
        let sending = match self.rate_bytes_per_s {
            0 => Duration::ZERO,
            rate => Duration::from_secs_f64(bytes as f64 / rate as f64),
        };
        // What is queued here is likely part of why the round trip is longer than it was at its best.
        self.min_rtt / 2 + self.queued.max(self.rtt - self.min_rtt) + sending
    }

    /// How much to give the path in one go: what it carries in 10 ms, so that later decisions stay possible.
    pub fn turn_bytes(&self) -> u64 {
        (self.rate_bytes_per_s / 100).clamp(4 * 1024, 64 * 1024)
    }

    /// Whether the path can take bytes without queueing them.
    pub fn has_room(&self) -> bool {
        self.committed_bytes < self.window_bytes
    }
}

/// What a scheduler knows of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The next chunk: bytes at hand for it.
    pub chunk_bytes: usize,
    /// Bytes of all streams that wait to be sent, this chunk included: up to what the buffers hold.
    pub backlog_bytes: u64,
    /// Bytes that flow control lets out, for this stream.
    pub credit_bytes: u64,
}
