//! Schedulers, which decide which path carries the next chunk.
//!
//! The transmit side is pulled: a path that can take more asks, and the scheduler answers for that path
//! alone: take it, or leave it because another path does better. So a decision is made as late as possible,
//! with figures as fresh as possible. The session keeps the invariants (policies, caps, flow control, what to
//! send again after a failure); a scheduler only compares paths, so a bad one is slow but never wrong.

mod budget;
mod earliest_completion;
mod interface;
pub(crate) mod select;
mod simple;

use std::fmt;
use std::sync::Arc;

pub use earliest_completion::EarliestCompletion;
pub use interface::{Copies, PathView, Scheduler, Verdict, Work};
pub use simple::{MinRtt, PrimaryBackup, Redundant, RoundRobin, Weighted};

/// Which scheduler a session uses.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum SchedulerKind {
    /// The path on which the chunk arrives first, all that waits considered (after ECF and BLEST). The default.
    #[default]
    EarliestCompletion,
    /// The path with the least rtt that has room.
    MinRtt,
    /// All paths in turn.
    RoundRobin,
    /// All paths by their weights.
    Weighted,
    /// A copy on every path.
    Redundant,
    /// The path with the lowest id; the next one only when that is away.
    PrimaryBackup,
    /// Your own.
    Custom(Arc<dyn Fn() -> Box<dyn Scheduler> + Send + Sync>),
}

impl SchedulerKind {
    /// The names that [`std::str::FromStr`] takes.
    pub const NAMES: [&'static str; 6] =
        ["earliest-completion", "min-rtt", "round-robin", "weighted", "redundant", "primary-backup"];

    pub(crate) fn build(&self) -> Box<dyn Scheduler> {
        match self {
            Self::EarliestCompletion => Box::new(EarliestCompletion),
            Self::MinRtt => Box::new(MinRtt),
            Self::RoundRobin => Box::new(RoundRobin::default()),
            Self::Weighted => Box::new(Weighted::default()),
            Self::Redundant => Box::new(Redundant),
            Self::PrimaryBackup => Box::new(PrimaryBackup),
            Self::Custom(make) => make(),
        }
    }
}

impl fmt::Debug for SchedulerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EarliestCompletion => Self::NAMES[0],
            Self::MinRtt => Self::NAMES[1],
            Self::RoundRobin => Self::NAMES[2],
            Self::Weighted => Self::NAMES[3],
            Self::Redundant => Self::NAMES[4],
            Self::PrimaryBackup => Self::NAMES[5],
            Self::Custom(_) => "custom",
        })
    }
}

/// The name is none of [`SchedulerKind::NAMES`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scheduler '{0}': expected one of {list}", list = SchedulerKind::NAMES.join(", "))]
pub struct UnknownScheduler(pub String);

impl std::str::FromStr for SchedulerKind {
    type Err = UnknownScheduler;

    fn from_str(name: &str) -> Result<Self, UnknownScheduler> {
        Ok(match name {
            "earliest-completion" => Self::EarliestCompletion,
            "min-rtt" => Self::MinRtt,
            "round-robin" => Self::RoundRobin,
            "weighted" => Self::Weighted,
            "redundant" => Self::Redundant,
            "primary-backup" => Self::PrimaryBackup,
            _ => return Err(UnknownScheduler(name.to_owned())),
        })
    }
}

#[cfg(test)]
mod tests;
