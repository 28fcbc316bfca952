//! What an application can see of a path.

use std::net::SocketAddr;
use std::time::Duration;

use crate::proto::event::PathAddress;
use crate::proto::wire::id::PathId;

/// Where a path is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PathState {
    /// Being dialled, or waiting for the server's word.
    Opening,
    /// In use.
    Active,
    /// Used when no active path is left.
    Standby,
    /// Silent; what it carried is being sent on other paths.
    Suspect,
    /// Being removed: it carries nothing new.
    Closing,
    /// Gone.
    Closed,
}

impl std::fmt::Display for PathState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opening => "opening",
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Suspect => "suspect",
            Self::Closing => "closing",
            Self::Closed => "closed",
        })
    }
}

/// What a session knows of one of its paths.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PathInfo {
    /// The path.
    pub id: PathId,
    /// Where it is in its life.
    pub state: PathState,
    /// Where it leads, on the client.
    pub address: Option<PathAddress>,
    /// The peer's address on the network, once the carrier knows it. Filled in by the backend.
    pub remote: Option<SocketAddr>,
    /// Smoothed round-trip time, once measured.
    pub rtt: Option<Duration>,
    /// Expected rate in bytes per second; 0 while unknown.
    pub rate_bytes_per_s: u64,
    /// Bytes given to the path that the peer has not reported as arrived.
    pub in_flight_bytes: u64,
    /// Stream bytes sent, copies included.
    pub sent_bytes: u64,
    /// Stream bytes received, copies included.
    pub received_bytes: u64,
    /// Of the bytes sent, those that were copies of bytes on other paths.
    pub reinjected_bytes: u64,
    /// Packets that the carrier found lost, where it can tell.
    pub lost_packets: u64,
    /// Packets that the carrier sent, where it can tell.
    pub sent_packets: u64,
    /// What a byte costs, the larger of what both ends say; only comparisons matter. (The peer's word may be any number
    /// below 2^62, this end's is one of 32 bits.)
    pub cost: u64,
}
