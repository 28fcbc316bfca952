//! A seeded random number generator: the one source of randomness in a run.

use std::ops::Range;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

pub(crate) struct SimRng(ChaCha8Rng);

impl SimRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform in the range.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.0.next_u64() % (range.end - range.start).max(1)
    }

    /// Log-uniform in the range: each order of magnitude is as likely as the next.
    pub(crate) fn magnitude(&mut self, range: Range<u64>) -> u64 {
        // `libm`, since the platforms' logarithms differ in the last bit, and a seed has to mean the same everywhere.
        let (low, high) = (libm::log(range.start.max(1) as f64), libm::log(range.end as f64));
        libm::exp(low + (high - low) * self.unit()) as u64
    }

    pub(crate) fn ms(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.within(range.start * 1000..range.end * 1000))
    }

    /// Uniform from 0 to 1, both included.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / f64::from(u32::MAX)
    }

    pub(crate) fn happens(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.within(0..1_000_000) < u64::from(ppm)
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.0.next_u32() & 1 == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.within(0..of.len() as u64) as usize]
    }

    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }
}
