//! Addresses of paths, as people write them.

use std::convert::Infallible;
use std::str::FromStr;

use crate::proto::error::{AddressError, PathError};
use crate::proto::event::PathAddress;
use crate::proto::limits::MAX_AUTHORITY_BYTES;

const SCHEME: &str = "kwik";

/// `kwik://host:port` or `host:port`; IPv6 addresses in brackets. No certificate is pinned.
impl FromStr for PathAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let authority = match text.split_once("://") {
            Some((SCHEME, rest)) => rest.strip_suffix('/').unwrap_or(rest),
            Some((scheme, _)) => {
                return Err(AddressError::Scheme { address: text.to_owned(), scheme: scheme.to_owned() });
            }
            None => text,
        };
        if authority.len() > MAX_AUTHORITY_BYTES {
            return Err(AddressError::TooLong { len: authority.len(), max: MAX_AUTHORITY_BYTES });
        }
        let (host, port) =
            authority.rsplit_once(':').ok_or_else(|| AddressError::Port { address: text.to_owned() })?;
        if !is_host(host) {
            return Err(AddressError::Host { address: text.to_owned() });
        }
        if !port.bytes().all(|byte| byte.is_ascii_digit()) || !port.parse::<u16>().is_ok_and(|port| port > 0)
        {
            return Err(AddressError::Port { address: text.to_owned() });
        }
        Ok(Self { authority: authority.to_owned(), pins: Vec::new(), local: None })
    }
}

/// A name, an IPv4 address or an IPv6 address in brackets; whether it exists is for the resolver to say.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        // A zone (RFC 4007 section 11) follows a `%` and is for the system to understand.
        Some(ip) => ip.split('%').next().is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            let is_odd = |c: char| c.is_whitespace() || c.is_control() || "/?#@:[]\\".contains(c);
            !host.is_empty() && !host.contains(is_odd)
        }
    }
}

impl TryFrom<&str> for PathAddress {
    type Error = AddressError;

    fn try_from(text: &str) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<&String> for PathAddress {
    type Error = AddressError;

    fn try_from(text: &String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<String> for PathAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

/// Lets what takes addresses in any form take a [`PathAddress`] as it is.
impl From<Infallible> for PathError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_scheme() {
        for (text, authority) in [
            ("kwik://a.example:4433", "a.example:4433"),
            ("kwik://a.example:4433/", "a.example:4433"),
            ("a.example:1", "a.example:1"),
            ("127.0.0.1:65535", "127.0.0.1:65535"),
            ("[::1]:4433", "[::1]:4433"),
            ("kwik://[fe80::1%eth0]:4433", "[fe80::1%eth0]:4433"),
        ] {
            let address = PathAddress::try_from(text);
            assert_eq!(address.map(|address| address.authority), Ok(authority.to_owned()));
        }
    }

    #[test]
    fn an_address_that_cannot_be_dialled_is_refused_and_says_why() {
        let refused = |text: &str| text.parse::<PathAddress>().err();
        let scheme = |address: &str, scheme: &str| {
            Some(AddressError::Scheme { address: address.into(), scheme: scheme.into() })
        };
        assert_eq!(refused("https://a.example:1"), scheme("https://a.example:1", "https"));
        for text in ["a.example", "a.example:", "a.example:0", "a.example:65536", "a.example:+1", "a:b", ""] {
            assert_eq!(refused(text), Some(AddressError::Port { address: text.into() }), "{text}");
        }
        for text in [":1", "::1:4433", "[::1:4433", "[nonsense]:1", "a b:1", "user@a:1", "kwik:///path:1"] {
            assert_eq!(refused(text), Some(AddressError::Host { address: text.into() }), "{text}");
        }
        let long = format!("{}:1", "a".repeat(MAX_AUTHORITY_BYTES));
        assert_eq!(refused(&long), Some(AddressError::TooLong { len: 514, max: 512 }));
    }
}
