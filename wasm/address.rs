//! From addresses to the URLs that a browser connects to: whatever their scheme, by WebTransport.

use crate::proto::event::PathAddress;
use crate::proto::limits::WELL_KNOWN;

/// The URL to connect to.
pub(crate) fn url(address: &PathAddress) -> String {
    format!("https://{}{WELL_KNOWN}", address.authority)
}
