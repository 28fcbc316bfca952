//! Memory accounting: what the sessions of one server hold together, and the share of each.
//!
//! Promises: while all together hold less than three quarters of the budget, no session is held back. Above that, windows
//! grow no more and send buffers shrink. Above the budget, a session that holds more than its even share has to end, so
//! that the sum is bounded whatever the number of sessions, and a session that holds little is never the one to go.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How short memory is, for one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pressure {
    #[default]
    None,
    /// Take no more than is needed.
    High,
    /// All together hold too much, and this session more than its share.
    Exceeded,
}

/// What all sessions of a server may hold together.
#[derive(Debug)]
pub struct MemoryBudget {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    sessions: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `limit_bytes`.
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self { limit_bytes, used_bytes: AtomicU64::new(0), sessions: AtomicU64::new(0) })
    }

    /// What all sessions hold at the moment.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Relaxed)
    }
}

/// One session's part of a budget; it is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    budget: Arc<MemoryBudget>,
    held_bytes: u64,
}

impl MemoryShare {
    pub(crate) fn new(budget: Arc<MemoryBudget>) -> Self {
        budget.sessions.fetch_add(1, Relaxed);
        Self { budget, held_bytes: 0 }
    }

    /// The session holds `held_bytes` now.
    pub(crate) fn update(&mut self, held_bytes: u64) -> Pressure {
        let budget = &self.budget;
        let used = match held_bytes.cmp(&self.held_bytes) {
            // Most batches change nothing: then the counter, which all sessions share, is only read.
            Equal => budget.used_bytes(),
            Greater => {
                let more = held_bytes - self.held_bytes;
                budget.used_bytes.fetch_add(more, Relaxed) + more
            }
            Less => {
                let less = self.held_bytes - held_bytes;
                budget.used_bytes.fetch_sub(less, Relaxed) - less
            }
        };
        self.held_bytes = held_bytes;
        let even_share = budget.limit_bytes / budget.sessions.load(Relaxed).max(1);
        if used > budget.limit_bytes && held_bytes > even_share {
            Pressure::Exceeded
        } else if used > budget.limit_bytes / 4 * 3 {
            Pressure::High
        } else {
            Pressure::None
        }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.held_bytes, Relaxed);
        self.budget.sessions.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_that_holds_more_than_its_share_goes_and_not_the_one_that_comes_last() {
        let budget = MemoryBudget::new(1_000);
        let mut large = MemoryShare::new(Arc::clone(&budget));
        let mut small = MemoryShare::new(Arc::clone(&budget));
        assert_eq!(large.update(700), Pressure::None);
        assert_eq!(large.update(900), Pressure::High);
        assert_eq!(small.update(200), Pressure::High, "over the budget, but not by this one");
        assert_eq!(large.update(900), Pressure::Exceeded);
        drop(large);
        assert_eq!(budget.used_bytes(), 200);
        assert_eq!(small.update(200), Pressure::None);
    }

    #[test]
    fn what_a_session_gives_back_is_free_for_others() {
        let budget = MemoryBudget::new(1_000);
        let mut first = MemoryShare::new(Arc::clone(&budget));
        let mut second = MemoryShare::new(Arc::clone(&budget));
        first.update(800);
        first.update(100);
        assert_eq!((second.update(600), budget.used_bytes()), (Pressure::None, 700));
        drop((first, second));
        assert_eq!(budget.used_bytes(), 0);
    }
}
