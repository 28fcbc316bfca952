//! Where a server is: `kwik://HOST:PORT[/NAME][?pin=BASE64URL[&pin=...]]`, or `https://HOST:PORT[?pin=...]`.
//!
//! The address says whom to trust as well: with pins, the server is exactly the one whose certificate
//! has one of these SHA-256 hashes; without one, a certificate that the platform's authorities vouch for.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::proto::error::{AddressError, PathError};
use crate::proto::event::{PathAddress, Scheme};
use crate::proto::wire::limits::WELL_KNOWN;

/// The port of an address that names none.
const DEFAULT_PORT: u16 = 4433;
const DEFAULT_HTTPS_PORT: u16 = 443;

/// The longest name DNS knows (RFC 1035 §2.3.4).
const MAX_HOST_BYTES: usize = 253;

/// Enough for a service's name, short enough for one frame.
const MAX_NAME_BYTES: usize = 255;

/// Pins of one address: today's certificate, tomorrow's, and those of a few servers.
const MAX_PINS: usize = 16;

/// The address of a KWIK server.
///
/// `kwik://HOST:PORT` leads to it by QUIC, or by WebTransport from a browser. `https://HOST:PORT` leads to it by
/// WebTransport from everywhere: through networks that let HTTP/3 pass and nothing else. It may have the path
/// `/.well-known/kwik/1`, which is where sessions are, and no name.
///
/// ```
/// use kwik::Address;
///
/// let address: Address = "kwik://[::1]/files".parse()?;
/// assert_eq!((address.host.as_str(), address.port), ("::1", 4433));
/// assert_eq!(address.to_string(), "kwik://[::1]:4433/files");
/// # Ok::<(), kwik::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Address {
    /// How the server is reached.
    pub scheme: Scheme,
    /// A DNS name in lower case, or an IP address (IPv6 without brackets).
    pub host: String,
    /// The UDP port.
    pub port: u16,
    /// What is asked for at this server, if it offers several things.
    pub name: Option<String>,
    /// Certificates to trust, exclusively; none means those the platform trusts.
    pub pins: Vec<CertificatePin>,
}

/// The SHA-256 of a certificate in DER: what a self-made certificate is recognised by.
///
/// Written as 43 characters of base64url without padding (RFC 4648 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificatePin(pub [u8; 32]);

impl Address {
    /// Host and port as in the address; IPv6 addresses in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("kwik") => (Scheme::Kwik, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            _ => return Err(AddressError::Scheme(text.to_owned())),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, name) = match rest.split_once('/') {
            Some((authority, name)) => (authority, Some(name).filter(|name| !name.is_empty())),
            None => (rest, None),
        };
        let (default_port, name) = match scheme {
            Scheme::Kwik => (DEFAULT_PORT, name.map(parse_name).transpose()?),
            Scheme::Https if name.is_none_or(|name| WELL_KNOWN.strip_prefix('/') == Some(name)) => {
                (DEFAULT_HTTPS_PORT, None)
            }
            Scheme::Https => return Err(AddressError::HttpsPath(text.to_owned())),
        };
        let (host, port) = parse_authority(authority, default_port)?;
        let pins = query.map_or(Ok(Vec::new()), parse_query)?;
        Ok(Self { scheme, host, port, name, pins })
    }
}

fn parse_authority(authority: &str, default_port: u16) -> Result<(String, u16), AddressError> {
    let no_host = || AddressError::Host(authority.to_owned());
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(no_host)?;
        let ip: std::net::Ipv6Addr = host.parse().map_err(|_| no_host())?;
        let port = match port.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if port.is_empty() => default_port,
            None => return Err(no_host()),
        };
        return Ok((ip.to_string(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, parse_port(port)?),
        None => (authority, default_port),
    };
    // An underscore is no letter of a host name, but names with one are about and resolve.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || host.len() > MAX_HOST_BYTES || !host.bytes().all(allowed) {
        return Err(AddressError::Host(host.to_owned()));
    }
    Ok((host.to_ascii_lowercase(), port))
}

fn parse_port(port: &str) -> Result<u16, AddressError> {
    match port.parse() {
        Ok(number) if number != 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(AddressError::Port(port.to_owned())),
    }
}

fn parse_name(name: &str) -> Result<String, AddressError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    if name.len() > MAX_NAME_BYTES || !name.bytes().all(allowed) {
        return Err(AddressError::Name(name.to_owned()));
    }
    Ok(name.to_owned())
}

fn parse_query(query: &str) -> Result<Vec<CertificatePin>, AddressError> {
    let mut pins = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("pin", _)) if pins.len() == MAX_PINS => {
                return Err(AddressError::TooManyPins { max: MAX_PINS });
            }
            Some(("pin", pin)) => pins.push(pin.parse()?),
            _ => return Err(AddressError::UnknownKey(pair.split('=').next().unwrap_or_default().to_owned())),
        }
    }
    Ok(pins)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Kwik => "kwik",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority())?;
        if let Some(name) = &self.name {
            write!(f, "/{name}")?;
        }
        for (i, pin) in self.pins.iter().enumerate() {
            write!(f, "{}pin={pin}", if i == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl From<&Address> for PathAddress {
    fn from(address: &Address) -> Self {
        let pins = address.pins.iter().map(|pin| pin.0).collect();
        Self { scheme: address.scheme, authority: address.authority(), pins, local: None }
    }
}

/// As [`Address`]; the scheme may be left out, and the name counts for nothing.
impl FromStr for PathAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address = if text.contains("://") { text.parse() } else { format!("kwik://{text}").parse() };
        address.map(|address: Address| Self::from(&address))
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

impl CertificatePin {
    /// The pin of a certificate, given in DER.
    pub fn of(certificate_der: &[u8]) -> Self {
        Self(Sha256::digest(certificate_der).into())
    }
}

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for CertificatePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in self.0.chunks(3) {
            let bits =
                group.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
            for digit in 0..=group.len() {
                let value = (bits >> (18 - 6 * digit)) & 0x3f;
                write!(f, "{}", char::from(BASE64URL[value as usize]))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for CertificatePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificatePin({self})")
    }
}

impl FromStr for CertificatePin {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        decode_pin(text).map(Self).ok_or_else(|| AddressError::Pin(text.to_owned()))
    }
}

/// Strict: no padding, and no bits set that are in no byte, so that a pin has one spelling only.
fn decode_pin(text: &str) -> Option<[u8; 32]> {
    let mut bytes = Vec::with_capacity(32);
    let (mut bits, mut pending) = (0_u32, 0);
    for character in text.bytes() {
        let value = BASE64URL.iter().position(|&digit| digit == character)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        pending += 6;
        if pending >= 8 {
            pending -= 8;
            bytes.push((bits >> pending) as u8);
            bits &= (1 << pending) - 1;
        }
    }
    if bits != 0 || text.len() != 43 {
        return None;
    }
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIN: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"; // the SHA-256 of nothing

    fn parse(text: &str) -> Address {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_is_read_and_printed_the_same() {
        let full = format!("kwik://a.example:443/files/today?pin={PIN}&pin={PIN}");
        let address = parse(&full);
        assert_eq!((address.host.as_str(), address.port), ("a.example", 443));
        assert_eq!(address.name.as_deref(), Some("files/today"));
        assert_eq!(address.pins, [CertificatePin::of(b""); 2]);
        for text in [&full, "kwik://10.0.0.1:4433", "kwik://[2001:db8::1]:1/x"] {
            assert_eq!(parse(text).to_string(), *text);
        }
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        assert_eq!(parse("kwik://a.example").to_string(), "kwik://a.example:4433");
        assert_eq!(parse("KWIK://A.Example/").to_string(), "kwik://a.example:4433");
        assert_eq!(parse("kwik://[::1]").to_string(), "kwik://[::1]:4433");
    }

    #[test]
    fn an_https_address_leads_to_the_one_place_where_sessions_are() {
        for (text, printed) in [
            ("https://a.example", "https://a.example:443"),
            ("HTTPS://a.example:1/", "https://a.example:1"),
            ("https://[::1]:2/.well-known/kwik/1", "https://[::1]:2"),
            (&format!("https://[::1]?pin={PIN}"), &format!("https://[::1]:443?pin={PIN}")),
        ] {
            assert_eq!(parse(text).to_string(), printed);
            assert_eq!(PathAddress::try_from(text).unwrap().scheme, Scheme::Https);
        }
        let elsewhere = "https://a.example/chat".parse::<Address>().unwrap_err();
        assert!(matches!(elsewhere, AddressError::HttpsPath(_)));
    }

    #[test]
    fn a_wrong_address_is_refused_with_what_is_wrong_in_it() {
        type E = AddressError;
        let refused = |text: &str| text.parse::<Address>().unwrap_err();
        for text in ["", "a.example:4433", "http://a.example", "kwik:/a", "kwik\u{e9}://a"] {
            assert!(matches!(refused(text), E::Scheme(_)), "{text}");
        }
        for text in ["kwik://", "kwik://:1", "kwik://a b", "kwik://u@h", "kwik://[::1", "kwik://[::1]x"] {
            assert!(matches!(refused(text), E::Host(_)), "{text}");
        }
        assert!(matches!(refused("kwik://[a.example]"), E::Host(_)), "a name needs no brackets");
        for text in ["kwik://a:", "kwik://a:0", "kwik://a:65536", "kwik://a:+1", "kwik://::1"] {
            assert!(matches!(refused(text), E::Port(_)), "{text}");
        }
        assert!(matches!(refused("kwik://a/b c"), E::Name(_)));
        assert!(matches!(refused("kwik://a?pins=x"), E::UnknownKey(key) if key == "pins"));
        assert!(matches!(refused("kwik://a?"), E::UnknownKey(_)));
        for pin in ["", "abc", &PIN[1..], &format!("{PIN}="), &PIN.replace('U', "V"), &PIN.replace('-', "+")]
        {
            assert!(matches!(refused(&format!("kwik://a?pin={pin}")), E::Pin(_)), "{pin}");
        }
        let many = vec![format!("pin={PIN}"); MAX_PINS + 1].join("&");
        assert!(matches!(refused(&format!("kwik://a?{many}")), E::TooManyPins { .. }));
        assert!(matches!(refused(&format!("kwik://{}", "a".repeat(254))), E::Host(_)));
        assert!(matches!(refused(&format!("kwik://a/{}", "a".repeat(256))), E::Name(_)));
    }

    proptest! {
        #[test]
        fn a_pin_is_read_as_it_was_printed(bytes: [u8; 32]) {
            let pin = CertificatePin(bytes);
            prop_assert_eq!(pin.to_string().parse::<CertificatePin>().unwrap(), pin);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "((kwik|https)://)?[\\[\\]:/?&=a-z0-9.\\PC]{0,40}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
            }
        }
    }

    #[test]
    fn a_path_is_addressed_like_a_server_with_or_without_the_scheme() {
        for text in [format!("kwik://[::1]:7/name?pin={PIN}"), format!("[::1]:7?pin={PIN}")] {
            let path = PathAddress::try_from(text).unwrap();
            assert_eq!((path.authority.as_str(), path.pins.len()), ("[::1]:7", 1));
        }
        assert_eq!(PathAddress::try_from("a.example").unwrap().authority, "a.example:4433");
        assert!(matches!(PathAddress::try_from("http://a.example"), Err(AddressError::Scheme(_))));
    }
}
