//! Streams whose application waits for room to write.
//!
//! Promise: room in one stream concerns no other, and room of the whole session only those that wait for nothing else; so
//! what it costs to find whom to wake does not depend on how many wait.

use std::collections::BTreeSet;

use crate::proto::wire::id::StreamId;

/// Streams that wait, each for one of two things.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    /// For room of their own.
    for_own: BTreeSet<StreamId>,
    /// For room of the session; what they may keep themselves leaves enough.
    for_session: BTreeSet<StreamId>,
}

impl Writers {
    /// The stream's application waits until the stream has room of its own.
    pub(crate) fn wait_for_own(&mut self, id: StreamId) {
        self.for_session.remove(&id);
        self.for_own.insert(id);
    }

    /// The stream has enough room of its own, and waits for the session's.
    pub(crate) fn wait_for_session(&mut self, id: StreamId) {
        self.for_own.remove(&id);
        self.for_session.insert(id);
    }

    /// It does not wait any more.
    pub(crate) fn remove(&mut self, id: StreamId) {
        self.for_own.remove(&id);
        self.for_session.remove(&id);
    }

    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.for_own.contains(&id) || self.for_session.contains(&id)
    }

    /// Those that wait for room of the session.
    pub(crate) fn for_session(&self) -> Vec<StreamId> {
        self.for_session.iter().copied().collect()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
