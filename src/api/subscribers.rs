//! Event queues, one for each subscription to a session.

use std::collections::{BTreeMap, VecDeque};

use super::waiters::WaiterId;
use crate::proto::event::SessionEvent;

/// How many events wait for a subscriber that does not look: some minutes' worth on a bad network.
const MAX_WAITING: usize = 256;

/// The events that wait for one subscriber. When there are too many, the oldest go first: they are superseded.
#[derive(Debug, Default)]
struct EventBuffer {
    waiting: VecDeque<SessionEvent>,
    lagged: u64,
}

impl EventBuffer {
    fn push(&mut self, event: SessionEvent) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
            self.lagged += 1;
        }
        self.waiting.push_back(event);
    }
}

/// Everyone who wants to know what happens.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    buffers: BTreeMap<WaiterId, EventBuffer>,
}

impl Subscribers {
    /// A copy of `event` for everyone.
    pub(super) fn push(&mut self, event: SessionEvent) {
        for buffer in self.buffers.values_mut() {
            buffer.push(event.clone());
        }
    }

    /// `id` gets a copy of everything from now on.
    pub(super) fn subscribe(&mut self, id: WaiterId) {
        self.buffers.insert(id, EventBuffer::default());
    }

    /// The oldest event that waits for `id`.
    pub(super) fn pop(&mut self, id: WaiterId) -> Option<SessionEvent> {
        self.buffers.get_mut(&id)?.waiting.pop_front()
    }

    /// How many events were dropped because `id` did not take them.
    pub(super) fn lagged(&self, id: WaiterId) -> u64 {
        self.buffers.get(&id).map_or(0, |buffer| buffer.lagged)
    }

    /// `id` is gone, and what waits for it.
    pub(super) fn unsubscribe(&mut self, id: WaiterId) {
        self.buffers.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::waiters::Waiters;
    use crate::proto::wire::id::PathId;

    #[test]
    fn every_subscriber_gets_every_event_since_it_subscribed() {
        let (mut waiters, mut subscribers) = (Waiters::default(), Subscribers::default());
        let (early, late) = (waiters.new_id(), waiters.new_id());
        subscribers.subscribe(early);
        subscribers.push(SessionEvent::Suspended);
        subscribers.subscribe(late);
        subscribers.push(SessionEvent::Resumed);
        assert_eq!(subscribers.pop(early), Some(SessionEvent::Suspended));
        assert_eq!(subscribers.pop(early), Some(SessionEvent::Resumed));
        assert_eq!(subscribers.pop(early), None);
        assert_eq!(subscribers.pop(late), Some(SessionEvent::Resumed));
        assert_eq!(subscribers.pop(late), None);
    }

    #[test]
    fn a_subscriber_that_does_not_look_loses_the_oldest_and_learns_how_many() {
        let (mut waiters, mut subscribers) = (Waiters::default(), Subscribers::default());
        let id = waiters.new_id();
        subscribers.subscribe(id);
        for path in 0..MAX_WAITING as u64 + 3 {
            subscribers.push(SessionEvent::PathAdded(PathId(path)));
        }
        assert_eq!(subscribers.lagged(id), 3);
        assert_eq!(subscribers.pop(id), Some(SessionEvent::PathAdded(PathId(3))));
        subscribers.unsubscribe(id);
        subscribers.push(SessionEvent::Draining);
        assert_eq!(subscribers.pop(id), None);
    }
}
