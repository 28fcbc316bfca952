//! From addresses to the URLs that a browser connects to: whatever their scheme, by WebTransport.

use crate::proto::event::PathAddress;

/// Where a server answers a browser's CONNECT (docs/PROTOCOL.md).
const WELL_KNOWN: &str = "/.well-known/kwik/1";

/// The URL to connect to.
pub(crate) fn url(address: &PathAddress) -> String {
    format!("https://{}{WELL_KNOWN}", address.authority)
}
