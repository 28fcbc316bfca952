//! What is under way on a link: things with the time at which they come out.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Gives back what was put in once its time has come; what is due at the same time keeps its order.
#[derive(Debug)]
pub(crate) struct DelayLine<T> {
    heap: BinaryHeap<Entry<T>>,
    next_serial: u64,
}

#[derive(Debug)]
struct Entry<T> {
    due: Instant,
    serial: u64,
    item: T,
}

impl<T> DelayLine<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), next_serial: 0 }
    }

    pub(crate) fn push(&mut self, due: Instant, item: T) {
        self.heap.push(Entry { due, serial: self.next_serial, item });
        self.next_serial += 1;
    }

    /// When the next thing comes out.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.due)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|entry| entry.item)
    }
}

impl<T> Ord for Entry<T> {
    /// The earliest is the greatest, because `BinaryHeap` gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.serial).cmp(&(self.due, self.serial))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn things_come_out_when_due_and_in_order() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut line = DelayLine::new();
        for (due, item) in [(at(5), "c"), (at(1), "a"), (at(5), "d"), (at(2), "b")] {
            line.push(due, item);
        }
        assert_eq!(line.pop_due(start), None);
        assert_eq!(line.next_due(), Some(at(1)));
        assert_eq!(
            (line.pop_due(at(2)), line.pop_due(at(2)), line.pop_due(at(2))),
            (Some("a"), Some("b"), None)
        );
        assert_eq!((line.pop_due(at(5)), line.pop_due(at(5))), (Some("c"), Some("d")));
        assert_eq!(line.next_due(), None);
    }
}
