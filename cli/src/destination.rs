//! Where a download goes: to `FILE.part` until it is complete and verified, then to `FILE`.
//!
//! What is in a `FILE.part` that is there already is not fetched again if the server's file begins with just
//! that. The server is told its SHA-256 and says whether it does: a part needs no notes about the version of
//! the file it belongs to. A device or a pipe is written to directly.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::blocks::hash_prefix;
use crate::digest::Digest;
use crate::error::Error;

/// Where a download goes.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    /// A device or a pipe.
    Special(PathBuf),
    /// A file, by way of its part.
    File { path: PathBuf, part: PathBuf },
}

/// What an earlier download has left.
#[derive(Debug)]
pub(crate) struct Part {
    file: Option<File>,
    pub(crate) bytes: u64,
    hasher: Sha256,
}

impl Part {
    /// Of what is there.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.hasher.clone())
    }
}

impl Destination {
    /// `output`, or the last part of `name` in the working directory, or in the directory `output`.
    pub(crate) fn new(output: Option<&Path>, name: &str) -> Self {
        let file_name = name.rsplit('/').next().unwrap_or(name);
        let mut path = output.map_or_else(|| PathBuf::from(file_name), Path::to_path_buf);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => path.push(file_name),
            Ok(metadata) if !metadata.is_file() => return Self::Special(path),
            _ => {}
        }
        let mut part = path.clone().into_os_string();
        part.push(".part");
        Self::File { path, part: part.into() }
    }

    /// What it is called.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Special(path) | Self::File { path, .. } => path,
        }
    }

    /// Looks for the part of an earlier download, and hashes it. Blocks.
    pub(crate) fn look_for_part(&self) -> Result<Part, Error> {
        let nothing = Part { file: None, bytes: 0, hasher: Sha256::new() };
        let Self::File { part, .. } = self else { return Ok(nothing) };
        let mut file = match OpenOptions::new().read(true).write(true).open(part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nothing),
            opened => opened.map_err(Error::file("open", part))?,
        };
        lock(&file, part)?;
        let bytes = file.metadata().map_err(Error::file("read", part))?.len();
        let hasher = hash_prefix(&mut file, bytes).map_err(Error::file("read", part))?;
        Ok(Part { file: Some(file), bytes, hasher })
    }

    /// Opens what is to be written from `offset` on, with the hash of what comes before. Blocks.
    pub(crate) fn open(&self, part: Part, offset: u64) -> Result<(File, Sha256), Error> {
        match (self, part.file) {
            (Self::Special(path), _) => {
                let file = OpenOptions::new().write(true).open(path).map_err(Error::file("open", path))?;
                Ok((file, Sha256::new()))
            }
            (Self::File { .. }, Some(file)) if offset == part.bytes => Ok((file, part.hasher)),
            (Self::File { part: path, .. }, file) => {
                let mut file = file.map_or_else(|| create(path), Ok)?;
                let emptied = file.set_len(0).and_then(|()| file.rewind());
                emptied.map_err(Error::file("write", path))?;
                Ok((file, Sha256::new()))
            }
        }
    }

    /// Gives the file its name, now that it is complete. Blocks.
    pub(crate) fn keep(&self) -> Result<(), Error> {
        match self {
            Self::Special(_) => Ok(()),
            Self::File { path, part } => fs::rename(part, path).map_err(Error::file("write", path)),
        }
    }

    /// Removes a part that turned out to be wrong. Blocks.
    pub(crate) fn discard(&self) -> Result<(), Error> {
        match self {
            Self::Special(_) => Ok(()),
            Self::File { part, .. } => fs::remove_file(part).map_err(Error::file("remove", part)),
        }
    }

    /// What an interrupted download leaves to go on from, if anything.
    pub(crate) fn left_over(&self) -> Option<&Path> {
        match self {
            Self::File { part, .. } if part.exists() => Some(part),
            _ => None,
        }
    }
}

fn create(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(Error::file("create", path))?;
    lock(&file, path)?;
    Ok(file)
}

/// Two downloads into one part would make a mess of it.
fn lock(file: &File, path: &Path) -> Result<(), Error> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
        // A file system without locks: then without.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(Error::file("lock", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn in_directory() -> (tempfile::TempDir, Destination) {
        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::new(Some(dir.path()), "some/file");
        assert_eq!(destination.path(), dir.path().join("file"));
        (dir, destination)
    }

    #[test]
    fn a_file_gets_its_name_when_it_is_kept() {
        let (dir, destination) = in_directory();
        let part = destination.look_for_part().unwrap();
        assert_eq!(part.bytes, 0);
        assert!(destination.left_over().is_none(), "looking leaves nothing behind");
        let (mut file, _) = destination.open(part, 0).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!destination.path().exists());
        assert_eq!(destination.left_over().unwrap(), dir.path().join("file.part"));
        destination.keep().unwrap();
        assert_eq!(fs::read(destination.path()).unwrap(), b"whole");
        assert!(destination.left_over().is_none());
    }

    #[test]
    fn a_part_is_gone_on_with_when_the_server_agrees() {
        let (dir, destination) = in_directory();
        fs::write(dir.path().join("file.part"), "begin").unwrap();
        let part = destination.look_for_part().unwrap();
        assert_eq!(part.bytes, 5);
        let (mut file, hasher) = destination.open(part, 5).unwrap();
        assert_eq!(Digest::of(hasher), Digest::of(Sha256::new_with_prefix("begin")));
        file.write_all(b"ning").unwrap();
        destination.keep().unwrap();
        assert_eq!(fs::read(destination.path()).unwrap(), b"beginning");
    }

    #[test]
    fn a_part_of_another_file_is_begun_anew() {
        let (dir, destination) = in_directory();
        fs::write(dir.path().join("file.part"), "something else").unwrap();
        let part = destination.look_for_part().unwrap();
        let (mut file, hasher) = destination.open(part, 0).unwrap();
        assert_eq!(Digest::of(hasher), Digest::of(Sha256::new()));
        file.write_all(b"new").unwrap();
        destination.keep().unwrap();
        assert_eq!(fs::read(destination.path()).unwrap(), b"new");
    }

    #[test]
    fn two_downloads_do_not_share_a_part() {
        let (dir, destination) = in_directory();
        fs::write(dir.path().join("file.part"), "begin").unwrap();
        let _part = destination.look_for_part().unwrap();
        assert!(matches!(destination.look_for_part(), Err(Error::InUse { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_directly() {
        let destination = Destination::new(Some(Path::new("/dev/null")), "file");
        assert!(matches!(destination, Destination::Special(_)));
        let part = destination.look_for_part().unwrap();
        destination.open(part, 0).unwrap();
        destination.keep().unwrap();
        assert!(destination.left_over().is_none());
    }
}
