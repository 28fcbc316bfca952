//! Where a client comes from: its host and its network, by the prefixes that are given out together.

use std::net::IpAddr;

/// The leading bits of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Prefix {
    /// Of IPv4, all bits that count moved to the right.
    V4(u32),
    /// Of IPv6. Nobody is given less than a /64, so the rest does not count.
    V6(u64),
}

/// A client's address as shares are counted: whoever has one address of a host, or one host of a network, can easily
/// have the others, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    /// An IPv4 /24, or an IPv6 /48.
    pub(super) network: Prefix,
    /// An IPv4 address, or an IPv6 /64.
    pub(super) host: Prefix,
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        // A socket for both kinds of IP gives IPv4 addresses as IPv4-mapped ones.
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = u32::from(v4);
                Self { network: Prefix::V4(bits >> 8), host: Prefix::V4(bits) }
            }
            IpAddr::V6(v6) => {
                let bits = (u128::from(v6) >> 64) as u64;
                Self { network: Prefix::V6(bits >> 16), host: Prefix::V6(bits) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn an_ipv4_address_is_a_host_of_its_24_however_the_socket_writes_it() {
        let one = source("192.0.2.1");
        assert_eq!(one, source("::ffff:192.0.2.1"));
        assert_eq!(one.network, source("192.0.2.255").network);
        assert_ne!(one.host, source("192.0.2.2").host);
        assert_ne!(one.network, source("192.0.3.1").network);
    }

    #[test]
    fn an_ipv6_64_is_a_host_of_its_48() {
        let one = source("2001:db8:1:1::1");
        assert_eq!(one, source("2001:db8:1:1:ffff::2"));
        assert_eq!(one.network, source("2001:db8:1:2::1").network);
        assert_ne!(one.host, source("2001:db8:1:2::1").host);
        assert_ne!(one.network, source("2001:db8:2:1::1").network);
    }

    #[test]
    fn the_two_kinds_of_ip_never_share() {
        assert_ne!(source("0.0.0.1"), source("::1:0:0:0:0"));
    }
}
