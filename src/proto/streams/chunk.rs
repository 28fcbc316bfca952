//! Types that pass between streams and their session: chunks in and out, reasons for sending, ends of halves.

use std::ops::Range;

use bytes::Bytes;

use super::send::SendStream;
use crate::proto::error::WriteError;
use crate::proto::scheduler::PathView;
use crate::proto::wire::code::AppCode;
use crate::proto::wire::id::{Dir, LaneId, PathId, Side, StreamId};

/// A piece of a stream, as a record or a STREAM frame carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) stream: StreamId,
    pub(crate) offset: u64,
    pub(crate) fin: bool,
    pub(crate) data: Bytes,
}

/// RESET_STREAM of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerReset {
    pub(crate) stream: StreamId,
    pub(crate) code: AppCode,
    pub(crate) final_size: u64,
}

/// What has happened to a path whose bytes become work for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathFailure {
    /// It does not answer.
    Silent,
    /// It is gone, and its lanes with it.
    Closed,
}

/// How a sending half ended, if it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    Pending,
    Over(Result<(), WriteError>),
}

/// Why bytes go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendReason {
    /// They never did.
    New,
    /// The path that had them is silent or gone.
    Retransmit,
    /// Another path has them and delivers them later; bound by the cap on copies.
    Reinject,
    /// Every path is to carry them.
    Duplicate,
}

/// The kinds of lanes that a carrier has none of at the moment: streams that need a new one wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocked {
    side: Side,
    bidi: bool,
    uni: bool,
}

impl Blocked {
    /// No kind, for the streams of this end.
    pub(crate) fn none(side: Side) -> Self {
        Self { side, bidi: false, uni: false }
    }

    pub(crate) fn add(&mut self, dir: Dir) {
        match dir {
            Dir::Bi => self.bidi = true,
            Dir::Uni => self.uni = true,
        }
    }

    pub(crate) fn blocks(&self, stream: &SendStream, path: PathId) -> bool {
        (self.bidi || self.uni)
            && stream.open_lane(path).is_none()
            && match stream.next_lane_dir(path, self.side) {
                Dir::Bi => self.bidi,
                Dir::Uni => self.uni,
            }
    }
}

/// A chunk that is chosen for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NextChunk {
    pub(crate) stream: StreamId,
    pub(crate) range: Range<u64>,
    pub(crate) reason: SendReason,
}

/// The path that a chunk goes on, as far as streams are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlet {
    pub(crate) id: PathId,
    pub(crate) control: Option<LaneId>,
    pub(crate) view: PathView,
}

/// What came of writing a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The bidirectional lane that was opened for the stream, on which the peer answers.
    pub(crate) opened: Option<LaneId>,
    /// What went out, unless the lane turned out to be gone.
    pub(crate) sent: Option<Sent>,
}

/// Bytes that went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) bytes: u64,
    /// Of these, sent for the first time.
    pub(crate) new_bytes: u64,
}
