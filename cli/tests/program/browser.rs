//! What a browser has of a demonstration: it asks for the page and works the lines over HTTP.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use crate::scene::Scene;

/// `kwik demo --web` with a page of its own, which has said where it is. It is killed when dropped.
pub(crate) struct Demo {
    pub(crate) child: Child,
    /// `IP:PORT` of the page.
    pub(crate) address: String,
    stdout: BufReader<ChildStdout>,
}

/// What an HTTP server says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Scene {
    /// Starts a demonstration of the page in `page` on a port that the system chooses.
    pub(crate) fn demo(&self) -> Demo {
        fs::create_dir_all(self.path("page/assets")).unwrap();
        fs::write(self.path("page/index.html"), "<!doctype html>").unwrap();
        fs::write(self.path("page/assets/core.wasm"), b"\0asm").unwrap();
        self.demo_with(&["--page", "page", "--listen", "127.0.0.1:0"])
    }

    pub(crate) fn demo_with(&self, arguments: &[&str]) -> Demo {
        let mut command = self.kwik(["demo", "--web"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.strip_prefix("Open http://").and_then(|rest| rest.split('/').next());
        let address = address.unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Demo { child, address, stdout }
    }
}

impl Demo {
    /// Sends a request, with further lines of its head, and reads the whole answer.
    pub(crate) fn request(&self, request: &str, head: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let more: String = head.iter().map(|line| format!("{line}\r\n")).collect();
        let (host, length) = (&self.address, body.len());
        write!(stream, "{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n{body}")
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("the end of the head");
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head, body: answer[end + 4..].to_vec() }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path}"), &[], "")
    }

    pub(crate) fn post(&self, path: &str) -> Answer {
        self.request(&format!("POST {path}"), &[], "")
    }

    pub(crate) fn cut_all(&self, body: &str) -> Answer {
        self.request("POST /api/lines/cut-all", &["Content-Type: application/json"], body)
    }

    /// What `/api/demo` says.
    pub(crate) fn state(&self) -> Value {
        self.get("/api/demo").json()
    }

    /// What is dialled to come by a line.
    pub(crate) fn line_url(&self, id: usize) -> String {
        self.state()["lines"][id]["url"].as_str().unwrap().to_owned()
    }

    /// Which lines are cut.
    pub(crate) fn cut(&self) -> Vec<bool> {
        cut(&self.state())
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// What it says to its end.
    #[cfg(unix)]
    pub(crate) fn last_words(&mut self) -> String {
        let mut words = String::new();
        self.stdout.read_to_string(&mut words).unwrap();
        words
    }
}

/// Which of the lines in an answer are cut.
pub(crate) fn cut(answer: &Value) -> Vec<bool> {
    answer["lines"].as_array().unwrap().iter().map(|line| line["cut"].as_bool().unwrap()).collect()
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// The value of a header; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It is a refusal with this status that says why, with `word` in it.
    pub(crate) fn refuses(&self, status: u16, word: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let error = self.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
}
