//! A token bucket of Initial packets: what dialling on a server's advice may cost in a minute.

use std::time::Duration;

use crate::proto::time::Time;
use crate::proto::wire::limits::{ADVISED_INITIALS_AT_ONCE, ADVISED_INITIALS_PER_MINUTE};

/// A share of a token: the bucket fills by the nanosecond.
const SHARES: u64 = 60 * 1_000_000_000;

/// A token bucket. Each token is one Initial packet that advice may cause; it is full at first.
#[derive(Debug)]
pub(crate) struct DialBudget {
    shares: u64,
    as_of: Time,
}

/// Tokens that come back in a minute.
const REFILL: u64 = ADVISED_INITIALS_PER_MINUTE - ADVISED_INITIALS_AT_ONCE;

impl DialBudget {
    pub(crate) fn new() -> Self {
        Self { shares: ADVISED_INITIALS_AT_ONCE * SHARES, as_of: Time::ZERO }
    }

    /// When there will be `tokens`, if none are taken before.
    pub(crate) fn ready_at(&self, tokens: u64) -> Time {
        let missing = (tokens * SHARES).saturating_sub(self.shares);
        self.as_of + Duration::from_nanos(missing.div_ceil(REFILL))
    }

    /// Takes `tokens`, if there are as many.
    pub(crate) fn take(&mut self, now: Time, tokens: u64) -> bool {
        if now < self.ready_at(tokens) {
            return false;
        }
        self.fill(now);
        self.shares = self.shares.saturating_sub(tokens * SHARES);
        true
    }

    /// Puts back tokens that were taken and not used.
    pub(crate) fn put_back(&mut self, now: Time, tokens: u64) {
        self.fill(now);
        self.shares = (self.shares + tokens * SHARES).min(ADVISED_INITIALS_AT_ONCE * SHARES);
    }

    fn fill(&mut self, now: Time) {
        let passed = u64::try_from((now - self.as_of).as_nanos()).unwrap_or(u64::MAX);
        let shares = self.shares.saturating_add(passed.saturating_mul(REFILL));
        self.shares = shares.min(ADVISED_INITIALS_AT_ONCE * SHARES);
        self.as_of = self.as_of.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_epoch(Duration::from_millis(ms))
    }

    #[test]
    fn a_bucket_that_was_emptied_says_when_there_is_enough_again_and_keeps_its_word() {
        let mut budget = DialBudget::new();
        assert!(budget.take(at(1_000), ADVISED_INITIALS_AT_ONCE));
        assert!(!budget.take(at(1_000), 1));
        let ready = budget.ready_at(6);
        assert!(ready > at(1_000));
        assert!(budget.take(ready, 6));
        assert!(!budget.take(ready, 1));
        budget.put_back(ready, 3);
        assert!(budget.take(ready, 3));
    }

    #[test]
    fn tokens_that_are_put_back_do_not_overfill_it() {
        let mut budget = DialBudget::new();
        budget.put_back(at(5), 40);
        assert!(budget.take(at(5), ADVISED_INITIALS_AT_ONCE));
        assert!(!budget.take(at(5), 1));
    }

    proptest! {
        #[test]
        fn no_minute_sees_more_than_its_share(steps in prop::collection::vec((0..20_000u64, 1..13u64), 1..200)) {
            let mut budget = DialBudget::new();
            let mut now = at(1_000_000);
            let mut taken: Vec<(Time, u64)> = Vec::new();
            for (wait_ms, tokens) in steps {
                now += Duration::from_millis(wait_ms);
                if budget.take(now, tokens) {
                    taken.push((now, tokens));
                }
                let minute = taken.iter().filter(|(at, _)| now - *at < Duration::from_secs(60));
                prop_assert!(minute.map(|(_, tokens)| tokens).sum::<u64>() <= ADVISED_INITIALS_PER_MINUTE);
            }
        }
    }
}
