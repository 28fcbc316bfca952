//! Internal types wrapped for fuzz targets.

use std::ops::Range;

use bytes::Bytes;

use super::range_set::RangeSet;
use crate::proto::streams::assembler::{Assembler, PIECE_COST_BYTES, Pinning};

/// Reassembly of one stream.
pub struct FuzzedAssembler(Assembler);

/// What a stream's bytes that have arrived are kept as.
pub struct Kept {
    /// Bytes that were not read.
    pub bytes: u64,
    /// Pieces that they are in.
    pub pieces: u64,
    /// Slabs that these keep alive.
    pub slabs: u64,
}

impl FuzzedAssembler {
    /// So many ranges may wait at most.
    pub fn new(max_ranges: usize) -> Self {
        Self(Assembler::new(max_ranges))
    }

    /// How many bytes are new; `None` when there are too many ranges.
    pub fn insert(&mut self, offset: u64, bytes: Bytes, may_pin: bool) -> Option<u64> {
        let pinning = if may_pin { Pinning::Allowed } else { Pinning::Denied };
        self.0.insert(offset, bytes, pinning).ok()
    }

    /// The next bytes in order.
    pub fn read(&mut self, max_len: usize) -> Option<Bytes> {
        self.0.read(max_len)
    }

    /// Drops what was not read; returns how many bytes that is.
    pub fn clear(&mut self) -> u64 {
        self.0.clear()
    }

    /// What it says that it keeps.
    pub fn kept(&self) -> Kept {
        let (bytes, held) = (self.0.buffered_bytes(), self.0.held());
        Kept { bytes, pieces: (held.cost_bytes - bytes) / PIECE_COST_BYTES, slabs: held.pinned_slabs }
    }

    /// How far it was read.
    pub fn read_offset(&self) -> u64 {
        self.0.read_offset()
    }

    /// What has arrived: all before the first number, and these ranges.
    pub fn received(&self) -> (u64, Vec<Range<u64>>) {
        (self.0.contiguous_end(), self.0.received_ranges().collect())
    }
}

/// A set of numbers.
#[derive(Default)]
pub struct FuzzedRanges(RangeSet);

impl FuzzedRanges {
    /// How many are new.
    pub fn insert(&mut self, range: Range<u64>) -> u64 {
        self.0.insert(range)
    }

    /// Takes out what is in.
    pub fn remove(&mut self, range: Range<u64>) {
        self.0.remove(range);
    }

    /// Whether all of it is in.
    pub fn covers(&self, range: &Range<u64>) -> bool {
        self.0.covers(range)
    }

    /// Whether inserting it would make no further range.
    pub fn touches(&self, range: &Range<u64>) -> bool {
        self.0.touches(range)
    }

    /// The first part that is not in.
    pub fn first_gap(&self, within: Range<u64>) -> Option<Range<u64>> {
        self.0.first_gap(within)
    }

    /// How many numbers are in, and the ranges that they make.
    pub fn contents(&self) -> (u64, Vec<Range<u64>>) {
        (self.0.total(), self.0.iter().collect())
    }
}
