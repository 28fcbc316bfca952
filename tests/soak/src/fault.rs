//! The schedule of faults, one each second: a function of the seed alone, so that the same seed gives the same faults.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::exchange::Kind;

/// Shorter than a path takes to be given up (3 s), or longer.
const CUT_MS: std::ops::Range<u64> = 500..8_000;
/// With what it takes to notice and to come back, well below `resume_timeout` (30 s): no session may be lost.
const OUTAGE_MS: std::ops::Range<u64> = 300..6_000;

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One of two paths of ten or so sessions is silent for a while.
    PathCut { network: usize, path: usize, lasting: Duration },
    /// All their paths are.
    Outage { network: usize, lasting: Duration },
    /// A process with some sessions is killed.
    ProcessKilled,
    /// A session gets a path more, for a while.
    PathAdded { session: usize, lasting: Duration },
    /// A session loses a path in good order, for a while.
    PathRemoved { session: usize, lasting: Duration },
    /// A client ends its session at once, whatever is under way.
    SessionAborted { session: usize },
    /// A client gives a stream up in the middle of it.
    StreamGivenUp { session: usize, kind: Kind },
    /// A client asks for much and reads slowly.
    SlowReader { session: usize },
}

/// The numbers of sessions and networks that faults are chosen among.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Targets {
    pub(crate) sessions: usize,
    pub(crate) networks: usize,
}

impl Fault {
    /// The fault of this second.
    pub(crate) fn at(seed: u64, second: u64, targets: Targets) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(second);
        let mut draw = |range: std::ops::Range<u64>| range.start + rng.next_u64() % (range.end - range.start);
        let session = draw(0..targets.sessions as u64) as usize;
        let network = draw(0..targets.networks as u64) as usize;
        match draw(0..10) {
            0 | 1 => Self::PathCut {
                network,
                path: draw(0..2) as usize,
                lasting: Duration::from_millis(draw(CUT_MS)),
            },
            2 | 3 => Self::Outage { network, lasting: Duration::from_millis(draw(OUTAGE_MS)) },
            4 => Self::ProcessKilled,
            5 => Self::PathAdded { session, lasting: Duration::from_millis(draw(CUT_MS)) },
            6 => Self::PathRemoved { session, lasting: Duration::from_millis(draw(CUT_MS)) },
            7 => Self::SessionAborted { session },
            8 => Self::StreamGivenUp { session, kind: if draw(0..2) == 0 { Kind::Get } else { Kind::Put } },
            _ => Self::SlowReader { session },
        }
    }

    /// For the count of what happened.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PathCut { .. } => "fault: path cut",
            Self::Outage { .. } => "fault: all paths silent",
            Self::ProcessKilled => "fault: process killed",
            Self::PathAdded { .. } => "fault: path added",
            Self::PathRemoved { .. } => "fault: path removed",
            Self::SessionAborted { .. } => "fault: session aborted",
            Self::StreamGivenUp { .. } => "fault: stream given up",
            Self::SlowReader { .. } => "fault: slow reader",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_faults_and_every_kind_comes() {
        let targets = Targets { sessions: 200, networks: 20 };
        let faults = |seed| (0..200).map(move |second| Fault::at(seed, second, targets)).collect::<Vec<_>>();
        assert_eq!(faults(1), faults(1));
        assert_ne!(faults(1), faults(2));
        let kinds: BTreeSet<_> = faults(1).into_iter().map(Fault::name).collect();
        assert_eq!(kinds.len(), 8, "{kinds:?}");
    }
}
