//! From addresses to the URLs that a browser connects to, and back: `https://HOST[:PORT]` is an address here, too.

use crate::api::Address;
use crate::proto::error::AddressError;
use crate::proto::event::PathAddress;

/// Where a server answers a browser's CONNECT (docs/PROTOCOL.md).
const WELL_KNOWN: &str = "/.well-known/kwik/1";

const HTTPS: &str = "https://";
const HTTPS_PORT: u16 = 443;

/// Reads an address. The path of an `https://` one may be left out: there is only one that serves sessions.
pub(crate) fn parse(text: &str) -> Result<PathAddress, AddressError> {
    let address: Address = match text.split_at_checked(HTTPS.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(HTTPS) => from_https(rest).parse()?,
        _ => text.parse()?,
    };
    Ok(PathAddress::from(&address))
}

/// The URL to connect to.
pub(crate) fn url(address: &PathAddress) -> String {
    format!("{HTTPS}{}{WELL_KNOWN}", address.authority)
}

fn from_https(rest: &str) -> String {
    let (place, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let place = place.strip_suffix(WELL_KNOWN).unwrap_or(place);
    let authority = place.strip_suffix('/').unwrap_or(place);
    // A colon after the brackets of an IPv6 address, if there are any.
    let has_port = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest).contains(':');
    if has_port {
        format!("kwik://{authority}{query}")
    } else {
        format!("kwik://{authority}:{HTTPS_PORT}{query}")
    }
}
