//! Datagram queues in both directions, and the sequence numbers that have been seen.
//!
//! Promises: a datagram that came over two paths is delivered once; what waits is bounded by count and by
//! bytes; when it is too much the oldest go first, since old news is worth least.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use super::config::PathPolicy;
use super::futile::Use;
use super::time::Time;
use super::wire::id::PathId;
use super::wire::varint;

/// How far back sequence numbers are remembered: at the 22,000 datagrams per second that a browser takes in,
/// two paths may differ by 90 ms.
const WINDOW: u64 = 2_048;
/// Datagrams that may wait in each direction, however short they are.
const MAX_WAITING: usize = 4_096;
const WORD_BITS: u64 = 64;
/// One word more than the window fills: it rarely begins at the beginning of a word.
const WORDS: u64 = WINDOW / WORD_BITS + 1;

/// Tells new sequence numbers from seen ones, in constant memory.
#[derive(Clone, Debug)]
pub(crate) struct DedupWindow {
    /// Bit `s % 64` of word `s / 64 % WORDS` says whether `s` was seen, for each `s` in the window.
    words: [u64; WORDS as usize],
    highest: Option<u64>,
}

impl DedupWindow {
    /// Nothing seen yet.
    pub(crate) fn new() -> Self {
        Self { words: [0; WORDS as usize], highest: None }
    }

    /// Marks `sequence` as seen; returns whether it was new. One that lies 2,048 or more below the highest
    /// counts as seen.
    pub(crate) fn insert(&mut self, sequence: u64) -> bool {
        if self.highest.is_some_and(|highest| highest.saturating_sub(sequence) >= WINDOW) {
            return false;
        }
        let number = sequence / WORD_BITS;
        // Words that the window moves into still hold what was seen one turn of the ring ago.
        let first_fresh = self.highest.map_or(0, |highest| highest / WORD_BITS + 1);
        for fresh in first_fresh.max(number.saturating_sub(WORDS - 1))..=number {
            self.words[(fresh % WORDS) as usize] = 0;
        }
        self.highest = self.highest.max(Some(sequence));
        let word = &mut self.words[(number % WORDS) as usize];
        let bit = 1 << (sequence % WORD_BITS);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

/// A datagram that waits, with whatever its owner wants to know about it later (`tag`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram<T = ()> {
    /// The payload.
    pub(crate) data: Bytes,
    /// After this time it is worth nothing any more; `None`: it can wait for ever.
    pub(crate) deadline: Option<Time>,
    /// The owner's note, such as which paths it may take.
    pub(crate) tag: T,
}

/// Datagrams that wait to be sent, or to be read by the application.
#[derive(Clone, Debug)]
pub(crate) struct DatagramQueue<T = ()> {
    waiting: VecDeque<Datagram<T>>,
    waiting_bytes: usize,
    max_bytes: usize,
    max_count: usize,
    dropped: u64,
}

impl<T> DatagramQueue<T> {
    /// An empty queue for at most `max_count` datagrams of at most `max_bytes` payload bytes together.
    pub(crate) fn new(max_bytes: usize, max_count: usize) -> Self {
        Self { waiting: VecDeque::new(), waiting_bytes: 0, max_bytes, max_count, dropped: 0 }
    }

    /// Appends `datagram` and drops the oldest ones for it, as many as it takes. One that would not fit into
    /// an empty queue is dropped itself, and no other for it.
    pub(crate) fn push(&mut self, datagram: Datagram<T>) {
        if datagram.data.len() > self.max_bytes || self.max_count == 0 {
            self.dropped += 1;
            return;
        }
        while self.waiting.len() >= self.max_count
            || self.waiting_bytes > self.max_bytes - datagram.data.len()
        {
            self.remove(0);
            self.dropped += 1;
        }
        self.waiting_bytes += datagram.data.len();
        self.waiting.push_back(datagram);
    }

    /// Takes the oldest datagram that is not past its deadline.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Datagram<T>> {
        self.pop_where(now, |_| true)
    }

    /// Takes the oldest datagram that is not past its deadline and that `fits`; those that do not fit stay.
    pub(crate) fn pop_where(
        &mut self,
        now: Time,
        mut fits: impl FnMut(&Datagram<T>) -> bool,
    ) -> Option<Datagram<T>> {
        let is_expired = |datagram: &Datagram<T>| datagram.deadline.is_some_and(|deadline| now > deadline);
        while self.waiting.front().is_some_and(is_expired) {
            self.remove(0);
            self.dropped += 1;
        }
        let index = self.waiting.iter().position(|datagram| !is_expired(datagram) && fits(datagram))?;
        self.remove(index)
    }

    /// Drops those that meet `unwanted`: nothing will ever take them.
    pub(crate) fn discard(&mut self, mut unwanted: impl FnMut(&Datagram<T>) -> bool) {
        let before = self.waiting.len();
        self.waiting.retain(|datagram| !unwanted(datagram));
        self.waiting_bytes = self.waiting.iter().map(|datagram| datagram.data.len()).sum();
        self.dropped += (before - self.waiting.len()) as u64;
    }

    fn remove(&mut self, index: usize) -> Option<Datagram<T>> {
        let datagram = self.waiting.remove(index)?;
        self.waiting_bytes -= datagram.data.len();
        Some(datagram)
    }

    /// Payload bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many were dropped because the queue was full, or their deadline had passed.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// How a datagram that waits is to travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) policy: PathPolicy,
    sequence: u64,
}

/// The datagrams of a session, both ways.
#[derive(Debug)]
pub(crate) struct Datagrams {
    outgoing: DatagramQueue<Route>,
    incoming: DatagramQueue,
    seen: DedupWindow,
    next_sequence: u64,
    max_bytes: usize,
    dropped: u64,
}

impl Datagrams {
    /// Datagrams from the peer have `max_bytes` at most; `buffer_bytes` of them may wait each way.
    pub(crate) fn new(max_bytes: usize, buffer_bytes: usize) -> Self {
        Self {
            outgoing: DatagramQueue::new(buffer_bytes, MAX_WAITING),
            incoming: DatagramQueue::new(buffer_bytes, MAX_WAITING),
            seen: DedupWindow::new(),
            next_sequence: 0,
            max_bytes,
            dropped: 0,
        }
    }

    /// Queues one datagram, by each of the `policies`.
    pub(crate) fn send(
        &mut self,
        data: &Bytes,
        deadline: Option<Time>,
        policies: impl IntoIterator<Item = PathPolicy>,
    ) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        for policy in policies {
            self.outgoing.push(Datagram { data: data.clone(), deadline, tag: Route { policy, sequence } });
        }
    }

    /// The oldest that waits to go out and that `fits` a path, and its sequence number.
    pub(crate) fn next_outgoing(&mut self, now: Time, fits: impl Fn(PathPolicy) -> bool) -> Option<Outgoing> {
        let datagram = self.outgoing.pop_where(now, |datagram| fits(datagram.tag.policy))?;
        Some(Outgoing { sequence: datagram.tag.sequence, data: datagram.data })
    }

    /// Whether any waits to go out.
    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The path is gone: what was to travel on it alone never will.
    pub(crate) fn on_path_closed(&mut self, path: PathId) {
        self.outgoing.discard(|datagram| datagram.tag.policy == PathPolicy::Pin(path));
    }

    /// One arrived. It is of no use if it is too long, or a copy of one that was here before.
    pub(crate) fn on_received(&mut self, sequence: u64, data: &Bytes) -> Use {
        if data.len() > self.max_bytes {
            self.dropped += 1;
            return Use::None;
        }
        if !self.seen.insert(sequence) {
            return Use::None;
        }
        // By reference it would keep the whole slab alive that it was received in.
        let data = Bytes::copy_from_slice(data);
        self.incoming.push(Datagram { data, deadline: None, tag: () });
        Use::Some
    }

    /// The oldest that has arrived.
    pub(crate) fn recv(&mut self, now: Time) -> Option<Bytes> {
        self.incoming.pop(now).map(|datagram| datagram.data)
    }

    /// Some were lost outside.
    pub(crate) fn on_dropped(&mut self, count: u64) {
        self.dropped += count;
    }

    /// Dropped for want of room or time, or because they were too long, in both directions.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped + self.outgoing.dropped() + self.incoming.dropped()
    }

    /// Payload bytes that wait, in both directions.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        (self.incoming.waiting_bytes() + self.outgoing.waiting_bytes()) as u64
    }
}

/// A datagram that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) sequence: u64,
    pub(crate) data: Bytes,
}

impl Outgoing {
    /// As a carrier's datagram has it.
    pub(crate) fn encode(&self) -> Bytes {
        let mut buf = BytesMut::with_capacity(8 + self.data.len());
        varint::put(&mut buf, self.sequence);
        buf.put_slice(&self.data);
        buf.freeze()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_epoch(Duration::from_millis(ms))
    }

    /// A datagram of `len` bytes, tagged with a number to know it by.
    fn datagram(tag: u32, len: usize) -> Datagram<u32> {
        Datagram { data: vec![0; len].into(), deadline: None, tag }
    }

    fn tags(queue: &mut DatagramQueue<u32>, now: Time) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop(now)).map(|datagram| datagram.tag).collect()
    }

    #[test]
    fn a_copy_from_another_path_is_not_new() {
        let mut window = DedupWindow::new();
        assert!(window.insert(5));
        assert!(!window.insert(5));
        assert!(window.insert(3));
        assert!(!window.insert(3));
    }

    #[test]
    fn what_is_older_than_the_window_counts_as_seen() {
        let mut window = DedupWindow::new();
        assert!(window.insert(5_000));
        assert!(window.insert(5_000 - 2_047));
        assert!(!window.insert(5_000 - 2_048));
        assert!(!window.insert(0));
    }

    #[test]
    fn a_leap_over_the_whole_window_forgets_what_was_before() {
        let mut window = DedupWindow::new();
        (0..3_000).for_each(|sequence| assert!(window.insert(sequence)));
        assert!(window.insert(u64::MAX));
        assert!((1..2_048).all(|back| window.insert(u64::MAX - back)));
        assert!(!window.insert(u64::MAX));
    }

    #[test]
    fn a_full_queue_drops_its_oldest() {
        let mut by_count = DatagramQueue::new(1_000, 2);
        let mut by_bytes = DatagramQueue::new(25, 10);
        for tag in 0..4 {
            by_count.push(datagram(tag, 10));
            by_bytes.push(datagram(tag, 10));
        }
        assert_eq!((by_count.dropped(), by_bytes.dropped()), (2, 2));
        assert_eq!(tags(&mut by_count, at(0)), [2, 3]);
        assert_eq!(tags(&mut by_bytes, at(0)), [2, 3]);
    }

    #[test]
    fn a_datagram_that_could_never_fit_displaces_no_other() {
        let mut queue = DatagramQueue::new(100, 10);
        queue.push(datagram(0, 100));
        queue.push(datagram(1, 101));
        assert_eq!((queue.dropped(), queue.waiting.len()), (1, 1));
        assert_eq!(tags(&mut queue, at(0)), [0]);
        let mut closed = DatagramQueue::new(100, 0);
        closed.push(datagram(0, 0));
        assert_eq!((closed.dropped(), closed.is_empty()), (1, true));
    }

    #[test]
    fn a_datagram_past_its_deadline_is_not_sent() {
        let mut queue = DatagramQueue::new(1_000, 10);
        queue.push(Datagram { deadline: Some(at(10)), ..datagram(0, 1) });
        queue.push(datagram(1, 1));
        queue.push(Datagram { deadline: Some(at(20)), ..datagram(2, 1) });
        queue.push(Datagram { deadline: Some(at(10)), ..datagram(3, 1) });
        assert_eq!(queue.clone().pop(at(10)).map(|datagram| datagram.tag), Some(0));
        assert_eq!(tags(&mut queue, at(11)), [1, 2]);
        assert_eq!((queue.dropped(), queue.waiting_bytes), (2, 0));
    }

    #[test]
    fn a_datagram_for_another_path_does_not_hold_up_the_next() {
        let mut queue = DatagramQueue::new(1_000, 10);
        (0..3).for_each(|tag| queue.push(datagram(tag, 1)));
        let odd = queue.pop_where(at(0), |datagram| datagram.tag % 2 == 1);
        assert_eq!(odd.map(|datagram| datagram.tag), Some(1));
        assert_eq!(tags(&mut queue, at(0)), [0, 2]);
    }

    proptest! {
        #[test]
        fn every_sequence_number_is_new_once(
            steps in prop::collection::vec(
                prop_oneof![8 => -100..200i64, 2 => -2_200..2_200i64, 1 => 0..10_000i64], 1..400
            )
        ) {
            let mut window = DedupWindow::new();
            let mut seen = HashSet::new();
            let (mut highest, mut position) = (0u64, 0u64);
            for step in steps {
                position = position.saturating_add_signed(step);
                let expected = position + 2_048 > highest && seen.insert(position);
                highest = highest.max(position);
                prop_assert_eq!(window.insert(position), expected);
            }
        }

        #[test]
        fn the_queue_keeps_its_limits_and_its_order(
            lens in prop::collection::vec(0..60usize, 1..100),
            max_bytes in 0..300usize,
            max_count in 0..10usize,
        ) {
            let mut queue = DatagramQueue::new(max_bytes, max_count);
            for (tag, &len) in lens.iter().enumerate() {
                queue.push(datagram(tag as u32, len));
                prop_assert!(queue.waiting.len() <= max_count && queue.waiting_bytes <= max_bytes);
                prop_assert_eq!(queue.dropped() + queue.waiting.len() as u64, tag as u64 + 1);
            }
            prop_assert!(tags(&mut queue, at(0)).is_sorted());
            prop_assert_eq!(queue.waiting_bytes, 0);
        }
    }
}
