//! Scopes of IP addresses, which limit where a server's advice may send its clients.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// From where an address can be reached. One that holds an IPv4 address for a translator or a tunnel has the
/// scope of that: the packet goes there in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressScope {
    /// From everywhere (or it is reserved for documentation, and reached from nowhere).
    Global,
    /// From the network of an organisation or a provider (RFC 1918, 4193, 6598, 2544, 8215).
    Private,
    /// From one link (RFC 3927, 4291).
    LinkLocal,
    /// From this machine.
    Loopback,
    /// By no connection: unspecified, multicast, broadcast, reserved.
    Unusable,
}

impl AddressScope {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => embedded(ip).map_or_else(|| Self::of_v6(ip), Self::of_v4),
        }
    }

    /// What a `host:port` says by itself. A name counts as global: what it leads to is known to who looks it up.
    /// Spellings of an address that only some resolvers and browsers take for one (`127.1`, `0x7f000001`), and
    /// what is no host at all, are unusable.
    pub(crate) fn of_authority(authority: &str) -> Self {
        let Some((host, _port)) = authority.rsplit_once(':') else { return Self::Unusable };
        if let Some(inner) = host.strip_prefix('[') {
            let ip = inner.strip_suffix(']').and_then(|ip| ip.parse::<Ipv6Addr>().ok());
            return ip.map_or(Self::Unusable, |ip| Self::of(ip.into()));
        }
        if let Ok(ip) = host.parse::<Ipv4Addr>() {
            return Self::of_v4(ip);
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let last = name.rsplit('.').next().unwrap_or_default();
        // A host that ends in a number is an IPv4 address to a browser (WHATWG URL, section 3.5), however odd.
        let is_number = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
        if is_number || !name.bytes().all(letters) {
            Self::Unusable
        } else if last == "localhost" {
            Self::Loopback
        } else {
            Self::Global
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        match ip.octets() {
            [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Self::Private,
            // Shared by a provider's customers; protocol assignments; benchmarks.
            [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..] => Self::Private,
            [0, ..] | [224..=255, ..] => Self::Unusable,
            _ => Self::Global,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        match ip.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => Self::Unusable,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            // Unique local, the site-local of old, and a network's own NAT64.
            [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Self::Private,
            _ => Self::Global,
        }
    }
}

/// The IPv4 address that a packet to `ip` ends at.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Mapped, compatible (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        // 6to4 (RFC 3056); Teredo (RFC 4380), which writes the client inverted.
        [0x2002, high, low, ..] => v4(high, low),
        [0x2001, 0, _, _, _, _, high, low] => v4(!high, !low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_scope_of_its_block_whatever_it_is_wrapped_in() {
        use AddressScope::*;
        for (scope, ips) in [
            (Global, "1.1.1.1 192.0.2.1 172.32.0.1 100.128.0.1 2606:4700::1 2001:db8::1"),
            (Private, "10.0.0.1 172.16.0.1 172.31.255.1 192.168.1.1 100.64.0.1 198.18.0.1 192.0.0.8"),
            (Private, "fc00::1 fdff::1 fec0::1 64:ff9b:1::1"),
            (LinkLocal, "169.254.169.254 fe80::1 febf::1"),
            (Loopback, "127.0.0.1 127.255.0.9 ::1"),
            (Unusable, "0.0.0.0 0.1.2.3 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 :: ff02::1"),
            (Loopback, "::ffff:127.0.0.1 ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1"),
            (Loopback, "2002:7f00:1::1 2001:0:1:2:3:4:80ff:fffe"),
            (Private, "::ffff:10.1.2.3 64:ff9b::192.168.0.1 2002:c0a8:1::1"),
            (Global, "::ffff:1.1.1.1 64:ff9b::1.1.1.1 2002:101:101::1"),
            (Unusable, "::ffff:0.0.0.0 ::ffff:224.0.0.1 64:ff9b::255.255.255.255"),
        ] {
            for ip in ips.split(' ') {
                assert_eq!(AddressScope::of(ip.parse().unwrap()), scope, "{ip}");
            }
        }
    }

    #[test]
    fn a_host_that_some_reader_would_take_for_an_address_is_not_taken_for_a_name() {
        use AddressScope::*;
        for (scope, authorities) in [
            (Global, "a.example:1 1.1.1.1:1 [2606:4700::1]:1 3com.example:1 a_b.example.:1 xn--a.de:1"),
            (Loopback, "127.0.0.1:1 [::1]:1 [::ffff:127.0.0.1]:1 localhost:1 LocalHost.:1 a.localhost:1"),
            (Private, "10.0.0.1:1 [fd00::1]:1"),
            (Unusable, "127.1:1 2130706433:1 0x7f000001:1 0x7f.1:1 0177.0.0.1:1 127.0.0.1.:1 a.0X7f:1"),
            (Unusable, "[::1:1 [fe80::1%eth0]:1 %3127.0.0.1:1 1②7.0.0.1:1 a/b:1 u@h:1 :1 nothing .:1"),
        ] {
            for authority in authorities.split(' ') {
                assert_eq!(AddressScope::of_authority(authority), scope, "{authority}");
            }
        }
    }
}
