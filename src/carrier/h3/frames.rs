//! Rules for HTTP/3 frames: which may stand where (RFC 9114 section 7, table 1), and how much of each is read.

use super::code::H3Code;
use super::ended::{Ended, violation};
use super::tlv::Treatment;

pub(super) const DATA: u64 = 0x00;
pub(super) const HEADERS: u64 = 0x01;
pub(super) const CANCEL_PUSH: u64 = 0x03;
pub(super) const SETTINGS: u64 = 0x04;
pub(super) const PUSH_PROMISE: u64 = 0x05;
pub(super) const GOAWAY: u64 = 0x07;
pub(super) const MAX_PUSH_ID: u64 = 0x0d;
/// What a bidirectional lane begins with: no frame, since it has no length (draft-ietf-webtrans-http3 section 4.3).
pub(super) const WT_STREAM: u64 = 0x41;

/// Frames of HTTP/2 that HTTP/3 has no use for: PRIORITY, PING, WINDOW_UPDATE, CONTINUATION (RFC 9114 section 7.2.8).
const RESERVED: [u64; 4] = [0x02, 0x06, 0x08, 0x09];

/// The longest header that is read, in its encoded form and as RFC 9114 section 4.2.2 counts it. A browser's has some
/// 500 bytes; SETTINGS of the same length are as good.
pub(super) const MAX_FIELD_SECTION_BYTES: u64 = 16 * 1024;

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the beginning of a control stream.
    ControlStart,
    Control,
    /// Where the header of a request is due.
    RequestHead,
    /// Where the header of a response is due.
    ResponseHead,
    /// After the header of a CONNECT that has been answered (RFC 9114 section 4.4).
    Tunnel,
}

/// What is to be done with a frame of this type.
pub(super) fn treat(place: Place, kind: u64) -> Result<Treatment, Ended> {
    match (place, kind) {
        (Place::ControlStart, SETTINGS) | (Place::RequestHead | Place::ResponseHead, HEADERS) => {
            Ok(Treatment::Whole { max_bytes: MAX_FIELD_SECTION_BYTES })
        }
        (Place::ControlStart, _) => {
            Err(violation(H3Code::MissingSettings, "a control stream that does not begin with SETTINGS"))
        }
        (Place::Control, GOAWAY | CANCEL_PUSH | MAX_PUSH_ID) => Ok(Treatment::Whole { max_bytes: 8 }),
        (Place::Tunnel, DATA) => Ok(Treatment::Pieces),
        (_, WT_STREAM) => Err(violation(H3Code::FrameError, "the signal of a lane where no lane begins")),
        (Place::ResponseHead, PUSH_PROMISE) => {
            Err(violation(H3Code::IdError, "a promise of a push without MAX_PUSH_ID"))
        }
        (_, DATA | HEADERS | SETTINGS | PUSH_PROMISE | GOAWAY | CANCEL_PUSH | MAX_PUSH_ID) => {
            Err(violation(H3Code::FrameUnexpected, "this frame on this stream"))
        }
        (_, kind) if RESERVED.contains(&kind) => Err(violation(H3Code::FrameUnexpected, "a frame of HTTP/2")),
        // RFC 9114 section 9.
        _ => Ok(Treatment::Skip),
    }
}
