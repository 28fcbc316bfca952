//! Bytes that are known by seed and offset, so that both ends can check every one of them.

use bytes::Bytes;

/// An endless row of bytes, another one for each seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pattern {
    pub(crate) seed: u64,
}

const WORD_BYTES: u64 = 8;

impl Pattern {
    /// The bytes from `offset` on.
    pub(crate) fn bytes(self, offset: u64, len: usize) -> Bytes {
        let skipped = (offset % WORD_BYTES) as usize;
        let words = (skipped + len).div_ceil(WORD_BYTES as usize) as u64;
        let first = offset / WORD_BYTES;
        let mut bytes = Vec::with_capacity(words as usize * WORD_BYTES as usize);
        for index in first..first + words {
            bytes.extend_from_slice(&self.word(index));
        }
        Bytes::from(bytes).slice(skipped..skipped + len)
    }

    /// Whether `data` is what stands at `offset`.
    pub(crate) fn is_at(self, offset: u64, data: &[u8]) -> bool {
        self.bytes(offset, data.len()) == data
    }

    /// SplitMix64: each word by its index alone.
    fn word(self, index: u64) -> [u8; 8] {
        let mut word = self.seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_from_the_middle_is_the_middle_of_the_whole() {
        let pattern = Pattern { seed: 7 };
        let whole = pattern.bytes(0, 100);
        for (offset, len) in [(0, 0), (0, 8), (3, 5), (7, 60), (99, 1)] {
            assert_eq!(pattern.bytes(offset as u64, len), whole.slice(offset..offset + len));
        }
    }

    #[test]
    fn one_wrong_byte_or_another_place_or_seed_is_noticed() {
        let pattern = Pattern { seed: 7 };
        let mut data = pattern.bytes(13, 1_000).to_vec();
        assert!(pattern.is_at(13, &data));
        assert!(!pattern.is_at(21, &data) && !Pattern { seed: 8 }.is_at(13, &data));
        data[999] ^= 1;
        assert!(!pattern.is_at(13, &data));
    }
}
