//! SETTINGS (RFC 9114 section 7.2.4): the capabilities of the two ends.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::code::H3Code;
use super::ended::{Ended, violation};
use super::frames::{MAX_FIELD_SECTION_BYTES, SETTINGS};
use crate::proto::wire::varint;

const MAX_FIELD_SECTION_SIZE: u64 = 0x06;
/// RFC 9220.
const ENABLE_CONNECT_PROTOCOL: u64 = 0x08;
/// RFC 9297, and its number in the drafts that browsers still send.
const H3_DATAGRAM: u64 = 0x33;
const H3_DATAGRAM_DRAFT_04: u64 = 0xff_d277;
/// WebTransport in its drafts up to 6, and from 7 on.
const ENABLE_WEBTRANSPORT: u64 = 0x2b60_3742;
const WEBTRANSPORT_MAX_SESSIONS_DRAFT_02: u64 = 0x2b60_3743;
const WEBTRANSPORT_MAX_SESSIONS: u64 = 0xc671_706a;

/// What HTTP/2 had and HTTP/3 does not (RFC 9114 section 11.2.2).
const RESERVED: std::ops::RangeInclusive<u64> = 0x02..=0x05;

/// What the peer says it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) has_datagrams: bool,
    /// Of a server: it takes sessions of WebTransport.
    pub(super) offers_sessions: bool,
}

impl Settings {
    /// Reads the frame's payload.
    pub(super) fn decode(mut payload: &[u8]) -> Result<Self, Ended> {
        let mut settings = BTreeMap::new();
        while !payload.is_empty() {
            let (Some(id), Some(value)) = (varint::get(&mut payload), varint::get(&mut payload)) else {
                return Err(violation(H3Code::FrameError, "SETTINGS that are cut off"));
            };
            if RESERVED.contains(&id) {
                return Err(violation(H3Code::SettingsError, "a setting of HTTP/2"));
            }
            if [ENABLE_CONNECT_PROTOCOL, H3_DATAGRAM].contains(&id) && value > 1 {
                return Err(violation(H3Code::SettingsError, "a flag that is neither 0 nor 1"));
            }
            if settings.insert(id, value).is_some() {
                return Err(violation(H3Code::SettingsError, "a setting that is said twice"));
            }
        }
        let value = |id| settings.get(&id).copied();
        let has_datagrams = value(H3_DATAGRAM).or(value(H3_DATAGRAM_DRAFT_04)) == Some(1);
        let max_sessions = value(WEBTRANSPORT_MAX_SESSIONS).unwrap_or_else(|| {
            let is_enabled = value(ENABLE_WEBTRANSPORT) == Some(1);
            if is_enabled { value(WEBTRANSPORT_MAX_SESSIONS_DRAFT_02).unwrap_or(1) } else { 0 }
        });
        let has_extended_connect = value(ENABLE_CONNECT_PROTOCOL) == Some(1);
        let offers_sessions = has_datagrams && has_extended_connect && max_sessions > 0;
        Ok(Self { has_datagrams, offers_sessions })
    }
}

/// The frame that this end sends. A dynamic table of QPACK is not offered: its default size is 0.
pub(super) fn own_frame() -> Bytes {
    let mut payload = BytesMut::new();
    for (id, value) in [
        (MAX_FIELD_SECTION_SIZE, MAX_FIELD_SECTION_BYTES),
        (ENABLE_CONNECT_PROTOCOL, 1),
        (H3_DATAGRAM, 1),
        (H3_DATAGRAM_DRAFT_04, 1),
        (ENABLE_WEBTRANSPORT, 1),
        (WEBTRANSPORT_MAX_SESSIONS_DRAFT_02, 1),
        (WEBTRANSPORT_MAX_SESSIONS, 1),
    ] {
        varint::put(&mut payload, id);
        varint::put(&mut payload, value);
    }
    let mut frame = BytesMut::new();
    varint::put(&mut frame, SETTINGS);
    varint::put(&mut frame, payload.len() as u64);
    frame.put_slice(&payload);
    frame.freeze()
}
