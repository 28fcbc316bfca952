//! The command line of `kwik`, which is all that is known of it here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::process::Finished;

/// Where the program is.
#[derive(Debug, Clone, clap::Args)]
pub struct Kwik {
    /// The `kwik` program; by default the one beside this program.
    #[arg(long = "kwik", value_name = "PATH")]
    program: Option<PathBuf>,
}

impl Kwik {
    /// An absolute path to a program that is there.
    pub fn program(&self) -> Result<PathBuf> {
        let program = match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name("kwik"),
        };
        program.canonicalize().with_context(|| {
            format!(
                "no program {}: build it (cargo build --release -p kwik-cli) or give --kwik PATH",
                program.display()
            )
        })
    }
}

/// What a server prints for each of its addresses: `kwik://HOST:PORT?pin=...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// Where it is reached.
    pub addr: SocketAddr,
    /// All from the question mark on.
    query: String,
}

impl ServerUrl {
    /// Reads one.
    pub fn parse(url: &str) -> Result<Self> {
        let parsed = || {
            let rest = url.strip_prefix("kwik://")?;
            let (addr, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
            Some(Self { addr: addr.trim_end_matches('/').parse().ok()?, query: query.to_owned() })
        };
        parsed().with_context(|| format!("`{url}` is not of the form kwik://IP:PORT?pin=PIN"))
    }

    /// The same server, reached at another address.
    pub fn at(&self, addr: SocketAddr) -> Self {
        Self { addr, query: self.query.clone() }
    }

    /// The server itself.
    pub fn root(&self) -> String {
        format!("kwik://{}{}", self.addr, self.query)
    }

    /// A file on it.
    pub fn file(&self, name: &str) -> String {
        format!("kwik://{}/{name}{}", self.addr, self.query)
    }
}

/// `kwik serve DIR --listen ...`, ready for more arguments.
pub fn serve(mut kwik: Command, dir: &Path, listen: impl IntoIterator<Item = SocketAddr>) -> Command {
    kwik.arg("serve").arg(dir);
    for addr in listen {
        kwik.args(["--listen", &addr.to_string()]);
    }
    kwik
}

/// `kwik get FILE -o OUTPUT --json`, over all of `servers`, which are addresses of one server.
pub fn get(mut kwik: Command, servers: &[ServerUrl], file: &str, output: &Path) -> Command {
    kwik.arg("get").args(servers.first().map(|first| first.file(file)));
    kwik.arg("-o").arg(output);
    add_paths(&mut kwik, servers);
    kwik
}

/// `kwik put FILE SERVER --json`, over all of `servers`.
pub fn put(mut kwik: Command, servers: &[ServerUrl], file: &Path, name: &str) -> Command {
    kwik.arg("put").arg(file).args(servers.first().map(|first| first.file(name)));
    add_paths(&mut kwik, servers);
    kwik
}

fn add_paths(kwik: &mut Command, servers: &[ServerUrl]) {
    for server in servers.iter().skip(1) {
        kwik.args(["--path", &server.root()]);
    }
    kwik.arg("--json");
}

/// What `--json` prints at the end of a transfer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Report {
    /// Of the file.
    pub bytes: u64,
    /// The transfer's own time.
    pub seconds: f64,
    /// What was transferred, in hexadecimal.
    pub sha256: String,
    /// One entry for each path there ever was.
    pub paths: Vec<PathReport>,
    /// Paths that died.
    pub path_failures: u64,
    /// Times that every path had died and the session went on.
    pub resumes: u64,
    /// The longest time without any progress.
    pub longest_stall_ms: f64,
}

/// One path's part in it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PathReport {
    /// Payload bytes carried.
    pub bytes: u64,
    /// Of those, bytes that another path was carrying too.
    pub reinjected_bytes: u64,
}

impl Report {
    /// Reads it from what the program printed.
    pub fn parse(finished: &Finished) -> Result<Self> {
        // It may stand on several lines, and lines for people may stand before it.
        let json = finished.stdout.find('{').map(|at| &finished.stdout[at..]).unwrap_or_default();
        serde_json::from_str(json)
            .with_context(|| format!("`--json` gave no report but `{}`", finished.stdout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn urls_keep_their_pin_and_change_their_address() {
        let url = ServerUrl::parse("kwik://127.0.0.1:4433?pin=abc-_").unwrap();
        let other = url.at("[::1]:99".parse().unwrap());
        assert_eq!(other.root(), "kwik://[::1]:99?pin=abc-_");
        assert_eq!(url.file("data"), "kwik://127.0.0.1:4433/data?pin=abc-_");
        for wrong in ["quinn://127.0.0.1:1", "kwik://localhost:1", "kwik://127.0.0.1"] {
            assert!(ServerUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_transfer_over_two_addresses_names_the_second_as_a_path() {
        let first = ServerUrl::parse("kwik://10.7.0.2:1?pin=p").unwrap();
        let servers = [first.clone(), first.at("10.7.1.2:1".parse().unwrap())];
        let get = get(Command::new("kwik"), &servers, "data", Path::new("/dev/null"));
        let expected = [
            "get",
            "kwik://10.7.0.2:1/data?pin=p",
            "-o",
            "/dev/null",
            "--path",
            "kwik://10.7.1.2:1?pin=p",
            "--json",
        ];
        assert_eq!(words(&get), expected);
        let put = put(Command::new("kwik"), &servers[..1], Path::new("here"), "there");
        assert_eq!(words(&put), ["put", "here", "kwik://10.7.0.2:1/there?pin=p", "--json"]);
    }

    #[test]
    fn the_report_is_read_and_fields_unknown_here_are_passed_over() {
        let json = r#"{"bytes":3,"seconds":0.5,"sha256":"ab","paths":[{"id":0,"remote":"10.7.0.2:1","bytes":3,
            "reinjected_bytes":1,"rtt_ms":40.2,"state":"active"}],"path_failures":1,"resumes":0,"longest_stall_ms":12}"#;
        let finished = Finished { seconds: 1.0, cpu_seconds: 0.0, stdout: format!("{json}\n") };
        let report = Report::parse(&finished).unwrap();
        assert_eq!(report.paths, [PathReport { bytes: 3, reinjected_bytes: 1 }]);
        assert_eq!((report.path_failures, report.longest_stall_ms), (1, 12.0));
        let silent = Finished { stdout: String::new(), ..finished };
        assert!(Report::parse(&silent).is_err());
    }
}
