//! CONNECT and its answer.

use bytes::{Buf, Bytes, BytesMut};
use web_transport_proto::http::{Method, StatusCode};
use web_transport_proto::{ConnectError, ConnectRequest, ConnectResponse, Frame};

use super::gate::Gate;
use super::{Ended, H3Code, violation};
use crate::proto::limits::WELL_KNOWN;

/// The name of WebTransport in `:protocol` as later drafts have it. The crate knows the older one.
const LATER_PROTOCOL: &str = "webtransport-h3";

/// `:protocol: webtransport` as a field line of QPACK (RFC 9204 section 4.5.6). Of lines with the same name the
/// crate goes by the last.
const PROTOCOL_LINE: &[u8] = b"\x27\x02:protocol\x0cwebtransport";

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Wait for the rest of its header.
    Incomplete,
    Status(StatusCode),
    /// It ends the connection.
    Violation(H3Code, &'static str),
}

/// Reads a request off the front of `bytes`, and says what it gets.
pub(super) fn judge(gate: &Gate, has_session: bool, bytes: &mut &[u8]) -> Answer {
    let whole = *bytes;
    let request = match ConnectRequest::decode(bytes) {
        Err(ConnectError::WrongProtocol(Some(protocol))) if protocol == LATER_PROTOCOL => {
            decode_later(whole, bytes)
        }
        result => result,
    };
    match request {
        Ok(request) => Answer::Status(match gate.judge(&request) {
            StatusCode::OK if has_session => StatusCode::TOO_MANY_REQUESTS,
            status => status,
        }),
        Err(error) => refuse(&error),
    }
}

/// As the crate decodes, for a request that names the later protocol.
fn decode_later<'a>(whole: &'a [u8], bytes: &mut &'a [u8]) -> Result<ConnectRequest, ConnectError> {
    *bytes = whole;
    let (_, mut payload) = Frame::read(bytes).map_err(|_| ConnectError::UnexpectedEnd)?;
    let mut fields = BytesMut::new();
    let mut section = payload.copy_to_bytes(payload.remaining());
    section = [section.as_ref(), PROTOCOL_LINE].concat().into();
    Frame::HEADERS.encode(&mut fields);
    super::varint(section.len() as u64).encode(&mut fields);
    fields.extend_from_slice(&section);
    ConnectRequest::decode(&mut fields)
}

fn refuse(error: &ConnectError) -> Answer {
    match error {
        ConnectError::UnexpectedEnd => Answer::Incomplete,
        ConnectError::QpackError(_) => {
            Answer::Violation(H3Code::QpackDecompression, "a header that cannot be read")
        }
        ConnectError::UnexpectedFrame(_) => {
            Answer::Violation(H3Code::FrameUnexpected, "a request without a header")
        }
        ConnectError::FrameTooLarge => {
            Answer::Violation(H3Code::ExcessiveLoad, "a frame of more than 64 KiB")
        }
        ConnectError::FieldSectionTooLarge => Answer::Status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        // There is nothing here but sessions.
        ConnectError::WrongMethod(Some(method)) if method != Method::CONNECT => {
            Answer::Status(StatusCode::NOT_FOUND)
        }
        ConnectError::WrongProtocol(_) => Answer::Status(StatusCode::NOT_IMPLEMENTED),
        _ => Answer::Status(StatusCode::BAD_REQUEST),
    }
}

/// A server's answer.
pub(super) fn response(status: StatusCode) -> Bytes {
    let mut bytes = BytesMut::new();
    // Its few fields are all valid ones.
    let _ = ConnectResponse::new(status).encode(&mut bytes);
    bytes.freeze()
}

/// The request for a session at `authority`; `None` when that is none.
pub(super) fn connect(authority: &str) -> Option<Bytes> {
    let url = url::Url::parse(&format!("https://{authority}{WELL_KNOWN}")).ok()?;
    let mut bytes = BytesMut::new();
    ConnectRequest::new(url).encode(&mut bytes).ok()?;
    Some(bytes.freeze())
}

/// Reads the answer off the front of `bytes`; `None` when it is not complete.
pub(super) fn read_response(bytes: &mut &[u8]) -> Result<Option<()>, Ended> {
    match ConnectResponse::decode(bytes) {
        Ok(_) => Ok(Some(())),
        Err(ConnectError::UnexpectedEnd) => Ok(None),
        Err(ConnectError::WrongStatus(Some(status))) => Err(Ended::Refused { status: status.as_u16() }),
        Err(_) => Err(violation(H3Code::MessageError, "an answer that cannot be read")),
    }
}
