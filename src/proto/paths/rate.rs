//! Delivery rate, bytes in flight and round-trip samples of a path, from the peer's reports alone.
//!
//! A browser says little about its connections, so nothing here asks the carrier. The sender notes when it
//! committed which bytes to the path; the receiver reports how many have arrived (PATH_REPORT). The rate is
//! estimated as in draft-cheng-iccrg-delivery-rate-estimation, and filtered as in BBR: the highest rate of
//! the last ten round trips counts, since a path that has shown a rate can likely carry it.
//!
//! Memory is bounded: notes on bytes in flight are merged when there are too many, which makes round trips
//! seem at most longer, never shorter.

use std::collections::VecDeque;
use std::time::Duration;

use crate::proto::time::Time;

/// Most notes on bytes in flight; merging then halves them.
const MAX_CHECKPOINTS: usize = 256;
/// How many round trips a measured rate counts for.
const FILTER_ROUNDS: u64 = 10;
/// Round trips without growth after which a path counts as fully used.
const PLATEAU_ROUNDS: u64 = 3;

/// A measured round trip, to be fed to [`RttEstimator::update`](crate::proto::paths::rtt::RttEstimator::update).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RttSample {
    /// From committing the bytes to hearing of their arrival.
    pub(crate) rtt: Duration,
    /// The part of it that the receiver says it held the report back.
    pub(crate) delay: Duration,
}

/// What is known of the delivery on one path.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeliveryRate {
    sent: u64,
    delivered: u64,
    /// When `delivered` last grew, or sending began again after nothing was in flight.
    delivered_at: Time,
    /// When the first of the bytes was sent that the current measurement goes over.
    first_sent_at: Time,
    /// Until more than this is delivered, measurements show what the application sent, not what the path takes.
    app_limited_until: Option<u64>,
    in_flight: VecDeque<Checkpoint>,
    round: u64,
    /// The round ends when a byte sent after this offset is reported.
    round_ends_after: u64,
    /// Highest rates of the last rounds: rounds ascending, rates descending.
    best: VecDeque<(u64, u64)>,
    /// The rate that has to be exceeded by a quarter to count as growth, and the round in which it last was.
    plateau: (u64, u64),
}

/// Bytes committed to the path at one time, and how the delivery stood then.
#[derive(Clone, Copy, Debug)]
struct Checkpoint {
    /// Bytes committed up to and with these.
    end: u64,
    sent_at: Time,
    delivered: u64,
    delivered_at: Time,
    first_sent_at: Time,
    is_app_limited: bool,
    /// A report has fallen into these bytes; the round trip of later ones would include how long they are.
    is_measured: bool,
}

impl DeliveryRate {
    /// A path on which nothing has been sent.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Bytes were committed to the path: `cumulative` in all since it opened, copies included.
    pub(crate) fn on_sent(&mut self, now: Time, cumulative: u64) {
        if cumulative <= self.sent {
            return;
        }
        if self.bytes_in_flight() == 0 {
            self.delivered_at = now;
            self.first_sent_at = now;
        }
        let checkpoint = Checkpoint {
            end: cumulative,
            sent_at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            is_app_limited: self.app_limited_until.is_some_and(|until| until >= self.delivered),
            is_measured: false,
        };
        self.sent = cumulative;
        match self.in_flight.back_mut() {
            Some(last) if last.sent_at == now && !last.is_measured => last.end = cumulative,
            _ => self.in_flight.push_back(checkpoint),
        }
        if self.in_flight.len() > MAX_CHECKPOINTS {
            self.merge_checkpoints();
        }
    }

    /// Joins every two neighbours: what is known of the first holds for both.
    fn merge_checkpoints(&mut self) {
        let mut merged = VecDeque::with_capacity(self.in_flight.len());
        while let Some(mut first) = self.in_flight.pop_front() {
            if let Some(second) = self.in_flight.pop_front() {
                first.end = second.end;
                first.is_app_limited |= second.is_app_limited;
            }
            merged.push_back(first);
        }
        self.in_flight = merged;
    }

    /// There is nothing to send although the path would take more: what is in flight now measures the
    /// application, not the path, and may raise the estimated rate but not lower it.
    pub(crate) fn on_app_limited(&mut self) {
        self.app_limited_until = Some(self.sent);
    }

    /// The peer reports that `cumulative` bytes have arrived, the newest of them `delay` before it sent the
    /// report. Returns a round-trip sample when the newest byte allows one. A report that is not newer than
    /// all before is ignored; one of more bytes than were sent counts as all of them.
    pub(crate) fn on_report(&mut self, now: Time, cumulative: u64, delay: Duration) -> Option<RttSample> {
        let cumulative = cumulative.min(self.sent);
        if cumulative <= self.delivered {
            return None;
        }
        self.delivered = cumulative;
        self.delivered_at = now;
        let passed = self.in_flight.partition_point(|checkpoint| checkpoint.end < cumulative);
        self.in_flight.drain(..passed);
        // It holds the newest byte that has arrived; it stays if others of its bytes have not.
        let front = self.in_flight.front_mut()?;
        let newest = *front;
        front.is_measured = true;
        if newest.end == cumulative {
            self.in_flight.pop_front();
        }
        if newest.delivered >= self.round_ends_after {
            self.round += 1;
            self.round_ends_after = self.delivered;
            if newest.is_app_limited {
                self.plateau.1 += 1;
            }
        }
        self.first_sent_at = newest.sent_at;
        self.measure_rate(&newest);
        (!newest.is_measured).then(|| RttSample { rtt: now.saturating_since(newest.sent_at), delay })
    }

    fn measure_rate(&mut self, newest: &Checkpoint) {
        let sending = newest.sent_at.saturating_since(newest.first_sent_at);
        let arriving = self.delivered_at.saturating_since(newest.delivered_at);
        // Reports can come in bursts; bytes cannot arrive faster than they were sent.
        let nanos = sending.max(arriving).as_nanos();
        if nanos == 0 {
            return;
        }
        let bytes = u128::from(self.delivered - newest.delivered);
        let rate = u64::try_from(bytes * 1_000_000_000 / nanos).unwrap_or(u64::MAX);
        if newest.is_app_limited && self.rate().is_some_and(|best| rate < best) {
            return;
        }
        let oldest_round = self.round.saturating_sub(FILTER_ROUNDS);
        self.best.retain(|&(round, best)| round > oldest_round && best > rate);
        if self.best.back().is_none_or(|&(round, _)| round < self.round) {
            self.best.push_back((self.round, rate));
        }
        if rate >= self.plateau.0 + self.plateau.0 / 4 {
            self.plateau = (rate, self.round);
        }
    }

    /// Whether the rate has grown by a quarter within the last three round trips in which it could, as in BBR's
    /// start-up: the path may well take more than was tried.
    pub(crate) fn is_growing(&self) -> bool {
        self.round < self.plateau.1 + PLATEAU_ROUNDS
    }

    /// Bytes committed to the path that are not reported as arrived.
    pub(crate) fn bytes_in_flight(&self) -> u64 {
        self.sent - self.delivered
    }

    /// Bytes per second: the highest rate of about the last ten round trips. `None` before the first report.
    pub(crate) fn rate(&self) -> Option<u64> {
        self.best.front().map(|&(_, rate)| rate)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACKET: u64 = 1_000;

    fn us(us: u64) -> Time {
        Time::from_epoch(Duration::from_micros(us))
    }

    /// A path of fixed rate and delay, which reports each packet as it arrives.
    struct Path {
        rate: DeliveryRate,
        /// How long the bottleneck takes for a packet, and how long a round trip takes without it.
        packet_us: u64,
        rtt_us: u64,
        sent: u64,
        free_at_us: u64,
        /// When the report on how many bytes comes back.
        reports: VecDeque<(u64, u64)>,
        rtts_us: Vec<u64>,
    }

    impl Path {
        fn new(packet_us: u64, rtt_us: u64) -> Self {
            let reports = VecDeque::new();
            Self {
                rate: DeliveryRate::new(),
                packet_us,
                rtt_us,
                sent: 0,
                free_at_us: 0,
                reports,
                rtts_us: vec![],
            }
        }

        fn send(&mut self, now_us: u64) {
            self.sent += PACKET;
            self.rate.on_sent(us(now_us), self.sent);
            self.free_at_us = self.free_at_us.max(now_us) + self.packet_us;
            self.reports.push_back((self.free_at_us + self.rtt_us, self.sent));
        }

        /// Hears the reports that come back until `until_us`, sending one packet for each if `refill`.
        fn run(&mut self, until_us: u64, refill: bool) {
            while let Some(&(at_us, cumulative)) = self.reports.front()
                && at_us <= until_us
            {
                self.reports.pop_front();
                let sample = self.rate.on_report(us(at_us), cumulative, Duration::ZERO);
                self.rtts_us.extend(sample.map(|sample| sample.rtt.as_micros() as u64));
                if refill {
                    self.send(at_us);
                }
            }
        }
    }

    #[test]
    fn a_full_path_shows_its_rate_and_its_round_trip() {
        // 1,000 bytes per 100 us are 10 MB/s; 30 ms x 10 MB/s are 300 packets.
        let mut path = Path::new(100, 30_000);
        (0..350).for_each(|_| path.send(0));
        path.run(500_000, true);
        let rate = path.rate.rate().unwrap();
        assert!((9_900_000..=10_000_000).contains(&rate), "{rate} B/s");
        assert_eq!(path.rtts_us.first(), Some(&30_100));
        assert_eq!(path.rate.bytes_in_flight(), 350 * PACKET);
    }

    #[test]
    fn an_idle_application_does_not_make_the_path_look_slow() {
        let mut path = Path::new(100, 30_000);
        (0..350).for_each(|_| path.send(0));
        path.run(200_000, true);
        let full = path.rate.rate();
        path.run(300_000, false);
        for start_us in (300_000..3_000_000).step_by(50_000) {
            path.rate.on_app_limited();
            path.send(start_us);
            path.rate.on_app_limited();
            path.run(start_us + 50_000, false);
        }
        assert_eq!(path.rate.rate(), full);
    }

    #[test]
    fn a_path_that_became_slower_is_found_out_within_its_window() {
        let mut path = Path::new(100, 30_000);
        (0..350).for_each(|_| path.send(0));
        path.run(200_000, true);
        path.packet_us = 400;
        path.run(5_000_000, true);
        let rate = path.rate.rate().unwrap();
        assert!((2_400_000..=2_600_000).contains(&rate), "{rate} B/s");
    }

    #[test]
    fn the_time_before_a_pause_does_not_count() {
        let mut path = Path::new(100, 30_000);
        path.send(0);
        path.run(1_000_000, false);
        let slow = path.rate.rate().unwrap();
        (0..100).for_each(|_| path.send(10_000_000));
        path.run(20_000_000, false);
        assert!(path.rate.rate().unwrap() > 50 * slow);
    }

    #[test]
    fn reports_that_cannot_be_are_harmless() {
        let mut rate = DeliveryRate::new();
        assert_eq!(rate.on_report(us(5), 1_000, Duration::ZERO), None);
        rate.on_sent(us(10), 1_000);
        assert!(rate.on_report(us(20), u64::MAX, Duration::MAX).is_some());
        assert_eq!(rate.bytes_in_flight(), 0);
        assert_eq!(rate.on_report(us(30), 1_000, Duration::ZERO), None);
        rate.on_sent(us(40), 2_000);
        assert_eq!(rate.on_report(us(50), 500, Duration::ZERO), None);
        assert_eq!(rate.bytes_in_flight(), 1_000);
        assert!(rate.on_report(us(40), 1_500, Duration::ZERO).is_some());
    }

    #[test]
    fn a_long_write_that_arrives_bit_by_bit_is_one_sample() {
        let mut rate = DeliveryRate::new();
        rate.on_sent(us(0), 64_000);
        let samples: Vec<_> = (1..=64)
            .filter_map(|i| rate.on_report(us(10_000 + i * 1_000), i * 1_000, Duration::ZERO))
            .collect();
        assert_eq!(samples, [RttSample { rtt: Duration::from_micros(11_000), delay: Duration::ZERO }]);
    }

    proptest! {
        #[test]
        fn a_sample_is_never_shorter_than_the_true_round_trip(
            gaps_us in prop::collection::vec(0..200u64, 1..2_000),
            delay_us in 1..1_000_000u64,
            reported in prop::collection::vec(1..50u64, 1..200),
        ) {
            let mut rate = DeliveryRate::new();
            let mut sent_at_us = vec![0];
            for gap_us in gaps_us {
                let now_us = sent_at_us[sent_at_us.len() - 1] + gap_us;
                sent_at_us.push(now_us);
                rate.on_sent(us(now_us), sent_at_us.len() as u64 - 1);
                prop_assert!(rate.in_flight.len() <= MAX_CHECKPOINTS);
            }
            let base_us = sent_at_us[sent_at_us.len() - 1];
            let mut arrived = 0;
            for step in reported {
                arrived = (arrived + step).min(sent_at_us.len() as u64 - 1);
                let truth_us = base_us + delay_us - sent_at_us[arrived as usize];
                if let Some(sample) = rate.on_report(us(base_us + delay_us), arrived, Duration::ZERO) {
                    prop_assert!(sample.rtt >= Duration::from_micros(truth_us));
                }
                prop_assert_eq!(rate.bytes_in_flight(), sent_at_us.len() as u64 - 1 - arrived);
                prop_assert!(rate.best.len() as u64 <= FILTER_ROUNDS);
            }
        }
    }
}
