//! Who waits for what.
//!
//! Promises: a task that registers in the same critical section in which it found nothing is woken by the next
//! [`wake`](Waiters::wake) of its topic; what one waiting future leaves behind is at most one waker, and it takes
//! that along when it is dropped. Everyone who waits for a topic is woken, since a waiter that is dropped
//! between its wake-up and its next turn must not keep the news from the others.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::proto::wire::id::{Dir, PathId, StreamId};

/// Something that a task can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// The session is open.
    Opened,
    /// A stream of this kind can be opened.
    Open(Dir),
    /// The peer has opened a stream of this kind.
    Accept(Dir),
    /// There is something to read from a stream.
    Read(StreamId),
    /// There is room to write to a stream.
    Write(StreamId),
    /// The peer has all of a stream, or will never have it.
    Delivered(StreamId),
    /// A datagram has arrived.
    Datagram,
    /// A path is part of the session, or a ping came back on it, or it is gone.
    Path(PathId),
    /// Something that subscribers of events want to know.
    Events,
    /// The session is over and its carriers are closed.
    Over,
}

/// Tells apart those who wait for a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterId(u64);

impl WaiterId {
    /// For topics that only one task can wait for: those of half a stream, which has one handle.
    pub(crate) const ONLY: WaiterId = WaiterId(0);
    const LAST: WaiterId = WaiterId(u64::MAX);
}

/// The wakers of all tasks that wait for something of one session.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: BTreeMap<(Topic, WaiterId), Waker>,
    last_id: u64,
}

impl Waiters {
    /// An id that is not in use.
    pub(crate) fn new_id(&mut self) -> WaiterId {
        self.last_id += 1;
        WaiterId(self.last_id)
    }

    /// Has `waker` woken by the next news of `topic`; the waker that `id` had before is forgotten.
    pub(crate) fn register(&mut self, topic: Topic, id: WaiterId, waker: &Waker) {
        self.waiting
            .entry((topic, id))
            .and_modify(|old| old.clone_from(waker))
            .or_insert_with(|| waker.clone());
    }

    /// Forgets who waits under this id.
    pub(crate) fn forget(&mut self, topic: Topic, id: WaiterId) {
        self.waiting.remove(&(topic, id));
    }

    /// Moves the wakers of `topic` to `woken`, to be woken when no lock is held.
    pub(crate) fn wake(&mut self, topic: Topic, woken: &mut Vec<Waker>) {
        let all = (topic, WaiterId::ONLY)..=(topic, WaiterId::LAST);
        while let Some((&key, _)) = self.waiting.range(all.clone()).next() {
            woken.extend(self.waiting.remove(&key));
        }
    }

    /// Moves the wakers of all topics to `woken`.
    pub(crate) fn wake_all(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(std::mem::take(&mut self.waiting).into_values());
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn task() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), count.into())
    }

    fn wake(waiters: &mut Waiters, topic: Topic) -> usize {
        let mut woken = Vec::new();
        waiters.wake(topic, &mut woken);
        let number = woken.len();
        woken.into_iter().for_each(Waker::wake);
        number
    }

    #[test]
    fn everyone_who_waits_for_a_topic_is_woken_once_and_nobody_else() {
        let mut waiters = Waiters::default();
        let (first, first_waker) = task();
        let (second, second_waker) = task();
        let (other, other_waker) = task();
        for waker in [&first_waker, &second_waker] {
            let id = waiters.new_id();
            waiters.register(Topic::Open(Dir::Bi), id, waker);
        }
        waiters.register(Topic::Open(Dir::Uni), WaiterId::ONLY, &other_waker);
        assert_eq!(wake(&mut waiters, Topic::Open(Dir::Bi)), 2);
        assert_eq!(wake(&mut waiters, Topic::Open(Dir::Bi)), 0);
        assert_eq!([first, second, other].map(|count| count.0.load(Ordering::Relaxed)), [1, 1, 0]);
    }

    #[test]
    fn a_future_that_is_polled_by_another_task_wakes_that_one() {
        let mut waiters = Waiters::default();
        let (old, old_waker) = task();
        let (new, new_waker) = task();
        waiters.register(Topic::Read(StreamId(4)), WaiterId::ONLY, &old_waker);
        waiters.register(Topic::Read(StreamId(4)), WaiterId::ONLY, &new_waker);
        assert_eq!(wake(&mut waiters, Topic::Read(StreamId(4))), 1);
        assert_eq!([old, new].map(|count| count.0.load(Ordering::Relaxed)), [0, 1]);
    }

    #[test]
    fn a_future_that_is_dropped_leaves_nothing_behind() {
        let mut waiters = Waiters::default();
        let (count, waker) = task();
        let id = waiters.new_id();
        waiters.register(Topic::Datagram, id, &waker);
        waiters.forget(Topic::Datagram, id);
        drop(waker);
        assert_eq!(wake(&mut waiters, Topic::Datagram), 0);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn the_end_of_a_session_wakes_all() {
        let mut waiters = Waiters::default();
        let (_, waker) = task();
        for topic in [Topic::Over, Topic::Accept(Dir::Bi), Topic::Write(StreamId(0)), Topic::Path(PathId(3))]
        {
            waiters.register(topic, WaiterId::ONLY, &waker);
        }
        let mut woken = Vec::new();
        waiters.wake_all(&mut woken);
        assert_eq!(woken.len(), 4);
    }
}
