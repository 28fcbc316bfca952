//! Reassembly and sets of ranges beside the simplest thing that does the same: one bit for each byte.
#![no_main]

use std::collections::BTreeSet;
use std::ops::Range;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use kwik::fuzzing::{FuzzedAssembler, FuzzedRanges};
use libfuzzer_sys::fuzz_target;

/// Ranges that may wait.
const MAX_RANGES: usize = 8;

#[derive(Arbitrary, Debug)]
enum Step {
    Insert { start: u16, len: u16 },
    Read { len: u16 },
    Clear,
    Add { start: u8, len: u8 },
    Remove { start: u8, len: u8 },
    Ask { start: u8, len: u8 },
}

fn byte(offset: u64) -> u8 {
    (offset % 251) as u8
}

/// What has arrived of a stream.
#[derive(Default)]
struct Arrived {
    all: BTreeSet<u64>,
    read: u64,
}

impl Arrived {
    fn contiguous_end(&self) -> u64 {
        (self.read..).find(|offset| !self.all.contains(offset)).unwrap_or(self.read)
    }
}

/// Numbers as ranges.
fn ranges(numbers: impl IntoIterator<Item = u64>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if last.end == number => last.end += 1,
            _ => ranges.push(number..number + 1),
        }
    }
    ranges
}

fn stream(step: &Step, assembler: &mut FuzzedAssembler, arrived: &mut Arrived) {
    match step {
        Step::Insert { start, len } => {
            let (start, len) = (u64::from(start % 8_192), u64::from(len % 1_500));
            let bytes: Bytes = (start..start + len).map(byte).collect();
            match assembler.insert(start, bytes) {
                Some(new) => {
                    let before = arrived.all.len();
                    arrived.all.extend((start..start + len).filter(|offset| *offset >= arrived.read));
                    assert_eq!(new, (arrived.all.len() - before) as u64);
                }
                None => assert!(assembler.received().1.len() >= MAX_RANGES),
            }
        }
        Step::Read { len } => {
            let read = assembler.read(usize::from(*len)).unwrap_or_default();
            assert!(read.len() <= usize::from(*len));
            if *len > 0 {
                assert_eq!(read.is_empty(), arrived.contiguous_end() == arrived.read);
            }
            for got in &read {
                assert!(arrived.all.remove(&arrived.read), "a byte that has not arrived");
                assert_eq!(*got, byte(arrived.read));
                arrived.read += 1;
            }
        }
        Step::Clear => {
            assert_eq!(assembler.clear(), arrived.all.len() as u64);
            arrived.all.clear();
        }
        Step::Add { .. } | Step::Remove { .. } | Step::Ask { .. } => return,
    }
    let end = arrived.contiguous_end();
    let waiting: Vec<_> = ranges(arrived.all.range(end..).copied());
    assert!(waiting.len() <= MAX_RANGES);
    assert_eq!(assembler.received(), (end, waiting));
    assert_eq!(assembler.buffered_bytes(), arrived.all.len() as u64);
}

fn set(step: &Step, set: &mut FuzzedRanges, numbers: &mut BTreeSet<u64>) {
    let range = |start: u8, len: u8| u64::from(start)..u64::from(start) + u64::from(len);
    match step {
        Step::Add { start, len } => {
            let before = numbers.len();
            numbers.extend(range(*start, *len));
            assert_eq!(set.insert(range(*start, *len)), (numbers.len() - before) as u64);
        }
        Step::Remove { start, len } => {
            set.remove(range(*start, *len));
            numbers.retain(|number| !range(*start, *len).contains(number));
        }
        Step::Ask { start, len } => {
            let range = range(*start, *len);
            assert_eq!(set.covers(&range), range.clone().all(|number| numbers.contains(&number)));
            let gap = ranges(range.clone().filter(|number| !numbers.contains(number))).into_iter().next();
            assert_eq!(set.first_gap(range.clone()), gap);
            let touched = range.start.saturating_sub(1)..=range.end;
            let is_touched = range.is_empty() || numbers.range(touched).next().is_some();
            assert_eq!(set.touches(&range), is_touched);
        }
        Step::Insert { .. } | Step::Read { .. } | Step::Clear => return,
    }
    assert_eq!(set.contents(), (numbers.len() as u64, ranges(numbers.iter().copied())));
}

fuzz_target!(|data: &[u8]| {
    let mut source = Unstructured::new(data);
    let (mut assembler, mut arrived) = (FuzzedAssembler::new(MAX_RANGES), Arrived::default());
    let (mut fuzzed, mut numbers) = (FuzzedRanges::default(), BTreeSet::new());
    while !source.is_empty()
        && let Ok(step) = Step::arbitrary(&mut source)
    {
        stream(&step, &mut assembler, &mut arrived);
        set(&step, &mut fuzzed, &mut numbers);
    }
});
