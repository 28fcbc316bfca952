//! Pseudo-random bytes to send, and the SHA-256 that shows whether they arrived unchanged.

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A pseudo-random sequence (xorshift64) of a given length, the same for the same seed.
pub(crate) struct RandomBytes {
    state: u64,
    left: u64,
}

/// The length of each piece but the last.
const PIECE_BYTES: u64 = 256 * 1024;

impl RandomBytes {
    pub(crate) fn new(bytes: u64, seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, left: bytes }
    }
}

impl Iterator for RandomBytes {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let len = self.left.min(PIECE_BYTES) as usize;
        self.left -= len as u64;
        let words = (0..len.div_ceil(8)).flat_map(|_| {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            self.state.to_le_bytes()
        });
        (len > 0).then(|| words.take(len).collect::<Vec<u8>>().into())
    }
}

/// The SHA-256 of a stream's data, piece by piece.
#[derive(Default)]
pub(crate) struct Sum {
    hash: Sha256,
}

impl Sum {
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.hash.update(piece);
    }

    pub(crate) fn bytes(self) -> [u8; 32] {
        self.hash.finalize().into()
    }

    pub(crate) fn hex(self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
