//! The directory that is served, and nothing outside of it.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use tempfile::NamedTempFile;

/// A directory whose files are served. No name leads out of it: not by `..`, not from the root, not by a
/// symbolic link.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    /// Without symbolic links in it.
    path: PathBuf,
}

/// A name leads to no file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NameError {
    #[error("{0:?} is not the name of a file below what is served")]
    BadName(String),
    #[error("there is no file {0:?}")]
    NotFound(String),
    #[error("this server takes no files: it was started without --writable")]
    ReadOnly,
    #[error("{name:?}: {source}")]
    Io { name: String, source: io::Error },
}

impl Root {
    /// Serves `path`, which has to be a directory.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        if path.is_dir() { Ok(Self { path }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// Opens a file to read it.
    pub(crate) fn open(&self, name: &str) -> Result<(File, u64), NameError> {
        let path = self.inside(name, &self.path.join(relative(name)?))?;
        // Before it is opened: opening a pipe would wait for whoever writes to it.
        if !fs::metadata(&path).map_err(io_error(name))?.is_file() {
            return Err(NameError::NotFound(name.to_owned()));
        }
        let file = File::open(&path).map_err(io_error(name))?;
        let size = file.metadata().map_err(io_error(name))?.len();
        Ok((file, size))
    }

    /// Makes a file that will have this name once it is complete, and is gone if it is dropped before.
    pub(crate) fn create(&self, name: &str) -> Result<Upload, NameError> {
        let relative = relative(name)?;
        let bad_name = || NameError::BadName(name.to_owned());
        let file_name = relative.file_name().ok_or_else(bad_name)?;
        let parent = relative.parent().unwrap_or(Path::new(""));
        let directory = self.inside(name, &self.path.join(parent))?;
        let target = directory.join(file_name);
        if target.is_dir() {
            return Err(bad_name());
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".kwik-put-").suffix(".part");
        // As readable as any other new file: the process's umask decides.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(directory).map_err(io_error(name))?;
        Ok(Upload { file, target })
    }

    /// Follows symbolic links, and insists on staying inside.
    fn inside(&self, name: &str, path: &Path) -> Result<PathBuf, NameError> {
        let path = path.canonicalize().map_err(io_error(name))?;
        // What is outside does not exist as far as clients are concerned.
        if path.starts_with(&self.path) { Ok(path) } else { Err(NameError::NotFound(name.to_owned())) }
    }
}

fn io_error(name: &str) -> impl FnOnce(io::Error) -> NameError {
    let name = name.to_owned();
    move |source| match source.kind() {
        // A file where a directory should be, too: there is no such name.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => NameError::NotFound(name),
        _ => NameError::Io { name, source },
    }
}

/// A name as a path that goes down only.
fn relative(name: &str) -> Result<PathBuf, NameError> {
    let path = Path::new(name);
    // On Windows a backslash separates and a colon begins a stream; elsewhere nobody misses them.
    let odd = name.is_empty() || name.contains(['\0', '\\', ':']);
    match !odd && path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(path.to_owned()),
        false => Err(NameError::BadName(name.to_owned())),
    }
}

/// A file on its way in.
#[derive(Debug)]
pub(crate) struct Upload {
    file: NamedTempFile,
    target: PathBuf,
}

impl Upload {
    /// Gives the file its name, in place of whatever had it.
    pub(crate) fn keep(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(self.target).map(drop).map_err(|error| error.error)
    }
}

impl io::Write for Upload {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    /// `outside` beside the `served` directory with `file` and `deep/file` in it.
    fn served() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("served/deep")).unwrap();
        for file in ["outside", "served/file", "served/deep/file"] {
            fs::write(dir.path().join(file), file).unwrap();
        }
        let root = Root::new(&dir.path().join("served")).unwrap();
        (dir, root)
    }

    fn contents(root: &Root, name: &str) -> Result<String, NameError> {
        let (mut file, size) = root.open(name)?;
        let mut contents = String::new();
        assert_eq!(file.read_to_string(&mut contents).unwrap() as u64, size);
        Ok(contents)
    }

    #[test]
    fn files_are_found_by_their_names() {
        let (_dir, root) = served();
        assert_eq!(contents(&root, "file").unwrap(), "served/file");
        assert_eq!(contents(&root, "deep/file").unwrap(), "served/deep/file");
    }

    #[test]
    fn no_name_leads_out() {
        let (dir, root) = served();
        let absolute = dir.path().join("outside");
        for name in ["", "/", "../outside", "deep/../../outside", "..", "/etc/passwd", "a\0b", "c:\\x"] {
            assert!(matches!(root.open(name), Err(NameError::BadName(_))), "{name}");
            assert!(matches!(root.create(name), Err(NameError::BadName(_))), "{name}");
        }
        assert!(matches!(root.open(absolute.to_str().unwrap()), Err(NameError::BadName(_))));
    }

    #[cfg(unix)]
    #[test]
    fn no_symbolic_link_leads_out_and_one_inside_is_followed() {
        use std::os::unix::fs::symlink;
        let (dir, root) = served();
        symlink("../outside", root.path.join("link")).unwrap();
        symlink("..", root.path.join("up")).unwrap();
        symlink("deep", root.path.join("down")).unwrap();
        for name in ["link", "up/outside"] {
            assert!(matches!(root.open(name), Err(NameError::NotFound(_))), "{name}");
        }
        assert!(matches!(root.create("up/new"), Err(NameError::NotFound(_))));
        assert_eq!(contents(&root, "down/file").unwrap(), "served/deep/file");
        // Storing replaces a link, it does not write through it.
        root.create("link").unwrap().keep().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("outside")).unwrap(), "outside");
    }

    #[test]
    fn what_is_no_file_is_not_found() {
        let (_dir, root) = served();
        for name in ["deep", "nothing", "file/file", "nowhere/file"] {
            assert!(matches!(root.open(name), Err(NameError::NotFound(_))), "{name}");
        }
        assert!(matches!(root.create("deep"), Err(NameError::BadName(_))));
        assert!(Root::new(&root.path.join("file")).is_err());
    }

    #[test]
    fn an_upload_has_its_name_when_it_is_complete_and_leaves_nothing_when_it_is_not() {
        let (_dir, root) = served();
        let mut upload = root.create("deep/file").unwrap();
        upload.write_all(b"new").unwrap();
        assert_eq!(contents(&root, "deep/file").unwrap(), "served/deep/file");
        upload.keep().unwrap();
        assert_eq!(contents(&root, "deep/file").unwrap(), "new");
        drop(root.create("deep/other").unwrap());
        let left: Vec<_> =
            fs::read_dir(root.path.join("deep")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["file"]);
    }
}
