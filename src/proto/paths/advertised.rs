//! Addresses that the server advertises (ADD_PATH), and those that it has withdrawn.

use std::collections::BTreeMap;

use crate::proto::wire::frame::{AddPath, Frame};

/// Addresses that this end advertises, each under a number of its own.
#[derive(Debug, Default)]
pub(crate) struct Advertised {
    all: BTreeMap<u64, Advice>,
    next: u64,
}

#[derive(Debug)]
enum Advice {
    Add(AddPath),
    Withdrawn,
}

impl Advertised {
    /// Adds an address; returns the number to withdraw it with.
    pub(crate) fn add(&mut self, authority: String, pin: Option<[u8; 32]>, priority: u64) -> u64 {
        let advice = self.next;
        self.next += 1;
        let add = AddPath { advice, priority, relay: false, authority, certificate_hash: pin };
        self.all.insert(advice, Advice::Add(add));
        advice
    }

    /// Takes an address back. Whether there is such advice.
    pub(crate) fn withdraw(&mut self, advice: u64) -> bool {
        let Some(entry) = self.all.get_mut(&advice) else { return false };
        *entry = Advice::Withdrawn;
        true
    }

    /// Addresses that hold.
    pub(crate) fn count(&self) -> usize {
        self.all.values().filter(|advice| matches!(advice, Advice::Add(_))).count()
    }

    /// Everything that the peer has to know.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.all.keys().copied()
    }

    /// ADD_PATH or REMOVE_PATH.
    pub(crate) fn frame(&self, advice: u64) -> Option<Frame> {
        Some(match self.all.get(&advice)? {
            Advice::Add(add) => Frame::AddPath(add.clone()),
            Advice::Withdrawn => Frame::RemovePath { advice },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withdrawn_stays_known_and_does_not_count() {
        let mut advertised = Advertised::default();
        let first = advertised.add("one:1".to_owned(), None, 0);
        let second = advertised.add("two:2".to_owned(), None, 0);
        assert!(advertised.withdraw(first) && !advertised.withdraw(second + 1));
        assert_eq!(advertised.count(), 1);
        assert_eq!(advertised.ids().collect::<Vec<_>>(), [first, second]);
        assert_eq!(advertised.frame(first), Some(Frame::RemovePath { advice: first }));
        assert!(matches!(advertised.frame(second), Some(Frame::AddPath(_))));
        assert_eq!(advertised.frame(9), None);
    }
}
