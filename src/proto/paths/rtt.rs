//! Round-trip time estimation of a path (RFC 9002 section 5).

use std::time::Duration;

/// What is assumed before the first sample (RFC 9002 section 6.2.2).
const INITIAL: Duration = Duration::from_millis(333);
/// The finest step of a timer that is worth telling apart (RFC 9002 section 6.1.2).
const GRANULARITY: Duration = Duration::from_millis(1);

/// Smoothed, varying and smallest round-trip time.
#[derive(Clone, Debug)]
pub(crate) struct RttEstimator {
    smoothed: Duration,
    var: Duration,
    /// `None` until there is a sample.
    min: Option<Duration>,
}

impl RttEstimator {
    /// Without samples: a smoothed time of 333 ms is assumed.
    pub(crate) fn new() -> Self {
        Self { smoothed: INITIAL, var: INITIAL / 2, min: None }
    }

    /// Takes in a sample: the whole time from sending to hearing of it, and the part of it that the peer says
    /// it held the answer back. A peer that claims more than can be is not believed: the time never goes
    /// below the smallest one measured.
    pub(crate) fn update(&mut self, sample: Duration, ack_delay: Duration) {
        let Some(min) = self.min else {
            self.min = Some(sample);
            self.smoothed = sample;
            self.var = sample / 2;
            return;
        };
        let min = min.min(sample);
        self.min = Some(min);
        let adjusted = if sample >= min.saturating_add(ack_delay) { sample - ack_delay } else { sample };
        self.var = (self.var * 3 + self.smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = (self.smoothed * 7 + adjusted) / 8;
    }

    /// The smoothed round-trip time; 333 ms before the first sample.
    pub(crate) fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// The smallest sample, nothing subtracted; `None` before the first one.
    pub(crate) fn min(&self) -> Option<Duration> {
        self.min
    }

    /// The probe timeout: an answer that takes longer than this is late (RFC 9002 section 6.2.1).
    pub(crate) fn pto(&self, max_ack_delay: Duration) -> Duration {
        (self.smoothed + (self.var * 4).max(GRANULARITY)).saturating_add(max_ack_delay)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn before_the_first_sample_the_rfc_default_holds() {
        let rtt = RttEstimator::new();
        assert_eq!((rtt.smoothed(), rtt.min()), (ms(333), None));
        assert_eq!(rtt.pto(ms(25)), ms(333 + 666 + 25));
    }

    #[test]
    fn the_first_sample_replaces_the_default() {
        let mut rtt = RttEstimator::new();
        rtt.update(ms(40), ms(10));
        assert_eq!((rtt.smoothed(), rtt.var, rtt.min()), (ms(40), ms(20), Some(ms(40))));
        assert_eq!(rtt.pto(Duration::ZERO), ms(120));
    }

    #[test]
    fn later_samples_are_smoothed_and_rid_of_the_peers_delay() {
        let mut rtt = RttEstimator::new();
        rtt.update(ms(40), ms(0));
        rtt.update(ms(90), ms(10));
        assert_eq!(rtt.smoothed(), ms(45));
        assert_eq!(rtt.var, ms(25));
        assert_eq!(rtt.min(), Some(ms(40)));
    }

    #[test]
    fn a_delay_that_cannot_be_is_not_subtracted() {
        let mut rtt = RttEstimator::new();
        rtt.update(ms(40), ms(0));
        rtt.update(ms(48), ms(45));
        assert_eq!(rtt.smoothed(), ms(41));
        rtt.update(ms(41), Duration::MAX);
        assert_eq!(rtt.smoothed(), ms(41));
    }

    #[test]
    fn a_perfectly_steady_path_keeps_one_granule_of_margin() {
        let mut rtt = RttEstimator::new();
        for _ in 0..200 {
            rtt.update(ms(20), ms(0));
        }
        assert_eq!(rtt.pto(Duration::ZERO), ms(21));
    }

    proptest! {
        #[test]
        fn the_smoothed_time_stays_among_the_samples(
            samples in prop::collection::vec((1_000..1_000_000u64, 0..50_000u64), 1..100)
        ) {
            let mut rtt = RttEstimator::new();
            for &(sample, delay) in &samples {
                rtt.update(Duration::from_micros(sample), Duration::from_micros(delay));
            }
            let smallest = samples.iter().map(|s| s.0).min().map(Duration::from_micros);
            let largest = samples.iter().map(|s| s.0).max().map(Duration::from_micros);
            prop_assert_eq!(rtt.min(), smallest);
            // Eighths are cut off at whole nanoseconds.
            prop_assert!(Some(rtt.smoothed() + Duration::from_nanos(10)) >= smallest);
            prop_assert!(Some(rtt.smoothed()) <= largest);
        }
    }
}
