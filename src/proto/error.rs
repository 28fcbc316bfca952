//! Errors of calls on a session, and the reasons for which sessions end.

use std::time::Duration;

use bytes::Bytes;

use super::event::PathLoss;
use crate::proto::wire::code::{AppCode, TransportCode};
use crate::proto::wire::id::{PathId, StreamId};

/// Why a session has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// This end closed it.
    #[error("the session was closed by this end with code {code}{}", undelivered(*.undelivered_bytes))]
    LocallyClosed {
        /// What was given to `close`.
        code: AppCode,
        /// Bytes written that the peer had not acknowledged when the session ended.
        undelivered_bytes: u64,
    },
    /// The peer's application closed it.
    #[error("the session was closed by the peer with code {code}: {}", text(.reason))]
    ClosedByPeer {
        /// The peer's code.
        code: AppCode,
        /// The peer's reason.
        reason: Bytes,
    },
    /// The peer ended it because of what this end did, or for want of resources.
    #[error("the peer ended the session: {code}: {}", text(.reason))]
    PeerError {
        /// What the peer calls it.
        code: TransportCode,
        /// Details, in the peer's words.
        reason: Bytes,
    },
    /// The peer broke the protocol; this end closed the session.
    #[error("the peer broke the protocol ({code}): {reason}")]
    Protocol {
        /// Which rule.
        code: TransportCode,
        /// What it did.
        reason: String,
    },
    /// This end failed: a panic in the session's code, or in a scheduler that was given to it.
    #[error("the session failed, by a fault of this end: {reason}; please report it")]
    Failed {
        /// What is known of it.
        reason: String,
    },
    /// No path came back in time.
    #[error("no path came back within {after:?}; raise resume_timeout to wait longer")]
    ResumeTimeout {
        /// How long the session was kept.
        after: Duration,
    },
    /// It was without a path, and the server that this end is needed its room for another session.
    #[error(
        "the session was without a path, and its room was needed for another; raise max_sessions or max_suspended"
    )]
    Evicted,
    /// The server refused the session, or to take it up again.
    #[error("the server refused the session: {code}: {}", text(.reason))]
    Rejected {
        /// Why.
        code: TransportCode,
        /// Details, in the server's words.
        reason: Bytes,
    },
    /// The first path could not be opened.
    #[error("the server could not be reached: {loss}")]
    DialFailed {
        /// What became of it.
        loss: PathLoss,
    },
}

fn text(reason: &Bytes) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(reason)
}

fn undelivered(bytes: u64) -> String {
    if bytes == 0 { String::new() } else { format!("; {bytes} bytes were not delivered") }
}

/// Why an address cannot be advertised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdvertiseError {
    /// Only a server advertises addresses; a client adds paths.
    #[error("only a server advertises addresses; a client adds paths")]
    NotServer,
    /// The address is too long.
    #[error("an address of {len} bytes is too long: at most {max} fit")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The longest that can be said.
        max: usize,
    },
    /// The client takes no more paths than this, and so no more addresses.
    #[error("the client takes {max} paths, and as many addresses are advertised; withdraw one first")]
    TooMany {
        /// The client's `max_paths`.
        max: usize,
    },
}

/// Why a stream cannot be written to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The peer stopped reading.
    #[error("stream {stream}: the peer stopped reading with code {code}")]
    Stopped {
        /// The stream.
        stream: StreamId,
        /// The peer's code.
        code: AppCode,
    },
    /// It was finished or reset by this end.
    #[error("stream {stream} is already finished or reset")]
    Closed {
        /// The stream.
        stream: StreamId,
    },
    /// The session has ended.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Why a stream cannot be read from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The peer gave the stream up.
    #[error("stream {stream}: the peer reset it with code {code}")]
    Reset {
        /// The stream.
        stream: StreamId,
        /// The peer's code.
        code: AppCode,
    },
    /// This end stopped it, or has read it to its end.
    #[error("stream {stream} is already stopped or read to its end")]
    Closed {
        /// The stream.
        stream: StreamId,
    },
    /// The session has ended before the stream had.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Why a stream cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// One of the ends is draining the session.
    #[error("the session is draining: no new streams")]
    GoingAway,
    /// The session has ended.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Why a datagram cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatagramError {
    /// It is longer than the peer or every path takes.
    #[error("a datagram of {len} bytes is too long: at most {max} fit")]
    TooLong {
        /// Its length.
        len: usize,
        /// The longest that would do now.
        max: usize,
    },
    /// The peer takes no datagrams, or no path carries them.
    #[error("the session carries no datagrams")]
    Unsupported,
    /// The session has ended.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Why a path cannot be added, changed or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Either end's `max_paths` is reached.
    #[error("the session already has {max} paths, the most that both ends allow")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// There is no such path (any more).
    #[error("path {path} does not exist any more")]
    Unknown {
        /// The path.
        path: PathId,
    },
    /// Only a client opens paths; a server advises them.
    #[error("only the client opens paths; a server advertises addresses")]
    NotClient,
    /// The first path is still being opened.
    #[error("the session is not open yet: add paths once its first path is there")]
    NotOpen,
    /// It could not be opened.
    #[error("path {path} could not be opened: {reason}")]
    Failed {
        /// The path.
        path: PathId,
        /// What the carrier or the server said.
        reason: String,
    },
    /// What was given is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The session has ended.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It begins neither with `kwik://` nor with `https://`.
    #[error("{0:?} is not a valid address: expected kwik://HOST:PORT")]
    Scheme(String),
    /// There is no host, or it is neither a DNS name nor an IP address.
    #[error(
        "{0:?} is not a valid host: expected a DNS name, an IPv4 address, or an IPv6 address in brackets"
    )]
    Host(String),
    /// The port is not one of 1 to 65535.
    #[error("{0:?} is not a valid port: expected 1-65535")]
    Port(String),
    /// The name has characters it may not have, or is longer than 255 bytes.
    #[error("{0:?} is not a valid name: expected at most 255 of A-Z a-z 0-9 - . _ ~ /")]
    Name(String),
    /// An `https://` address has a path, and it is not the one where sessions are.
    #[error("{0:?} is not a valid path: an https:// address of a session has none")]
    HttpsPath(String),
    /// The part after `?` has a key that is not known here.
    #[error("unknown key {0:?} in the address: only pin=... may follow the question mark")]
    UnknownKey(String),
    /// A pin is not 32 bytes in base64url.
    #[error(
        "{0:?} is not a valid certificate pin: expected the SHA-256 of the certificate as 43 base64url characters"
    )]
    Pin(String),
    /// There are more pins than an address may have.
    #[error("more than {max} pins in one address")]
    TooManyPins {
        /// The most that are allowed.
        max: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_was_closed_says_what_the_peer_did_not_get_if_there_is_any() {
        let closed =
            |undelivered_bytes| SessionError::LocallyClosed { code: AppCode::new(3), undelivered_bytes };
        assert_eq!(closed(0).to_string(), "the session was closed by this end with code 3");
        assert_eq!(
            closed(10).to_string(),
            "the session was closed by this end with code 3; 10 bytes were not delivered"
        );
    }

    #[test]
    fn a_reason_of_the_peers_is_readable_whatever_its_bytes() {
        let reason = Bytes::from_static(b"bye \xff");
        let text = SessionError::ClosedByPeer { code: AppCode::new(7), reason: reason.clone() }.to_string();
        assert_eq!(text, "the session was closed by the peer with code 7: bye \u{fffd}");
        let text = SessionError::PeerError { code: TransportCode::FlowControl, reason }.to_string();
        assert_eq!(text, "the peer ended the session: flow control limit exceeded: bye \u{fffd}");
    }

    #[test]
    fn a_call_that_fails_with_its_session_says_what_the_session_says() {
        let session = SessionError::DialFailed { loss: PathLoss::NotOpened };
        let text = "the server could not be reached: it took too long to open";
        assert_eq!(WriteError::from(session.clone()).to_string(), text);
        assert_eq!(ReadError::from(session).to_string(), text);
    }
}
