//! What is transferred: files of random bytes in memory, their digests, their sizes as people write them.

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Read, hashed and written at once.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;

/// A number of bytes: `1GiB`, `64MiB`, `10MB`, `1500`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let factor = match unit.trim() {
            "" | "B" => Some(1),
            "kB" => Some(1_000),
            "MB" => Some(1_000_000),
            "GB" => Some(1_000_000_000),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        let bytes = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
        bytes.map(Self).with_context(|| format!("`{text}` is not a size: write it like 1GiB, 64MiB or 10MB"))
    }
}

/// As it can be read again: in the largest binary unit that it is a multiple of.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units: [(u64, _); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|(factor, _)| self.0 > 0 && self.0.is_multiple_of(*factor)) {
            Some((factor, unit)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A directory that is gone when dropped, in memory where the system has such a place, so that no disk is
/// measured.
pub fn scratch_dir() -> Result<TempDir> {
    let builder = || tempfile::Builder::new().prefix("kwik-bench-").to_owned();
    let shared_memory = Path::new("/dev/shm");
    let dir = if shared_memory.is_dir() { builder().tempdir_in(shared_memory) } else { builder().tempdir() };
    dir.context("no scratch directory could be made")
}

/// A file of random bytes and the SHA-256 it must arrive with.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Where it is.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

impl Sample {
    /// Writes `dir/name`; the same size gives the same bytes.
    pub fn create(dir: &Path, name: &str, bytes: u64) -> Result<Self> {
        let path = dir.join(name);
        let cannot_write = || format!("{} could not be written", path.display());
        let mut file = BufWriter::with_capacity(BLOCK_BYTES, File::create(&path).with_context(cannot_write)?);
        let mut rng = ChaCha8Rng::seed_from_u64(bytes);
        let mut hasher = Sha256::new();
        let mut block = vec![0; BLOCK_BYTES];
        let mut left = bytes;
        while left > 0 {
            let len = left.min(BLOCK_BYTES as u64) as usize;
            rng.fill_bytes(&mut block[..len]);
            hasher.update(&block[..len]);
            file.write_all(&block[..len]).with_context(cannot_write)?;
            left -= len as u64;
        }
        file.flush().with_context(cannot_write)?;
        Ok(Self { path, bytes, sha256: hex(&hasher.finalize()) })
    }

    /// Its last component.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The SHA-256 of a file, in lower-case hexadecimal.
pub fn sha256_of(path: &Path) -> Result<String> {
    let cannot_read = || format!("{} could not be read", path.display());
    let mut file = File::open(path).with_context(cannot_read)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match file.read(&mut block).with_context(cannot_read)? {
            0 => return Ok(hex(&hasher.finalize())),
            len => hasher.update(&block[..len]),
        }
    }
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The reverse of [`hex`].
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_decimal_and_binary_units() {
        let size = |text: &str| text.parse::<ByteSize>().map(|size| size.0).ok();
        assert_eq!(size("1GiB"), Some(1 << 30));
        assert_eq!(size("10MB"), Some(10_000_000));
        assert_eq!(size("1500"), Some(1500));
        for text in ["", "GiB", "1 gigabyte", "-1", "99999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_written_as_they_are_read() {
        let texts = [0, 1, 1_500, 3 << 20, 1 << 30].map(|bytes| ByteSize(bytes).to_string());
        assert_eq!(texts, ["0", "1", "1500", "3MiB", "1GiB"]);
    }

    #[test]
    fn hexadecimal_goes_there_and_back() {
        assert_eq!(hex(&[0, 0x9f, 0xff]), "009fff");
        assert_eq!(from_hex("009fff"), Some(vec![0, 0x9f, 0xff]));
        assert_eq!((from_hex("abc"), from_hex("zz")), (None, None));
    }

    #[test]
    fn a_sample_has_its_size_and_digest() {
        let dir = scratch_dir().unwrap();
        let sample = Sample::create(dir.path(), "sample", BLOCK_BYTES as u64 + 7).unwrap();
        assert_eq!(std::fs::metadata(&sample.path).unwrap().len(), sample.bytes);
        assert_eq!(sha256_of(&sample.path).unwrap(), sample.sha256);
        assert_eq!(sample.name(), "sample");
    }
}
