//! The budget of bytes that may be sent a second time while nothing is lost.
//!
//! Sending outstanding bytes again on another path buys latency with capacity. The budget keeps the price
//! fixed: copies are never more than a share of what was sent for the first time, plus a floor that lets a
//! short transfer have its tail sent again at all.

/// Copies may be at most `ratio` x first-time bytes + floor, over the life of a session.
#[derive(Clone, Debug)]
pub(crate) struct ReinjectionBudget {
    ratio_ppm: u32,
    floor_bytes: u64,
    sent_bytes: u64,
    spent_bytes: u64,
}

impl ReinjectionBudget {
    /// A budget of `ratio_ppm` copied bytes per million sent (20,000 is 2 %), and `floor_bytes` from the start.
    pub(crate) fn new(ratio_ppm: u32, floor_bytes: u64) -> Self {
        Self { ratio_ppm, floor_bytes, sent_bytes: 0, spent_bytes: 0 }
    }

    /// `bytes` went out for the first time.
    pub(crate) fn on_sent(&mut self, bytes: u64) {
        self.sent_bytes = self.sent_bytes.saturating_add(bytes);
    }

    /// How many bytes may be copied now.
    pub(crate) fn allowance(&self) -> u64 {
        let earned = u128::from(self.sent_bytes) * u128::from(self.ratio_ppm) / 1_000_000;
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        earned.saturating_add(self.floor_bytes).saturating_sub(self.spent_bytes)
    }

    /// `bytes` were sent again. Counts even beyond the allowance, which then stays at 0 until earned back.
    pub(crate) fn spend(&mut self, bytes: u64) {
        self.spent_bytes = self.spent_bytes.saturating_add(bytes);
    }

    /// All bytes sent again so far.
    #[cfg(test)]
    fn spent(&self) -> u64 {
        self.spent_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_floor_is_there_from_the_start() {
        let mut budget = ReinjectionBudget::new(20_000, 4_096);
        assert_eq!(budget.allowance(), 4_096);
        budget.spend(4_096);
        assert_eq!(budget.allowance(), 0);
        budget.on_sent(1_000_000);
        assert_eq!(budget.allowance(), 20_000);
    }

    #[test]
    fn overspending_is_paid_back_before_anything_is_allowed_again() {
        let mut budget = ReinjectionBudget::new(20_000, 0);
        budget.on_sent(100_000);
        budget.spend(5_000);
        assert_eq!((budget.allowance(), budget.spent()), (0, 5_000));
        budget.on_sent(150_000);
        assert_eq!(budget.allowance(), 0);
        budget.on_sent(50_000);
        assert_eq!(budget.allowance(), 1_000);
    }

    #[test]
    fn figures_at_the_end_of_the_number_space_do_not_overflow() {
        let mut budget = ReinjectionBudget::new(u32::MAX, u64::MAX);
        budget.on_sent(u64::MAX);
        budget.on_sent(u64::MAX);
        assert_eq!(budget.allowance(), u64::MAX);
    }

    proptest! {
        #[test]
        fn who_asks_first_never_sends_more_copies_than_the_ratio(
            ratio_ppm in 0..200_000u32,
            floor in 0..10_000u64,
            steps in prop::collection::vec((0..100_000u64, 0..100_000u64), 1..50),
        ) {
            let mut budget = ReinjectionBudget::new(ratio_ppm, floor);
            let (mut sent, mut copied) = (0u64, 0u64);
            for (new, wanted) in steps {
                budget.on_sent(new);
                sent += new;
                let copy = wanted.min(budget.allowance());
                budget.spend(copy);
                copied += copy;
                prop_assert!(copied <= floor + sent * u64::from(ratio_ppm) / 1_000_000);
            }
            prop_assert_eq!(budget.spent(), copied);
        }
    }
}
