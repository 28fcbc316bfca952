//! Subscriptions to what happens to a session.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::shared::{Core, Shared};
use super::waiters::{Place, Topic};
use crate::proto::event::SessionEvent;

/// How many events wait for a subscriber that does not look: some minutes' worth on a bad network.
const MAX_WAITING: usize = 256;

/// The events that wait for one subscriber. When there are too many, the oldest go first: they are superseded.
#[derive(Debug, Default)]
pub(crate) struct EventBuffer {
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
    buffers: BTreeMap<Place, EventBuffer>,
}

impl Subscribers {
    /// A copy of `event` for everyone.
    pub(crate) fn push(&mut self, event: SessionEvent) {
        for buffer in self.buffers.values_mut() {
            buffer.push(event.clone());
        }
    }

    fn subscribe(&mut self, place: Place) {
        self.buffers.insert(place, EventBuffer::default());
    }

    fn pop(&mut self, place: Place) -> Option<SessionEvent> {
        self.buffers.get_mut(&place)?.waiting.pop_front()
    }

    fn lagged(&self, place: Place) -> u64 {
        self.buffers.get(&place).map_or(0, |buffer| buffer.lagged)
    }

    fn unsubscribe(&mut self, place: Place) {
        self.buffers.remove(&place);
    }
}

/// What happens to a session from the time of [`Session::events`](super::Session::events) on: paths that come and
/// go, suspension and resumption, the server's advice.
///
/// It does not keep the session open. At most 256 events wait; then the oldest are dropped and counted.
#[derive(Debug)]
pub struct SessionEvents {
    shared: Arc<Shared>,
    place: Place,
}

impl SessionEvents {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let place = shared.enter(|core, _| {
            let place = core.waiters.new_place();
            core.subscribers.subscribe(place);
            place
        });
        Self { shared, place }
    }

    /// The next event; `None` once the session has ended and everything before that was handed out.
    ///
    /// Cancel safe: an event is handed out or stays.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        let place = self.place;
        let next = |core: &mut Core| match core.subscribers.pop(place) {
            Some(event) => Some(Some(event)),
            None => core.end().map(|_| None),
        };
        self.shared.wait(Topic::Events, move |core, _| next(core)).await
    }

    /// How many events were dropped because too many were waiting.
    pub fn lagged(&self) -> u64 {
        self.shared.look(|core| core.subscribers.lagged(self.place))
    }
}

impl Drop for SessionEvents {
    fn drop(&mut self) {
        self.shared.look(|core| core.subscribers.unsubscribe(self.place));
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
        let (early, late) = (waiters.new_place(), waiters.new_place());
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
        let place = waiters.new_place();
        subscribers.subscribe(place);
        for path in 0..MAX_WAITING as u64 + 3 {
            subscribers.push(SessionEvent::PathAdded(PathId(path)));
        }
        assert_eq!(subscribers.lagged(place), 3);
        assert_eq!(subscribers.pop(place), Some(SessionEvent::PathAdded(PathId(3))));
        subscribers.unsubscribe(place);
        subscribers.push(SessionEvent::Draining);
        assert_eq!(subscribers.pop(place), None);
    }
}
