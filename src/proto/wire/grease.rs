//! Grease (docs/PROTOCOL.md section 8): numbers that will never mean anything, sent now and then so that every
//! receiver keeps skipping what it does not know.

use bytes::BufMut;

use super::varint;

const STEP: u64 = 0x1f;
const FIRST: u64 = 0x21;

/// One of the reserved numbers `0x1f * n + 0x21`, chosen by `entropy`: for a frame type, lane type, parameter
/// id, version or code.
pub fn grease_number(entropy: u64) -> u64 {
    let choices = (varint::MAX - FIRST) / STEP + 1;
    STEP * (entropy % choices) + FIRST
}

/// Whether `number` is reserved for grease.
pub fn is_grease(number: u64) -> bool {
    number >= FIRST && (number - FIRST).is_multiple_of(STEP)
}

/// Appends a frame of a reserved type with up to seven bytes of body, all chosen by `entropy`.
pub fn put_grease_frame(buf: &mut impl BufMut, entropy: u64) {
    let length = entropy >> 61;
    varint::put(buf, grease_number(entropy));
    varint::put(buf, length);
    buf.put_uint(entropy, length as usize);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::wire::code::TransportCode;
    use crate::proto::wire::frame::FrameType;
    use crate::proto::wire::limits;
    use bytes::{Buf, Bytes, BytesMut};
    use proptest::prelude::*;

    #[test]
    fn no_number_with_a_meaning_is_grease() {
        assert!(FrameType::ALL.iter().all(|frame| !is_grease(frame.as_u64())));
        assert!(TransportCode::ALL.iter().all(|code| !is_grease(code.as_u64())));
        assert!(!is_grease(limits::VERSION));
    }

    proptest! {
        #[test]
        fn a_grease_frame_is_well_formed_and_of_no_known_type(entropy: u64) {
            let mut buf = BytesMut::new();
            put_grease_frame(&mut buf, entropy);
            let mut bytes: Bytes = buf.freeze();
            let number = varint::get(&mut bytes).unwrap();
            prop_assert!(is_grease(number) && number <= varint::MAX);
            prop_assert_eq!(FrameType::from_u64(number), None);
            let length = varint::get(&mut bytes).unwrap();
            prop_assert_eq!(bytes.remaining() as u64, length);
        }
    }
}
