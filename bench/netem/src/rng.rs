//! A seeded random number generator: the one source of randomness in the emulated network.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Gives the same sequence for the same seed.
#[derive(Debug)]
pub(crate) struct SeededRng(ChaCha8Rng);

impl SeededRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with a probability of `permille` in a thousand.
    pub(crate) fn happens(&mut self, permille: u32) -> bool {
        self.unit() * 1000.0 < f64::from(permille)
    }

    /// Uniform in `0..below`; 0 if `below` is 0.
    pub(crate) fn index(&mut self, below: usize) -> usize {
        ((self.unit() * below as f64) as usize).min(below.saturating_sub(1))
    }
}
