//! Addresses as people write them, with pins: `kwik://HOST[:PORT][?pin=BASE64URL[&pin=...]]` and `https://HOST[:PORT]`.

use super::dial::DialError;
use crate::proto::event::PathAddress;

/// Where a server answers a browser's CONNECT (docs/PROTOCOL.md).
const WELL_KNOWN: &str = "/.well-known/kwik/1";
/// The port of a `kwik://` address that names none.
const KWIK_PORT: u16 = 4433;
const HTTPS_PORT: u16 = 443;

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Reads an address. The path of an `https://` one may be left out: there is only one that serves sessions.
pub(crate) fn parse(text: &str) -> Result<PathAddress, DialError> {
    let (place, query) = text.split_once('?').unwrap_or((text, ""));
    let (authority, port) = match place.split_at_checked(8) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https://") => {
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            (rest.strip_suffix(WELL_KNOWN).unwrap_or(rest), HTTPS_PORT)
        }
        _ => (place.strip_suffix('/').unwrap_or(place), KWIK_PORT),
    };
    let mut address: PathAddress = match has_port(authority) {
        true => authority.parse()?,
        false => format!("{authority}:{port}").parse()?,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("pin", pin)) => address.pins.push(decode_pin(pin).ok_or_else(|| DialError::Pin { pin: pin.into() })?),
            _ => return Err(DialError::Key { key: pair.split('=').next().unwrap_or_default().into() }),
        }
    }
    Ok(address)
}

/// The URL to connect to.
pub(crate) fn url(address: &PathAddress) -> String {
    format!("https://{}{WELL_KNOWN}", address.authority)
}

/// Whether a colon follows the scheme's and those of an IPv6 address in brackets.
fn has_port(authority: &str) -> bool {
    let host = authority.rsplit_once("://").map_or(authority, |(_, host)| host);
    host.rsplit_once(']').map_or(host, |(_, rest)| rest).contains(':')
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
