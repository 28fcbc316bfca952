//! What a link has to know of an IPv4 packet that carries UDP.

/// Of a header without options.
const MIN_IPV4_HEADER_BYTES: usize = 20;
const UDP_HEADER_BYTES: usize = 8;
const UDP: u8 = 17;

/// A whole UDP datagram in its IPv4 packet (no fragment), to be changed in place.
///
/// Whoever changes it does not work out checksums: UDP over IPv4 may go without one, and does from then on.
pub(super) struct UdpPacket<'a> {
    header: &'a mut [u8],
    payload: &'a mut [u8],
}

/// One of the two port numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Source,
    Destination,
}

impl<'a> UdpPacket<'a> {
    /// `None` for anything else.
    pub(super) fn parse(packet: &'a mut [u8]) -> Option<Self> {
        let first = *packet.first()?;
        let ip_bytes = usize::from(first & 0x0f) * 4;
        let is_fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x3fff != 0;
        let is_udp = first >> 4 == 4 && packet.get(9) == Some(&UDP);
        if !is_udp || is_fragment || ip_bytes < MIN_IPV4_HEADER_BYTES {
            return None;
        }
        let (ip, udp) = packet.split_at_mut_checked(ip_bytes)?;
        debug_assert_eq!(ip.len(), ip_bytes);
        let (header, payload) = udp.split_at_mut_checked(UDP_HEADER_BYTES)?;
        Some(Self { header, payload })
    }

    pub(super) fn payload(&mut self) -> &mut [u8] {
        self.payload
    }

    pub(super) fn port(&self, port: Port) -> u16 {
        let at = port.at();
        u16::from_be_bytes([self.header[at], self.header[at + 1]])
    }

    pub(super) fn set_port(&mut self, port: Port, number: u16) {
        let at = port.at();
        self.header[at..at + 2].copy_from_slice(&number.to_be_bytes());
        self.drop_checksum();
    }

    /// Says that the datagram has no checksum (RFC 768).
    pub(super) fn drop_checksum(&mut self) {
        self.header[6..8].fill(0);
    }
}

impl Port {
    fn at(self) -> usize {
        match self {
            Self::Source => 0,
            Self::Destination => 2,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A datagram of three bytes.
    pub(in crate::link) fn datagram(source: u16, destination: u16) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 31, 0, 0, 0x40, 0, 64, UDP, 0, 0, 10, 7, 0, 1, 10, 7, 0, 2];
        packet.extend(source.to_be_bytes());
        packet.extend(destination.to_be_bytes());
        packet.extend([0, 11, 0xab, 0xcd, 1, 2, 3]);
        packet
    }

    #[test]
    fn ports_and_payload_are_found_and_a_change_takes_the_checksum_away() {
        let mut bytes = datagram(1000, 2000);
        let mut packet = UdpPacket::parse(&mut bytes).unwrap();
        assert_eq!((packet.port(Port::Source), packet.port(Port::Destination)), (1000, 2000));
        assert_eq!(packet.payload(), [1, 2, 3]);
        packet.set_port(Port::Source, 7);
        let mut expected = datagram(7, 2000);
        expected[26..28].fill(0);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn what_is_not_a_whole_datagram_is_left_alone() {
        let mut tcp = datagram(1, 2);
        tcp[9] = 6;
        let mut fragment = datagram(1, 2);
        fragment[7] = 8;
        let ipv6 = vec![0x60; 60];
        for mut packet in [tcp, fragment, ipv6, vec![0x45], datagram(1, 2)[..25].to_vec(), Vec::new()] {
            assert!(UdpPacket::parse(&mut packet).is_none(), "{packet:?}");
        }
    }
}
