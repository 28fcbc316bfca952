//! One byte that says how to cut, then a lane. However it is cut, the reader makes the same of it, and never hands
//! out more payload than it was given.
#![no_main]

use bytes::Bytes;
use kwik::proto::lane::{LaneError, LaneItem, LaneReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((seed, lane)) = data.split_first() else { return };
    let lane = Bytes::copy_from_slice(lane);
    let whole = read(std::iter::once(lane.clone()));
    assert_eq!(read(cut(lane.clone(), *seed)), whole);

    let payload_bytes: usize = whole.0.iter().map(payload_bytes).sum();
    assert!(payload_bytes <= lane.len());
});

fn payload_bytes(item: &LaneItem) -> usize {
    match item {
        LaneItem::Chunk { data, .. } => data.len(),
        _ => 0,
    }
}

/// Pieces of 1 to 16 bytes in an order that depends on the seed; seed 0: single bytes.
fn cut(mut rest: Bytes, seed: u8) -> impl Iterator<Item = Bytes> {
    let mut state = u32::from(seed);
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(u32::from(seed));
        let size = 1 + (state >> 28) as usize;
        (!rest.is_empty()).then(|| rest.split_to(size.min(rest.len())))
    })
}

/// All that the reader makes of a lane, with the pieces of each record joined, and how it ended.
fn read(pieces: impl Iterator<Item = Bytes>) -> (Vec<LaneItem>, Result<(), LaneError>) {
    let mut reader = LaneReader::new();
    let mut items = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(item)) => add(&mut items, item),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
    }
    (items, reader.finish())
}

fn add(items: &mut Vec<LaneItem>, item: LaneItem) {
    let Some(LaneItem::Chunk { offset: start, fin: ended, data: joined, .. }) = items.last_mut() else {
        return items.push(item);
    };
    match item {
        LaneItem::Chunk { offset, fin, data, .. } if *start + joined.len() as u64 == offset && !*ended => {
            *joined = [&joined[..], &data[..]].concat().into();
            *ended = fin;
        }
        other => items.push(other),
    }
}
