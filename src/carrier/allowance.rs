//! The budget of work for one turn of a path.
//!
//! What one turn leaves is for the next, after the other paths of the socket have had theirs; meanwhile it stays in QUIC's
//! buffers, and flow control holds the peer back.

use std::cell::Cell;

/// Items (frames, records, datagrams, events of lanes) that may still be worked on. The one that takes arrivals in
/// spends it; the one that hands them out checks whether any is left.
#[derive(Debug)]
pub(crate) struct Allowance {
    items: u64,
    spent: Cell<u64>,
}

impl Allowance {
    /// So many items.
    pub(crate) fn new(items: u64) -> Self {
        Self { items, spent: Cell::new(0) }
    }

    /// No bound.
    pub(crate) fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// So many items were worked on. May be more than there were left: an arrival is taken in as a whole.
    pub(crate) fn spend(&self, items: u64) {
        self.spent.set(self.spent.get().saturating_add(items));
    }

    /// Whether nothing is left.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent() >= self.items
    }

    /// How many were worked on.
    pub(crate) fn spent(&self) -> u64 {
        self.spent.get()
    }
}
