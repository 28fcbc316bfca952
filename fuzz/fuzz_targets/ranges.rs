//! Reassembly and sets of ranges beside the simplest thing that does the same: a flag for each byte.
//!
//! Every byte comes out once, in order and as it was sent, whatever the pieces were that it arrived in; too many gaps are
//! refused, and nothing else is; what is kept is in no more pieces than its ranges and its length call for.
#![no_main]

use std::ops::Range;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use kwik::fuzzing::{FuzzedAssembler, FuzzedRanges};
use libfuzzer_sys::fuzz_target;

/// Ranges that may wait.
const MAX_RANGES: usize = 8;
/// Where a piece may begin, and its length: some are as long as a good part of a slab.
const STARTS: u16 = 8_192;
const MAX_SHORT: u16 = 1_500;
const MAX_LONG: u16 = 20_000;
/// No piece ends beyond.
const STREAM_LEN: usize = STARTS as usize + MAX_LONG as usize;
/// Each range may have a short piece at either end, and between them two pieces together are as long as this.
const SMALL_BYTES: u64 = 512;
/// Numbers in a set.
const NUMBERS: usize = 512;

#[derive(Arbitrary, Debug)]
enum Step {
    OfStream(StreamStep),
    OfSet(SetStep),
}

#[derive(Arbitrary, Debug)]
enum StreamStep {
    Insert {
        start: u16,
        len: u16,
        is_long: bool,
        is_apart: bool,
        may_pin: bool,
    },
    /// The next bytes that have not arrived.
    Append {
        len: u16,
        is_apart: bool,
        may_pin: bool,
    },
    Read {
        len: u16,
    },
    Clear,
}

#[derive(Arbitrary, Debug)]
enum SetStep {
    Insert { start: u8, len: u8 },
    Remove { start: u8, len: u8 },
    Ask { start: u8, len: u8 },
}

/// A flag for each number.
struct Flags(Vec<bool>);

impl Flags {
    fn new(numbers: usize) -> Self {
        Self(vec![false; numbers])
    }

    fn at(&mut self, range: &Range<u64>) -> &mut [bool] {
        &mut self.0[range.start as usize..range.end as usize]
    }

    /// Returns how many were not set.
    fn set(&mut self, range: &Range<u64>) -> u64 {
        let flags = self.at(range);
        let new = flags.iter().filter(|flag| !**flag).count();
        flags.fill(true);
        new as u64
    }

    fn has(&self, number: u64) -> bool {
        self.0.get(number as usize).is_some_and(|flag| *flag)
    }

    /// The ranges that are set, from `start` on.
    fn ranges(&self, start: u64) -> Vec<Range<u64>> {
        let mut end = start;
        let runs = self.0[start as usize..].chunk_by(|one, next| one == next);
        let ranges = runs.filter_map(|run| {
            let start = end;
            end += run.len() as u64;
            run[0].then_some(start..end)
        });
        ranges.collect()
    }
}

fn total(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// A stream's receiving end, and what it should be.
struct Stream {
    assembler: FuzzedAssembler,
    /// What has arrived and was not read.
    arrived: Flags,
    read: u64,
    /// The whole stream: pieces of it lie beside one another in memory, like those of one batch of packets.
    bytes: Bytes,
}

impl Stream {
    fn new() -> Self {
        Self {
            assembler: FuzzedAssembler::new(MAX_RANGES),
            arrived: Flags::new(STREAM_LEN),
            read: 0,
            bytes: (0..STREAM_LEN).map(|offset| (offset % 251) as u8).collect(),
        }
    }

    fn happen(&mut self, step: StreamStep) {
        match step {
            StreamStep::Insert { start, len, is_long, is_apart, may_pin } => {
                let start = u64::from(start % STARTS);
                let len = len % if is_long { MAX_LONG } else { MAX_SHORT };
                self.insert(start..start + u64::from(len), is_apart, may_pin);
            }
            StreamStep::Append { len, is_apart, may_pin } => {
                let start = self.contiguous_end();
                let end = (start + u64::from(len % MAX_SHORT)).min(STREAM_LEN as u64);
                self.insert(start..end, is_apart, may_pin);
            }
            StreamStep::Read { len } => self.read(len.into()),
            StreamStep::Clear => self.clear(),
        }
    }

    fn contiguous_end(&self) -> u64 {
        let run = self.arrived.0[self.read as usize..].iter().take_while(|flag| **flag);
        self.read + run.count() as u64
    }

    fn insert(&mut self, range: Range<u64>, is_apart: bool, may_pin: bool) {
        let mut piece = self.bytes.slice(range.start as usize..range.end as usize);
        if is_apart {
            piece = Bytes::copy_from_slice(&piece);
        }
        let end = self.contiguous_end();
        let news = range.start.max(end)..range.end;
        let waits_apart = news.start > end
            && !news.is_empty()
            && !self.arrived.has(news.start - 1)
            && !(news.start..=news.end).any(|offset| self.arrived.has(offset));
        let is_refused = waits_apart && self.arrived.ranges(end).len() >= MAX_RANGES;
        let new = self.assembler.insert(range.start, piece, may_pin);
        let expected = (!is_refused).then(|| if news.is_empty() { 0 } else { self.arrived.set(&news) });
        assert_eq!(new, expected, "{range:?}");
    }

    fn read(&mut self, len: usize) {
        let has_some = len > 0 && self.arrived.has(self.read);
        let read = self.assembler.read(len);
        assert_eq!(read.is_some(), has_some);
        let read = read.unwrap_or_default();
        assert_eq!(read.is_empty(), !has_some);
        assert!(read.len() <= len);
        let range = self.read..self.read + read.len() as u64;
        assert!(self.arrived.at(&range).iter().all(|flag| *flag), "bytes that have not arrived");
        assert_eq!(read, self.bytes.slice(range.start as usize..range.end as usize));
        self.arrived.at(&range).fill(false);
        self.read = range.end;
    }

    fn clear(&mut self) {
        assert_eq!(self.assembler.clear(), total(&self.arrived.ranges(self.read)));
        self.arrived.0.fill(false);
    }

    fn check(&self) {
        let end = self.contiguous_end();
        let waiting = self.arrived.ranges(end);
        assert!(waiting.len() <= MAX_RANGES);
        let (ranges, bytes) = (waiting.len() as u64 + 2, end - self.read + total(&waiting));
        assert_eq!(self.assembler.received(), (end, waiting));
        assert_eq!(self.assembler.read_offset(), self.read);
        let kept = self.assembler.kept();
        assert_eq!(kept.bytes, bytes);
        assert!(kept.pieces <= 2 * ranges + 2 * kept.bytes / SMALL_BYTES, "{} pieces", kept.pieces);
        assert!(kept.slabs <= kept.pieces);
        assert!(kept.bytes > 0 || kept.pieces == 0);
    }
}

/// A set, and what it should be.
struct Set {
    set: FuzzedRanges,
    numbers: Flags,
}

impl Set {
    fn happen(&mut self, step: SetStep) {
        let range = |start: u8, len: u8| u64::from(start)..u64::from(start) + u64::from(len);
        match step {
            SetStep::Insert { start, len } => {
                let range = range(start, len);
                assert_eq!(self.set.insert(range.clone()), self.numbers.set(&range));
            }
            SetStep::Remove { start, len } => self.remove(range(start, len)),
            SetStep::Ask { start, len } => self.ask(range(start, len)),
        }
    }

    fn remove(&mut self, range: Range<u64>) {
        self.numbers.at(&range).fill(false);
        self.set.remove(range);
    }

    fn ask(&mut self, range: Range<u64>) {
        let is_in = |number: u64| self.numbers.has(number);
        assert_eq!(self.set.covers(&range), range.clone().all(is_in));
        let gap = range.clone().find(|number| !is_in(*number)).map(|start| {
            let end = (start..range.end).find(|number| is_in(*number));
            start..end.unwrap_or(range.end)
        });
        assert_eq!(self.set.first_gap(range.clone()), gap);
        let touched = range.is_empty() || (range.start.saturating_sub(1)..=range.end).any(is_in);
        assert_eq!(self.set.touches(&range), touched);
    }

    fn check(&self) {
        let ranges = self.numbers.ranges(0);
        assert_eq!(self.set.contents(), (total(&ranges), ranges));
    }
}

fuzz_target!(|data: &[u8]| {
    let mut source = Unstructured::new(data);
    let mut stream = Stream::new();
    let mut set = Set { set: FuzzedRanges::default(), numbers: Flags::new(NUMBERS) };
    while !source.is_empty()
        && let Ok(step) = Step::arbitrary(&mut source)
    {
        match step {
            Step::OfStream(step) => {
                stream.happen(step);
                stream.check();
            }
            Step::OfSet(step) => {
                set.happen(step);
                set.check();
            }
        }
    }
});
