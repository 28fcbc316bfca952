//! The queue of streams with something to send: by priority, round-robin within one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use crate::proto::wire::id::StreamId;

/// Streams with something to send. Each is in it once at most; its owner keeps a mark of that.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    by_priority: BTreeMap<Reverse<i32>, VecDeque<StreamId>>,
}

impl ReadyQueue {
    /// To the back of those of this priority.
    pub(crate) fn push(&mut self, id: StreamId, priority: i32) {
        self.by_priority.entry(Reverse(priority)).or_default().push_back(id);
    }

    /// Takes a stream out.
    pub(crate) fn remove(&mut self, id: StreamId, priority: i32) {
        let Some(queue) = self.by_priority.get_mut(&Reverse(priority)) else { return };
        if queue.front() == Some(&id) {
            queue.pop_front();
        } else {
            queue.retain(|queued| *queued != id);
        }
    }

    /// Takes several streams out, whatever their priority.
    pub(crate) fn remove_all(&mut self, ids: &[StreamId]) {
        for queue in self.by_priority.values_mut() {
            queue.retain(|queued| !ids.contains(queued));
        }
    }

    /// The streams in line, the next one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.by_priority.values().flatten().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_priority.values().all(VecDeque::is_empty)
    }

    pub(crate) fn clear(&mut self) {
        self.by_priority.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_priority_goes_first_and_equals_take_turns() {
        let mut ready = ReadyQueue::default();
        ready.push(StreamId(0), 0);
        ready.push(StreamId(4), 0);
        ready.push(StreamId(8), 1);
        assert_eq!(ready.iter().collect::<Vec<_>>(), [StreamId(8), StreamId(0), StreamId(4)]);
        ready.remove(StreamId(0), 0);
        ready.push(StreamId(0), 0);
        assert_eq!(ready.iter().collect::<Vec<_>>(), [StreamId(8), StreamId(4), StreamId(0)]);
    }

    #[test]
    fn what_is_taken_out_is_not_in_line_any_more() {
        let mut ready = ReadyQueue::default();
        for index in 0..3 {
            ready.push(StreamId(4 * index), 0);
        }
        ready.remove(StreamId(4), 0);
        ready.remove(StreamId(4), 7);
        ready.remove_all(&[StreamId(0)]);
        assert_eq!(ready.iter().collect::<Vec<_>>(), [StreamId(8)]);
        ready.remove(StreamId(8), 0);
        assert!(ready.is_empty());
    }
}
