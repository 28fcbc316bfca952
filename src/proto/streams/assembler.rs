//! Reassembly of one receiving stream, from chunks of any path, in any order, with any overlap.
//!
//! Promises: every byte is handed out once and in order; no byte is held twice; and [`Assembler::held`] says what is
//! kept, in memory and not in stream bytes, so that the session can bound it.
//!
//! A piece is a slice of what it was received in: natively a slab of 64 KiB, all of which it keeps alive. So a piece
//! that waits for bytes before it is copied unless it is most of a slab, and small neighbours share one allocation.
//! What is in order and waits for the reader only, as bulk data does for a moment, stays by reference as long as the
//! session can afford it ([`Pinning`]).

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bytes::Bytes;

use crate::proto::range_set::RangeSet;

/// A shorter piece is joined with its neighbours when it has to wait.
const SMALL_BYTES: usize = 512;
/// A shorter piece is copied when it has to wait for bytes before it: a quarter of what it may keep alive.
const PART_OF_SLAB_BYTES: usize = 16 * 1024;
/// Copied neighbours are joined up to this length, which bounds what joining one more piece can cost.
const JOINED_BYTES: usize = 4_096;

/// Between the payloads of two packets of one batch: a packet's headers and tag, a frame's and a record's header.
const HEADERS_BYTES: usize = 128;

/// What a piece costs on top of its bytes: its shares of the nodes of two trees, and its allocation. Measured with pieces
/// of one byte at every other offset: 140 bytes and the allocation's rounding.
pub(crate) const PIECE_COST_BYTES: u64 = 192;
/// What a piece by reference may keep alive.
pub(crate) const SLAB_BYTES: u64 = 64 * 1024;

/// Whether one more slab may be kept alive by what waits for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pinning {
    Allowed,
    /// It is copied instead.
    Denied,
}

/// What is kept, as memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Stream bytes that wait for the application.
    pub(crate) buffered_bytes: u64,
    /// Stream bytes, and what their pieces cost.
    pub(crate) cost_bytes: u64,
    /// Slabs kept alive for a part of them; what they cost is on top.
    pub(crate) pinned_slabs: u64,
}

impl Held {
    /// One of the parts of this sum has changed.
    pub(crate) fn exchange(&mut self, before: Self, after: Self) {
        self.buffered_bytes = self.buffered_bytes + after.buffered_bytes - before.buffered_bytes;
        self.cost_bytes = self.cost_bytes + after.cost_bytes - before.cost_bytes;
        self.pinned_slabs = self.pinned_slabs + after.pinned_slabs - before.pinned_slabs;
    }

    /// All of it, in bytes of memory.
    pub(crate) fn memory_bytes(self) -> u64 {
        self.cost_bytes + self.pinned_slabs * SLAB_BYTES
    }
}

/// The stream arrives in more separate pieces than the limit allows; the chunk was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream's data arrives with more than {limit} gaps in between")]
pub(crate) struct TooManyRanges {
    /// How many separate ranges may wait for what lies before them.
    pub(crate) limit: usize,
}

/// Reassembly of one receiving stream.
#[derive(Debug)]
pub(crate) struct Assembler {
    max_ranges: usize,
    read_offset: u64,
    contiguous_end: u64,
    /// What the reader can have: the bytes from `read_offset` to `contiguous_end`.
    ready: VecDeque<Piece>,
    /// Slabs that `ready` keeps alive.
    pinned_slabs: u64,
    /// What waits for bytes before it, by offset; disjoint.
    held: BTreeMap<u64, Piece>,
    /// The ranges that `held` covers, joined where pieces touch.
    held_ranges: RangeSet,
}

/// Consecutive bytes of the stream.
#[derive(Debug)]
enum Piece {
    /// By reference to where they were received.
    Shared(Bytes, Slab),
    /// Copied.
    Own(Vec<u8>),
}

/// Which piece by reference answers for the slab that it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slab {
    /// This one.
    Pins,
    /// The one before it, right behind which it lies.
    Same,
    /// None: it is as long as a good part of a slab.
    Whole,
}

impl Piece {
    /// The form in which `bytes` may wait for bytes before them, for an unknown time.
    fn to_hold(bytes: Bytes) -> Self {
        match bytes.len() < PART_OF_SLAB_BYTES {
            true => Piece::Own(bytes.to_vec()),
            false => Piece::Shared(bytes, Slab::Whole),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Piece::Shared(bytes, _) => bytes,
            Piece::Own(bytes) => bytes,
        }
    }

    fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Takes in `next`, which follows it, when both are small enough for one allocation.
    fn join(&mut self, next: &Piece) -> bool {
        let shareable = |piece: &Piece| match piece {
            Piece::Shared(bytes, _) => bytes.len() < SMALL_BYTES,
            Piece::Own(_) => true,
        };
        if !shareable(self) || !shareable(next) || self.len() + next.len() > JOINED_BYTES {
            return false;
        }
        match self {
            Piece::Own(bytes) => bytes.extend_from_slice(next.as_slice()),
            Piece::Shared(bytes, _) => *self = Piece::Own([bytes, next.as_slice()].concat()),
        }
        true
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Piece::Shared(bytes, _) => bytes,
            Piece::Own(bytes) => bytes.into(),
        }
    }

    fn pins(&self) -> u64 {
        u64::from(matches!(self, Piece::Shared(_, Slab::Pins)))
    }

    /// Whether `bytes` lie right behind this piece in memory, with no more between them than a packet's or a record's
    /// header: then they are in the same slab.
    fn is_followed_in_memory_by(&self, bytes: &Bytes) -> bool {
        let Piece::Shared(own, _) = self else { return false };
        let end = own.as_ptr() as usize + own.len();
        (bytes.as_ptr() as usize).checked_sub(end).is_some_and(|between| between <= HEADERS_BYTES)
    }
}

impl Assembler {
    /// Begins at offset 0. At most `max_ranges` separate ranges may wait for bytes before them.
    pub(crate) fn new(max_ranges: usize) -> Self {
        Self {
            max_ranges,
            read_offset: 0,
            contiguous_end: 0,
            ready: VecDeque::new(),
            pinned_slabs: 0,
            held: BTreeMap::new(),
            held_ranges: RangeSet::new(),
        }
    }

    /// Takes in the bytes at `offset`; returns how many of them had not arrived before. `pinning`: whether they may keep
    /// the slab alive in which they were received.
    ///
    /// # Errors
    /// [`TooManyRanges`] when they would wait apart from all others and too many do already; nothing changes.
    pub(crate) fn insert(
        &mut self,
        offset: u64,
        mut bytes: Bytes,
        pinning: Pinning,
    ) -> Result<u64, TooManyRanges> {
        // A stream has no offsets beyond those of a u64; what would lie there is not stream data.
        bytes.truncate(usize::try_from(u64::MAX - offset).unwrap_or(usize::MAX));
        let chunk = offset.max(self.contiguous_end)..offset + bytes.len() as u64;
        if chunk.is_empty() {
            return Ok(0);
        }
        let piece =
            |range: &Range<u64>| bytes.slice((range.start - offset) as usize..(range.end - offset) as usize);
        if self.held.is_empty() && chunk.start == self.contiguous_end {
            self.push_ready(piece(&chunk), pinning);
            return Ok(chunk.end - chunk.start);
        }
        let waits_apart = chunk.start != self.contiguous_end && !self.held_ranges.touches(&chunk);
        if waits_apart && self.held_ranges.len() >= self.max_ranges {
            return Err(TooManyRanges { limit: self.max_ranges });
        }
        let mut rest = chunk.clone();
        while let Some(gap) = self.held_ranges.first_gap(rest.clone()) {
            self.hold(gap.start, Piece::to_hold(piece(&gap)));
            rest.start = gap.end;
        }
        let new_bytes = self.held_ranges.insert(chunk);
        self.release_held();
        Ok(new_bytes)
    }

    /// Keeps a piece that touches held ones at most, joined with small neighbours.
    fn hold(&mut self, offset: u64, piece: Piece) {
        let end = offset + piece.len() as u64;
        let joined_at = match self.held.range_mut(..offset).next_back() {
            Some((&before, neighbour)) => {
                let touches = before + neighbour.len() as u64 == offset;
                (touches && neighbour.join(&piece)).then_some(before)
            }
            None => None,
        };
        let joined_at = joined_at.unwrap_or_else(|| {
            self.held.insert(offset, piece);
            offset
        });
        if let Some(next) = self.held.remove(&end)
            && !self.held.get_mut(&joined_at).is_some_and(|joined| joined.join(&next))
        {
            self.held.insert(end, next);
        }
    }

    /// Moves what need not wait any longer to the reader's side.
    fn release_held(&mut self) {
        while let Some(first) = self.held.first_entry()
            && *first.key() == self.contiguous_end
        {
            let piece = first.remove();
            self.contiguous_end += piece.len() as u64;
            let joined = match self.ready.back_mut() {
                Some(last @ Piece::Own(_)) => last.join(&piece),
                _ => false,
            };
            if !joined {
                self.ready.push_back(piece);
            }
        }
        self.held_ranges.trim_below(self.contiguous_end);
    }

    /// What is in order already, and waits for the reader only.
    fn push_ready(&mut self, bytes: Bytes, pinning: Pinning) {
        self.contiguous_end += bytes.len() as u64;
        let last = self.ready.back_mut();
        let slab = match &last {
            _ if bytes.len() >= PART_OF_SLAB_BYTES => Some(Slab::Whole),
            // Small neighbours are joined below.
            Some(_) if bytes.len() < SMALL_BYTES => None,
            Some(last) if last.is_followed_in_memory_by(&bytes) => Some(Slab::Same),
            _ => (pinning == Pinning::Allowed).then_some(Slab::Pins),
        };
        let piece = match slab {
            Some(slab) => Piece::Shared(bytes, slab),
            None => Piece::Own(bytes.to_vec()),
        };
        let joined = match last {
            Some(last @ Piece::Own(_)) => last.join(&piece),
            _ => false,
        };
        if !joined {
            self.pinned_slabs += piece.pins();
            self.ready.push_back(piece);
        }
    }

    /// Hands out the next bytes in order, at most `max_len` of them, by reference; there may be more behind
    /// them. `None` when the next byte has not arrived or `max_len` is 0.
    pub(crate) fn read(&mut self, max_len: usize) -> Option<Bytes> {
        if max_len == 0 {
            return None;
        }
        let piece = self.ready.pop_front()?;
        let pins = piece.pins();
        let slab = if let Piece::Shared(_, slab) = &piece { *slab } else { Slab::Whole };
        let mut bytes = piece.into_bytes();
        if bytes.len() > max_len {
            let rest = bytes.split_off(max_len);
            self.ready.push_front(Piece::Shared(rest, slab));
        } else if let Some(Piece::Shared(_, next @ Slab::Same)) = self.ready.front_mut() {
            // The slab is still kept alive, by what comes next in it.
            *next = Slab::Pins;
            self.pinned_slabs += 1 - pins;
        } else {
            self.pinned_slabs -= pins;
        }
        self.read_offset += bytes.len() as u64;
        Some(bytes)
    }

    /// All bytes before this offset have been handed out.
    pub(crate) fn read_offset(&self) -> u64 {
        self.read_offset
    }

    /// All bytes before this offset have arrived.
    pub(crate) fn contiguous_end(&self) -> u64 {
        self.contiguous_end
    }

    /// The ranges that have arrived beyond [`Self::contiguous_end`], ascending, apart from one another.
    pub(crate) fn received_ranges(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + '_ {
        self.held_ranges.iter()
    }

    /// Bytes that have arrived and have not been handed out.
    pub(crate) fn buffered_bytes(&self) -> u64 {
        self.contiguous_end - self.read_offset + self.held_ranges.total()
    }

    /// What that costs.
    pub(crate) fn held(&self) -> Held {
        let pieces = self.ready.len() + self.held.len();
        let buffered_bytes = self.buffered_bytes();
        Held {
            buffered_bytes,
            cost_bytes: buffered_bytes + pieces as u64 * PIECE_COST_BYTES,
            pinned_slabs: self.pinned_slabs,
        }
    }

    /// Drops all bytes that have not been handed out, as if they had never arrived; returns how many.
    pub(crate) fn clear(&mut self) -> u64 {
        let dropped_bytes = self.buffered_bytes();
        *self = Self {
            read_offset: self.read_offset,
            contiguous_end: self.read_offset,
            ..Self::new(self.max_ranges)
        };
        dropped_bytes
    }
}

#[cfg(test)]
mod tests;
