//! Identifiers of sessions, paths, streams and lanes.

use std::fmt;

/// Which end of a session this is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The end that dialled.
    Client,
    /// The end that listens: the session's origin.
    Server,
}

impl Side {
    /// The other end.
    pub fn peer(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// Whether data flows both ways on a stream or lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dir {
    /// Both ends send.
    Bi,
    /// Only the end that opened it sends.
    Uni,
}

/// The name of a session: 128 random bits, chosen by the server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name of a path within its session. Chosen by the client, counts up from 0, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PathId(pub u64);

impl PathId {
    /// The path that the session was opened on.
    pub const PRIMARY: PathId = PathId(0);
}

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The name of a stream within its session.
///
/// As in QUIC (RFC 9000 section 2.1) the lowest bit says who opened it (0: client) and the second lowest
/// whether it is bidirectional (0) or unidirectional (1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The `index`th stream, from 0, of this kind.
    pub fn new(initiator: Side, dir: Dir, index: u64) -> Self {
        let initiator = match initiator {
            Side::Client => 0,
            Side::Server => 1,
        };
        let dir = match dir {
            Dir::Bi => 0,
            Dir::Uni => 2,
        };
        StreamId(index << 2 | dir | initiator)
    }

    /// Who opened it.
    pub fn initiator(self) -> Side {
        if self.0 & 1 == 0 { Side::Client } else { Side::Server }
    }

    /// Whether both ends send on it.
    pub fn dir(self) -> Dir {
        if self.0 & 2 == 0 { Dir::Bi } else { Dir::Uni }
    }

    /// Its number, from 0, among the streams of the same kind.
    pub fn index(self) -> u64 {
        self.0 >> 2
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A carrier's own name for one of its lanes, unique within its path and both directions of opening.
///
/// For QUIC it is the QUIC stream id; the core gives it no meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LaneId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_written_as_32_hex_digits_and_the_rest_as_numbers() {
        let session = SessionId(std::array::from_fn(|index| 0x0f + index as u8));
        assert_eq!(session.to_string(), "0f101112131415161718191a1b1c1d1e");
        assert_eq!(format!("{session:?}"), session.to_string());
        assert_eq!((PathId(3).to_string(), StreamId(7).to_string()), ("3".to_owned(), "7".to_owned()));
    }

    #[test]
    fn a_streams_name_tells_who_opened_it_and_of_what_kind_it_is() {
        for side in [Side::Client, Side::Server] {
            for dir in [Dir::Bi, Dir::Uni] {
                let id = StreamId::new(side, dir, 5);
                assert_eq!((id.initiator(), id.dir(), id.index()), (side, dir, 5));
            }
        }
        assert_eq!(
            StreamId::new(Side::Server, Dir::Uni, 1),
            StreamId(7),
            "as RFC 9000 section 2.1 numbers them"
        );
    }
}
