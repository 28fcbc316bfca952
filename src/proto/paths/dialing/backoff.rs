//! Back-off between attempts to dial.

use std::time::Duration;

use rand_core::Rng;

/// The wait before the first new attempt: long enough for a short radio gap, too short for a person to notice.
const INITIAL: Duration = Duration::from_millis(100);
/// The longest wait before jitter: a network that comes back is used within about this time.
const CAP: Duration = Duration::from_secs(2);

/// The first and the longest wait at an address that only a server's advice speaks for: nothing depends on it,
/// and what answers there may not want to be asked.
const UNPROVEN_INITIAL: Duration = Duration::from_secs(1);
const UNPROVEN_CAP: Duration = Duration::from_secs(60);

/// Exponential back-off with jitter: 100 ms, doubling up to 2 s, each wait 25 % shorter to 25 % longer.
///
/// The jitter keeps the clients of a server that restarts from all coming back in the same instant.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    upcoming: Duration,
    cap: Duration,
}

impl Backoff {
    /// The next wait is the shortest one.
    pub(crate) fn new() -> Self {
        Self { upcoming: INITIAL, cap: CAP }
    }

    /// For an address that never proved to be the server's: 1 s, doubling up to a minute.
    pub(crate) fn unproven() -> Self {
        Self { upcoming: UNPROVEN_INITIAL, cap: UNPROVEN_CAP }
    }

    /// How long to wait before the next attempt; the wait after it will be twice as long, up to the cap.
    pub(crate) fn next(&mut self, rng: &mut (impl Rng + ?Sized)) -> Duration {
        let wait = self.upcoming;
        self.upcoming = (wait * 2).min(self.cap);
        // 3/4 of the wait, and a random part of the other 2/4.
        let random = u64::from(rng.next_u32());
        let spread_us = u64::try_from((wait / 2).as_micros()).unwrap_or(u64::MAX);
        wait * 3 / 4 + Duration::from_micros(spread_us.saturating_mul(random) >> 32)
    }

    /// An attempt succeeded: begin again with the shortest wait.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use rand_core::TryRng;

    use super::*;

    /// Gives the same number for ever.
    struct Always(u32);

    impl TryRng for Always {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(self.0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(u64::from(self.0) << 32 | u64::from(self.0))
        }
        fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
            dst.fill(self.0 as u8);
            Ok(())
        }
    }

    const MIDDLE: u32 = 1 << 31;

    fn waits(backoff: &mut Backoff, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.next(&mut Always(MIDDLE)).as_millis()).collect()
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        assert_eq!(waits(&mut Backoff::new(), 7), [100, 200, 400, 800, 1_600, 2_000, 2_000]);
    }

    #[test]
    fn after_a_success_the_waits_begin_again() {
        let mut backoff = Backoff::new();
        waits(&mut backoff, 5);
        backoff.reset();
        assert_eq!(waits(&mut backoff, 2), [100, 200]);
    }

    #[test]
    fn an_address_that_proved_nothing_waits_longer_until_it_does() {
        let mut backoff = Backoff::unproven();
        let expected = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
        assert_eq!(waits(&mut backoff, 8), expected);
        backoff.reset();
        assert_eq!(waits(&mut backoff, 6), [100, 200, 400, 800, 1_600, 2_000]);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_quarter(random: u32, attempts in 1..20usize) {
            let mut jittered = Backoff::new();
            let mut plain = Backoff::new();
            for _ in 0..attempts {
                let base = plain.next(&mut Always(MIDDLE));
                let wait = jittered.next(&mut Always(random));
                prop_assert!(wait >= base * 3 / 4 && wait <= base * 5 / 4, "{wait:?} for {base:?}");
            }
        }
    }
}
