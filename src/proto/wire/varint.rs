//! Variable-length integers (RFC 9000 section 16): 1, 2, 4 or 8 bytes, the length in the top two bits.
//!
//! Values above [`MAX`] do not exist on the wire. What comes from a peer cannot be larger; everything else is
//! bounded where it enters the core (codes and costs by their types, limits by `SessionConfig::validate`, offsets and
//! stream ids by flow control and stream limits). Writing asserts it in debug builds; in a release build a value that
//! slipped through loses its top two bits, which keeps the frame well-formed.

use bytes::{Buf, BufMut};

/// The largest value that can be written.
pub const MAX: u64 = (1 << 62) - 1;

/// How many bytes [`put`] writes.
pub(crate) const fn size(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

/// Appends `value`, at most [`MAX`], in the fewest bytes.
pub(crate) fn put(buf: &mut impl BufMut, value: u64) {
    debug_assert!(value <= MAX, "{value} does not fit into a varint");
    match size(value) {
        1 => buf.put_u8(value as u8),
        2 => buf.put_u16(0b01 << 14 | value as u16),
        4 => buf.put_u32(0b10 << 30 | value as u32),
        _ => buf.put_u64(0b11 << 62 | value),
    }
}

/// How many bytes a varint has, from its first one.
pub(crate) const fn size_from_first(first: u8) -> usize {
    1 << (first >> 6)
}

/// Takes a varint off the front; `None`, and `buf` as it was, when it is not there as a whole.
///
/// Like RFC 9000, it takes values in more bytes than they need.
pub(crate) fn get(buf: &mut impl Buf) -> Option<u64> {
    let size = size_from_first(*buf.chunk().first()?);
    if buf.remaining() < size {
        return None;
    }
    let tagged = buf.get_uint(size);
    Some(tagged & (MAX >> (64 - 8 * size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;

    fn encoded(value: u64) -> Bytes {
        let mut buf = BytesMut::new();
        put(&mut buf, value);
        buf.freeze()
    }

    #[test]
    fn the_samples_of_rfc_9000_a_1_read_and_write_the_same() {
        for (value, bytes) in [
            (151_288_809_941_952_652, &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..]),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, &[0x7b, 0xbd]),
            (37, &[0x25]),
        ] {
            assert_eq!(encoded(value), bytes);
            assert_eq!(get(&mut &bytes[..]), Some(value));
        }
        assert_eq!(get(&mut &[0x40, 0x25][..]), Some(37), "longer than needed, and still 37");
    }

    #[test]
    fn each_length_begins_where_the_shorter_one_ends() {
        for (value, length) in
            [(0, 1), (63, 1), (64, 2), (16_383, 2), (16_384, 4), ((1 << 30) - 1, 4), (1 << 30, 8), (MAX, 8)]
        {
            assert_eq!(size(value), length);
            assert_eq!(encoded(value).len(), length);
        }
    }

    proptest! {
        #[test]
        fn what_is_put_is_got(value in 0..=MAX) {
            let mut bytes = encoded(value);
            prop_assert_eq!(get(&mut bytes), Some(value));
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn a_part_of_a_varint_is_left_alone(value in 64..=MAX, cut in 1usize..8) {
            let whole = encoded(value);
            let mut part = whole.slice(..cut.min(whole.len() - 1));
            let before = part.clone();
            prop_assert_eq!(get(&mut part), None);
            prop_assert_eq!(part, before);
        }
    }
}
