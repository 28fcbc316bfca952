//! Advice that was withdrawn or not followed, as far as a client has to remember it.

use std::collections::VecDeque;

use super::backoff::Backoff;
use crate::proto::range_set::RangeSet;
use crate::proto::time::Time;
use crate::proto::wire::limits::{MAX_ADVICE_RANGES, MAX_RETIRED_ADVICE};

/// Advice of a server that its client did not follow, by reason (docs/PROTOCOL.md section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdviceNotFollowed {
    /// Addresses of a kind that this server may not advise: loopback, private, link-local, multicast, unspecified.
    pub address: u64,
    /// Advice under an id that was taken back before, or of a server that takes back more than can be remembered.
    pub taken_back: u64,
    /// Addresses beyond `max_paths`.
    pub room: u64,
    /// Attempts that had to wait, as advice had cost enough in the last minute.
    pub budget: u64,
}

/// The ids that are used up, and how patient to be with addresses that come again under another one.
#[derive(Debug, Default)]
pub(crate) struct AdviceHistory {
    used: RangeSet,
    /// There were more ids than are remembered: every further one counts as used.
    overflowed: bool,
    retired: VecDeque<Retired>,
}

#[derive(Debug)]
struct Retired {
    authority: String,
    wait: Wait,
}

/// Where the back-off of an address stands.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) backoff: Backoff,
    /// Not to be dialled before.
    pub(crate) until: Time,
}

impl AdviceHistory {
    pub(crate) fn is_used(&self, advice: u64) -> bool {
        self.overflowed || self.used.contains(advice)
    }

    /// The advice is not followed from here on, whether or not it was.
    pub(crate) fn use_up(&mut self, advice: u64) {
        let range = advice..advice.saturating_add(1);
        if self.used.len() < MAX_ADVICE_RANGES || self.used.touches(&range) {
            self.used.insert(range);
        } else {
            self.overflowed = true;
        }
    }

    /// An address is not dialled any more; if it comes again it is dialled as late as if it had stayed.
    pub(crate) fn retire(&mut self, authority: String, wait: Wait) {
        self.retired.retain(|other| other.authority != authority);
        if self.retired.len() >= MAX_RETIRED_ADVICE {
            self.retired.pop_front();
        }
        self.retired.push_back(Retired { authority, wait });
    }

    pub(crate) fn recall(&self, authority: &str) -> Option<Wait> {
        let known = self.retired.iter().find(|retired| retired.authority == authority);
        known.map(|retired| retired.wait.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_remembered_for_ever_while_a_server_counts_them_up() {
        let mut history = AdviceHistory::default();
        (0..100_000).for_each(|id| history.use_up(id));
        assert!(history.is_used(99_999) && !history.is_used(100_000));
    }

    #[test]
    fn a_server_that_takes_back_ids_at_random_is_not_followed_any_more() {
        let mut history = AdviceHistory::default();
        (0..MAX_ADVICE_RANGES as u64).for_each(|id| history.use_up(2 * id));
        assert!(!history.is_used(1));
        history.use_up(1_000_000);
        assert!(history.is_used(1) && history.is_used(7_777));
        assert_eq!(history.used.len(), MAX_ADVICE_RANGES);
    }

    #[test]
    fn back_offs_of_addresses_that_are_gone_are_remembered_up_to_a_bound() {
        let mut history = AdviceHistory::default();
        let wait = |ms| Wait {
            backoff: Backoff::unproven(),
            until: Time::from_epoch(std::time::Duration::from_millis(ms)),
        };
        for place in 0..1_000 {
            history.retire(format!("a{place}:1"), wait(place));
            history.retire(format!("a{place}:1"), wait(2 * place));
        }
        assert_eq!(history.retired.len(), MAX_RETIRED_ADVICE);
        assert_eq!(history.recall("a999:1").unwrap().until, wait(1_998).until);
        assert!(history.recall("a0:1").is_none());
    }
}
