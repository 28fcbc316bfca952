//! How long things took, counted by all threads at once without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps between one power of two and the next: a figure is within 0.8 % of what was measured.
const STEPS: u64 = 64;
/// Times below this many nanoseconds, and then so many for each further power of two that 64 bits have.
const BUCKETS: usize = ((64 - STEPS.trailing_zeros() as u64) * STEPS + STEPS) as usize;

/// Counts of durations.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Box<[AtomicU64]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Histogram {
    /// Counts one.
    pub(crate) fn add(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)].fetch_add(1, Ordering::Relaxed);
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// That which this share of them (0 to 1) did not exceed, in microseconds; 0 of none.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        let rank = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut below = 0;
        let found = self.counts.iter().position(|count| {
            below += count.load(Ordering::Relaxed);
            below >= rank
        });
        found.map_or(0.0, |bucket| middle(bucket) / 1e3)
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let Some(power) = nanoseconds.checked_ilog2().and_then(|log| log.checked_sub(STEPS.ilog2())) else {
        return nanoseconds as usize;
    };
    // Here `nanoseconds >> power` is from STEPS to 2 * STEPS - 1.
    (u64::from(power) * STEPS + (nanoseconds >> power)) as usize
}

/// The middle of a bucket, in nanoseconds.
fn middle(bucket: usize) -> f64 {
    let power = (bucket as u64 / STEPS).saturating_sub(1);
    let step = bucket as u64 - power * STEPS;
    (step as f64 + 0.5) * (power as f64).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_has_a_bucket_whose_middle_is_close() {
        let mut nanoseconds = 1_u64;
        while nanoseconds < u64::MAX / 3 {
            let error = middle(bucket(nanoseconds)) / nanoseconds as f64 - 1.0;
            assert!(nanoseconds < STEPS || error.abs() < 0.01, "{nanoseconds}: {error}");
            nanoseconds += nanoseconds / 7 + 1;
        }
        assert!(bucket(u64::MAX) < BUCKETS);
        assert!((1..1_000_000).all(|n| bucket(n) >= bucket(n - 1)));
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let histogram = Histogram::default();
        assert_eq!((histogram.count(), histogram.quantile_us(0.5)), (0, 0.0));
        (1..=100).for_each(|n| histogram.add(Duration::from_micros(n)));
        let close = |share, expected: f64| (histogram.quantile_us(share) / expected - 1.0).abs() < 0.02;
        assert!(close(0.5, 50.0) && close(0.99, 99.0) && close(1.0, 100.0));
        assert_eq!(histogram.count(), 100);
    }
}
