//! Flow-control credit: how much one end may send before the other has read (docs/PROTOCOL.md section 5.5).
//!
//! The same two structs serve the session as a whole and every stream. All limits are absolute counts since
//! the beginning, so that a statement repeated on another path, late or twice, does no harm.

use std::time::Duration;

use crate::proto::time::Time;

/// Readers are served in bursts: a window that is used up faster than in two of these holds the peer back, however short
/// the round trip is. (A browser's page gathers for 4 ms; with a round trip of 1 ms its window stayed at half of the rate.)
const MIN_ROUND: Duration = Duration::from_millis(5);

/// The peer sent more than it was allowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer sent {received_bytes} bytes where {limit_bytes} were allowed")]
pub(crate) struct Exceeded {
    /// The limit that the peer had been told.
    pub(crate) limit_bytes: u64,
    /// Where its sending would have got to.
    pub(crate) received_bytes: u64,
}

/// Whether there is memory for a larger window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    Allowed,
    Denied,
}

/// The receiving end: what the peer has been granted, and when to grant more.
///
/// Promise: never more than the window is granted beyond what the application has consumed, so the window
/// bounds what can wait here unread. The window doubles, up to its maximum, whenever half of it is used up
/// within two round trips (of 5 ms at least), because it is then what holds the peer back, if there is memory for it.
#[derive(Clone, Debug)]
pub(crate) struct RecvWindow {
    limit: u64,
    window: u64,
    max_window: u64,
    received: u64,
    consumed: u64,
    /// When the half window that is being used up was granted; `None` before the first grant.
    granted_at: Option<Time>,
}

impl RecvWindow {
    /// A window of `initial` bytes, all of them granted, that may grow to `max` bytes.
    pub(crate) fn new(initial: u64, max: u64) -> Self {
        Self {
            limit: initial,
            window: initial,
            max_window: max.max(initial),
            received: 0,
            consumed: 0,
            granted_at: None,
        }
    }

    /// For the session: `new_bytes` have arrived that count anew.
    ///
    /// # Errors
    /// [`Exceeded`] when the peer was not allowed to send them; nothing changes.
    pub(crate) fn on_received(&mut self, new_bytes: u64) -> Result<(), Exceeded> {
        let received_bytes = self.received.saturating_add(new_bytes);
        if received_bytes > self.limit {
            return Err(Exceeded { limit_bytes: self.limit, received_bytes });
        }
        self.received = received_bytes;
        Ok(())
    }

    /// For a stream: bytes up to `end_offset` have arrived, or the stream's size is said to be that. Returns
    /// by how much this goes beyond all before: what the session's window is to count.
    ///
    /// # Errors
    /// [`Exceeded`] when the peer was not allowed to get there; nothing changes.
    pub(crate) fn on_received_up_to(&mut self, end_offset: u64) -> Result<u64, Exceeded> {
        let new_bytes = end_offset.saturating_sub(self.received);
        self.on_received(new_bytes)?;
        Ok(new_bytes)
    }

    /// The application has taken `bytes`, or they were thrown away: their room is free again.
    pub(crate) fn on_consumed(&mut self, bytes: u64) {
        self.consumed = self.consumed.saturating_add(bytes);
    }

    /// The new limit that the peer should be told now, if any. `rtt` is that of the path which carries the
    /// data; with several of them, the longest.
    pub(crate) fn next_update(&mut self, now: Time, rtt: Duration, growth: Growth) -> Option<u64> {
        let granted_at = *self.granted_at.get_or_insert(now);
        let remaining = self.limit.saturating_sub(self.consumed);
        if remaining > self.window / 2 {
            return None;
        }
        if growth == Growth::Allowed
            && now.saturating_since(granted_at) < rtt.max(MIN_ROUND).saturating_mul(2)
        {
            self.window = self.window.saturating_mul(2).min(self.max_window);
        }
        let limit = self.consumed.saturating_add(self.window);
        if limit <= self.limit {
            return None;
        }
        self.limit = limit;
        self.granted_at = Some(now);
        Some(limit)
    }

    /// The window is `bytes` at least from now on, or its maximum. Returns whether the peer has to be told a new limit.
    pub(crate) fn grow_to(&mut self, now: Time, bytes: u64) -> bool {
        let window = bytes.min(self.max_window);
        if window <= self.window {
            return false;
        }
        self.window = window;
        self.limit = self.limit.max(self.consumed.saturating_add(window));
        self.granted_at = Some(now);
        true
    }

    /// How much may wait unread: the window as it is now.
    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    /// What has arrived; for a stream: one past its highest byte.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The absolute limit granted so far.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// What the application has taken, or what was thrown away.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }
}

/// The sending end: what the peer has granted and how much of it is left.
#[derive(Clone, Debug)]
pub(crate) struct SendCredit {
    limit: u64,
    used: u64,
}

impl SendCredit {
    /// Up to `limit` bytes may be sent.
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// The peer grants up to `limit` bytes in all; returns whether this is more than before. A lower limit is
    /// an old one that comes late, and is ignored.
    pub(crate) fn raise(&mut self, limit: u64) -> bool {
        let raised = limit > self.limit;
        self.limit = self.limit.max(limit);
        raised
    }

    /// How many bytes may still be sent for the first time. Sending again what was sent before is free.
    pub(crate) fn available(&self) -> u64 {
        self.limit - self.used
    }

    /// `bytes` are sent for the first time: at most [`Self::available`].
    pub(crate) fn consume(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.available(), "{bytes} bytes sent, {} granted", self.available());
        self.used += bytes.min(self.available());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn at(ms: u64) -> Time {
        Time::from_epoch(Duration::from_millis(ms))
    }

    #[test]
    fn a_window_does_not_grow_while_memory_is_short() {
        let mut window = RecvWindow::new(1_000, 8_000);
        assert_eq!(window.next_update(at(0), RTT, Growth::Allowed), None);
        window.on_received(500).unwrap();
        window.on_consumed(500);
        assert_eq!(window.next_update(at(1), RTT, Growth::Denied), Some(1_500), "it moves on all the same");
        assert_eq!(window.window(), 1_000);
    }

    #[test]
    fn a_peer_that_overruns_its_credit_is_told_by_how_much() {
        let mut window = RecvWindow::new(1_000, 1_000);
        assert_eq!(window.on_received(1_000), Ok(()));
        assert_eq!(window.on_received(1), Err(Exceeded { limit_bytes: 1_000, received_bytes: 1_001 }));
        assert!(window.on_received(u64::MAX).is_err());
        assert_eq!(window.on_received(0), Ok(()));
    }

    #[test]
    fn bytes_of_a_stream_that_come_twice_count_once() {
        let mut window = RecvWindow::new(1_000, 1_000);
        assert_eq!(window.on_received_up_to(600), Ok(600));
        assert_eq!(window.on_received_up_to(400), Ok(0));
        assert_eq!(window.on_received_up_to(700), Ok(100));
        assert!(window.on_received_up_to(1_001).is_err());
        assert_eq!(window.on_received_up_to(1_000), Ok(300));
    }

    #[test]
    fn credit_is_renewed_when_half_of_it_is_used_up() {
        let mut window = RecvWindow::new(1_000, 1_000);
        window.on_consumed(499);
        assert_eq!(window.next_update(at(0), RTT, Growth::Allowed), None);
        window.on_consumed(1);
        assert_eq!(window.next_update(at(0), RTT, Growth::Allowed), Some(1_500));
        assert_eq!(window.next_update(at(0), RTT, Growth::Allowed), None);
    }

    #[test]
    fn a_reader_that_does_not_read_grants_nothing() {
        let mut window = RecvWindow::new(1_000, 64_000);
        window.on_received(1_000).unwrap();
        assert_eq!(window.next_update(at(0), RTT, Growth::Allowed), None);
    }

    #[test]
    fn the_window_doubles_for_a_fast_peer_up_to_the_maximum() {
        let mut window = RecvWindow::new(1_000, 4_000);
        assert_eq!(window.next_update(at(0), RTT, Growth::Allowed), None);
        window.on_consumed(500);
        assert_eq!(window.next_update(at(99), RTT, Growth::Allowed), Some(500 + 2_000));
        window.on_consumed(1_000);
        assert_eq!(window.next_update(at(198), RTT, Growth::Allowed), Some(1_500 + 4_000));
        window.on_consumed(2_000);
        assert_eq!(window.next_update(at(199), RTT, Growth::Allowed), Some(3_500 + 4_000));
    }

    #[test]
    fn the_window_stays_for_a_slow_peer() {
        let mut window = RecvWindow::new(1_000, 4_000);
        assert_eq!(window.next_update(at(0), RTT, Growth::Allowed), None);
        window.on_consumed(500);
        assert_eq!(window.next_update(at(100), RTT, Growth::Allowed), Some(1_500));
    }

    #[test]
    fn a_window_that_is_used_up_in_bursts_grows_although_the_round_trip_is_short() {
        let rtt = Duration::from_millis(1);
        let mut window = RecvWindow::new(1_000, 4_000);
        assert_eq!(window.next_update(at(0), rtt, Growth::Allowed), None);
        window.on_consumed(500);
        assert_eq!(window.next_update(at(9), rtt, Growth::Allowed), Some(2_500));
        window.on_consumed(1_000);
        assert_eq!(window.next_update(at(19), rtt, Growth::Allowed), Some(3_500), "this was not too fast");
    }

    #[test]
    fn a_window_grows_when_it_is_told_to_and_no_further_than_its_maximum() {
        let mut window = RecvWindow::new(1_000, 4_000);
        window.on_received(300).unwrap();
        window.on_consumed(300);
        assert!(!window.grow_to(at(0), 1_000));
        assert!(window.grow_to(at(0), 3_000));
        assert_eq!((window.window(), window.limit()), (3_000, 3_300));
        assert!(window.grow_to(at(0), 9_000));
        assert_eq!((window.window(), window.limit()), (4_000, 4_300));
        assert!(!window.grow_to(at(0), 9_000));
    }

    #[test]
    fn a_window_of_a_single_byte_does_not_stall() {
        let mut window = RecvWindow::new(1, 1);
        for limit in 2..10 {
            assert_eq!(window.on_received(1), Ok(()));
            window.on_consumed(1);
            assert_eq!(window.next_update(at(0), RTT, Growth::Allowed), Some(limit));
        }
    }

    #[test]
    fn send_credit_only_grows() {
        let mut credit = SendCredit::new(100);
        credit.consume(100);
        assert!(!credit.raise(100) && !credit.raise(50));
        assert_eq!(credit.available(), 0);
        assert!(credit.raise(150));
        assert_eq!(credit.available(), 50);
    }

    proptest! {
        #[test]
        fn a_transfer_never_stalls_and_never_waits_beyond_the_window(
            initial in 1..5_000u64,
            max in 1..20_000u64,
            steps in prop::collection::vec((0..4_000u64, 0..4_000u64, 0..200u64), 1..80),
        ) {
            let mut window = RecvWindow::new(initial, max);
            let mut credit = SendCredit::new(window.limit());
            let (mut unread, mut now) = (0u64, 0);
            for (wanted, read, wait) in steps {
                let sent = wanted.min(credit.available());
                credit.consume(sent);
                prop_assert_eq!(window.on_received(sent), Ok(()));
                unread += sent;
                prop_assert!(unread <= max.max(initial));
                let read = read.min(unread);
                unread -= read;
                window.on_consumed(read);
                now += wait;
                if let Some(limit) = window.next_update(at(now), RTT, Growth::Allowed) {
                    prop_assert!(credit.raise(limit));
                }
                prop_assert!(unread > 0 || credit.available() > 0, "all is read and nothing may be sent");
            }
        }
    }
}
