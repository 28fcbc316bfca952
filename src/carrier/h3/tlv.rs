//! Type, length, value: the shape of HTTP/3 frames (RFC 9114 section 7.1) and of capsules (RFC 9297 section 3.2).

use bytes::{Bytes, BytesMut};

use super::ended::Ended;
use crate::proto::wire::varint;

/// What is to be done with a value, as its type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It is skipped, whatever its length.
    Skip,
    /// It is passed on as it arrives.
    Pieces,
    /// It is of use as a whole, and no longer than this.
    Whole { max_bytes: u64 },
}

/// What has been taken off the front.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Some of a value.
    Piece(Bytes),
    /// A type and all of its value.
    Whole(u64, Bytes),
    /// One of this type would be too long as a whole, and is passed over.
    TooLong(u64),
}

/// Takes apart what arrives, however it is cut.
///
/// It keeps a head, or a value that is wanted as a whole: never more than such a value may have.
#[derive(Debug, Default)]
pub(super) struct Tlv {
    buffer: BytesMut,
    value: Option<Value>,
}

/// A value of which some is missing.
#[derive(Debug)]
struct Value {
    kind: u64,
    treatment: Treatment,
    left_bytes: u64,
}

impl Tlv {
    /// Takes in what has arrived. [`next`](Self::next) is to be asked until it has nothing more.
    pub(super) fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next item. `treat` is asked as soon as a type is known, and may refuse it.
    pub(super) fn next(
        &mut self,
        mut treat: impl FnMut(u64) -> Result<Treatment, Ended>,
    ) -> Result<Option<Item>, Ended> {
        loop {
            let Some(value) = &mut self.value else {
                match self.read_head(&mut treat)? {
                    Some(Item::TooLong(kind)) => return Ok(Some(Item::TooLong(kind))),
                    Some(_) => continue,
                    None => return Ok(None),
                }
            };
            let here = usize::try_from(value.left_bytes).unwrap_or(usize::MAX).min(self.buffer.len());
            let is_all = here as u64 == value.left_bytes;
            let (kind, treatment) = (value.kind, value.treatment);
            if matches!(treatment, Treatment::Whole { .. }) && !is_all {
                return Ok(None);
            }
            let piece = self.buffer.split_to(here).freeze();
            value.left_bytes -= here as u64;
            if is_all {
                self.value = None;
            }
            match treatment {
                Treatment::Whole { .. } => return Ok(Some(Item::Whole(kind, piece))),
                Treatment::Pieces if here > 0 => return Ok(Some(Item::Piece(piece))),
                Treatment::Pieces | Treatment::Skip if is_all => {}
                Treatment::Pieces | Treatment::Skip => return Ok(self.rest()),
            }
        }
    }

    /// Begins a value. `None`: its head is not complete.
    fn read_head(
        &mut self,
        treat: &mut impl FnMut(u64) -> Result<Treatment, Ended>,
    ) -> Result<Option<Item>, Ended> {
        let mut head = &self.buffer[..];
        let Some(kind) = varint::get(&mut head) else { return Ok(self.rest()) };
        let mut treatment = treat(kind)?;
        let Some(left_bytes) = varint::get(&mut head) else { return Ok(self.rest()) };
        let head_bytes = self.buffer.len() - head.len();
        drop(self.buffer.split_to(head_bytes));
        let is_too_long = matches!(treatment, Treatment::Whole { max_bytes } if left_bytes > max_bytes);
        if is_too_long {
            treatment = Treatment::Skip;
        }
        self.value = Some(Value { kind, treatment, left_bytes });
        Ok(Some(if is_too_long { Item::TooLong(kind) } else { Item::Piece(Bytes::new()) }))
    }

    /// Nothing more for now: an empty buffer gives its memory back.
    fn rest(&mut self) -> Option<Item> {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        None
    }

    /// Whether everything that has begun is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.value.is_none() && self.buffer.is_empty()
    }

    /// What it keeps.
    #[cfg(fuzzing)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.buffer.len()
    }
}
