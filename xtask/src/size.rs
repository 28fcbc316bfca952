//! How much a page has to load.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::Error;

/// What the package promises, gzipped.
pub(crate) const MAX_WASM_BYTES: usize = 250 * 1024;
/// All scripts together, gzipped.
pub(crate) const MAX_SCRIPT_BYTES: usize = 30 * 1024;

/// Prints what all files of `directory` with this extension weigh together, and fails above `max_bytes`.
pub(crate) fn check(directory: &Path, extension: &str, max_bytes: usize) -> Result<(), Error> {
    let mut total = 0;
    for file in files(directory, extension)? {
        let bytes = gzipped(&fs::read(&file)?)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        println!("{bytes:>9} bytes gzipped  {name}");
        total += bytes;
    }
    println!("{total:>9} bytes gzipped  all .{extension} (at most {max_bytes})");
    match total {
        0 => Err(format!("there is no .{extension} in {}", directory.display()).into()),
        _ if total > max_bytes => {
            Err(format!("{total} bytes of .{extension} are more than {max_bytes}").into())
        }
        _ => Ok(()),
    }
}

/// Prints what every file below `directory` weighs.
pub(crate) fn print(directory: &Path) -> Result<(), Error> {
    let (mut total, mut waiting) = (0, vec![directory.to_owned()]);
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(entries(&path)?.into_iter().rev());
            continue;
        }
        let bytes = gzipped(&fs::read(&path)?)?;
        println!("{bytes:>9} bytes gzipped  {}", path.strip_prefix(directory)?.display());
        total += bytes;
    }
    println!("{total:>9} bytes gzipped  in all");
    Ok(())
}

fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, Error> {
    let mut files = entries(directory)?;
    files.retain(|file| file.extension() == Some(OsStr::new(extension)));
    Ok(files)
}

/// What is in a directory, sorted.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut entries = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    Ok(entries)
}

fn gzipped(data: &[u8]) -> Result<usize, Error> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data)?;
    Ok(encoder.finish()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_is_too_large_or_empty_is_refused() {
        let directory = std::env::temp_dir().join(format!("kwik-xtask-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        assert!(check(&directory, "wasm", 1000).is_err(), "there is nothing");
        fs::write(directory.join("a.wasm"), [7; 5000]).unwrap();
        fs::write(directory.join("b.js"), [7; 10]).unwrap();
        assert!(check(&directory, "wasm", 1000).is_ok(), "what counts is gzipped");
        assert!(check(&directory, "wasm", 10).is_err());
        fs::remove_dir_all(&directory).unwrap();
    }
}
