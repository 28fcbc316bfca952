//! From addresses to the URLs that a browser connects to: whatever their scheme, by WebTransport.

use crate::proto::event::PathAddress;
use crate::proto::wire::limits::WELL_KNOWN;

/// The URL to connect to.
pub(crate) fn url(address: &PathAddress) -> String {
    format!("https://{}{WELL_KNOWN}", address.authority)
}
