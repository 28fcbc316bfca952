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
use kwik::AppCode;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The version of the protocol that is spoken here.
pub(crate) const VERSION: u32 = 1;

/// Longest message, its newline included: room for the longest name and a few members more.
pub(crate) const MAX_LINE_BYTES: usize = 4096;

/// The code of a stream whose sender could not go on.
pub(crate) const GAVE_UP: AppCode = AppCode::new(1);

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
    #[error("a malformed message: {0}")]
    NotUnderstood(#[from] serde_json::Error),
    #[error("version {0} of the file protocol is asked for, {VERSION} is spoken")]
    Version(u32),
    #[error("the stream ends too early")]
    EndsEarly,
    #[error("{0}")]
    Unexpected(&'static str),
}

impl Request {
    /// The first line of a stream.
    pub(crate) fn line(&self) -> Result<Bytes, ProtocolError> {
        line(&Versioned { kwik_files: VERSION, request: serde_json::to_value(self)? })
    }

    /// Reads the first line of a stream.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, ProtocolError> {
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

/// Any other line.
pub(crate) fn line(message: &impl Serialize) -> Result<Bytes, ProtocolError> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    if line.len() > MAX_LINE_BYTES { Err(ProtocolError::LineTooLong) } else { Ok(line.into()) }
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
    fn a_datagram_says_on_which_path_it_wants_to_come_back() {
        assert_eq!(echo_path(&echo_datagram(kwik::PathId(5), 9)), Some(kwik::PathId(5)));
        for other in [&b""[..], b"ECHO", b"ECHO1234567", b"HELO12345678"] {
            assert_eq!(echo_path(other), None);
        }
    }
}
