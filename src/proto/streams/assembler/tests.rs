//! Situations of reassembly, and its promises as properties of random chunks.

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
    assert_eq!(assembler.insert(0, chunk.clone(), Pinning::Allowed), Ok(100));
    let read = assembler.read(usize::MAX).unwrap();
    assert_eq!(read.as_ptr(), chunk.as_ptr());
    assert_eq!(assembler.read(usize::MAX), None);
}

#[test]
fn a_piece_that_waits_for_others_is_handed_out_by_reference_if_it_is_most_of_a_slab() {
    for (len, is_shared) in [(1_400, false), (PART_OF_SLAB_BYTES as u64, true)] {
        let mut assembler = Assembler::new(8);
        let (first, second) = (stream(0..1_000), stream(1_000..1_000 + len));
        assembler.insert(1_000, second.clone(), Pinning::Allowed).unwrap();
        assert_eq!(assembler.read(usize::MAX), None);
        assembler.insert(0, first, Pinning::Allowed).unwrap();
        assert_eq!(assembler.read(1_000).unwrap().len(), 1_000);
        let read = assembler.read(usize::MAX).unwrap();
        assert_eq!((read.as_ptr() == second.as_ptr(), read), (is_shared, second));
    }
}

/// The bytes `range` of the stream, in a slab of their own.
fn slab_with(range: Range<u64>) -> Bytes {
    let len = (range.end - range.start) as usize;
    let mut slab = vec![0; SLAB_BYTES as usize];
    slab[..len].copy_from_slice(&stream(range));
    Bytes::from(slab).slice(..len)
}

#[test]
fn slabs_that_wait_for_the_reader_are_counted_until_they_are_read() {
    let mut assembler = Assembler::new(8);
    // Three packets of one batch, and one of another.
    let batch = stream(0..4_200);
    for at in [0u64, 1_400, 2_800] {
        let piece = batch.slice(at as usize..at as usize + 1_400);
        assembler.insert(at, piece, Pinning::Allowed).unwrap();
    }
    assembler.insert(4_200, slab_with(4_200..5_600), Pinning::Allowed).unwrap();
    let pinned = |assembler: &Assembler| assembler.held().pinned_slabs;
    assert_eq!(pinned(&assembler), 2);
    assembler.read(1_000);
    assembler.read(usize::MAX);
    assert_eq!(pinned(&assembler), 2, "the rest of the batch still keeps its slab");
    assembler.read(usize::MAX);
    assembler.read(usize::MAX);
    assert_eq!(pinned(&assembler), 1);
    assert_eq!(read_all(&mut assembler), stream(4_200..5_600));
    assert_eq!(assembler.held(), Held::default());
}

#[test]
fn without_room_for_more_slabs_what_waits_is_copied() {
    let mut assembler = Assembler::new(8);
    let piece = slab_with(0..1_400);
    assembler.insert(0, piece.clone(), Pinning::Denied).unwrap();
    assert_eq!(assembler.held().pinned_slabs, 0);
    let read = assembler.read(usize::MAX).unwrap();
    assert_ne!(read.as_ptr(), piece.as_ptr());
    assert_eq!(read, piece);
}

#[test]
fn pieces_of_one_byte_cost_what_they_take_and_not_what_they_carry() {
    let mut assembler = Assembler::new(8_192);
    for i in 0..1_000 {
        assembler.insert(i * 2 + 1, stream(0..1), Pinning::Allowed).unwrap();
    }
    assert_eq!(assembler.held().cost_bytes, 1_000 * (1 + PIECE_COST_BYTES));
    assembler.clear();
    assert_eq!(assembler.held(), Held::default());
}

#[test]
fn the_same_chunk_over_two_paths_counts_once() {
    let mut assembler = Assembler::new(8);
    assert_eq!(assembler.insert(10, stream(10..20), Pinning::Allowed), Ok(10));
    assert_eq!(assembler.insert(10, stream(10..20), Pinning::Allowed), Ok(0));
    assert_eq!(assembler.insert(0, stream(0..15), Pinning::Allowed), Ok(10));
    assert_eq!(assembler.insert(0, stream(0..20), Pinning::Allowed), Ok(0));
    assert_eq!(assembler.buffered_bytes(), 20);
    assert_eq!(read_all(&mut assembler), stream(0..20));
    assert_eq!(assembler.insert(0, stream(0..20), Pinning::Allowed), Ok(0));
    assert_eq!(assembler.read(1), None);
}

#[test]
fn a_reader_that_takes_little_gets_every_byte() {
    let mut assembler = Assembler::new(8);
    assembler.insert(0, stream(0..10), Pinning::Allowed).unwrap();
    assert_eq!(assembler.read(0), None);
    assert_eq!(assembler.read(3).unwrap(), stream(0..3));
    assert_eq!(assembler.read_offset(), 3);
    assert_eq!(read_all(&mut assembler), stream(3..10));
}

#[test]
fn one_gap_too_many_is_refused_and_nothing_changes() {
    let mut assembler = Assembler::new(2);
    assembler.insert(10, stream(10..20), Pinning::Allowed).unwrap();
    assembler.insert(30, stream(30..40), Pinning::Allowed).unwrap();
    assert_eq!(assembler.insert(50, stream(50..60), Pinning::Allowed), Err(TooManyRanges { limit: 2 }));
    assert_eq!(assembler.received_ranges().collect::<Vec<_>>(), [10..20, 30..40]);
    // What fills a gap or lengthens a range is welcome all the same, and makes room.
    assert_eq!(assembler.insert(40, stream(40..50), Pinning::Allowed), Ok(10));
    assert_eq!(assembler.insert(0, stream(0..5), Pinning::Allowed), Ok(5));
    assert_eq!(assembler.insert(5, stream(5..10), Pinning::Allowed), Ok(5));
    assert_eq!(assembler.insert(60, stream(60..70), Pinning::Allowed), Ok(10));
    assert_eq!(assembler.contiguous_end(), 20);
}

#[test]
fn single_bytes_from_many_slabs_do_not_keep_the_slabs() {
    let mut assembler = Assembler::new(8);
    for offset in (1..4_000).rev().chain([0]).chain(4_000..8_000) {
        let slab = stream(offset..offset + 65_536);
        assembler.insert(offset, slab.slice(..1), Pinning::Allowed).unwrap();
    }
    assert!(assembler.ready.iter().all(|piece| matches!(piece, Piece::Own(_))));
    assert!(pieces(&assembler) <= 4, "{} pieces", pieces(&assembler));
    assert_eq!(read_all(&mut assembler), stream(0..8_000));
}

#[test]
fn a_long_chunk_over_many_holes_is_cut_to_the_holes() {
    let mut assembler = Assembler::new(8_192);
    for i in 0..4_096 {
        assembler.insert(i * 2 + 1, stream(i * 2 + 1..i * 2 + 2), Pinning::Allowed).unwrap();
    }
    assert_eq!(assembler.insert(0, stream(0..8_192), Pinning::Allowed), Ok(4_096));
    assert_eq!(assembler.buffered_bytes(), 8_192);
    assert!(pieces(&assembler) <= 4, "{} pieces", pieces(&assembler));
    assert_eq!(read_all(&mut assembler), stream(0..8_192));
}

#[test]
fn offsets_at_the_end_of_the_number_space_do_not_overflow() {
    let mut assembler = Assembler::new(8);
    assert_eq!(assembler.insert(u64::MAX, stream(0..10), Pinning::Allowed), Ok(0));
    assert_eq!(assembler.insert(u64::MAX - 4, stream(0..10), Pinning::Allowed), Ok(4));
    assert_eq!(assembler.contiguous_end(), 0);
}

#[test]
fn clearing_forgets_what_was_not_read() {
    let mut assembler = Assembler::new(8);
    assembler.insert(0, stream(0..10), Pinning::Allowed).unwrap();
    assembler.insert(20, stream(20..30), Pinning::Allowed).unwrap();
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
    assert!(assembler.ready.iter().skip(1).all(long));
    let whole = |piece: &Piece| matches!(piece, Piece::Own(_) | Piece::Shared(_, Slab::Whole));
    assert!(assembler.held.values().all(whole));
    let pinned = assembler.ready.iter().map(Piece::pins).sum::<u64>();
    assert_eq!(assembler.held().pinned_slabs, pinned);
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
                    prop_assert_eq!(assembler.insert(offset, stream(range), Pinning::Allowed), Ok(new as u64));
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
        assembler.insert(0, stream(0..STREAM_LEN), Pinning::Allowed).unwrap();
        prop_assert_eq!(read_all(&mut assembler), stream(read..STREAM_LEN));
    }
}
