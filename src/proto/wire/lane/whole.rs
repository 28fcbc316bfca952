//! A whole lane, read however it was cut: for tests and fuzz targets.

use bytes::Bytes;

use super::{LaneError, LaneItem, LaneReader};

/// All that the reader makes of a lane, with the pieces of each record joined, and how it ended.
pub fn read(pieces: impl IntoIterator<Item = Bytes>) -> (Vec<LaneItem>, Result<(), LaneError>) {
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

/// Adds an item, joined to the last one if it goes on with that one's record.
pub(super) fn add(items: &mut Vec<LaneItem>, item: LaneItem) {
    if let (
        Some(LaneItem::Chunk { offset: start, fin: ended, data: joined, .. }),
        LaneItem::Chunk { offset, fin, data, .. },
    ) = (items.last_mut(), &item)
        && *start + joined.len() as u64 == *offset
        && !*ended
    {
        *joined = [&joined[..], &data[..]].concat().into();
        *ended = *fin;
        return;
    }
    items.push(item);
}

/// Cuts a lane into pieces of these sizes, at least a byte each; what is left when they end is one more.
pub fn cut(mut lane: Bytes, sizes: impl IntoIterator<Item = usize>) -> Vec<Bytes> {
    let mut sizes = sizes.into_iter();
    let mut pieces = Vec::new();
    while !lane.is_empty() {
        let size = sizes.next().unwrap_or(usize::MAX).clamp(1, lane.len());
        pieces.push(lane.split_to(size));
    }
    pieces
}
