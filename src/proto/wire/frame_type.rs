//! Frame types by their numbers, and the ways in which a frame can be malformed (docs/PROTOCOL.md sections 4.1 and 4.2).

use super::code::TransportCode;
use super::limits::MAX_FRAME_BYTES;
use super::wire_enum::wire_enum;

wire_enum! {
    /// The type that a frame begins with.
    pub enum FrameType {
        /// [`Frame::Hello`](super::frame::Frame::Hello)
        Hello = 0x01, "HELLO";
        /// [`Frame::Accept`](super::frame::Frame::Accept)
        Accept = 0x02, "ACCEPT";
        /// [`Frame::Reject`](super::frame::Frame::Reject)
        Reject = 0x03, "REJECT";
        /// [`Frame::PathStatus`](super::frame::Frame::PathStatus)
        PathStatus = 0x04, "PATH_STATUS";
        /// [`Frame::Ping`](super::frame::Frame::Ping)
        Ping = 0x05, "PING";
        /// [`Frame::Pong`](super::frame::Frame::Pong)
        Pong = 0x06, "PONG";
        /// [`Frame::Ack`](super::frame::Frame::Ack)
        Ack = 0x07, "ACK";
        /// [`Frame::PathReport`](super::frame::Frame::PathReport)
        PathReport = 0x08, "PATH_REPORT";
        /// [`Frame::MaxData`](super::frame::Frame::MaxData)
        MaxData = 0x09, "MAX_DATA";
        /// [`Frame::MaxStreamData`](super::frame::Frame::MaxStreamData)
        MaxStreamData = 0x0a, "MAX_STREAM_DATA";
        /// [`Frame::MaxStreams`](super::frame::Frame::MaxStreams)
        MaxStreams = 0x0b, "MAX_STREAMS";
        /// [`Frame::ResetStream`](super::frame::Frame::ResetStream)
        ResetStream = 0x0c, "RESET_STREAM";
        /// [`Frame::StopSending`](super::frame::Frame::StopSending)
        StopSending = 0x0d, "STOP_SENDING";
        /// [`Frame::AddPath`](super::frame::Frame::AddPath)
        AddPath = 0x0e, "ADD_PATH";
        /// [`Frame::RemovePath`](super::frame::Frame::RemovePath)
        RemovePath = 0x0f, "REMOVE_PATH";
        /// [`Frame::PathClose`](super::frame::Frame::PathClose)
        PathClose = 0x10, "PATH_CLOSE";
        /// [`Frame::GoAway`](super::frame::Frame::GoAway)
        GoAway = 0x11, "GOAWAY";
        /// [`Frame::Close`](super::frame::Frame::Close)
        Close = 0x12, "CLOSE";
        /// [`Frame::Stream`](super::frame::Frame::Stream)
        Stream = 0x13, "STREAM";
        /// [`Frame::Datagram`](super::frame::Frame::Datagram)
        Datagram = 0x14, "DATAGRAM";
    }
}

/// A frame from the peer could not be understood. The session ends with [`FrameError::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The body ended too soon.
    #[error("the peer's {frame} frame ends before or inside its {field}")]
    Truncated {
        /// The frame at fault.
        frame: FrameType,
        /// The first field that is not there as a whole.
        field: &'static str,
    },
    /// Something follows the last field.
    #[error("the peer's {frame} frame has {extra_bytes} bytes too many")]
    TrailingBytes {
        /// The frame at fault.
        frame: FrameType,
        /// How much was left over.
        extra_bytes: usize,
    },
    /// A field has a value without meaning.
    #[error("the peer's {frame} frame has a {field} that the protocol does not allow")]
    InvalidField {
        /// The frame at fault.
        frame: FrameType,
        /// The field at fault.
        field: &'static str,
    },
    /// A count or length exceeds what [`limits`](super::limits) allows.
    #[error("the peer's {frame} frame has {value} for its {field}, the limit is {limit}")]
    TooLarge {
        /// The frame at fault.
        frame: FrameType,
        /// The field at fault.
        field: &'static str,
        /// What the peer sent.
        value: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A frame, perhaps of an unknown type, is longer than [`MAX_FRAME_BYTES`].
    #[error("the peer's frame of type {frame_type:#x} has {length} bytes, the limit is {MAX_FRAME_BYTES}")]
    FrameTooLong {
        /// The type as sent.
        frame_type: u64,
        /// The length as sent.
        length: u64,
    },
}

impl FrameError {
    /// The code to close the session with.
    pub fn code(&self) -> TransportCode {
        match self {
            FrameError::Truncated { .. }
            | FrameError::TrailingBytes { .. }
            | FrameError::InvalidField { .. } => TransportCode::FrameEncoding,
            FrameError::TooLarge { .. } | FrameError::FrameTooLong { .. } => TransportCode::LimitExceeded,
        }
    }

    /// An error when a frame of this length cannot be taken, of whatever type it is.
    pub(crate) fn check_length(frame_type: u64, length: u64) -> Result<(), FrameError> {
        if length > MAX_FRAME_BYTES as u64 {
            return Err(FrameError::FrameTooLong { frame_type, length });
        }
        Ok(())
    }
}
