//! How often a source may be wrong about the proof of a join before nobody listens to it for a while.
//!
//! A wrong proof costs its sender a handshake and this end another (353 µs of CPU, measured), and an honest client
//! never sends one. Only sources whose address is proven get here, so nobody can be wrong in another's name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::source::{Prefix, Source};

/// Sources that are remembered. Of more, those that have been wrong least are forgotten: 100 bytes each.
const MAX_REMEMBERED: usize = 4_096;

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// How many may come at once: 1 to 65,536.
    pub burst: u32,
    /// After this long there may be one more: up to 24 h. Zero: no limit.
    pub every: Duration,
}

impl RateLimit {
    /// `burst` at once, and then one after each time of this length.
    pub const fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every }
    }
}

/// The buckets of all hosts and networks that have been wrong.
#[derive(Debug)]
pub(super) struct WrongProofs {
    hosts: Buckets,
    networks: Buckets,
}

impl WrongProofs {
    pub(super) fn new(of_host: RateLimit, of_network: RateLimit) -> Self {
        Self { hosts: Buckets::new(of_host), networks: Buckets::new(of_network) }
    }

    /// A client from there was wrong.
    pub(super) fn note(&mut self, source: Source, now: Instant) {
        self.hosts.take(source.host, now);
        self.networks.take(source.network, now);
    }

    /// Whether clients from there have been wrong too often lately.
    pub(super) fn is_spent(&self, source: Source, now: Instant) -> bool {
        self.hosts.is_empty(source.host, now) || self.networks.is_empty(source.network, now)
    }
}

/// Token buckets in the form of the generic cell rate algorithm (ITU-T I.371): of each, the time when it is full again.
#[derive(Debug)]
struct Buckets {
    rate: RateLimit,
    full_at: BTreeMap<Prefix, Instant>,
    by_time: BTreeSet<(Instant, Prefix)>,
}

impl Buckets {
    fn new(rate: RateLimit) -> Self {
        Self { rate, full_at: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    fn take(&mut self, prefix: Prefix, now: Instant) {
        let full_at = self.full_at.remove(&prefix);
        if let Some(full_at) = full_at {
            self.by_time.remove(&(full_at, prefix));
        }
        // What is in a bucket never falls below nothing.
        let emptied_at = now + self.rate.every.saturating_mul(self.rate.burst);
        let full_at = (full_at.map_or(now, |at| at.max(now)) + self.rate.every).min(emptied_at);
        self.full_at.insert(prefix, full_at);
        self.by_time.insert((full_at, prefix));
        while let Some((at, prefix)) = self.by_time.first().copied()
            && (at <= now || self.by_time.len() > MAX_REMEMBERED)
        {
            self.by_time.pop_first();
            self.full_at.remove(&prefix);
        }
    }

    fn is_empty(&self, prefix: Prefix, now: Instant) -> bool {
        let Some(full_at) = self.full_at.get(&prefix) else { return false };
        let until_full = full_at.saturating_duration_since(now);
        until_full > self.rate.every.saturating_mul(self.rate.burst - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn source(network: u8, host: u8) -> Source {
        IpAddr::from(Ipv4Addr::new(10, 0, network, host)).into()
    }

    fn wrong_proofs() -> WrongProofs {
        WrongProofs::new(RateLimit::new(3, SECOND), RateLimit::new(5, SECOND))
    }

    #[test]
    fn a_host_that_is_wrong_too_often_is_not_listened_to_for_a_while_and_its_neighbours_are() {
        let start = Instant::now();
        let mut proofs = wrong_proofs();
        for _ in 0..3 {
            assert!(!proofs.is_spent(source(1, 1), start));
            proofs.note(source(1, 1), start);
        }
        assert!(proofs.is_spent(source(1, 1), start));
        assert!(!proofs.is_spent(source(1, 2), start), "another host of its network");
        assert!(!proofs.is_spent(source(2, 1), start), "another network");
        assert!(!proofs.is_spent(source(1, 1), start + SECOND), "one more is allowed");
        proofs.note(source(1, 1), start + SECOND);
        assert!(proofs.is_spent(source(1, 1), start + SECOND));
    }

    #[test]
    fn hosts_of_one_network_that_take_turns_are_found_out() {
        let start = Instant::now();
        let mut proofs = wrong_proofs();
        for host in 1..=5 {
            proofs.note(source(1, host), start);
        }
        assert!(proofs.is_spent(source(1, 9), start));
        assert!(!proofs.is_spent(source(2, 1), start));
    }

    #[test]
    fn however_long_it_was_wrong_one_more_is_allowed_soon() {
        let start = Instant::now();
        let mut proofs = wrong_proofs();
        for _ in 0..1_000 {
            proofs.note(source(1, 1), start);
        }
        assert!(proofs.is_spent(source(1, 1), start + SECOND / 2));
        assert!(!proofs.is_spent(source(1, 1), start + SECOND));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_goes_with_time() {
        let start = Instant::now();
        let mut proofs = wrong_proofs();
        for _ in 0..3 {
            proofs.note(source(0, 0), start);
        }
        for number in 0..10_000_u32 {
            let address = IpAddr::from(Ipv4Addr::from_bits(0x1400_0000 + (number << 8)));
            proofs.note(address.into(), start);
        }
        assert_eq!(
            (proofs.hosts.full_at.len(), proofs.hosts.by_time.len()),
            (MAX_REMEMBERED, MAX_REMEMBERED)
        );
        assert!(proofs.is_spent(source(0, 0), start), "the one that was wrong most is not forgotten");
        proofs.note(source(9, 9), start + 60 * SECOND);
        assert_eq!((proofs.hosts.full_at.len(), proofs.networks.by_time.len()), (1, 1));
    }
}
