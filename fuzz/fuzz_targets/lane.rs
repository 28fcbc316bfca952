//! One byte that says how to cut, then a lane. However it is cut, the reader makes the same of it, and never hands
//! out more payload than it was given.
#![no_main]

use bytes::Bytes;
use kwik::proto::wire::lane::LaneItem;
use kwik::proto::wire::lane::whole::{cut, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((seed, lane)) = data.split_first() else { return };
    let lane = Bytes::copy_from_slice(lane);
    let whole = read([lane.clone()]);
    assert_eq!(read(cut(lane.clone(), sizes(*seed))), whole);

    let payload_bytes: usize = whole.0.iter().map(payload_bytes).sum();
    assert!(payload_bytes <= lane.len());
});

fn payload_bytes(item: &LaneItem) -> usize {
    match item {
        LaneItem::Chunk { data, .. } => data.len(),
        _ => 0,
    }
}

/// 1 to 16, in an order that depends on the seed; seed 0: always 1.
fn sizes(seed: u8) -> impl Iterator<Item = usize> {
    let mut state = u32::from(seed);
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(u32::from(seed));
        1 + (state >> 28) as usize
    })
}
