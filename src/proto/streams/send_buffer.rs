//! The bytes of one sending stream, kept until the peer has acknowledged them.
//!
//! A carrier's own acknowledgement is not enough to let go of a byte, because the carrier can die with it; so
//! every byte stays here, ready to be sent again on any path. Long writes are kept by reference, never
//! copied. Short ones are gathered in blocks, so that an application that writes byte by byte does not
//! cost many times what it writes.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::proto::range_set::RangeSet;

/// A shorter write is copied into the block of short writes.
const SMALL_BYTES: usize = 512;
/// Blocks of short writes grow from the first size to the second: a stream that carries a few bytes in all
/// stays cheap, one that carries many short writes allocates seldom.
const FIRST_BLOCK_BYTES: usize = 128;
const MAX_BLOCK_BYTES: usize = 4_096;

/// Retention of one sending stream.
#[derive(Debug)]
pub(crate) struct SendBuffer {
    /// What has been pushed, ascending and without gaps, up to where `tail` begins.
    segments: VecDeque<Segment>,
    /// Short writes since the last segment; room for more of them behind.
    tail: BytesMut,
    next_block_bytes: usize,
    end_offset: u64,
    retained_bytes: u64,
    acked: RangeSet,
    max_acked_ranges: usize,
}

#[derive(Debug)]
struct Segment {
    range: Range<u64>,
    /// Empty once all of it is acknowledged.
    data: Bytes,
}

impl SendBuffer {
    /// An empty stream. At most `max_acked_ranges` separate acknowledged ranges are remembered.
    pub(crate) fn new(max_acked_ranges: usize) -> Self {
        Self {
            segments: VecDeque::new(),
            tail: BytesMut::new(),
            next_block_bytes: FIRST_BLOCK_BYTES,
            end_offset: 0,
            retained_bytes: 0,
            acked: RangeSet::new(),
            max_acked_ranges,
        }
    }

    /// Appends to the stream.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if bytes.len() < SMALL_BYTES {
            self.push_small(&bytes);
        } else {
            self.freeze_tail();
            let range = self.end_offset..self.end_offset + bytes.len() as u64;
            self.segments.push_back(Segment { range, data: bytes.clone() });
        }
        self.end_offset += bytes.len() as u64;
        self.retained_bytes += bytes.len() as u64;
    }

    fn push_small(&mut self, bytes: &[u8]) {
        if self.tail.capacity() - self.tail.len() < bytes.len() {
            self.freeze_tail();
            self.tail = BytesMut::with_capacity(self.next_block_bytes.max(bytes.len()));
            self.next_block_bytes = (self.next_block_bytes * 2).min(MAX_BLOCK_BYTES);
        }
        self.tail.extend_from_slice(bytes);
    }

    /// Makes a segment of the short writes; the rest of their block stays for more of them.
    fn freeze_tail(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let data = self.tail.split().freeze();
        self.segments
            .push_back(Segment { range: self.end_offset - data.len() as u64..self.end_offset, data });
    }

    /// The bytes from `offset` on, at most `max_len`, by reference. May be fewer than there are (ask again
    /// behind them); empty when there are none at `offset` or they have been acknowledged and let go.
    pub(crate) fn slice(&mut self, offset: u64, max_len: usize) -> Bytes {
        if offset >= self.end_offset - self.tail.len() as u64 {
            self.freeze_tail();
        }
        let Some(segment) = self.segment_index(offset).and_then(|index| self.segments.get(index)) else {
            return Bytes::new();
        };
        // The front segment's data may begin later than its range did: what remains ends where the range ends.
        let data_start = segment.range.end - segment.data.len() as u64;
        if offset < data_start || offset >= segment.range.end {
            return Bytes::new();
        }
        let start = (offset - data_start) as usize;
        segment.data.slice(start..segment.data.len().min(start.saturating_add(max_len)))
    }

    /// Where the last segment that begins at or before `offset` is.
    fn segment_index(&self, offset: u64) -> Option<usize> {
        self.segments.partition_point(|segment| segment.range.start <= offset).checked_sub(1)
    }

    /// The peer has `range`; returns how many bytes of it had not been acknowledged before. The caller makes
    /// sure that `range` has been sent; what lies beyond the end is ignored.
    ///
    /// A peer that acknowledges in more separate ranges than are remembered is not heard until its ranges
    /// join: bytes may then be sent again in vain, and memory stays bounded.
    pub(crate) fn ack(&mut self, range: Range<u64>) -> u64 {
        let range = range.start..range.end.min(self.end_offset);
        if range.is_empty() || self.acked.len() >= self.max_acked_ranges && !self.acked.touches(&range) {
            return 0;
        }
        if range.end > self.end_offset - self.tail.len() as u64 {
            self.freeze_tail();
        }
        let mut newly_acked = 0;
        let mut rest = range;
        // Only what is new is walked through, so that no peer can make the same walk happen again and again.
        while let Some(gap) = self.acked.first_gap(rest.clone()) {
            newly_acked += self.acked.insert(gap.clone());
            self.release(&gap);
            rest.start = gap.end;
        }
        self.release_front();
        newly_acked
    }

    /// Lets go of the segments in `range` that are acknowledged from end to end.
    fn release(&mut self, range: &Range<u64>) {
        let first = self.segment_index(range.start).unwrap_or(0);
        for segment in self.segments.range_mut(first..) {
            if segment.range.start >= range.end {
                break;
            }
            if self.acked.covers(&segment.range) {
                self.retained_bytes -= segment.data.len() as u64;
                segment.data = Bytes::new();
            }
        }
    }

    /// Lets go of everything before the first byte that is not acknowledged.
    fn release_front(&mut self) {
        let contiguous = self.acked_contiguous();
        while self.segments.front().is_some_and(|segment| segment.range.end <= contiguous) {
            self.segments.pop_front();
        }
        if let Some(front) = self.segments.front_mut()
            && front.range.start < contiguous
        {
            let released = contiguous - (front.range.end - front.data.len() as u64);
            front.data = front.data.slice(released as usize..);
            self.retained_bytes -= released;
        }
    }

    /// The stream's length so far.
    pub(crate) fn end_offset(&self) -> u64 {
        self.end_offset
    }

    /// All bytes before this offset are acknowledged.
    pub(crate) fn acked_contiguous(&self) -> u64 {
        self.acked.peek_first().filter(|first| first.start == 0).map_or(0, |first| first.end)
    }

    /// All that is acknowledged.
    pub(crate) fn acked(&self) -> &RangeSet {
        &self.acked
    }

    /// Bytes still kept. An allocation that the application pushed as one is let go as one, however.
    pub(crate) fn retained_bytes(&self) -> u64 {
        self.retained_bytes
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a list of one range is what is meant")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The stream whose byte at offset `i` is `i % 251`.
    fn stream(range: Range<u64>) -> Bytes {
        range.map(|offset| (offset % 251) as u8).collect()
    }

    fn pushed(lens: &[u64]) -> SendBuffer {
        let mut buffer = SendBuffer::new(usize::MAX);
        for len in lens {
            buffer.push(stream(buffer.end_offset()..buffer.end_offset() + len));
        }
        buffer
    }

    #[test]
    fn long_writes_are_kept_by_reference() {
        let mut buffer = SendBuffer::new(8);
        let write = stream(0..1_000);
        buffer.push(write.clone());
        assert_eq!(buffer.slice(10, 100).as_ptr(), write[10..].as_ptr());
        assert_eq!(buffer.slice(990, 100).len(), 10);
        assert_eq!(buffer.slice(1_000, 100).len(), 0);
    }

    #[test]
    fn single_byte_writes_share_their_blocks() {
        let mut buffer = pushed(&[1; 100_000]);
        let segments = buffer.segments.len();
        assert!(segments <= 100_000 / MAX_BLOCK_BYTES + 8, "{segments} segments");
        assert_eq!(buffer.slice(50_000, 10), stream(50_000..50_010));
    }

    #[test]
    fn short_writes_that_are_sent_one_by_one_still_share_a_block() {
        let mut buffer = SendBuffer::new(8);
        buffer.push(stream(0..10));
        let first = buffer.slice(0, 10);
        buffer.push(stream(10..20));
        let second = buffer.slice(10, 10);
        assert_eq!((&first, &second), (&stream(0..10), &stream(10..20)));
        assert_eq!(first.as_ptr() as usize + 10, second.as_ptr() as usize);
    }

    #[test]
    fn an_acknowledgement_lets_go_of_what_lies_before_it() {
        let mut buffer = pushed(&[1_000, 1_000, 1_000]);
        assert_eq!(buffer.ack(0..1_500), 1_500);
        assert_eq!((buffer.acked_contiguous(), buffer.retained_bytes()), (1_500, 1_500));
        assert_eq!(buffer.slice(1_499, 10).len(), 0);
        assert_eq!(buffer.slice(1_500, 10), stream(1_500..1_510));
        assert_eq!(buffer.ack(0..1_500), 0);
        assert_eq!(buffer.ack(0..3_000), 1_500);
        assert_eq!((buffer.retained_bytes(), buffer.segments.len()), (0, 0));
    }

    #[test]
    fn a_write_acknowledged_in_the_middle_is_let_go_at_once() {
        let mut buffer = pushed(&[1_000, 1_000, 1_000]);
        assert_eq!(buffer.ack(900..2_100), 1_200);
        assert_eq!((buffer.acked_contiguous(), buffer.retained_bytes()), (0, 2_000));
        assert_eq!(buffer.slice(1_500, 10).len(), 0);
        assert_eq!(buffer.slice(2_100, 10), stream(2_100..2_110));
        assert!(buffer.acked().covers(&(900..2_100)) && !buffer.acked().covers(&(899..2_100)));
    }

    #[test]
    fn the_end_of_the_stream_is_the_end_of_every_acknowledgement() {
        let mut buffer = pushed(&[10, 600, 10]);
        assert_eq!(buffer.ack(5..u64::MAX), 615);
        assert_eq!(buffer.ack(620..u64::MAX), 0);
        assert_eq!(buffer.acked().iter().collect::<Vec<_>>(), [5..620]);
        buffer.push(stream(620..630));
        assert_eq!(buffer.slice(620, 100), stream(620..630));
    }

    #[test]
    fn a_peer_that_acknowledges_every_second_byte_cannot_use_up_memory() {
        let mut buffer = pushed(&[10_000]);
        buffer.max_acked_ranges = 16;
        let heard: u64 = (0..5_000).map(|i| buffer.ack(i * 2 + 1..i * 2 + 2)).sum();
        assert_eq!((heard, buffer.acked().len()), (16, 16));
        assert_eq!(buffer.ack(0..10_000), 10_000 - 16);
        assert_eq!(buffer.retained_bytes(), 0);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push(u64),
        Ack(u64, u64),
        Slice(u64, usize),
    }

    fn any_op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => prop_oneof![0..20u64, 400..600u64, 0..3_000u64].prop_map(Op::Push),
            2 => (0..20_000u64, 0..4_000u64).prop_map(|(start, len)| Op::Ack(start, start + len)),
            2 => (0..20_000u64, 0..4_000usize).prop_map(|(start, len)| Op::Slice(start, len)),
        ]
    }

    fn check_kept(buffer: &mut SendBuffer, acked: &[bool]) {
        let contiguous = acked.iter().take_while(|&&acked| acked).count() as u64;
        let unacked = acked.iter().filter(|&&acked| !acked).count() as u64;
        assert_eq!(buffer.acked_contiguous(), contiguous);
        assert_eq!(buffer.acked().total() + unacked, buffer.end_offset());
        let in_segments: usize = buffer.segments.iter().map(|segment| segment.data.len()).sum();
        assert_eq!(buffer.retained_bytes(), (in_segments + buffer.tail.len()) as u64);
        assert!(
            buffer.retained_bytes() >= unacked && buffer.retained_bytes() <= acked.len() as u64 - contiguous
        );
    }

    proptest! {
        #[test]
        fn what_is_not_acknowledged_can_be_sent_again(ops in prop::collection::vec(any_op(), 1..60)) {
            let mut buffer = SendBuffer::new(usize::MAX);
            let mut acked: Vec<bool> = Vec::new();
            for op in ops {
                match op {
                    Op::Push(len) => {
                        let end = buffer.end_offset() + len;
                        buffer.push(stream(buffer.end_offset()..end));
                        acked.resize(end as usize, false);
                    }
                    Op::Ack(start, end) => {
                        let len = acked.len();
                        let flags = &mut acked[len.min(start as usize)..len.min(end as usize)];
                        let new = flags.iter().filter(|&&acked| !acked).count() as u64;
                        flags.fill(true);
                        prop_assert_eq!(buffer.ack(start..end), new);
                    }
                    Op::Slice(offset, max_len) => {
                        let bytes = buffer.slice(offset, max_len);
                        prop_assert!(bytes.len() <= max_len);
                        prop_assert_eq!(&bytes, &stream(offset..offset + bytes.len() as u64));
                    }
                }
                check_kept(&mut buffer, &acked);
            }
            for offset in (0..acked.len()).filter(|&offset| !acked[offset]) {
                prop_assert_eq!(buffer.slice(offset as u64, 1), stream(offset as u64..offset as u64 + 1));
            }
        }
    }
}
