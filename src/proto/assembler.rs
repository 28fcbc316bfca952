//! Puts one receiving stream back in order, from chunks of any path, in any order, with any overlap.
//!
//! Promises: every byte is handed out once and in order; no byte is held twice; what is held costs memory in
//! proportion to its length, whatever the sizes a peer chooses. For that, a small piece that has to wait gets
//! an allocation of its own (as a slice it would keep a whole receive slab alive) and small neighbours share
//! one. Longer pieces are held and handed out by reference.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bytes::Bytes;

use super::range_set::RangeSet;

/// A shorter piece is copied when it has to wait.
const SMALL_BYTES: usize = 512;
/// Copied neighbours are joined up to this length, which bounds what joining one more piece can cost.
const JOINED_BYTES: usize = 4_096;

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
    /// What waits for bytes before it, by offset; disjoint.
    held: BTreeMap<u64, Piece>,
    /// The ranges that `held` covers, joined where pieces touch.
    held_ranges: RangeSet,
}

/// Consecutive bytes of the stream.
#[derive(Debug)]
enum Piece {
    /// By reference to where they were received.
    Shared(Bytes),
    /// Copied.
    Own(Vec<u8>),
}

impl Piece {
    /// The form in which `bytes` may wait for an unknown time.
    fn to_hold(bytes: Bytes) -> Self {
        if bytes.len() < SMALL_BYTES { Piece::Own(bytes.to_vec()) } else { Piece::Shared(bytes) }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Piece::Shared(bytes) => bytes,
            Piece::Own(bytes) => bytes,
        }
    }

    fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Takes in `next`, which follows it, when both are small enough for one allocation.
    fn join(&mut self, next: &Piece) -> bool {
        let shareable = |piece: &Piece| match piece {
            Piece::Shared(bytes) => bytes.len() < SMALL_BYTES,
            Piece::Own(_) => true,
        };
        if !shareable(self) || !shareable(next) || self.len() + next.len() > JOINED_BYTES {
            return false;
        }
        match self {
            Piece::Own(bytes) => bytes.extend_from_slice(next.as_slice()),
            Piece::Shared(bytes) => *self = Piece::Own([bytes, next.as_slice()].concat()),
        }
        true
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Piece::Shared(bytes) => bytes,
            Piece::Own(bytes) => bytes.into(),
        }
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
            held: BTreeMap::new(),
            held_ranges: RangeSet::new(),
        }
    }

    /// Takes in the bytes at `offset`; returns how many of them had not arrived before.
    ///
    /// # Errors
    /// [`TooManyRanges`] when they would wait apart from all others and too many do already; nothing changes.
    pub(crate) fn insert(&mut self, offset: u64, mut bytes: Bytes) -> Result<u64, TooManyRanges> {
        // A stream has no offsets beyond those of a u64; what would lie there is not stream data.
        bytes.truncate(usize::try_from(u64::MAX - offset).unwrap_or(usize::MAX));
        let chunk = offset.max(self.contiguous_end)..offset + bytes.len() as u64;
        if chunk.is_empty() {
            return Ok(0);
        }
        let piece =
            |range: &Range<u64>| bytes.slice((range.start - offset) as usize..(range.end - offset) as usize);
        if self.held.is_empty() && chunk.start == self.contiguous_end {
            self.push_ready(Piece::Shared(piece(&chunk)));
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
            self.push_ready(piece);
        }
        self.held_ranges.trim_below(self.contiguous_end);
    }

    fn push_ready(&mut self, piece: Piece) {
        self.contiguous_end += piece.len() as u64;
        let Some(last) = self.ready.back_mut() else {
            // The reader has caught up and likely takes it at once: not worth a copy.
            return self.ready.push_back(piece);
        };
        if !last.join(&piece) {
            self.ready.push_back(match piece {
                Piece::Shared(bytes) => Piece::to_hold(bytes),
                own => own,
            });
        }
    }

    /// Hands out the next bytes in order, at most `max_len` of them, by reference; there may be more behind
    /// them. `None` when the next byte has not arrived or `max_len` is 0.
    pub(crate) fn read(&mut self, max_len: usize) -> Option<Bytes> {
        if max_len == 0 {
            return None;
        }
        let mut bytes = self.ready.pop_front()?.into_bytes();
        if bytes.len() > max_len {
            let rest = bytes.split_off(max_len);
            self.ready.push_front(Piece::Shared(rest));
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The stream whose byte at offset `i` is `i % 251`.
    fn stream(range: Range<u64>) -> Bytes {
        range.map(|offset| (offset % 251) as u8).collect()
    }

    fn read_all(assembler: &mut Assembler) -> Vec<u8> {
        std::iter::from_fn(|| assembler.read(usize::MAX)).flatten().collect()
    }

    /// Everything that is kept per piece, on top of the bytes themselves.
    fn pieces(assembler: &Assembler) -> usize {
        assembler.ready.len() + assembler.held.len()
    }

    #[test]
    fn bytes_in_order_are_handed_out_by_reference() {
        let mut assembler = Assembler::new(8);
        let chunk = stream(0..100);
        assert_eq!(assembler.insert(0, chunk.clone()), Ok(100));
        let read = assembler.read(usize::MAX).unwrap();
        assert_eq!(read.as_ptr(), chunk.as_ptr());
        assert_eq!(assembler.read(usize::MAX), None);
    }

    #[test]
    fn long_pieces_that_had_to_wait_are_handed_out_by_reference() {
        let mut assembler = Assembler::new(8);
        let (first, second) = (stream(0..1_000), stream(1_000..2_000));
        assembler.insert(1_000, second.clone()).unwrap();
        assert_eq!(assembler.read(usize::MAX), None);
        assembler.insert(0, first).unwrap();
        assert_eq!(assembler.read(1_000).unwrap().len(), 1_000);
        assert_eq!(assembler.read(usize::MAX).unwrap().as_ptr(), second.as_ptr());
    }

    #[test]
    fn the_same_chunk_over_two_paths_counts_once() {
        let mut assembler = Assembler::new(8);
        assert_eq!(assembler.insert(10, stream(10..20)), Ok(10));
        assert_eq!(assembler.insert(10, stream(10..20)), Ok(0));
        assert_eq!(assembler.insert(0, stream(0..15)), Ok(10));
        assert_eq!(assembler.insert(0, stream(0..20)), Ok(0));
        assert_eq!(assembler.buffered_bytes(), 20);
        assert_eq!(read_all(&mut assembler), stream(0..20));
        assert_eq!(assembler.insert(0, stream(0..20)), Ok(0));
        assert_eq!(assembler.read(1), None);
    }

    #[test]
    fn a_reader_that_takes_little_gets_every_byte() {
        let mut assembler = Assembler::new(8);
        assembler.insert(0, stream(0..10)).unwrap();
        assert_eq!(assembler.read(0), None);
        assert_eq!(assembler.read(3).unwrap(), stream(0..3));
        assert_eq!(assembler.read_offset(), 3);
        assert_eq!(read_all(&mut assembler), stream(3..10));
    }

    #[test]
    fn one_gap_too_many_is_refused_and_nothing_changes() {
        let mut assembler = Assembler::new(2);
        assembler.insert(10, stream(10..20)).unwrap();
        assembler.insert(30, stream(30..40)).unwrap();
        assert_eq!(assembler.insert(50, stream(50..60)), Err(TooManyRanges { limit: 2 }));
        assert_eq!(assembler.received_ranges().collect::<Vec<_>>(), [10..20, 30..40]);
        // What fills a gap or lengthens a range is welcome all the same, and makes room.
        assert_eq!(assembler.insert(40, stream(40..50)), Ok(10));
        assert_eq!(assembler.insert(0, stream(0..5)), Ok(5));
        assert_eq!(assembler.insert(5, stream(5..10)), Ok(5));
        assert_eq!(assembler.insert(60, stream(60..70)), Ok(10));
        assert_eq!(assembler.contiguous_end(), 20);
    }

    #[test]
    fn single_bytes_from_many_slabs_do_not_keep_the_slabs() {
        let mut assembler = Assembler::new(8);
        for offset in (1..4_000).rev().chain([0]).chain(4_000..8_000) {
            let slab = stream(offset..offset + 65_536);
            assembler.insert(offset, slab.slice(..1)).unwrap();
        }
        assert!(assembler.ready.iter().all(|piece| matches!(piece, Piece::Own(_))));
        assert!(pieces(&assembler) <= 4, "{} pieces", pieces(&assembler));
        assert_eq!(read_all(&mut assembler), stream(0..8_000));
    }

    #[test]
    fn a_long_chunk_over_many_holes_is_cut_to_the_holes() {
        let mut assembler = Assembler::new(8_192);
        for i in 0..4_096 {
            assembler.insert(i * 2 + 1, stream(i * 2 + 1..i * 2 + 2)).unwrap();
        }
        assert_eq!(assembler.insert(0, stream(0..8_192)), Ok(4_096));
        assert_eq!(assembler.buffered_bytes(), 8_192);
        assert!(pieces(&assembler) <= 4, "{} pieces", pieces(&assembler));
        assert_eq!(read_all(&mut assembler), stream(0..8_192));
    }

    #[test]
    fn offsets_at_the_end_of_the_number_space_do_not_overflow() {
        let mut assembler = Assembler::new(8);
        assert_eq!(assembler.insert(u64::MAX, stream(0..10)), Ok(0));
        assert_eq!(assembler.insert(u64::MAX - 4, stream(0..10)), Ok(4));
        assert_eq!(assembler.contiguous_end(), 0);
    }

    #[test]
    fn clearing_forgets_what_was_not_read() {
        let mut assembler = Assembler::new(8);
        assembler.insert(0, stream(0..10)).unwrap();
        assembler.insert(20, stream(20..30)).unwrap();
        assembler.read(4);
        assert_eq!(assembler.clear(), 16);
        assert_eq!((assembler.read_offset(), assembler.contiguous_end()), (4, 4));
        assert_eq!((assembler.buffered_bytes(), assembler.received_ranges().count()), (0, 0));
        assert_eq!(assembler.read(1), None);
    }

    const STREAM_LEN: u64 = 12_000;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u64, u64),
        Read(usize),
    }

    fn any_op() -> impl Strategy<Value = Op> {
        let len = prop_oneof![0..20u64, 400..600u64, 0..3_000u64];
        prop_oneof![
            6 => (0..STREAM_LEN, len).prop_map(|(offset, len)| Op::Insert(offset, len)),
            1 => (0..2_000usize).prop_map(Op::Read),
        ]
    }

    /// Checks that pieces are as few as promised, for `held_bytes` in `ranges` separate ranges.
    fn check_overhead(assembler: &Assembler) {
        let bytes = assembler.buffered_bytes() as usize;
        let ranges = assembler.held_ranges.len() + 2;
        assert!(pieces(assembler) <= 2 * ranges + 2 * bytes / SMALL_BYTES, "{} pieces", pieces(assembler));
        let held: RangeSet = assembler.held.iter().fold(RangeSet::new(), |mut set, (&offset, piece)| {
            let range = offset..offset + piece.len() as u64;
            assert_eq!(set.insert(range.clone()), piece.len() as u64, "held twice: {range:?}");
            set
        });
        assert_eq!(held, assembler.held_ranges);
        let long = |piece: &Piece| matches!(piece, Piece::Own(_)) || piece.len() >= SMALL_BYTES;
        assert!(assembler.held.values().chain(assembler.ready.iter().skip(1)).all(long));
    }

    proptest! {
        #[test]
        fn every_byte_comes_out_once_and_in_order(ops in prop::collection::vec(any_op(), 1..80)) {
            let mut assembler = Assembler::new(usize::MAX);
            let mut arrived = vec![false; STREAM_LEN as usize];
            let mut read = 0u64;
            for op in ops {
                match op {
                    Op::Insert(offset, len) => {
                        let range = offset..(offset + len).min(STREAM_LEN);
                        let flags = &mut arrived[range.start as usize..range.end as usize];
                        let new = flags.iter().filter(|&&arrived| !arrived).count();
                        flags.fill(true);
                        prop_assert_eq!(assembler.insert(offset, stream(range)), Ok(new as u64));
                    }
                    Op::Read(max_len) => {
                        let bytes = assembler.read(max_len).unwrap_or_default();
                        prop_assert!(bytes.len() <= max_len);
                        let end = read + bytes.len() as u64;
                        prop_assert_eq!(&bytes, &stream(read..end));
                        prop_assert!(arrived[read as usize..end as usize].iter().all(|&arrived| arrived));
                        read = end;
                    }
                }
                let total = arrived.iter().filter(|&&arrived| arrived).count() as u64;
                let contiguous = arrived.iter().take_while(|&&arrived| arrived).count() as u64;
                prop_assert_eq!(assembler.read_offset(), read);
                prop_assert_eq!(assembler.contiguous_end(), contiguous);
                prop_assert_eq!(assembler.buffered_bytes(), total - read);
                check_overhead(&assembler);
            }
            assembler.insert(0, stream(0..STREAM_LEN)).unwrap();
            prop_assert_eq!(read_all(&mut assembler), stream(read..STREAM_LEN));
        }
    }
}
