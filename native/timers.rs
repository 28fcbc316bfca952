//! The deadlines of a reactor's paths.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// At most one deadline for each slot, and the earliest of all.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(Instant, usize)>,
    by_slot: BTreeMap<usize, Instant>,
}

impl Timers {
    /// Sets, moves or removes the deadline of `slot`.
    pub(crate) fn set(&mut self, slot: usize, at: Option<Instant>) {
        let old = match at {
            Some(at) => self.by_slot.insert(slot, at),
            None => self.by_slot.remove(&slot),
        };
        if old == at {
            return;
        }
        if let Some(old) = old {
            self.by_time.remove(&(old, slot));
        }
        if let Some(at) = at {
            self.by_time.insert((at, slot));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out a slot whose deadline has passed.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        let (at, slot) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.set(slot, None);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_come_in_their_order_and_each_slot_has_one() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.set(1, Some(after(30)));
        timers.set(2, Some(after(20)));
        timers.set(1, Some(after(10)));
        timers.set(3, Some(after(10)));
        timers.set(3, None);
        assert_eq!(timers.next(), Some(after(10)));
        assert_eq!(timers.pop_due(after(9)), None);
        assert_eq!(timers.pop_due(after(25)), Some(1));
        assert_eq!(timers.pop_due(after(25)), Some(2));
        assert_eq!((timers.pop_due(after(25)), timers.next()), (None, None));
    }
}
