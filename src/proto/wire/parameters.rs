//! The parameter list at the end of HELLO and ACCEPT (docs/PROTOCOL.md section 4.3): `id, length, value` up to
//! the end of the frame. Unknown ids are skipped, so that a later version can add some.

use bytes::BytesMut;

use super::frame::Parameters;
use super::frame_type::FrameError;
use super::limits::{MAX_PARAMETERS, MAX_STREAMS};
use super::reader::Body;
use super::varint;

const INITIAL_MAX_DATA: u64 = 0x01;
const INITIAL_MAX_STREAM_DATA: u64 = 0x02;
const INITIAL_MAX_STREAMS_BIDI: u64 = 0x03;
const INITIAL_MAX_STREAMS_UNI: u64 = 0x04;
const MAX_DATAGRAM: u64 = 0x05;
const MAX_PATHS: u64 = 0x06;
const RESUME_TIMEOUT: u64 = 0x07;
const MAX_ACK_DELAY: u64 = 0x08;
const LONE_PATH_ACK_DELAY: u64 = 0x09;

impl Default for Parameters {
    /// What holds for an end that states nothing: it takes no data and no datagrams, wants one path, does not
    /// keep the session without one, and acknowledges within 25 ms (as RFC 9000 section 18.2).
    fn default() -> Self {
        Parameters {
            initial_max_data_bytes: 0,
            initial_max_stream_data_bytes: 0,
            initial_max_streams_bidi: 0,
            initial_max_streams_uni: 0,
            max_datagram_bytes: 0,
            max_paths: 1,
            resume_timeout_ms: 0,
            max_ack_delay_ms: 25,
            lone_path_ack_delay_ms: 0,
        }
    }
}

pub(super) fn put(buf: &mut BytesMut, parameters: &Parameters) {
    for (id, value) in [
        (INITIAL_MAX_DATA, parameters.initial_max_data_bytes),
        (INITIAL_MAX_STREAM_DATA, parameters.initial_max_stream_data_bytes),
        (INITIAL_MAX_STREAMS_BIDI, parameters.initial_max_streams_bidi),
        (INITIAL_MAX_STREAMS_UNI, parameters.initial_max_streams_uni),
        (MAX_DATAGRAM, parameters.max_datagram_bytes),
        (MAX_PATHS, parameters.max_paths),
        (RESUME_TIMEOUT, parameters.resume_timeout_ms),
        (MAX_ACK_DELAY, parameters.max_ack_delay_ms),
        (LONE_PATH_ACK_DELAY, parameters.lone_path_ack_delay_ms),
    ] {
        if (id, value) == (LONE_PATH_ACK_DELAY, 0) {
            continue;
        }
        varint::put(buf, id);
        varint::put(buf, varint::size(value) as u64);
        varint::put(buf, value);
    }
}

pub(super) fn get(body: &mut Body) -> Result<Parameters, FrameError> {
    let mut parameters = Parameters::default();
    let mut seen = Vec::new();
    while !body.is_empty() {
        let id = body.varint("parameter id")?;
        if seen.contains(&id) {
            return Err(body.invalid("parameter that is there twice"));
        }
        if seen.len() == MAX_PARAMETERS {
            let count = MAX_PARAMETERS as u64;
            return Err(body.too_large("number of parameters", count + 1, count));
        }
        seen.push(id);
        read_one(&mut parameters, id, body.nested("parameter")?)?;
    }
    Ok(parameters)
}

fn read_one(parameters: &mut Parameters, id: u64, mut value: Body) -> Result<(), FrameError> {
    let (field, limit) = match id {
        INITIAL_MAX_DATA => (&mut parameters.initial_max_data_bytes, varint::MAX),
        INITIAL_MAX_STREAM_DATA => (&mut parameters.initial_max_stream_data_bytes, varint::MAX),
        INITIAL_MAX_STREAMS_BIDI => (&mut parameters.initial_max_streams_bidi, MAX_STREAMS),
        INITIAL_MAX_STREAMS_UNI => (&mut parameters.initial_max_streams_uni, MAX_STREAMS),
        MAX_DATAGRAM => (&mut parameters.max_datagram_bytes, varint::MAX),
        MAX_PATHS => (&mut parameters.max_paths, varint::MAX),
        RESUME_TIMEOUT => (&mut parameters.resume_timeout_ms, varint::MAX),
        MAX_ACK_DELAY => (&mut parameters.max_ack_delay_ms, varint::MAX),
        LONE_PATH_ACK_DELAY => (&mut parameters.lone_path_ack_delay_ms, varint::MAX),
        _ => return Ok(()),
    };
    *field = value.bounded("parameter", limit)?;
    if value.is_empty() { Ok(()) } else { Err(value.invalid("parameter length")) }
}
