//! The test fixture: the real program as server and clients, in a directory of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;

/// A directory with a `served` one in it, in which all programs of a test run.
pub(crate) struct Scene {
    dir: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("served")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of random bytes, the same for the same length, and returns its contents.
    pub(crate) fn write_random(&self, name: &str, bytes: usize) -> Vec<u8> {
        let contents = random_bytes(bytes);
        fs::write(self.path(name), &contents).unwrap();
        contents
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The names in a directory, sorted.
    pub(crate) fn names_in(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// `kwik` with these arguments, not started yet.
    pub(crate) fn kwik<A: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kwik"));
        // A certificate of its own for each test.
        command.args(arguments).current_dir(self.dir.path()).env("XDG_STATE_HOME", self.path("state"));
        command
    }

    /// Runs `kwik` to its end.
    pub(crate) fn run<A: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Finished {
        Finished(self.kwik(arguments).output().unwrap())
    }

    /// Starts a server of `served`.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_saying(arguments, Stdio::inherit())
    }

    /// Starts a server of `served` whose standard error goes elsewhere.
    pub(crate) fn serve_saying(&self, arguments: &[&str], stderr: Stdio) -> Server {
        let mut command = self.kwik(["serve", "served"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let addresses = arguments.iter().filter(|argument| **argument == "--listen").count();
        let urls = (0..addresses).map(|_| {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            line.strip_prefix("listening ").unwrap_or_else(|| panic!("{line:?}")).trim().to_owned()
        });
        let urls = urls.collect();
        Server { child, urls, _stdout: stdout }
    }

    /// Starts a server with one address.
    pub(crate) fn serve_one(&self, arguments: &[&str]) -> Server {
        self.serve(&[&["--listen", "127.0.0.1:0"], arguments].concat())
    }
}

/// Pseudo-random bytes, the same for the same length.
pub(crate) fn random_bytes(bytes: usize) -> Vec<u8> {
    let mut state = bytes as u64 | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// A server that has said where it listens. It is killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) urls: Vec<String>,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// The address of a file, by the first of the server's addresses.
    pub(crate) fn file(&self, name: &str) -> String {
        self.urls[0].replacen('?', &format!("/{name}?"), 1)
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that has ended.
pub(crate) struct Finished(pub Output);

impl Finished {
    pub(crate) fn succeeds(self) -> Self {
        assert!(self.0.status.success(), "{:?}", self.0);
        self
    }

    /// It failed with one line on standard error that has all of `words` in it.
    pub(crate) fn fails_saying(self, words: &[&str]) {
        let stderr = String::from_utf8_lossy(&self.0.stderr).into_owned();
        assert_eq!(self.0.status.code(), Some(1), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in {stderr}");
        }
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout()).unwrap_or_else(|error| panic!("{error}: {}", self.stdout()))
    }
}

/// The SHA-256 of some bytes, as it is printed.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits until a file is there.
pub(crate) fn await_file(path: &Path) {
    while !path.exists() {
        std::thread::yield_now();
    }
}
