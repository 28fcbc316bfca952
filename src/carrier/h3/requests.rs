//! The CONNECT request and its response.

use bytes::{Bytes, BytesMut};

use super::code::H3Code;
use super::ended::{Ended, violation};
use super::fields::{Malformed, Request, parse_authority, read_status};
use super::frames::HEADERS;
use super::origin_policy::{OriginPolicy, SessionRequest};
use super::qpack::{self, SectionError};
use super::settings::Settings;
use super::status::Status;
use crate::proto::wire::limits::WELL_KNOWN;
use crate::proto::wire::varint;

/// The names of WebTransport in `:protocol`: that of the drafts which browsers speak, and the later one.
const PROTOCOLS: [&str; 2] = ["webtransport", "webtransport-h3"];

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Status(Status),
    /// It is malformed, which ends its stream (RFC 9114 section 4.1.2).
    Malformed(&'static str),
}

/// Says what a request with this header gets.
///
/// # Errors
///
/// When the header cannot be read, which ends the connection.
pub(super) fn judge(
    policy: &OriginPolicy,
    has_session: bool,
    peer: Settings,
    section: &[u8],
) -> Result<Answer, Ended> {
    let fields = match qpack::decode(section) {
        Ok(fields) => fields,
        Err(SectionError::TooLarge) => return Ok(Answer::Status(Status::HeaderTooLarge)),
        Err(SectionError::Broken(what)) => return Err(violation(H3Code::QpackDecompression, what)),
    };
    Ok(match Request::read(fields) {
        Ok(request) => answer(policy, has_session, peer, &request),
        Err(Malformed(what)) => Answer::Malformed(what),
    })
}

fn answer(policy: &OriginPolicy, has_session: bool, peer: Settings, request: &Request) -> Answer {
    if !request.is_connect() {
        // There is nothing here but sessions.
        return Answer::Status(Status::NotFound);
    }
    let protocol = request.protocol.as_deref();
    let (Some(authority), Some(path)) = (&request.authority, &request.path) else {
        return Answer::Status(Status::NotImplemented);
    };
    if !protocol.is_some_and(|protocol| PROTOCOLS.contains(&protocol)) {
        return Answer::Status(Status::NotImplemented);
    }
    if !peer.has_datagrams {
        // draft-ietf-webtrans-http3 section 3.1.
        return Answer::Malformed("WebTransport of a client without datagrams");
    }
    let Some(host) = parse_authority(authority).filter(|_| request.scheme.as_deref() == Some("https")) else {
        return Answer::Status(Status::BadRequest);
    };
    Answer::Status(match policy.check(&SessionRequest { host, path, origins: &request.origins }) {
        Status::Ok if has_session => Status::TooManyRequests,
        status => status,
    })
}

/// A server's answer.
pub(super) fn response(status: Status) -> Bytes {
    let status = (status as u16).to_string();
    headers(&[(":status", &status), ("sec-webtransport-http3-draft", "draft02")])
}

/// The request for a session at `authority`; `None` when that is none.
pub(super) fn connect(authority: &str) -> Option<Bytes> {
    let url = url::Url::parse(&format!("https://{authority}{WELL_KNOWN}")).ok()?;
    Some(headers(&[
        (":method", "CONNECT"),
        (":scheme", url.scheme()),
        (":authority", url.authority()),
        (":path", url.path()),
        (":protocol", PROTOCOLS[0]),
    ]))
}

fn headers(fields: &[(&str, &str)]) -> Bytes {
    let section = qpack::encode(fields);
    let mut frame = BytesMut::new();
    varint::put(&mut frame, HEADERS);
    varint::put(&mut frame, section.len() as u64);
    frame.extend_from_slice(&section);
    frame.freeze()
}

/// Reads the header of the answer. `false`: it is not the last one.
pub(super) fn read_response(section: &[u8]) -> Result<bool, Ended> {
    let fields = qpack::decode(section).map_err(|error| match error {
        SectionError::TooLarge => violation(H3Code::ExcessiveLoad, "a header of more than 16 KiB"),
        SectionError::Broken(what) => violation(H3Code::QpackDecompression, what),
    })?;
    match read_status(&fields) {
        Ok(100..=199) => Ok(false),
        Ok(200..=299) => Ok(true),
        Ok(status) => Err(Ended::Refused { status }),
        Err(Malformed(what)) => Err(violation(H3Code::MessageError, what)),
    }
}
