//! Encoding and decoding of frames (docs/PROTOCOL.md section 4).
//!
//! Decoding never panics and takes memory in proportion to the frame's own length; payloads are slices of the
//! bytes given, not copies.

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::{
    Accept, Ack, AddPath, Close, Credentials, Frame, Hello, Intent, PathReport, PathStatus, Reject,
};
use super::frame_type::{FrameError, FrameType};
use super::id::{Dir, PathId, SessionId};
use super::limits::{
    MAX_ACK_RANGES, MAX_AUTHORITY_BYTES, MAX_FRAME_BYTES, MAX_REASON_BYTES, MAX_STREAMS, MAX_VERSIONS,
};
use super::reader::Body;
use super::{parameters, varint};

const FLAG_CREDENTIALS: u64 = 1;
const FLAG_COMPLETE: u64 = 1;
const FLAG_RELAY: u64 = 1;
const FLAG_CERTIFICATE_HASH: u64 = 2;
const FLAG_APPLICATION: u64 = 1;
const FLAG_FIN: u64 = 1;

impl Frame {
    /// The type that the frame is sent as.
    pub fn frame_type(&self) -> FrameType {
        match self {
            Frame::Hello(_) => FrameType::Hello,
            Frame::Accept(_) => FrameType::Accept,
            Frame::Reject(_) => FrameType::Reject,
            Frame::PathStatus(_) => FrameType::PathStatus,
            Frame::Ping { .. } => FrameType::Ping,
            Frame::Pong { .. } => FrameType::Pong,
            Frame::Ack(_) => FrameType::Ack,
            Frame::PathReport(_) => FrameType::PathReport,
            Frame::MaxData { .. } => FrameType::MaxData,
            Frame::MaxStreamData { .. } => FrameType::MaxStreamData,
            Frame::MaxStreams { .. } => FrameType::MaxStreams,
            Frame::ResetStream { .. } => FrameType::ResetStream,
            Frame::StopSending { .. } => FrameType::StopSending,
            Frame::AddPath(_) => FrameType::AddPath,
            Frame::RemovePath { .. } => FrameType::RemovePath,
            Frame::PathClose { .. } => FrameType::PathClose,
            Frame::GoAway => FrameType::GoAway,
            Frame::Close(_) => FrameType::Close,
            Frame::Stream { .. } => FrameType::Stream,
            Frame::Datagram { .. } => FrameType::Datagram,
        }
    }

    /// Appends the frame: type, length and body.
    ///
    /// Reasons and ACK ranges beyond their limit are left out, which loses nothing that counts. All other
    /// fields are the caller's to keep within [`limits`](super::limits) and [`varint::MAX`].
    pub fn encode(&self, buf: &mut BytesMut) {
        varint::put(buf, self.frame_type().as_u64());
        // The length stands before the body and is known after it. Its size is guessed from the payload, right
        // for nearly all frames, so that nothing needs to be moved.
        let guess = varint::size(self.payload_bytes() as u64);
        let length_at = buf.len();
        buf.put_bytes(0, guess);
        let body_at = buf.len();
        self.put_body(buf);
        let body_bytes = buf.len() - body_at;
        debug_assert!(body_bytes <= MAX_FRAME_BYTES, "{} of {body_bytes} bytes", self.frame_type());
        let size = varint::size(body_bytes as u64);
        if size > guess {
            buf.put_bytes(0, size - guess);
            buf.copy_within(body_at..body_at + body_bytes, length_at + size);
        }
        varint::put(&mut &mut buf[length_at..length_at + size], body_bytes as u64);
    }

    fn payload_bytes(&self) -> usize {
        match self {
            Frame::Stream { data, .. } | Frame::Datagram { data, .. } => data.len(),
            _ => 0,
        }
    }

    fn put_body(&self, buf: &mut BytesMut) {
        match self {
            Frame::Hello(hello) => put_hello(buf, hello),
            Frame::Accept(accept) => put_accept(buf, accept),
            Frame::Reject(Reject { code, reason }) => {
                varint::put(buf, *code);
                put_reason(buf, reason);
            }
            Frame::PathStatus(status) => {
                put_all(buf, &[status.path.0, status.sequence, status.standby.into(), status.cost]);
            }
            Frame::Ping { token } | Frame::Pong { token } => varint::put(buf, *token),
            Frame::Ack(ack) => put_ack(buf, ack),
            Frame::PathReport(report) => put_all(buf, &[report.received_bytes, report.delay_us]),
            Frame::MaxData { max_bytes } => varint::put(buf, *max_bytes),
            Frame::MaxStreamData { stream, max_bytes } => put_all(buf, &[stream.0, *max_bytes]),
            Frame::MaxStreams { dir, max } => put_all(buf, &[dir_number(*dir), *max]),
            Frame::ResetStream { stream, code, final_size } => put_all(buf, &[stream.0, *code, *final_size]),
            Frame::StopSending { stream, code } => put_all(buf, &[stream.0, *code]),
            Frame::AddPath(advice) => put_add_path(buf, advice),
            Frame::RemovePath { advice } => varint::put(buf, *advice),
            Frame::PathClose { path, code, reason } => {
                put_all(buf, &[path.0, *code]);
                put_reason(buf, reason);
            }
            Frame::GoAway => {}
            Frame::Close(Close { application, code, reason }) => {
                put_all(buf, &[flag(*application, FLAG_APPLICATION), *code]);
                put_reason(buf, reason);
            }
            Frame::Stream { stream, offset, fin, data } => {
                put_all(buf, &[stream.0, *offset, flag(*fin, FLAG_FIN)]);
                buf.put_slice(data);
            }
            Frame::Datagram { sequence, data } => {
                varint::put(buf, *sequence);
                buf.put_slice(data);
            }
        }
    }

    /// Reads the body of a frame of this type; `None` when the type is unknown and the frame to be skipped.
    pub fn decode_body(frame_type: u64, body: Bytes) -> Result<Option<Frame>, FrameError> {
        FrameError::check_length(frame_type, body.len() as u64)?;
        let Some(frame) = FrameType::from_u64(frame_type) else { return Ok(None) };
        let mut body = Body::new(frame, body);
        let decoded = decode_fields(&mut body)?;
        match body.len() {
            0 => Ok(Some(decoded)),
            extra_bytes => Err(FrameError::TrailingBytes { frame, extra_bytes }),
        }
    }
}

fn put_all(buf: &mut BytesMut, values: &[u64]) {
    values.iter().for_each(|&value| varint::put(buf, value));
}

fn flag(set: bool, flag: u64) -> u64 {
    if set { flag } else { 0 }
}

fn dir_number(dir: Dir) -> u64 {
    match dir {
        Dir::Bi => 0,
        Dir::Uni => 1,
    }
}

fn put_reason(buf: &mut BytesMut, reason: &[u8]) {
    put_text(buf, &reason[..reason.len().min(MAX_REASON_BYTES)]);
}

fn put_text(buf: &mut BytesMut, text: &[u8]) {
    varint::put(buf, text.len() as u64);
    buf.put_slice(text);
}

fn put_hello(buf: &mut BytesMut, hello: &Hello) {
    varint::put(buf, hello.versions.len() as u64);
    put_all(buf, &hello.versions);
    varint::put(buf, hello.path.0);
    match &hello.intent {
        Intent::New => varint::put(buf, 0),
        Intent::Join { session, proof } => {
            varint::put(buf, 1);
            buf.put_slice(&session.0);
            buf.put_slice(proof);
        }
    }
    parameters::put(buf, &hello.parameters);
}

fn put_accept(buf: &mut BytesMut, accept: &Accept) {
    varint::put(buf, accept.version);
    buf.put_slice(&accept.session.0);
    varint::put(buf, flag(accept.credentials.is_some(), FLAG_CREDENTIALS));
    if let Some(Credentials { resume_key, nonce }) = &accept.credentials {
        buf.put_slice(resume_key);
        buf.put_slice(nonce);
    }
    parameters::put(buf, &accept.parameters);
}

fn put_ack(buf: &mut BytesMut, ack: &Ack) {
    let ranges = &ack.ranges[..ack.ranges.len().min(MAX_ACK_RANGES)];
    put_all(buf, &[ack.stream.0, flag(ack.complete, FLAG_COMPLETE), ack.contiguous, ranges.len() as u64]);
    let mut previous_end = ack.contiguous;
    for range in ranges {
        debug_assert!(previous_end < range.start && range.start < range.end, "{range:?} of {ack:?}");
        put_all(buf, &[range.start.saturating_sub(previous_end), range.end.saturating_sub(range.start)]);
        previous_end = range.end;
    }
}

fn put_add_path(buf: &mut BytesMut, advice: &AddPath) {
    let flags =
        flag(advice.relay, FLAG_RELAY) | flag(advice.certificate_hash.is_some(), FLAG_CERTIFICATE_HASH);
    put_all(buf, &[advice.advice, advice.priority, flags]);
    put_text(buf, advice.authority.as_bytes());
    if let Some(hash) = &advice.certificate_hash {
        buf.put_slice(hash);
    }
}

fn decode_fields(body: &mut Body) -> Result<Frame, FrameError> {
    Ok(match body.frame() {
        FrameType::Hello => Frame::Hello(decode_hello(body)?),
        FrameType::Accept => Frame::Accept(decode_accept(body)?),
        FrameType::Reject => Frame::Reject(Reject { code: body.varint("code")?, reason: body.reason()? }),
        FrameType::PathStatus => Frame::PathStatus(PathStatus {
            path: PathId(body.varint("path id")?),
            sequence: body.varint("sequence")?,
            standby: body.flags("status", 1)? == 1,
            cost: body.varint("cost")?,
        }),
        FrameType::Ping => Frame::Ping { token: body.varint("token")? },
        FrameType::Pong => Frame::Pong { token: body.varint("token")? },
        FrameType::Ack => Frame::Ack(decode_ack(body)?),
        FrameType::PathReport => Frame::PathReport(PathReport {
            received_bytes: body.varint("received bytes")?,
            delay_us: body.varint("delay")?,
        }),
        FrameType::MaxData => Frame::MaxData { max_bytes: body.varint("limit")? },
        FrameType::MaxStreamData => {
            Frame::MaxStreamData { stream: body.stream()?, max_bytes: body.varint("limit")? }
        }
        FrameType::MaxStreams => Frame::MaxStreams {
            dir: if body.flags("direction", 1)? == 0 { Dir::Bi } else { Dir::Uni },
            max: body.bounded("limit", MAX_STREAMS)?,
        },
        FrameType::ResetStream => Frame::ResetStream {
            stream: body.stream()?,
            code: body.varint("code")?,
            final_size: body.varint("final size")?,
        },
        FrameType::StopSending => Frame::StopSending { stream: body.stream()?, code: body.varint("code")? },
        FrameType::AddPath => Frame::AddPath(decode_add_path(body)?),
        FrameType::RemovePath => Frame::RemovePath { advice: body.varint("advice id")? },
        FrameType::PathClose => Frame::PathClose {
            path: PathId(body.varint("path id")?),
            code: body.varint("code")?,
            reason: body.reason()?,
        },
        FrameType::GoAway => Frame::GoAway,
        FrameType::Close => Frame::Close(Close {
            application: body.flags("flags", FLAG_APPLICATION)? != 0,
            code: body.varint("code")?,
            reason: body.reason()?,
        }),
        FrameType::Stream => decode_stream(body)?,
        FrameType::Datagram => Frame::Datagram { sequence: body.varint("sequence")?, data: body.rest() },
    })
}

fn decode_hello(body: &mut Body) -> Result<Hello, FrameError> {
    let count = body.bounded("number of versions", MAX_VERSIONS as u64)?;
    if count == 0 {
        return Err(body.invalid("number of versions"));
    }
    let versions = (0..count).map(|_| body.varint("version")).collect::<Result<_, _>>()?;
    let path = PathId(body.varint("path id")?);
    let intent = match body.flags("intent", 1)? {
        0 => Intent::New,
        _ => Intent::Join { session: SessionId(body.array("session id")?), proof: body.array("proof")? },
    };
    Ok(Hello { versions, path, intent, parameters: parameters::get(body)? })
}

fn decode_accept(body: &mut Body) -> Result<Accept, FrameError> {
    let version = body.varint("version")?;
    let session = SessionId(body.array("session id")?);
    let credentials = match body.flags("flags", FLAG_CREDENTIALS)? {
        0 => None,
        _ => Some(Credentials { resume_key: body.array("resume key")?, nonce: body.array("nonce")? }),
    };
    Ok(Accept { version, session, credentials, parameters: parameters::get(body)? })
}

fn decode_ack(body: &mut Body) -> Result<Ack, FrameError> {
    let stream = body.stream()?;
    let complete = body.flags("flags", FLAG_COMPLETE)? != 0;
    let contiguous = body.varint("contiguous offset")?;
    let count = body.bounded("number of ranges", MAX_ACK_RANGES as u64)?;
    let mut ranges = Vec::new();
    let mut previous_end = contiguous;
    for _ in 0..count {
        let start = previous_end + body.positive("gap")?;
        let end = start + body.positive("range length")?;
        if end > varint::MAX {
            return Err(body.invalid("range"));
        }
        ranges.push(start..end);
        previous_end = end;
    }
    Ok(Ack { stream, complete, contiguous, ranges })
}

fn decode_add_path(body: &mut Body) -> Result<AddPath, FrameError> {
    let advice = body.varint("advice id")?;
    let priority = body.varint("priority")?;
    let flags = body.flags("flags", FLAG_RELAY | FLAG_CERTIFICATE_HASH)?;
    let authority = body.text("authority", MAX_AUTHORITY_BYTES as u64)?;
    let authority = match std::str::from_utf8(&authority) {
        Ok(authority) if !authority.is_empty() => authority.to_owned(),
        _ => return Err(body.invalid("authority")),
    };
    let certificate_hash = match flags & FLAG_CERTIFICATE_HASH {
        0 => None,
        _ => Some(body.array("certificate hash")?),
    };
    Ok(AddPath { advice, priority, relay: flags & FLAG_RELAY != 0, authority, certificate_hash })
}

fn decode_stream(body: &mut Body) -> Result<Frame, FrameError> {
    let stream = body.stream()?;
    let offset = body.varint("offset")?;
    let fin = body.flags("flags", FLAG_FIN)? != 0;
    let data = body.rest();
    if offset + data.len() as u64 > varint::MAX {
        return Err(body.invalid("offset"));
    }
    Ok(Frame::Stream { stream, offset, fin, data })
}

#[cfg(test)]
pub(super) mod tests;
