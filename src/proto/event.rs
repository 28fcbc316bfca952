//! Events for the application, and actions for the backend.

use bytes::Bytes;

use crate::proto::wire::code::{AppCode, TransportCode};
use crate::proto::wire::id::{Dir, PathId, StreamId};

/// What a path is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `kwik://`: QUIC, or in a browser WebTransport.
    #[default]
    Kwik,
    /// `https://`: WebTransport over HTTP/3, wherever it is dialled from.
    Https,
}

/// Where a path leads. The core gives it no meaning; a backend dials it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PathAddress {
    /// What it is made of.
    pub scheme: Scheme,
    /// `host:port`; IPv6 addresses in brackets.
    pub authority: String,
    /// SHA-256 of the certificates to accept; none: platform roots.
    pub pins: Vec<[u8; 32]>,
    /// The local IP address to send from, when it matters.
    pub local: Option<std::net::IpAddr>,
}

/// Something that a backend has to do for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial this address and report with `path_connected` or `path_failed`.
    Dial {
        /// The path that is being opened.
        path: PathId,
        /// Where it leads.
        address: PathAddress,
    },
    /// Close the path's carrier, or stop dialling.
    ClosePath {
        /// The path.
        path: PathId,
        /// For the carrier's closing message: a code of docs/PROTOCOL.md section 7.
        code: u64,
        /// For people.
        reason: Bytes,
    },
    /// The path may have something to transmit.
    Transmit {
        /// The path.
        path: PathId,
    },
}

/// Something that has changed for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session is open (client: the server has accepted it).
    Opened,
    /// The peer opened a stream of this kind: `accept` has one.
    Incoming(Dir),
    /// `open` may succeed again.
    Available(Dir),
    /// There is something to read, or the stream has ended or failed.
    Readable(StreamId),
    /// There is room to write, or the stream was stopped.
    Writable(StreamId),
    /// The peer has all of the stream, or it was reset or stopped.
    SendDone(StreamId),
    /// A datagram can be read.
    Datagram,
    /// A ping of this token came back after this time.
    Pong(PathId, u64, std::time::Duration),
    /// Something about paths that applications may want to show.
    Session(SessionEvent),
    /// The session has ended.
    Closed,
}

/// The changes in a session's life that an application may want to know of. None of them needs an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// A path is part of the session.
    PathAdded(PathId),
    /// A path does not answer; what it carries is being sent on others.
    PathSuspect(PathId),
    /// A silent path answers again.
    PathRecovered(PathId),
    /// A path is gone, and why.
    PathLost(PathId, PathLoss),
    /// No path is left; the session waits for one.
    Suspended,
    /// A path is there again.
    Resumed,
    /// The server advises another address.
    Advised(PathAddress),
    /// The peer wants no new streams.
    Draining,
}

/// Why a path is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathLoss {
    /// It did not answer for `path_timeout`.
    TimedOut,
    /// It was not open within `handshake_timeout`.
    NotOpened,
    /// It was removed by this end.
    Removed,
    /// The peer closed it, with a [`TransportCode`] unless it is of another protocol version.
    ClosedByPeer(AppCode),
    /// It could not be opened, or broke.
    Failed(String),
}

impl std::fmt::Display for PathLoss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut => f.write_str("it did not answer"),
            Self::NotOpened => f.write_str("it took too long to open"),
            Self::Removed => f.write_str("it was removed"),
            Self::ClosedByPeer(code) => match TransportCode::from_u64(code.as_u64()) {
                Some(known) => write!(f, "the peer closed it: {known} (code {code})"),
                None => write!(f, "the peer closed it with code {code}"),
            },
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_the_peer_closed_says_why_in_words_if_there_are_any() {
        let abandoned = PathLoss::ClosedByPeer(TransportCode::PathAbandoned.into());
        assert_eq!(abandoned.to_string(), "the peer closed it: path abandoned (code 15)");
        let unheard_of = PathLoss::ClosedByPeer(AppCode::from_wire(1 << 40));
        assert_eq!(unheard_of.to_string(), "the peer closed it with code 1099511627776");
    }

    #[test]
    fn a_path_that_is_gone_says_why() {
        assert_eq!(PathLoss::TimedOut.to_string(), "it did not answer");
        assert_eq!(PathLoss::NotOpened.to_string(), "it took too long to open");
        assert_eq!(PathLoss::Removed.to_string(), "it was removed");
        assert_eq!(PathLoss::Failed("no route".to_owned()).to_string(), "no route");
    }
}
