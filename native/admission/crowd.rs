//! Members counted by where they come from, so that the source that crowds most is found at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::source::{Prefix, Source};

/// A member's number: later ones have higher ones, and none has it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Ticket(u64);

/// Members of hosts of networks. Every operation takes a time that grows with the logarithm of their number.
#[derive(Debug)]
pub(super) struct Crowd<T> {
    networks: Ranking<Ranking<Host<T>>>,
    next: u64,
}

impl<T> Default for Crowd<T> {
    fn default() -> Self {
        Self { networks: Ranking::default(), next: 0 }
    }
}

impl<T> Crowd<T> {
    /// Adds a member, the newest of all.
    pub(super) fn insert(&mut self, source: Source, member: T) -> Ticket {
        self.next += 1;
        let ticket = Ticket(self.next);
        self.networks.change(source.network, |network| {
            network.change(source.host, |host| {
                host.members.insert(ticket, member);
                host.newest = ticket;
            });
        });
        ticket
    }

    /// Takes a member out, if it is (still) there.
    pub(super) fn remove(&mut self, source: Source, ticket: Ticket) -> Option<T> {
        self.networks.change(source.network, |network| {
            network.change(source.host, |host| host.members.remove(&ticket))
        })
    }

    /// Whether this member is there.
    pub(super) fn contains(&self, source: Source, ticket: Ticket) -> bool {
        self.host(source).is_some_and(|host| host.members.contains_key(&ticket))
    }

    /// All members.
    pub(super) fn len(&self) -> usize {
        self.networks.len
    }

    /// Members of the network.
    pub(super) fn network_len(&self, source: Source) -> usize {
        self.network(source).map_or(0, Part::len)
    }

    /// Members of the host.
    pub(super) fn host_len(&self, source: Source) -> usize {
        self.host(source).map_or(0, Part::len)
    }

    /// The oldest member of the host that has most, in the network that has most. Of equal ones, the one that a member
    /// was added to last comes last.
    pub(super) fn of_most_crowding(&self) -> Option<(Source, Ticket, &T)> {
        let (prefix, network) = self.networks.most_crowding()?;
        network.of_most_crowding(prefix)
    }

    /// The same within the network of `source`.
    pub(super) fn of_most_crowding_in_network(&self, source: Source) -> Option<(Source, Ticket, &T)> {
        self.network(source)?.of_most_crowding(source.network)
    }

    /// The oldest member of the host.
    pub(super) fn oldest_of_host(&self, source: Source) -> Option<(Source, Ticket, &T)> {
        let (ticket, member) = self.host(source)?.members.first_key_value()?;
        Some((source, *ticket, member))
    }

    fn network(&self, source: Source) -> Option<&Ranking<Host<T>>> {
        self.networks.parts.get(&source.network)
    }

    fn host(&self, source: Source) -> Option<&Host<T>> {
        self.network(source)?.parts.get(&source.host)
    }
}

/// What is ranked.
trait Part: Default {
    fn len(&self) -> usize;
    /// The last member that was added.
    fn newest(&self) -> Ticket;
}

/// The members of one host, oldest first.
#[derive(Debug)]
struct Host<T> {
    members: BTreeMap<Ticket, T>,
    newest: Ticket,
}

impl<T> Default for Host<T> {
    fn default() -> Self {
        Self { members: BTreeMap::new(), newest: Ticket::default() }
    }
}

impl<T> Part for Host<T> {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn newest(&self) -> Ticket {
        self.newest
    }
}

/// Parts in the order of how many members they have; none is empty.
#[derive(Debug)]
struct Ranking<P> {
    parts: BTreeMap<Prefix, P>,
    order: BTreeSet<(usize, Reverse<Ticket>, Prefix)>,
    len: usize,
    newest: Ticket,
}

impl<P> Default for Ranking<P> {
    fn default() -> Self {
        Self { parts: BTreeMap::new(), order: BTreeSet::new(), len: 0, newest: Ticket::default() }
    }
}

impl<P: Part> Ranking<P> {
    fn change<R>(&mut self, prefix: Prefix, change: impl FnOnce(&mut P) -> R) -> R {
        let part = self.parts.entry(prefix).or_default();
        let before = part.len();
        self.order.remove(&(before, Reverse(part.newest()), prefix));
        let result = change(part);
        let (after, newest) = (part.len(), part.newest());
        self.len = self.len + after - before;
        self.newest = self.newest.max(newest);
        if after == 0 {
            self.parts.remove(&prefix);
        } else {
            self.order.insert((after, Reverse(newest), prefix));
        }
        result
    }

    fn most_crowding(&self) -> Option<(Prefix, &P)> {
        let (_, _, prefix) = self.order.last()?;
        Some((*prefix, self.parts.get(prefix)?))
    }
}

impl<P: Part> Part for Ranking<P> {
    fn len(&self) -> usize {
        self.len
    }

    fn newest(&self) -> Ticket {
        self.newest
    }
}

impl<T> Ranking<Host<T>> {
    fn of_most_crowding(&self, network: Prefix) -> Option<(Source, Ticket, &T)> {
        let (prefix, host) = self.most_crowding()?;
        let (ticket, member) = host.members.first_key_value()?;
        Some((Source { network, host: prefix }, *ticket, member))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    fn source(network: u8, host: u8) -> Source {
        IpAddr::from(Ipv4Addr::new(10, 0, network, host)).into()
    }

    fn first_to_go(crowd: &Crowd<&'static str>) -> Option<&'static str> {
        crowd.of_most_crowding().map(|(_, _, member)| *member)
    }

    #[test]
    fn the_oldest_of_the_most_crowding_host_of_the_most_crowding_network_comes_first() {
        let mut crowd = Crowd::default();
        crowd.insert(source(1, 1), "alone");
        for name in ["a", "b", "c"] {
            crowd.insert(source(2, 1), name);
        }
        crowd.insert(source(2, 2), "beside them");
        // More than any other host, in a network with fewer.
        assert_eq!(first_to_go(&crowd), Some("a"));
        assert_eq!((crowd.len(), crowd.network_len(source(2, 9)), crowd.host_len(source(2, 1))), (5, 4, 3));
    }

    #[test]
    fn of_sources_with_as_many_the_one_that_waits_longest_comes_first() {
        let mut crowd = Crowd::default();
        let first = crowd.insert(source(1, 1), "first");
        crowd.insert(source(3, 1), "second");
        crowd.insert(source(2, 1), "third");
        assert_eq!(first_to_go(&crowd), Some("first"));
        assert_eq!(crowd.remove(source(1, 1), first), Some("first"));
        assert_eq!(crowd.remove(source(1, 1), first), None);
        assert_eq!(first_to_go(&crowd), Some("second"));
    }

    /// The same, slowly.
    #[derive(Default)]
    struct Model(Vec<(Ticket, Source)>);

    impl Model {
        fn count(&self, of: impl Fn(&Source) -> bool) -> usize {
            self.0.iter().filter(|(_, source)| of(source)).count()
        }

        fn crowding(&self, source: Source) -> (usize, usize) {
            let network = self.count(|other| other.network == source.network);
            (network, self.count(|other| *other == source))
        }
    }

    proptest! {
        #[test]
        fn whoever_comes_and_goes_the_counts_are_right_and_nobody_crowds_more_than_the_first_to_go(
            steps in prop::collection::vec((0_u8..4, 0_u8..4, any::<Option<prop::sample::Index>>()), 1..200),
        ) {
            let mut crowd = Crowd::default();
            let mut model = Model::default();
            for (network, host, leaves) in steps {
                match leaves {
                    Some(index) if !model.0.is_empty() => {
                        let (ticket, source) = model.0.swap_remove(index.index(model.0.len()));
                        prop_assert_eq!(crowd.remove(source, ticket), Some(()));
                        prop_assert!(!crowd.contains(source, ticket));
                    }
                    _ => {
                        let source = source(network, host);
                        model.0.push((crowd.insert(source, ()), source));
                    }
                }
                prop_assert_eq!(crowd.len(), model.0.len());
                for (ticket, source) in &model.0 {
                    prop_assert!(crowd.contains(*source, *ticket));
                    prop_assert_eq!((crowd.network_len(*source), crowd.host_len(*source)), model.crowding(*source));
                }
                let first = crowd.of_most_crowding().map(|(source, ticket, ())| (source, ticket));
                prop_assert_eq!(first.is_none(), model.0.is_empty());
                if let Some((source, ticket)) = first {
                    let crowding = model.crowding(source);
                    prop_assert!(model.0.iter().all(|(_, other)| model.crowding(*other) <= crowding
                        || (other.network != source.network && model.crowding(*other).0 <= crowding.0)));
                    prop_assert!(model.0.iter().all(|(other, from)| *from != source || *other >= ticket));
                }
            }
        }
    }
}
