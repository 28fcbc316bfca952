//! Whether something has to be built again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::Error;

/// What is made, not written: no part of the sources. Nor is what is hidden.
const MADE: [&str; 3] = ["dist", "node_modules", "target"];
/// So ends a package that was packed.
const PACKED: &str = ".tgz";

/// Whether `made` is missing, or older than any file of `sources` (files, or directories with all that is in them).
pub(crate) fn is_older(made: &Path, sources: &[PathBuf]) -> Result<bool, Error> {
    if !made.exists() {
        return Ok(true);
    }
    let made = changed(made)?;
    let mut waiting = sources.to_vec();
    while let Some(path) = waiting.pop() {
        if !is_written(&path) {
            continue;
        }
        if path.is_file() && changed(&path)? > made {
            return Ok(true);
        }
        if path.is_dir() {
            waiting.extend(
                fs::read_dir(&path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, Error>>()?,
            );
        }
    }
    Ok(false)
}

fn is_written(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !(name.starts_with('.') || name.ends_with(PACKED) || MADE.contains(&&*name))
}

fn changed(path: &Path) -> Result<SystemTime, Error> {
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
    changed.map_err(|error| format!("{}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_missing_or_older_than_a_source_is_built_again() {
        let directory = std::env::temp_dir().join(format!("kwik-xtask-age-{}", std::process::id()));
        fs::create_dir_all(directory.join("src/deep")).unwrap();
        fs::create_dir_all(directory.join("src/node_modules")).unwrap();
        let now = SystemTime::now();
        let write = |name: &str, seconds_ago| {
            let file = fs::File::create(directory.join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(seconds_ago)).unwrap();
        };
        let sources = [directory.join("src")];
        let is_older = || is_older(&directory.join("made"), &sources).unwrap();
        write("src/deep/source", 20);
        assert!(is_older(), "it is missing");
        write("made", 10);
        assert!(!is_older());
        for made in ["src/node_modules/other", "src/.hidden", "src/deep/package-1.tgz"] {
            write(made, 0);
            assert!(!is_older(), "nobody has written {made}");
        }
        write("src/deep/source", 0);
        assert!(is_older());
        fs::remove_dir_all(&directory).unwrap();
    }
}
