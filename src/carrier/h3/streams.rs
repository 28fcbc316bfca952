//! Unidirectional streams: which there are (RFC 9114 section 6.2), and the control streams; and how lanes begin.

use bytes::{Bytes, BytesMut};

use super::code::H3Code;
use super::ended::{Ended, violation};
use super::frames::{self, GOAWAY, MAX_PUSH_ID, Place};
use super::settings::{self, Settings};
use super::tlv::{Item, Tlv};
use crate::proto::wire::id::Dir;
use crate::proto::wire::varint;

pub(super) const CONTROL: u64 = 0x00;
pub(super) const PUSH: u64 = 0x01;
pub(super) const QPACK_ENCODER: u64 = 0x02;
pub(super) const QPACK_DECODER: u64 = 0x03;
/// A lane (draft-ietf-webtrans-http3 section 4.2).
const WT_STREAM: u64 = 0x54;

/// What a lane begins with.
pub(super) fn lane_signal(dir: Dir) -> u64 {
    match dir {
        Dir::Bi => frames::WT_STREAM,
        Dir::Uni => WT_STREAM,
    }
}

/// What the control stream of this end begins with.
pub(super) fn own_control_stream() -> Bytes {
    let mut stream = BytesMut::new();
    varint::put(&mut stream, CONTROL);
    stream.extend_from_slice(&settings::own_frame());
    stream.freeze()
}

/// The peer's control stream.
#[derive(Debug, Default)]
pub(super) struct ControlStream {
    pub(super) frames: Tlv,
    has_settings: bool,
    goaway: Option<u64>,
    max_push_id: Option<u64>,
}

impl ControlStream {
    /// Reads on. Gives the peer's settings once.
    pub(super) fn read(&mut self, data: &[u8], is_server: bool) -> Result<Option<Settings>, Ended> {
        self.frames.push(data);
        let mut settings = None;
        loop {
            let place = if self.has_settings { Place::Control } else { Place::ControlStart };
            match self.frames.next(|kind| frames::treat(place, kind))? {
                Some(Item::Whole(frames::SETTINGS, payload)) => {
                    self.has_settings = true;
                    settings = Some(Settings::decode(&payload)?);
                }
                Some(Item::Whole(kind, payload)) => self.on_id(kind, &payload, is_server)?,
                Some(Item::TooLong(frames::SETTINGS)) => {
                    return Err(violation(H3Code::ExcessiveLoad, "SETTINGS of more than 16 KiB"));
                }
                Some(Item::TooLong(_)) => return Err(NOT_ONE_ID),
                Some(Item::Piece(_)) => {}
                None => return Ok(settings),
            }
        }
    }

    /// A frame that consists of one id. There are no pushes, yet their frames have rules.
    fn on_id(&mut self, kind: u64, mut payload: &[u8], is_server: bool) -> Result<(), Ended> {
        let id = varint::get(&mut payload).filter(|_| payload.is_empty()).ok_or(NOT_ONE_ID)?;
        match kind {
            // RFC 9114 section 5.2: a client names a push, a server a request.
            GOAWAY if !is_server && !id.is_multiple_of(4) => {
                Err(violation(H3Code::IdError, "GOAWAY with an id that is no request's"))
            }
            GOAWAY if self.goaway.replace(id).is_some_and(|before| id > before) => {
                Err(violation(H3Code::IdError, "GOAWAY with an id above the one before"))
            }
            // RFC 9114 section 7.2.7.
            MAX_PUSH_ID if !is_server => Err(violation(H3Code::FrameUnexpected, "MAX_PUSH_ID of a server")),
            MAX_PUSH_ID if self.max_push_id.replace(id).is_some_and(|before| id < before) => {
                Err(violation(H3Code::IdError, "MAX_PUSH_ID below the one before"))
            }
            GOAWAY | MAX_PUSH_ID => Ok(()),
            // RFC 9114 section 7.2.3.
            _ => Err(violation(H3Code::IdError, "CANCEL_PUSH of what was not promised")),
        }
    }
}

const NOT_ONE_ID: Ended = violation(H3Code::FrameError, "a frame that is not one id");
