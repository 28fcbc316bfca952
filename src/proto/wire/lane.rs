//! Lane headers and records (docs/PROTOCOL.md sections 2.2 and 5.1).
//!
//! Every direction of a lane begins with a lane type. A control lane goes on with frames; a stream's lane with
//! the stream id and then records, each a chunk of the stream: `offset, tag, bytes` with
//! `tag = length << 1 | fin`. [`LaneReader`] takes the bytes in whatever pieces they arrive.
//!
//! ```text
//!             ┌─ 0x01 ─► frame, frame, frame …
//! lane type ──┼─ 0x00 ─► stream id ─► record, record … ─► record with fin ─► end
//!             └─ other ─► ignored to its end
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::code::TransportCode;
use super::frame::{Frame, FrameError, FrameType};
use super::id::StreamId;
use super::limits::MAX_RECORD_BYTES;
use super::varint;

const LANE_STREAM: u64 = 0x00;
const LANE_CONTROL: u64 = 0x01;

/// Appends the beginning of a control lane; frames follow.
pub fn put_control_header(buf: &mut impl BufMut) {
    varint::put(buf, LANE_CONTROL);
}

/// Appends the beginning of a lane of `stream`, at most
/// [`MAX_STREAM_HEADER_BYTES`](crate::proto::wire::limits::MAX_STREAM_HEADER_BYTES); records follow.
pub fn put_stream_header(buf: &mut impl BufMut, stream: StreamId) {
    varint::put(buf, LANE_STREAM);
    varint::put(buf, stream.0);
}

/// Appends the header of a record, at most
/// [`MAX_RECORD_HEADER_BYTES`](crate::proto::wire::limits::MAX_RECORD_HEADER_BYTES); `len` bytes of payload follow,
/// at most [`MAX_RECORD_BYTES`]. `fin`: the stream ends at `offset + len`, and nothing may follow on this lane.
pub fn put_record_header(buf: &mut impl BufMut, offset: u64, len: usize, fin: bool) {
    debug_assert!(len as u64 <= MAX_RECORD_BYTES && offset + len as u64 <= varint::MAX);
    varint::put(buf, offset);
    varint::put(buf, (len as u64) << 1 | u64::from(fin));
}

/// What a lane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    /// Frames.
    Control,
    /// Chunks of one stream.
    Stream(StreamId),
    /// A type that this version does not know. Everything on the lane is ignored.
    Unknown(u64),
}

/// What [`LaneReader::next`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneItem {
    /// The lane's type is known from here on. Comes once, before anything else.
    Kind(LaneKind),
    /// A frame of a control lane; those of unknown types are skipped.
    Frame(Frame),
    /// Part of a record. `data` is a slice of a piece that was pushed.
    Chunk {
        /// The stream of this lane.
        stream: StreamId,
        /// Where in the stream `data` begins.
        offset: u64,
        /// The stream ends where `data` ends; nothing more comes on this lane.
        fin: bool,
        /// Empty only when `fin` is set.
        data: Bytes,
    },
}

/// A lane's bytes could not be understood. The session ends with [`LaneError::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// A frame of a control lane is at fault.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A record is longer than [`MAX_RECORD_BYTES`].
    #[error("the peer's record on stream {stream} has {length} bytes, the limit is {MAX_RECORD_BYTES}")]
    RecordTooLong {
        /// The stream of the lane.
        stream: StreamId,
        /// The length as sent.
        length: u64,
    },
    /// A record ends beyond the largest offset that there is.
    #[error("the peer's record on stream {stream} at {offset} ends beyond the largest offset")]
    OffsetOverflow {
        /// The stream of the lane.
        stream: StreamId,
        /// Where the record begins.
        offset: u64,
    },
    /// Bytes follow the record that ended the stream.
    #[error("the peer's lane of stream {stream} goes on after the stream's end")]
    DataAfterFin {
        /// The stream of the lane.
        stream: StreamId,
    },
    /// The lane ended where it must not.
    #[error("the peer's lane ends inside a {inside}")]
    EndsInside {
        /// What was not complete.
        inside: &'static str,
    },
}

impl LaneError {
    /// The code to close the session with.
    pub fn code(&self) -> TransportCode {
        match self {
            LaneError::Frame(error) => error.code(),
            LaneError::RecordTooLong { .. } => TransportCode::LimitExceeded,
            LaneError::OffsetOverflow { .. }
            | LaneError::DataAfterFin { .. }
            | LaneError::EndsInside { .. } => TransportCode::FrameEncoding,
        }
    }
}

/// Takes one direction of a lane apart, incrementally.
///
/// After each [`push`](LaneReader::push), call [`next`](LaneReader::next) until it has nothing more; when the
/// lane has ended, [`finish`](LaneReader::finish). Payload of records is handed on as soon as any of it is
/// there, uncopied. Between pushes the reader holds at most the bytes of one unfinished frame, and nothing that
/// it was given by reference. After an error it gives the same error for ever.
#[derive(Debug, Default)]
pub struct LaneReader {
    /// What was pushed and not read yet.
    input: Bytes,
    /// The beginning of a varint or of a frame's body that `input` ended in the middle of.
    held: BytesMut,
    state: State,
    /// Frames of unknown types and empty records since the last call.
    skipped: u64,
}

/// What comes next on the lane.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    LaneType,
    FrameType,
    FrameLength {
        frame_type: u64,
    },
    FrameBody {
        frame_type: u64,
        length: usize,
    },
    /// The rest of a frame of an unknown type.
    Skipped {
        left: u64,
    },
    StreamId,
    Offset {
        stream: StreamId,
    },
    Tag {
        stream: StreamId,
        offset: u64,
    },
    Payload(Payload),
    AfterFin {
        stream: StreamId,
    },
    Ignored,
    Failed(LaneError),
}

/// The rest of a record's payload.
#[derive(Clone, Copy, Debug)]
struct Payload {
    stream: StreamId,
    offset: u64,
    left: u64,
    fin: bool,
}

/// What one step of the reader led to.
enum Step {
    Item(LaneItem),
    /// Another state, nothing to tell.
    Onward,
    /// The bytes at hand are used up.
    Starved,
}

impl LaneReader {
    /// A reader at the beginning of a lane.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that arrived. Meant to be called when [`next`](LaneReader::next) has nothing more; before
    /// that, what is unread is copied.
    pub fn push(&mut self, piece: Bytes) {
        self.input = if self.input.is_empty() {
            piece
        } else {
            let mut joined = BytesMut::with_capacity(self.input.len() + piece.len());
            joined.put_slice(&self.input);
            joined.put_slice(&piece);
            joined.freeze()
        };
    }

    /// The next thing on the lane; `None` until more is pushed.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator would look finished at the end of each piece"
    )]
    pub fn next(&mut self) -> Result<Option<LaneItem>, LaneError> {
        loop {
            match self.step() {
                Ok(Step::Item(item)) => return Ok(Some(item)),
                Ok(Step::Onward) => {}
                Ok(Step::Starved) => {
                    // An empty slice would still keep the whole receive buffer alive.
                    self.input = Bytes::new();
                    return Ok(None);
                }
                Err(error) => {
                    *self = Self { state: State::Failed(error), ..Self::default() };
                    return Err(error);
                }
            }
        }
    }

    /// How many frames of unknown types and empty records there were since the last time: nothing else tells of them.
    pub fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    /// Whether the lane may end here: not inside a header, frame or record. (A lane may end without `fin`, and
    /// before its first byte: then the stream's bytes travel elsewhere.)
    pub fn finish(&self) -> Result<(), LaneError> {
        let inside = match self.state {
            State::LaneType | State::FrameType | State::Offset { .. } if self.held.is_empty() => {
                return Ok(());
            }
            State::AfterFin { .. } | State::Ignored => return Ok(()),
            State::Failed(error) => return Err(error),
            State::LaneType | State::StreamId => "lane header",
            State::FrameType | State::FrameLength { .. } => "frame header",
            State::FrameBody { .. } | State::Skipped { .. } => "frame",
            State::Offset { .. } | State::Tag { .. } => "record header",
            State::Payload(_) => "record",
        };
        Err(LaneError::EndsInside { inside })
    }

    fn step(&mut self) -> Result<Step, LaneError> {
        match self.state {
            State::FrameBody { frame_type, length } => return self.frame_body(frame_type, length),
            State::Skipped { left } => return Ok(self.skip(left)),
            State::Payload(payload) => return Ok(self.payload(payload)),
            State::AfterFin { stream } if !self.input.is_empty() => {
                return Err(LaneError::DataAfterFin { stream });
            }
            State::AfterFin { .. } | State::Ignored => return Ok(Step::Starved),
            State::Failed(error) => return Err(error),
            _ => {}
        }
        match self.varint() {
            Some(value) => self.header(value),
            None => Ok(Step::Starved),
        }
    }

    /// All states that read one varint.
    fn header(&mut self, value: u64) -> Result<Step, LaneError> {
        let (state, kind) = match self.state {
            State::LaneType => match value {
                LANE_CONTROL => (State::FrameType, Some(LaneKind::Control)),
                LANE_STREAM => (State::StreamId, None),
                unknown => (State::Ignored, Some(LaneKind::Unknown(unknown))),
            },
            State::StreamId => {
                let stream = StreamId(value);
                (State::Offset { stream }, Some(LaneKind::Stream(stream)))
            }
            State::FrameType => (State::FrameLength { frame_type: value }, None),
            State::FrameLength { frame_type } => {
                FrameError::check_length(frame_type, value)?;
                let state = match FrameType::from_u64(frame_type) {
                    Some(_) => State::FrameBody { frame_type, length: value as usize },
                    None => {
                        self.skipped += 1;
                        State::Skipped { left: value }
                    }
                };
                (state, None)
            }
            State::Offset { stream } => (State::Tag { stream, offset: value }, None),
            State::Tag { stream, offset } => {
                self.skipped += u64::from(value == 0);
                (record(stream, offset, value)?, None)
            }
            // `step` reads no varint in any other state.
            other => (other, None),
        };
        self.state = state;
        Ok(kind.map_or(Step::Onward, |kind| Step::Item(LaneItem::Kind(kind))))
    }

    fn frame_body(&mut self, frame_type: u64, length: usize) -> Result<Step, LaneError> {
        let body = if self.held.is_empty() && self.input.len() >= length {
            self.input.split_to(length)
        } else {
            // Grows with what arrives, not with what is announced.
            let missing = length - self.held.len();
            let piece = self.input.split_to(missing.min(self.input.len()));
            self.held.extend_from_slice(&piece);
            if self.held.len() < length {
                return Ok(Step::Starved);
            }
            std::mem::take(&mut self.held).freeze()
        };
        self.state = State::FrameType;
        let frame = Frame::decode_body(frame_type, body)?;
        Ok(frame.map_or(Step::Onward, |frame| Step::Item(LaneItem::Frame(frame))))
    }

    fn skip(&mut self, left: u64) -> Step {
        let here = left.min(self.input.len() as u64);
        self.input.advance(here as usize);
        if here < left {
            self.state = State::Skipped { left: left - here };
            return Step::Starved;
        }
        self.state = State::FrameType;
        Step::Onward
    }

    fn payload(&mut self, payload: Payload) -> Step {
        let Payload { stream, offset, left, fin } = payload;
        let here = left.min(self.input.len() as u64);
        let data = self.input.split_to(here as usize);
        let last = here == left;
        self.state = match (last, fin) {
            (false, _) => State::Payload(Payload { offset: offset + here, left: left - here, ..payload }),
            (true, false) => State::Offset { stream },
            (true, true) => State::AfterFin { stream },
        };
        let fin = last && fin;
        if !data.is_empty() || fin {
            Step::Item(LaneItem::Chunk { stream, offset, fin, data })
        } else if last {
            Step::Onward
        } else {
            Step::Starved
        }
    }

    /// A varint, whether it is in one piece or in several.
    fn varint(&mut self) -> Option<u64> {
        if self.held.is_empty()
            && let Some(value) = varint::get(&mut self.input)
        {
            return Some(value);
        }
        let first = *self.held.first().or(self.input.first())?;
        let missing = varint::size_from_first(first) - self.held.len();
        let piece = self.input.split_to(missing.min(self.input.len()));
        self.held.extend_from_slice(&piece);
        let value = varint::get(&mut self.held)?;
        self.held.clear();
        Some(value)
    }
}

/// The state in which the payload of a record is read.
fn record(stream: StreamId, offset: u64, tag: u64) -> Result<State, LaneError> {
    let length = tag >> 1;
    if length > MAX_RECORD_BYTES {
        return Err(LaneError::RecordTooLong { stream, length });
    }
    if offset + length > varint::MAX {
        return Err(LaneError::OffsetOverflow { stream, offset });
    }
    Ok(State::Payload(Payload { stream, offset, left: length, fin: tag & 1 == 1 }))
}

#[cfg(test)]
mod tests;
#[cfg(any(test, fuzzing))]
pub mod whole;
