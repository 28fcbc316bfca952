//! Bytes that look random and are the same every time.

use std::io::{self, Read};

const WORD_BYTES: usize = 8;

/// An endless file made on the spot (splitmix64 by Sebastiano Vigna): the same seed gives the same bytes, in whatever
/// pieces they are read.
#[derive(Debug, Clone)]
pub(crate) struct Noise {
    state: u64,
    /// The last word, of which `left_bytes` were not read yet.
    word: [u8; WORD_BYTES],
    left_bytes: usize,
}

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, word: [0; WORD_BYTES], left_bytes: 0 }
    }

    fn next_word(&mut self) -> [u8; WORD_BYTES] {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)).to_le_bytes()
    }
}

impl Read for Noise {
    /// Fills the whole buffer.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (head, body) = buffer.split_at_mut(self.left_bytes.min(buffer.len()));
        head.copy_from_slice(&self.word[WORD_BYTES - self.left_bytes..][..head.len()]);
        self.left_bytes -= head.len();
        for piece in body.chunks_mut(WORD_BYTES) {
            self.word = self.next_word();
            piece.copy_from_slice(&self.word[..piece.len()]);
            self.left_bytes = WORD_BYTES - piece.len();
        }
        Ok(buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(seed: u64) -> [u8; 1003] {
        let mut bytes = [0; 1003];
        Noise::new(seed).read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn the_bytes_are_the_same_in_whatever_pieces_they_are_read() {
        for piece_bytes in 1..30 {
            let (mut noise, mut read) = (Noise::new(1), [0; 1003]);
            read.chunks_mut(piece_bytes).for_each(|piece| noise.read_exact(piece).unwrap());
            assert_eq!(read, bytes(1), "in pieces of {piece_bytes}");
        }
    }
}
