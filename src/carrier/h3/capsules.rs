//! Capsules on the stream of the CONNECT (RFC 9297 section 3, draft-ietf-webtrans-http3 section 6).

use bytes::{BufMut, Bytes, BytesMut};

use super::code::H3Code;
use super::ended::{Ended, violation};
use super::frames;
use super::tlv::{Item, Tlv, Treatment};
use crate::proto::wire::varint;

const CLOSE_SESSION: u64 = 0x2843;
/// Flow control of single streams, which is QUIC's (draft-ietf-webtrans-http3 section 5.4).
const MAX_STREAM_DATA: u64 = 0x190b_4d3e;
const STREAM_DATA_BLOCKED: u64 = 0x190b_4d42;

/// The reason in a capsule is no longer (draft-ietf-webtrans-http3 section 6).
const MAX_REASON_BYTES: usize = 1024;

/// Reads what follows the header on the stream of the CONNECT: capsules, in DATA frames.
#[derive(Debug, Default)]
pub(super) struct CapsuleReader {
    pub(super) frames: Tlv,
    pub(super) capsules: Tlv,
}

impl CapsuleReader {
    /// For what follows a header that `frames` has read.
    pub(super) fn after(frames: Tlv) -> Self {
        Self { frames, capsules: Tlv::default() }
    }

    /// Reads on.
    ///
    /// # Errors
    ///
    /// When the session is closed, or what was said is against the rules.
    pub(super) fn read(&mut self, data: &[u8]) -> Result<(), Ended> {
        self.frames.push(data);
        while let Some(item) = self.frames.next(|kind| frames::treat(frames::Place::Tunnel, kind))? {
            let Item::Piece(piece) = item else { continue };
            self.capsules.push(&piece);
            while let Some(item) = self.capsules.next(treat)? {
                match item {
                    Item::Whole(_, value) => return Err(closed(&value)),
                    Item::TooLong(_) => return Err(malformed("a reason of more than 1,024 bytes")),
                    Item::Piece(_) => {}
                }
            }
        }
        Ok(())
    }

    /// What the clean end of the stream means.
    pub(super) fn end(&self) -> Ended {
        if !self.frames.is_complete() {
            return violation(H3Code::FrameError, "a frame that is cut off");
        }
        if !self.capsules.is_complete() {
            return malformed("a capsule that is cut off");
        }
        Ended::Closed { code: 0 }
    }
}

/// Only one capsule is of interest; what is not known is passed over, whatever its length (RFC 9297 section 3.2).
fn treat(kind: u64) -> Result<Treatment, Ended> {
    match kind {
        CLOSE_SESSION => Ok(Treatment::Whole { max_bytes: 4 + MAX_REASON_BYTES as u64 }),
        MAX_STREAM_DATA | STREAM_DATA_BLOCKED => Err(malformed("a capsule that HTTP/3 has no use for")),
        _ => Ok(Treatment::Skip),
    }
}

fn closed(value: &[u8]) -> Ended {
    match value.split_first_chunk() {
        Some((code, reason)) if str::from_utf8(reason).is_ok() => {
            Ended::Closed { code: u32::from_be_bytes(*code) }
        }
        _ => malformed("a CLOSE that cannot be read"),
    }
}

/// A message that is malformed ends its stream (RFC 9297 section 3.3). This stream is all that the connection is for.
const fn malformed(what: &'static str) -> Ended {
    violation(H3Code::MessageError, what)
}

/// The farewell, as it is written on the stream of the CONNECT.
pub(super) fn close(code: u64, reason: &[u8]) -> Bytes {
    let code = u32::try_from(code).unwrap_or(u32::MAX);
    let reason = String::from_utf8_lossy(reason);
    let reason = &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)];
    let mut capsule = BytesMut::new();
    varint::put(&mut capsule, CLOSE_SESSION);
    varint::put(&mut capsule, 4 + reason.len() as u64);
    capsule.put_u32(code);
    capsule.put_slice(reason.as_bytes());
    let mut frame = BytesMut::new();
    varint::put(&mut frame, frames::DATA);
    varint::put(&mut frame, capsule.len() as u64);
    frame.put_slice(&capsule);
    frame.freeze()
}
