//! The files that the server of the demonstration has.

use crate::noise_files::NoiseFile;

const MB: u64 = 1_000_000;

/// What the page can fetch; the first is what it fetches unless it is told otherwise.
pub(super) const FILES: [NoiseFile; 4] = [
    NoiseFile { name: "noise", bytes: 100 * MB },
    NoiseFile { name: "noise-10", bytes: 10 * MB },
    NoiseFile { name: "noise-100", bytes: 100 * MB },
    NoiseFile { name: "noise-200", bytes: 200 * MB },
];
