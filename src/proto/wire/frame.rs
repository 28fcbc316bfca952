//! Frames of the control lane as types (docs/PROTOCOL.md section 4).
//!
//! Every frame is `type (varint), length (varint), body`, so that one of an unknown type is skipped.
//! [`Frame::encode`] and [`Frame::decode_body`] are beside this file, in `codec.rs`.

use bytes::Bytes;

use super::id::{Dir, PathId, SessionId, StreamId};

pub use super::frame_type::{FrameError, FrameType};

/// A frame of the control lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Client: open a session, or join a path to one. The first frame of every path.
    Hello(Hello),
    /// Server: the path is part of the session from here on.
    Accept(Accept),
    /// Server: the path is refused.
    Reject(Reject),
    /// How a path is to be used by the end that receives this.
    PathStatus(PathStatus),
    /// Answer with a [`Frame::Pong`] of the same token on the same path.
    Ping {
        /// Any number; comes back in the answer.
        token: u64,
    },
    /// The answer to a ping.
    Pong {
        /// The token of the ping.
        token: u64,
    },
    /// Which bytes of a stream have arrived.
    Ack(Ack),
    /// How many payload bytes have arrived on the path that carries this frame.
    PathReport(PathReport),
    /// Bytes of all streams together that may be sent, counted from the session's beginning.
    MaxData {
        /// The limit, in bytes. Never goes down: a lower value is old news.
        max_bytes: u64,
    },
    /// Bytes of one stream that may be sent, counted from the stream's beginning.
    MaxStreamData {
        /// The stream meant.
        stream: StreamId,
        /// The limit, in bytes. Never goes down.
        max_bytes: u64,
    },
    /// Streams of one kind that the receiver of this frame may open, counted from the session's beginning.
    MaxStreams {
        /// The kind of stream.
        dir: Dir,
        /// The limit, at most [`MAX_STREAMS`](crate::proto::wire::limits::MAX_STREAMS). Never goes down.
        max: u64,
    },
    /// The sender gives the stream up; what was not delivered is not going to be.
    ResetStream {
        /// The stream meant.
        stream: StreamId,
        /// The application's reason.
        code: u64,
        /// The end of the highest byte that was sent, for flow control.
        final_size: u64,
    },
    /// The receiver does not want the rest of the stream.
    StopSending {
        /// The stream meant.
        stream: StreamId,
        /// The application's reason.
        code: u64,
    },
    /// Server: another address under which the session can be reached.
    AddPath(AddPath),
    /// Server: an address of an earlier [`Frame::AddPath`] should no longer be used.
    RemovePath {
        /// Which advice is taken back.
        advice: u64,
    },
    /// A path is abandoned by the end that sends this; may travel on any other path.
    PathClose {
        /// The path meant.
        path: PathId,
        /// One of the codes of docs/PROTOCOL.md section 7.
        code: u64,
        /// For people; what is beyond [`MAX_REASON_BYTES`](crate::proto::wire::limits::MAX_REASON_BYTES) is not sent.
        reason: Bytes,
    },
    /// No new streams, please; those that are open are finished.
    GoAway,
    /// The session ends now.
    Close(Close),
    /// A chunk of a stream, for a carrier that has one lane only.
    Stream {
        /// The stream meant.
        stream: StreamId,
        /// Where in the stream `data` begins.
        offset: u64,
        /// Whether the stream ends where `data` ends.
        fin: bool,
        /// At most [`MAX_FRAME_DATA_BYTES`](crate::proto::wire::limits::MAX_FRAME_DATA_BYTES).
        data: Bytes,
    },
    /// A datagram, for a carrier that has none.
    Datagram {
        /// Counts up over the session; tells copies apart.
        sequence: u64,
        /// At most [`MAX_FRAME_DATA_BYTES`](crate::proto::wire::limits::MAX_FRAME_DATA_BYTES).
        data: Bytes,
    },
}

/// Body of [`Frame::Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Versions of this protocol that the client speaks, best first; 1 to
    /// [`MAX_VERSIONS`](crate::proto::wire::limits::MAX_VERSIONS).
    pub versions: Vec<u64>,
    /// The id that the client gives this path.
    pub path: PathId,
    /// New session, or which one to join.
    pub intent: Intent,
    /// The client's limits.
    pub parameters: Parameters,
}

/// What a [`Hello`] asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Open a session; the path is its primary.
    New,
    /// Join a path to a session, with the proof of section 3.3.
    Join {
        /// The session's name.
        session: SessionId,
        /// What [`token::proof`](crate::proto::wire::token::proof) gives for this path.
        proof: [u8; 32],
    },
}

/// Body of [`Frame::Accept`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The version of this protocol that the session speaks.
    pub version: u64,
    /// The session's name.
    pub session: SessionId,
    /// For a new session: what the client proves its later paths with.
    pub credentials: Option<Credentials>,
    /// The server's limits.
    pub parameters: Parameters,
}

/// What joins paths to a session: known to its client and its origin only.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The key of the proof.
    pub resume_key: [u8; 32],
    /// The server's part of what is proven.
    pub nonce: [u8; 16],
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// Body of [`Frame::Reject`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// One of the codes of docs/PROTOCOL.md section 7.
    pub code: u64,
    /// For people; what is beyond [`MAX_REASON_BYTES`](crate::proto::wire::limits::MAX_REASON_BYTES) is not sent.
    pub reason: Bytes,
}

/// Body of [`Frame::PathStatus`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStatus {
    /// The path meant; the frame may travel on any path.
    pub path: PathId,
    /// Counts up per path; a frame that is not newer than the newest seen is ignored.
    pub sequence: u64,
    /// Used only when no active path is left.
    pub standby: bool,
    /// What a byte on this path costs, in units that only compare; 0 is free.
    pub cost: u64,
}

/// Body of [`Frame::Ack`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The stream meant.
    pub stream: StreamId,
    /// The receiver needs nothing more of this stream: all has arrived, or the end was a reset or a stop.
    pub complete: bool,
    /// All bytes before this offset have arrived.
    pub contiguous: u64,
    /// Further ranges that have arrived: start (inclusive) and end (exclusive), none empty, ascending, with at
    /// least one missing byte before each. Only the first
    /// [`MAX_ACK_RANGES`](crate::proto::wire::limits::MAX_ACK_RANGES) are sent.
    pub ranges: Vec<std::ops::Range<u64>>,
}

/// Body of [`Frame::PathReport`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathReport {
    /// Bytes of stream data that have arrived on this path, copies included, since it was opened.
    pub received_bytes: u64,
    /// Time between the arrival of the newest of these bytes and the sending of this frame, in microseconds.
    pub delay_us: u64,
}

/// Body of [`Frame::AddPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPath {
    /// Names this advice for a later [`Frame::RemovePath`].
    pub advice: u64,
    /// Lower is better.
    pub priority: u64,
    /// Whether the address is a relay's.
    pub relay: bool,
    /// `host:port`, 1 to [`MAX_AUTHORITY_BYTES`](crate::proto::wire::limits::MAX_AUTHORITY_BYTES).
    pub authority: String,
    /// SHA-256 of the certificate to expect, when platform roots do not know it.
    pub certificate_hash: Option<[u8; 32]>,
}

/// Body of [`Frame::Close`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Whether `code` is the application's or one of docs/PROTOCOL.md section 7.
    pub application: bool,
    /// Why.
    pub code: u64,
    /// Why, for people; what is beyond [`MAX_REASON_BYTES`](crate::proto::wire::limits::MAX_REASON_BYTES) is not sent.
    pub reason: Bytes,
}

/// The limits and wishes that each end states when a path opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// First value of [`Frame::MaxData`].
    pub initial_max_data_bytes: u64,
    /// First value of [`Frame::MaxStreamData`] for every stream.
    pub initial_max_stream_data_bytes: u64,
    /// First value of [`Frame::MaxStreams`] for bidirectional streams.
    pub initial_max_streams_bidi: u64,
    /// First value of [`Frame::MaxStreams`] for unidirectional streams.
    pub initial_max_streams_uni: u64,
    /// Longest datagram payload that the end takes; 0 when it takes none.
    pub max_datagram_bytes: u64,
    /// Most paths that the end wants at one time.
    pub max_paths: u64,
    /// How long the end keeps the session when no path is left, in milliseconds.
    pub resume_timeout_ms: u64,
    /// Longest time that the end holds an acknowledgement back, in milliseconds.
    pub max_ack_delay_ms: u64,
    /// Longest time that the peer may hold back acknowledgements and reports of little while the session has one path, in
    /// milliseconds.
    pub lone_path_ack_delay_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_joins_paths_to_a_session_is_in_no_log() {
        let credentials = Credentials { resume_key: [0xab; 32], nonce: [0xcd; 16] };
        let parameters = Parameters::default();
        let accept =
            Accept { version: 1, session: SessionId([0; 16]), credentials: Some(credentials), parameters };
        let text = format!("{:?}", Frame::Accept(accept));
        assert!(text.contains("Credentials(..)"));
        assert!(!text.contains("171") && !text.contains("205"), "{text}");
    }
}
