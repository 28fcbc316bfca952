//! A NAT between client and link that forgets: from time to time its clients come from other ports.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::packet::{Port, UdpPacket};

/// The first port that it gives away: above those that systems choose by themselves.
const FIRST_PORT: u16 = 61_000;

/// Maps the clients' source ports to its own, and back. Answers to a port that it has forgotten do not arrive.
#[derive(Debug)]
pub(super) struct Nat {
    forgets_every: Duration,
    forgets_at: Option<Instant>,
    next_port: u16,
    outer_by_inner: BTreeMap<u16, u16>,
}

impl Nat {
    pub(super) fn new(forgets_every: Duration) -> Self {
        Self { forgets_every, forgets_at: None, next_port: FIRST_PORT, outer_by_inner: BTreeMap::new() }
    }

    /// A packet from a client; whether all mappings had to be forgotten just then.
    pub(super) fn outwards(&mut self, now: Instant, packet: &mut UdpPacket<'_>) -> bool {
        let forgets = now >= *self.forgets_at.get_or_insert(now + self.forgets_every);
        if forgets {
            self.forgets_at = Some(now + self.forgets_every);
            self.outer_by_inner.clear();
        }
        let inner = packet.port(Port::Source);
        let next_port = &mut self.next_port;
        let outer = *self.outer_by_inner.entry(inner).or_insert_with(|| {
            let port = *next_port;
            *next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            port
        });
        packet.set_port(Port::Source, outer);
        forgets
    }

    /// A packet for a client; whether anybody gets it.
    pub(super) fn inwards(&mut self, packet: &mut UdpPacket<'_>) -> bool {
        let outer = packet.port(Port::Destination);
        let inner = self.outer_by_inner.iter().find(|(_, mapped)| **mapped == outer).map(|(inner, _)| *inner);
        let Some(inner) = inner else { return false };
        packet.set_port(Port::Destination, inner);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::tests::datagram;
    use super::*;

    /// The port, and whether the others were forgotten.
    fn leaves_from(nat: &mut Nat, now: Instant, inner: u16) -> (u16, bool) {
        let mut bytes = datagram(inner, 4433);
        let mut packet = UdpPacket::parse(&mut bytes).unwrap();
        let forgets = nat.outwards(now, &mut packet);
        (packet.port(Port::Source), forgets)
    }

    fn arrives_at(nat: &mut Nat, outer: u16) -> Option<u16> {
        let mut bytes = datagram(4433, outer);
        let mut packet = UdpPacket::parse(&mut bytes).unwrap();
        nat.inwards(&mut packet).then(|| packet.port(Port::Destination))
    }

    #[test]
    fn ports_stay_the_same_until_they_are_forgotten() {
        let mut nat = Nat::new(Duration::from_secs(1));
        let start = Instant::now();
        let [(a, false), (b, false)] = [1000, 2000].map(|inner| leaves_from(&mut nat, start, inner)) else {
            panic!("it is too early to forget")
        };
        assert_ne!(a, b);
        assert_eq!(leaves_from(&mut nat, start + Duration::from_millis(999), 1000), (a, false));
        assert_eq!((arrives_at(&mut nat, a), arrives_at(&mut nat, b)), (Some(1000), Some(2000)));

        let (fresh, forgets) = leaves_from(&mut nat, start + Duration::from_secs(1), 1000);
        assert!(forgets && fresh != a && fresh != b);
        assert_eq!((arrives_at(&mut nat, a), arrives_at(&mut nat, fresh)), (None, Some(1000)));
    }
}
