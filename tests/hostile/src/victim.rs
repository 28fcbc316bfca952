//! A server of kwik's in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

/// The server, until it is dropped.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// What a client of kwik's dials.
    pub url: String,
    complaints: Option<JoinHandle<Vec<String>>>,
}

/// Memory that a process holds, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// At most, since it was last asked.
    pub peak: u64,
}

impl Victim {
    /// Starts `program`, which is the binary `hostile-victim` of this crate, with these arguments.
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let errors = BufReader::new(child.stderr.take().expect("it is piped"));
        let complaints = std::thread::spawn(move || errors.lines().map_while(Result::ok).collect());
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the server says where it is");
        let (address, url) = line.trim().split_once(' ').expect("address and URL");
        let address = address.parse().expect("an address");
        Self { child, address, url: url.to_owned(), complaints: Some(complaints) }
    }

    /// What it holds, and held at most since this was last called. `None` where the system does not tell (it is
    /// Linux's /proc).
    pub fn memory(&self) -> Option<Memory> {
        let directory = format!("/proc/{}", self.child.id());
        let status = std::fs::read_to_string(format!("{directory}/status")).ok()?;
        let kilobytes = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        let memory = Memory { resident: kilobytes("VmRSS")? * 1024, peak: kilobytes("VmHWM")? * 1024 };
        std::fs::write(format!("{directory}/clear_refs"), "5").ok()?;
        Some(memory)
    }

    /// Ends it. Returns what it wrote to its standard error: nothing, if all is well.
    pub fn stop(mut self) -> Vec<String> {
        let is_alive = matches!(self.child.try_wait(), Ok(None));
        // It ends with its input.
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("it ends");
        let mut complaints =
            self.complaints.take().map(|reader| reader.join().unwrap_or_default()).unwrap_or_default();
        if !is_alive || !status.success() {
            complaints.push(format!("the server ended by itself: {status}"));
        }
        complaints
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Gone already when it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
