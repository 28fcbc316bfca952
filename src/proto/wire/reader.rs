//! Reading of a frame's body, field by field, with an error that names the field.

use bytes::{Buf, Bytes};

use super::frame_type::{FrameError, FrameType};
use super::id::StreamId;
use super::limits::MAX_REASON_BYTES;
use super::varint;

/// What is left of a frame's body, taken field by field from the front.
pub(super) struct Body {
    frame: FrameType,
    rest: Bytes,
}

impl Body {
    /// The body of a frame of this type.
    pub(super) fn new(frame: FrameType, rest: Bytes) -> Self {
        Self { frame, rest }
    }

    /// The type of the frame.
    pub(super) fn frame(&self) -> FrameType {
        self.frame
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn varint(&mut self, field: &'static str) -> Result<u64, FrameError> {
        varint::get(&mut self.rest).ok_or(FrameError::Truncated { frame: self.frame, field })
    }

    /// A varint that must not exceed `limit`.
    pub(super) fn bounded(&mut self, field: &'static str, limit: u64) -> Result<u64, FrameError> {
        let value = self.varint(field)?;
        if value > limit {
            return Err(FrameError::TooLarge { frame: self.frame, field, value, limit });
        }
        Ok(value)
    }

    /// A varint that must not be zero.
    pub(super) fn positive(&mut self, field: &'static str) -> Result<u64, FrameError> {
        match self.varint(field)? {
            0 => Err(self.invalid(field)),
            value => Ok(value),
        }
    }

    /// A varint of which only the bits in `known` may be set.
    pub(super) fn flags(&mut self, field: &'static str, known: u64) -> Result<u64, FrameError> {
        match self.varint(field)? {
            flags if flags & !known == 0 => Ok(flags),
            _ => Err(self.invalid(field)),
        }
    }

    pub(super) fn stream(&mut self) -> Result<StreamId, FrameError> {
        self.varint("stream id").map(StreamId)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FrameError> {
        let array = self.rest.first_chunk().copied();
        let array = array.ok_or(FrameError::Truncated { frame: self.frame, field })?;
        self.rest.advance(N);
        Ok(array)
    }

    /// A length of at most `limit`, and as many bytes.
    pub(super) fn text(&mut self, field: &'static str, limit: u64) -> Result<Bytes, FrameError> {
        let length = self.bounded(field, limit)?;
        self.bytes(field, length)
    }

    pub(super) fn reason(&mut self) -> Result<Bytes, FrameError> {
        self.text("reason", MAX_REASON_BYTES as u64)
    }

    pub(super) fn bytes(&mut self, field: &'static str, length: u64) -> Result<Bytes, FrameError> {
        match usize::try_from(length) {
            Ok(length) if length <= self.rest.len() => Ok(self.rest.split_to(length)),
            _ => Err(FrameError::Truncated { frame: self.frame, field }),
        }
    }

    /// A length and as many bytes, as a body of its own.
    pub(super) fn nested(&mut self, field: &'static str) -> Result<Body, FrameError> {
        let length = self.varint(field)?;
        Ok(Body { frame: self.frame, rest: self.bytes(field, length)? })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn invalid(&self, field: &'static str) -> FrameError {
        FrameError::InvalidField { frame: self.frame, field }
    }

    pub(super) fn too_large(&self, field: &'static str, value: u64, limit: u64) -> FrameError {
        FrameError::TooLarge { frame: self.frame, field, value, limit }
    }
}
