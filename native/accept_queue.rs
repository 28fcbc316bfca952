//! Sessions that clients have opened and the application has not taken yet.
//!
//! Promise: each is handed out once, in the order they came, whether or not it has ended meanwhile; unless it is removed.

use std::collections::BTreeMap;

use crate::proto::wire::id::SessionId;

/// Sessions `S`; one that ends while it waits keeps `P`, its room, until it is taken.
#[derive(Debug)]
pub(crate) struct AcceptQueue<S, P> {
    next: u64,
    order: BTreeMap<u64, SessionId>,
    waiting: BTreeMap<SessionId, Waiting<S, P>>,
}

#[derive(Debug)]
pub(crate) struct Waiting<S, P> {
    number: u64,
    session: S,
    /// Of one that has ended.
    room: Option<P>,
}

impl<S, P> Default for AcceptQueue<S, P> {
    fn default() -> Self {
        Self { next: 0, order: BTreeMap::new(), waiting: BTreeMap::new() }
    }
}

impl<S, P> AcceptQueue<S, P> {
    pub(crate) fn push(&mut self, id: SessionId, session: S) {
        self.order.insert(self.next, id);
        self.waiting.insert(id, Waiting { number: self.next, session, room: None });
        self.next += 1;
    }

    /// The one that came first. Its room is given back.
    pub(crate) fn pop(&mut self) -> Option<(SessionId, S)> {
        let (_, id) = self.order.pop_first()?;
        let Waiting { session, .. } = self.waiting.remove(&id)?;
        Some((id, session))
    }

    /// A session has ended. Returns its room if it does not wait here.
    pub(crate) fn on_ended(&mut self, id: SessionId, room: P) -> Option<P> {
        match self.waiting.get_mut(&id) {
            Some(waiting) => waiting.room.replace(room),
            None => Some(room),
        }
    }

    /// Takes one out, to be dropped.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Waiting<S, P>> {
        let waiting = self.waiting.remove(&id)?;
        self.order.remove(&waiting.number);
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> SessionId {
        SessionId([number; 16])
    }

    #[test]
    fn sessions_are_taken_in_their_order_whether_they_have_ended_or_not() {
        let mut queue = AcceptQueue::default();
        (1..=3).rev().for_each(|number| queue.push(id(number), number));
        assert_eq!(queue.on_ended(id(3), "three's"), None);
        assert_eq!(queue.on_ended(id(9), "nine's"), Some("nine's"), "it does not wait here");
        assert!(queue.remove(id(2)).is_some_and(|waiting| waiting.room.is_none()));
        assert!(queue.remove(id(2)).is_none());
        assert_eq!(queue.pop(), Some((id(3), 3)));
        assert_eq!(queue.on_ended(id(3), "three's"), Some("three's"), "it was taken");
        assert_eq!(queue.pop(), Some((id(1), 1)));
        assert_eq!(queue.pop(), None);
    }
}
