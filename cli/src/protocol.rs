//! The file protocol, version 1: how files travel on the streams of a session.
//!
//! Each bidirectional stream, opened by the client, carries one request. Messages are lines: one JSON object,
//! at most 4,096 bytes with the newline that ends it; members that are not known are passed over. A request
//! says the version it is written in.
//!
//! ```text
//! GET   -> {"kwik_files":1,"get":{"name":"a/b","offset":1000,"prefix_sha256":"..."}}
//!       <- {"sending":{"size":5000,"offset":1000}}
//!       <- the bytes from offset to size
//!       <- {"sent":{"sha256":"..."}}                     of the whole file, from its first byte on
//!
//! PUT   -> {"kwik_files":1,"put":{"name":"a/b","size":5000}}
//!       <- {"ready":{}}
//!       -> the bytes
//!       -> {"sent":{"sha256":"..."}}
//!       <- {"stored":{"sha256":"..."}}                   once the file has its name
//!
//! ECHO  -> {"kwik_files":1,"echo":{"path":2}}
//!       <> the bytes that follow come back, on that path
//!
//! PATHS -> {"kwik_files":1,"paths":{}}
//!       <- {"paths":{"carried":[{"path":0,"sent_bytes":5000,"reinjected_bytes":0}]}}
//!                                        what the server has sent on each path since it last saw it
//! ```
//!
//! - `name` is relative to what the server serves, its parts separated by `/`.
//! - A `get` that continues (`offset` above 0) gives the SHA-256 of what the client has. If the file does not
//!   begin with that, the server sends it from the beginning and says so with `offset` 0.
//! - In place of any of its messages the server may say `{"failed":{"reason":"not_found","message":"..."}}`; it
//!   then ends its half of the stream and stops the other. A sender that fails in the midst of the bytes resets
//!   its half with code 1: the file shrank, or could not be read on.
//! - A datagram of 12 bytes or more that begins with `ECHO` and the number of a path (8 bytes, big-endian) comes
//!   back as it is, on that path.

use bytes::{Bytes, BytesMut};
use kwik::{AppCode, RecvStream, SendStream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Error;

/// The version of the protocol that is spoken here.
pub(crate) const VERSION: u32 = 1;

/// Longest message, its newline included: room for the longest name and a few members more.
const MAX_LINE_BYTES: usize = 4096;

/// The code of a stream whose sender could not go on.
pub(crate) const GAVE_UP: AppCode = AppCode(1);

/// Begins the datagrams that come back.
const ECHO_MAGIC: &[u8; 4] = b"ECHO";

/// The first line of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Versioned {
    kwik_files: u32,
    #[serde(flatten)]
    request: serde_json::Value,
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// A file, or the rest of it.
    Get {
        name: String,
        #[serde(default)]
        offset: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix_sha256: Option<Digest>,
    },
    /// To store a file.
    Put { name: String, size: u64 },
    /// The bytes back, on this path.
    Echo { path: u64 },
    /// What the server's end of the session has sent on its paths.
    Paths {},
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The bytes from `offset` on follow, of `size` in all.
    Sending { size: u64, offset: u64 },
    /// Go ahead.
    Ready {},
    /// The file is there, under its name.
    Stored { sha256: Digest },
    /// What was sent on each path.
    Paths { carried: Vec<Carried> },
    /// It did not work.
    Failed { reason: Reason, message: String },
}

/// What a server has sent on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Carried {
    pub(crate) path: u64,
    pub(crate) sent_bytes: u64,
    /// Copies of what was sent on other paths.
    pub(crate) reinjected_bytes: u64,
}

/// What follows the bytes, whoever sent them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trailer {
    /// That was all of the file.
    Sent { sha256: Digest },
}

/// Why a request failed, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// The request is not one of this version of the protocol.
    BadRequest,
    /// The name leads out of what is served, or cannot be one of a file.
    BadName,
    /// There is no such file.
    NotFound,
    /// The server may not read or write it, or takes no files.
    Forbidden,
    /// There is no room for it.
    NoSpace,
    /// What arrived is not what was sent.
    Mismatch,
    /// Anything else.
    #[serde(other)]
    Other,
}

/// The other end did not keep to the protocol.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("a message is longer than {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    #[error("a message is not understood: {0}")]
    NotUnderstood(#[from] serde_json::Error),
    #[error("version {0} of the file protocol is asked for, {VERSION} is spoken")]
    Version(u32),
    #[error("the stream ends too early")]
    EndsEarly,
    #[error("{0}")]
    Unexpected(&'static str),
}

impl Request {
    fn line(&self) -> Result<Bytes, ProtocolError> {
        line(&Versioned { kwik_files: VERSION, request: serde_json::to_value(self)? })
    }

    fn parse(line: &[u8]) -> Result<Self, ProtocolError> {
        let versioned: Versioned = serde_json::from_slice(line)?;
        if versioned.kwik_files != VERSION {
            return Err(ProtocolError::Version(versioned.kwik_files));
        }
        let serde_json::Value::Object(members) = versioned.request else {
            return Err(ProtocolError::Unexpected("a request is no JSON object"));
        };
        // An enum is an object of one member: look for the one that is a request.
        let request =
            members.into_iter().find(|(key, _)| matches!(key.as_str(), "get" | "put" | "echo" | "paths"));
        let (key, value) =
            request.ok_or(ProtocolError::Unexpected("a request asks for nothing known here"))?;
        Ok(serde_json::from_value(serde_json::json!({ key: value }))?)
    }
}

fn line(message: &impl Serialize) -> Result<Bytes, ProtocolError> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    if line.len() > MAX_LINE_BYTES { Err(ProtocolError::LineTooLong) } else { Ok(line.into()) }
}

/// Sends the first line of a stream.
pub(crate) async fn send_request(send: &mut SendStream, request: &Request) -> Result<(), Error> {
    Ok(send.write_chunk(request.line()?).await?)
}

/// Sends any other line.
pub(crate) async fn send_line(send: &mut SendStream, message: &impl Serialize) -> Result<(), Error> {
    Ok(send.write_chunk(line(message)?).await?)
}

/// Cuts a line off the front of what arrives.
#[derive(Debug, Default)]
struct LineCutter {
    held: BytesMut,
}

impl LineCutter {
    /// Takes more bytes; returns the line without its newline, and what follows it, once it is complete.
    fn push(&mut self, mut chunk: Bytes) -> Result<Option<(BytesMut, Bytes)>, ProtocolError> {
        let newline = chunk.iter().position(|&byte| byte == b'\n');
        let part_bytes = newline.map_or(chunk.len(), |at| at + 1);
        if self.held.len() + part_bytes > MAX_LINE_BYTES {
            return Err(ProtocolError::LineTooLong);
        }
        self.held.extend_from_slice(&chunk.split_to(part_bytes));
        if newline.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.held);
        line.truncate(line.len().saturating_sub(1));
        Ok(Some((line, chunk)))
    }
}

/// The receiving half of a stream with lines and bytes in it.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: RecvStream,
    /// What arrived together with a line, behind it.
    rest: Bytes,
}

impl Incoming {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, rest: Bytes::new() }
    }

    /// The next bytes, at most `max_bytes`; `None` at the end of the stream. Cancel safe.
    pub(crate) async fn chunk(&mut self, max_bytes: usize) -> Result<Option<Bytes>, Error> {
        if self.rest.is_empty() {
            return Ok(self.stream.read_chunk(max_bytes).await?);
        }
        Ok(Some(self.rest.split_to(max_bytes.min(self.rest.len()))))
    }

    /// The request that begins the stream.
    pub(crate) async fn request(&mut self) -> Result<Request, Error> {
        Ok(Request::parse(&self.line().await?)?)
    }

    /// The server's next message, unless it is a failure.
    pub(crate) async fn reply(&mut self) -> Result<Reply, Error> {
        match self.message().await? {
            Reply::Failed { reason, message } => Err(Error::Refused { reason, message }),
            reply => Ok(reply),
        }
    }

    /// The line behind the bytes.
    pub(crate) async fn trailer(&mut self) -> Result<Digest, Error> {
        let Trailer::Sent { sha256 } = self.message().await?;
        Ok(sha256)
    }

    async fn message<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let line = self.line().await?;
        Ok(serde_json::from_slice(&line).map_err(ProtocolError::from)?)
    }

    async fn line(&mut self) -> Result<BytesMut, Error> {
        let mut cutter = LineCutter::default();
        loop {
            let chunk = self.chunk(usize::MAX).await?.ok_or(ProtocolError::EndsEarly)?;
            if let Some((line, rest)) = cutter.push(chunk)? {
                self.rest = rest;
                return Ok(line);
            }
        }
    }

    /// Wants no more of the stream.
    pub(crate) fn stop(&mut self) {
        // A stream that is over needs no stopping.
        let _ = self.stream.stop(GAVE_UP);
    }
}

/// A datagram that comes back on `path`.
pub(crate) fn echo_datagram(path: kwik::PathId, token: u64) -> Bytes {
    let mut datagram = BytesMut::from(&ECHO_MAGIC[..]);
    datagram.extend_from_slice(&path.0.to_be_bytes());
    datagram.extend_from_slice(&token.to_be_bytes());
    datagram.freeze()
}

/// The path that a datagram wants to come back on.
pub(crate) fn echo_path(datagram: &[u8]) -> Option<kwik::PathId> {
    let path = datagram.strip_prefix(ECHO_MAGIC)?.first_chunk()?;
    Some(kwik::PathId(u64::from_be_bytes(*path)))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn parse(line: &str) -> Result<Request, ProtocolError> {
        Request::parse(line.as_bytes())
    }

    #[test]
    fn every_request_is_read_as_it_was_written() {
        let prefix_sha256 = Some(Digest::of(Sha256::new()));
        for request in [
            Request::Get { name: "a/b".into(), offset: 0, prefix_sha256: None },
            Request::Get { name: "a".into(), offset: u64::MAX, prefix_sha256 },
            Request::Put { name: "c".into(), size: 7 },
            Request::Echo { path: 3 },
            Request::Paths {},
        ] {
            let line = request.line().unwrap();
            assert_eq!(Request::parse(line.strip_suffix(b"\n").unwrap()).unwrap(), request);
        }
    }

    #[test]
    fn a_request_may_have_members_from_the_future() {
        let request =
            parse(r#"{"kwik_files":1,"mood":"good","get":{"name":"a","colour":"red"},"z":0}"#).unwrap();
        assert_eq!(request, Request::Get { name: "a".into(), offset: 0, prefix_sha256: None });
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_reason() {
        assert!(matches!(parse(r#"{"kwik_files":2,"get":{"name":"a"}}"#), Err(ProtocolError::Version(2))));
        assert!(matches!(parse(r#"{"kwik_files":1}"#), Err(ProtocolError::Unexpected(_))));
        for line in ["", "GET / HTTP/1.1", "[]", "{}", r#"{"kwik_files":1,"put":{"name":"a","size":-1}}"#] {
            assert!(matches!(parse(line), Err(ProtocolError::NotUnderstood(_))), "{line}");
        }
        let long = Request::Put { name: "n".repeat(MAX_LINE_BYTES), size: 0 };
        assert!(matches!(long.line(), Err(ProtocolError::LineTooLong)));
    }

    #[test]
    fn a_reason_from_the_future_is_some_other_reason() {
        let reply: Reply = serde_json::from_str(r#"{"failed":{"reason":"asleep","message":"zzz"}}"#).unwrap();
        assert_eq!(reply, Reply::Failed { reason: Reason::Other, message: "zzz".into() });
    }

    #[test]
    fn a_line_is_cut_wherever_the_chunks_end() {
        let bytes = b"line\nrest";
        for cut in 0..=bytes.len() {
            let mut cutter = LineCutter::default();
            let (first, second) = bytes.split_at(cut);
            let found = match cutter.push(Bytes::from_static(first)).unwrap() {
                Some((line, rest)) => (line, [&rest[..], second].concat()),
                None => {
                    let (line, rest) = cutter.push(Bytes::from_static(second)).unwrap().unwrap();
                    (line, rest.to_vec())
                }
            };
            assert_eq!((&found.0[..], &found.1[..]), (&b"line"[..], &b"rest"[..]), "cut at {cut}");
        }
    }

    #[test]
    fn a_line_that_does_not_end_is_not_kept_for_ever() {
        let mut cutter = LineCutter::default();
        for _ in 0..MAX_LINE_BYTES {
            assert!(cutter.push(Bytes::from_static(b"x")).unwrap().is_none());
        }
        assert!(matches!(cutter.push(Bytes::from_static(b"\n")), Err(ProtocolError::LineTooLong)));
    }

    #[test]
    fn a_datagram_says_on_which_path_it_wants_to_come_back() {
        assert_eq!(echo_path(&echo_datagram(kwik::PathId(5), 9)), Some(kwik::PathId(5)));
        for other in [&b""[..], b"ECHO", b"ECHO1234567", b"HELO12345678"] {
            assert_eq!(echo_path(other), None);
        }
    }
}
