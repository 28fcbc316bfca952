//! What has to be said on control lanes, whichever path says it.
//!
//! Nothing here is a queue of frames: it is a set of facts to state, and a fact is read when it is stated. So
//! it is always the newest that goes out, each at most once per turn, and when a path dies, what may have
//! been lost with it is simply stated again (docs/PROTOCOL.md section 6.3).

use std::collections::{BTreeMap, BTreeSet};

use super::id::{PathId, StreamId};
use super::time::Time;

#[derive(Debug, Default)]
pub(crate) struct Statements {
    pub(crate) acks: BTreeSet<StreamId>,
    pub(crate) max_data: bool,
    pub(crate) max_stream_data: BTreeSet<StreamId>,
    pub(crate) max_streams_bidi: bool,
    pub(crate) max_streams_uni: bool,
    pub(crate) resets: BTreeSet<StreamId>,
    pub(crate) stops: BTreeSet<StreamId>,
    pub(crate) path_statuses: BTreeSet<PathId>,
    pub(crate) advice: BTreeSet<u64>,
    pub(crate) go_away: bool,
    /// Paths that this end has abandoned, with the code to state.
    pub(crate) path_closes: BTreeMap<PathId, u64>,
    /// When acknowledgements have to go out.
    ack_at: Option<Time>,
}

impl Statements {
    /// An acknowledgement of `stream` is wanted by `at`.
    pub(crate) fn ack(&mut self, stream: StreamId, at: Time) {
        self.acks.insert(stream);
        self.ack_at = Some(self.ack_at.map_or(at, |set| set.min(at)));
    }

    pub(crate) fn ack_deadline(&self) -> Option<Time> {
        self.ack_at
    }

    /// The streams to acknowledge now: all of them once one is due, since the packet goes out anyway.
    pub(crate) fn take_acks(&mut self, now: Time) -> BTreeSet<StreamId> {
        if !self.has_due_acks(now) {
            return BTreeSet::new();
        }
        self.ack_at = None;
        std::mem::take(&mut self.acks)
    }

    pub(crate) fn has_due_acks(&self, now: Time) -> bool {
        self.ack_at.is_some_and(|at| at <= now)
    }

    /// Whether there is anything to say at this time.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.has_due_acks(now)
            || self.max_data
            || self.max_streams_bidi
            || self.max_streams_uni
            || self.go_away
            || !self.max_stream_data.is_empty()
            || !self.resets.is_empty()
            || !self.stops.is_empty()
            || !self.path_statuses.is_empty()
            || !self.advice.is_empty()
            || !self.path_closes.is_empty()
    }
}
