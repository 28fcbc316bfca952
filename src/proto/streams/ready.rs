//! The queue of streams with something to send: by priority, round-robin within one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::proto::wire::id::StreamId;

/// Where a stream stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    priority: Reverse<i32>,
    turn: u64,
}

/// Streams in the order in which they are asked. Whether a stream is in it, and where, is noted in the stream.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    next_turn: u64,
    line: BTreeMap<Place, StreamId>,
}

impl ReadyQueue {
    /// Puts a stream at the end of those with its priority.
    pub(crate) fn push(&mut self, id: StreamId, priority: i32) -> Place {
        let place = Place { priority: Reverse(priority), turn: self.next_turn };
        self.next_turn += 1;
        self.line.insert(place, id);
        place
    }

    /// Takes a stream out.
    pub(crate) fn remove(&mut self, place: Place) {
        self.line.remove(&place);
    }

    /// All of them, the highest priority first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, StreamId)> + '_ {
        self.line.iter().map(|(place, id)| (*place, *id))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ready: &ReadyQueue) -> Vec<u64> {
        ready.iter().map(|(_, id)| id.0).collect()
    }

    #[test]
    fn the_highest_priority_goes_first_and_equals_take_turns() {
        let mut ready = ReadyQueue::default();
        let first = ready.push(StreamId(0), 0);
        ready.push(StreamId(4), 0);
        ready.push(StreamId(8), 1);
        ready.push(StreamId(12), i32::MIN);
        assert_eq!(ids(&ready), [8, 0, 4, 12]);
        ready.remove(first);
        ready.push(StreamId(0), 0);
        assert_eq!(ids(&ready), [8, 4, 0, 12]);
    }

    #[test]
    fn what_is_taken_out_is_not_in_line_any_more() {
        let mut ready = ReadyQueue::default();
        let places: Vec<_> = (0..3).map(|index| ready.push(StreamId(4 * index), index as i32)).collect();
        ready.remove(places[1]);
        ready.remove(places[1]);
        assert_eq!(ids(&ready), [8, 0]);
        ready.remove(places[0]);
        ready.remove(places[2]);
        assert!(ready.is_empty());
    }
}
