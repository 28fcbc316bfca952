//! WebTransport over HTTP/3 (RFC 9114, draft-ietf-webtrans-http3): what lies between the streams of a QUIC
//! connection and the lanes of a path.
//!
//! ```text
//!   client                                                      server
//!     control stream: SETTINGS  ------->   <-------  control stream: SETTINGS
//!     CONNECT /.well-known/kwik/1  ---->   <-------  200; or 404, 403, 429
//!     streams that begin with the session's id are lanes from here on, and datagrams are its, too
//!     CLOSE_WEBTRANSPORT_SESSION (a capsule on the stream of the CONNECT)  <------>
//! ```
//!
//! Promises: a connection carries one session, since a path is a connection (a second CONNECT gets 429). Bytes of
//! lanes pass as they are, without a copy. Nothing a peer sends makes it panic or keep more than one frame of 64 KiB
//! for each stream; what is against the rules ends the connection with HTTP/3's own code.
//!
//! It owns no connection: [`PathCarrier`](super::PathCarrier) feeds it arrivals, and carries its [`Effect`]s out.

mod frames;
#[cfg(fuzzing)]
mod fuzzing;
mod gate;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use web_transport_proto::{Capsule, Frame, Setting, Settings, SettingsError, StreamUni, VarInt};

use self::frames::{bounded, next_capsule, next_frame};
#[cfg(fuzzing)]
pub use self::fuzzing::FuzzedH3;
pub(crate) use self::gate::{Gate, OriginError};
use self::requests::Answer;
use super::quic::Arrival;
use crate::proto::id::{Dir, LaneId};

/// The protocol's name in TLS (RFC 9114 section 3.1).
pub(crate) const ALPN_H3: &[u8] = b"h3";

/// What a lane begins with, at most: two varints.
const MAX_LANE_HEAD_BYTES: usize = 16;

/// The reason in a capsule is no longer (draft-ietf-webtrans-http3 section 6).
const MAX_REASON_BYTES: usize = 1024;

/// Codes of HTTP/3 (RFC 9114 section 8.1, RFC 9204 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum H3Code {
    NoError = 0x100,
    InternalError = 0x102,
    StreamCreation = 0x103,
    ClosedCriticalStream = 0x104,
    FrameUnexpected = 0x105,
    FrameError = 0x106,
    ExcessiveLoad = 0x107,
    IdError = 0x108,
    SettingsError = 0x109,
    MissingSettings = 0x10a,
    MessageError = 0x10e,
    QpackDecompression = 0x200,
}

/// What is to be done to the streams of the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Write(LaneId, Bytes),
    Finish(LaneId),
    Reset(LaneId),
    Stop(LaneId),
}

/// The session is over, or there will be none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    /// The peer closed it.
    #[error("the peer closed it with code {code}")]
    Closed { code: u32 },
    /// The server does not want it, and says so with a status of HTTP.
    #[error("HTTP status {status}")]
    Refused { status: u16 },
    /// The server speaks HTTP/3, and not WebTransport.
    #[error("the server does not offer WebTransport")]
    NotOffered,
    /// The peer did what HTTP/3 does not allow.
    #[error("the peer broke the rules of HTTP/3: {what}")]
    Violation { code: H3Code, what: &'static str },
}

/// What a stream of the peer's is, as far as it is known.
#[derive(Debug)]
enum Reading {
    /// Its first bytes do not tell yet.
    Unknown(BytesMut),
    Lane,
    /// The peer's control stream.
    Control {
        buffer: BytesMut,
        has_settings: bool,
    },
    /// Server: a request whose header is not complete.
    Request(BytesMut),
    /// Client: the answer to its CONNECT.
    Response(BytesMut),
    /// The stream of the CONNECT, once the session is open.
    Session {
        frames: BytesMut,
        capsules: BytesMut,
    },
    /// Nothing on it is of interest.
    Ignored,
}

/// Which end this is, and how far it is.
#[derive(Debug)]
enum Role {
    Server {
        gate: Arc<Gate>,
        /// Requests are looked at one after another until one opens the session: this many are done.
        requests_seen: u64,
    },
    Client {
        authority: String,
        connect: Option<LaneId>,
        is_asked: bool,
    },
}

/// The HTTP/3 layer of one connection. Lanes are named as their streams are (RFC 9000 section 2.1).
pub(crate) struct H3 {
    role: Role,
    /// The stream of the CONNECT; its id is the session's.
    session: Option<LaneId>,
    is_open: bool,
    /// The session's first bidirectional stream that the client opened: the control lane.
    first_lane: Option<LaneId>,
    readings: BTreeMap<LaneId, Reading>,
    own_control: Option<LaneId>,
    has_peer_control: bool,
    effects: Vec<Effect>,
}

impl H3 {
    /// A server's: sessions are for whom `gate` lets in.
    pub(crate) fn server(gate: Arc<Gate>) -> Self {
        Self::new(Role::Server { gate, requests_seen: 0 })
    }

    /// A client's, which asks `authority` (`host:port`) for a session.
    pub(crate) fn client(authority: String) -> Self {
        Self::new(Role::Client { authority, connect: None, is_asked: false })
    }

    fn new(role: Role) -> Self {
        Self {
            role,
            session: None,
            is_open: false,
            first_lane: None,
            readings: BTreeMap::new(),
            own_control: None,
            has_peer_control: false,
            effects: Vec::new(),
        }
    }

    /// Begins, with a unidirectional stream, and on a client a bidirectional one as well.
    pub(crate) fn start(&mut self, control: LaneId, connect: Option<LaneId>) {
        self.own_control = Some(control);
        let mut settings = Settings::default();
        settings.enable_webtransport(1);
        let mut bytes = BytesMut::new();
        settings.encode(&mut bytes);
        self.effects.push(Effect::Write(control, bytes.freeze()));
        if let (Role::Client { connect: stream, .. }, Some(lane)) = (&mut self.role, connect) {
            *stream = connect;
            self.readings.insert(lane, Reading::Response(BytesMut::new()));
        }
    }

    /// Whether it is a server's.
    pub(crate) fn is_server(&self) -> bool {
        matches!(self.role, Role::Server { .. })
    }

    /// Whether it has been started.
    pub(crate) fn is_started(&self) -> bool {
        self.own_control.is_some()
    }

    /// Whether there is a session, and so lanes.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether a stream is to be read before the session has somebody who takes its lanes. The others wait, bounded
    /// by QUIC's flow control.
    pub(crate) fn is_wanted_early(&self, lane: LaneId, dir: Dir) -> bool {
        match &self.role {
            // What a client asks is looked at in order, so that its first lane is the first in every sense.
            Role::Server { requests_seen, .. } => dir == Dir::Bi && lane.0 == requests_seen * 4,
            // Before it has asked there are no lanes; thereafter the answer alone is of interest.
            Role::Client { is_asked: false, .. } => dir == Dir::Uni,
            Role::Client { connect, .. } => Some(lane) == *connect,
        }
    }

    /// What is to be done to the streams, in order.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    // ---- lanes and datagrams that go out ----

    /// What a lane of this end's begins with. The session is open.
    pub(crate) fn lane_head(&mut self, lane: LaneId, dir: Dir) -> Bytes {
        let mut head = BytesMut::with_capacity(MAX_LANE_HEAD_BYTES);
        match dir {
            Dir::Bi => {
                // What comes back on it has no head.
                self.readings.insert(lane, Reading::Lane);
                Frame::WEBTRANSPORT.encode(&mut head);
            }
            Dir::Uni => StreamUni::WEBTRANSPORT.encode(&mut head),
        }
        varint(self.session.map_or(0, |session| session.0)).encode(&mut head);
        head.freeze()
    }

    /// A datagram as it is sent (RFC 9297 section 2.1).
    pub(crate) fn wrap_datagram(&self, data: &[u8]) -> Bytes {
        let id = self.datagram_id();
        let mut wrapped = BytesMut::with_capacity(id.size() + data.len());
        id.encode(&mut wrapped);
        wrapped.extend_from_slice(data);
        wrapped.freeze()
    }

    /// By how much a datagram is longer when it is sent.
    pub(crate) fn datagram_overhead_bytes(&self) -> usize {
        self.datagram_id().size()
    }

    fn datagram_id(&self) -> VarInt {
        varint(self.session.map_or(0, |session| session.0 / 4))
    }

    /// Server: ends the control lane, which tells the client that the path is done with.
    pub(crate) fn take_leave(&mut self) {
        self.effects.extend(self.first_lane.map(Effect::Finish));
    }

    /// Closes the session: nothing is to follow on it. The peer closes the connection when it has heard.
    pub(crate) fn close(&mut self, code: u64, reason: &[u8]) {
        let Some(session) = self.session else { return };
        let code = u32::try_from(code).unwrap_or(u32::MAX);
        let mut reason = String::from_utf8_lossy(reason).into_owned();
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        let mut capsule = BytesMut::new();
        Capsule::CloseWebTransportSession { code, reason }.encode(&mut capsule);
        let mut frame = BytesMut::new();
        Frame::DATA.encode(&mut frame);
        varint(capsule.len() as u64).encode(&mut frame);
        frame.extend_from_slice(&capsule);
        self.effects.extend([Effect::Write(session, frame.freeze()), Effect::Finish(session)]);
    }

    // ---- what comes in ----

    /// Takes in what has arrived on the connection, and gives `take` what belongs to the session.
    ///
    /// # Errors
    ///
    /// When there is no session any more. After [`Ended::Closed`], what has arrived on lanes may still be taken in;
    /// otherwise nothing is.
    pub(crate) fn on_arrival(
        &mut self,
        arrival: Arrival,
        mut take: impl FnMut(Arrival),
    ) -> Result<(), Ended> {
        match arrival {
            Arrival::Data { lane, dir, data } => match self.readings.get(&lane) {
                Some(Reading::Lane) => take(Arrival::Data { lane, dir, data }),
                Some(Reading::Ignored) => {}
                _ => self.on_data(lane, dir, data, &mut take)?,
            },
            Arrival::Finished(lane) => self.on_end(lane, Arrival::Finished(lane), &mut take)?,
            Arrival::Reset(lane) => self.on_end(lane, Arrival::Reset(lane), &mut take)?,
            Arrival::Stopped(lane) if Some(lane) == self.own_control => return Err(CRITICAL_STREAM_CLOSED),
            Arrival::Stopped(lane) if Some(lane) == self.session => {}
            Arrival::Stopped(lane) => take(Arrival::Stopped(lane)),
            Arrival::Datagram(mut data) => {
                let id = VarInt::decode(&mut data).map_err(|_| EMPTY_DATAGRAM)?;
                // One for a session that is not there is nobody's.
                if self.is_open && id == self.datagram_id() {
                    take(Arrival::Datagram(data));
                }
            }
        }
        Ok(())
    }

    fn on_end(&mut self, lane: LaneId, end: Arrival, take: &mut impl FnMut(Arrival)) -> Result<(), Ended> {
        match self.readings.remove(&lane) {
            Some(Reading::Lane) => {
                take(end);
                return Ok(());
            }
            Some(Reading::Control { .. }) => return Err(CRITICAL_STREAM_CLOSED),
            Some(Reading::Session { .. }) => return Err(Ended::Closed { code: 0 }),
            Some(Reading::Response(_)) => {
                return Err(violation(H3Code::MessageError, "no answer to CONNECT"));
            }
            Some(Reading::Request(_)) => self.effects.push(Effect::Reset(lane)),
            Some(Reading::Unknown(_) | Reading::Ignored) | None => {}
        }
        // One that ended before it said anything is done with, too.
        if let Role::Server { requests_seen, .. } = &mut self.role
            && lane.0 == *requests_seen * 4
        {
            *requests_seen += 1;
        }
        Ok(())
    }

    /// Bytes of a stream that is no lane yet.
    fn on_data(
        &mut self,
        lane: LaneId,
        dir: Dir,
        data: Bytes,
        take: &mut impl FnMut(Arrival),
    ) -> Result<(), Ended> {
        let reading = self.readings.remove(&lane).unwrap_or(Reading::Unknown(BytesMut::new()));
        let reading = match reading {
            Reading::Unknown(first) => self.classify(lane, dir, first, data, take)?,
            Reading::Control { mut buffer, has_settings } => {
                buffer.extend_from_slice(&data);
                self.read_control(buffer, has_settings)?
            }
            Reading::Request(mut buffer) => {
                buffer.extend_from_slice(&data);
                self.read_request(lane, buffer)?
            }
            Reading::Response(mut buffer) => {
                buffer.extend_from_slice(&data);
                self.read_response(lane, buffer)?
            }
            Reading::Session { mut frames, capsules } => {
                frames.extend_from_slice(&data);
                read_session(frames, capsules)?
            }
            Reading::Lane | Reading::Ignored => reading,
        };
        self.readings.insert(lane, reading);
        Ok(())
    }

    /// Finds out what a stream of the peer's is from its first bytes, and reads on.
    fn classify(
        &mut self,
        lane: LaneId,
        dir: Dir,
        first: BytesMut,
        data: Bytes,
        take: &mut impl FnMut(Arrival),
    ) -> Result<Reading, Ended> {
        // Nearly always everything is there at once, and the rest passes as it is.
        let bytes = if first.is_empty() { data } else { [first.freeze(), data].concat().into() };
        let mut rest = bytes.clone();
        let Ok(kind) = VarInt::decode(&mut rest) else { return Ok(Reading::Unknown(bytes.into())) };
        let is_lane = match dir {
            Dir::Bi => Frame(kind) == Frame::WEBTRANSPORT,
            Dir::Uni => StreamUni(kind) == StreamUni::WEBTRANSPORT,
        };
        if is_lane {
            let Ok(session) = VarInt::decode(&mut rest) else { return Ok(Reading::Unknown(bytes.into())) };
            if !self.is_open || self.session != Some(LaneId(session.into_inner())) {
                return Err(violation(H3Code::IdError, "a stream of a session that is not there"));
            }
            if dir == Dir::Bi {
                self.first_lane.get_or_insert(lane);
            }
            if !rest.is_empty() {
                take(Arrival::Data { lane, dir, data: rest });
            }
            return Ok(Reading::Lane);
        }
        match (dir, &self.role) {
            (Dir::Bi, Role::Server { .. }) => self.read_request(lane, bytes.into()),
            (Dir::Bi, Role::Client { .. }) => {
                Err(violation(H3Code::StreamCreation, "a server that opens a request"))
            }
            (Dir::Uni, _) => self.read_special(lane, StreamUni(kind), bytes),
        }
    }

    fn read_special(&mut self, lane: LaneId, kind: StreamUni, bytes: Bytes) -> Result<Reading, Ended> {
        match kind {
            StreamUni::CONTROL if self.has_peer_control => {
                Err(violation(H3Code::StreamCreation, "a second control stream"))
            }
            StreamUni::CONTROL => {
                self.has_peer_control = true;
                self.read_control(bytes.into(), false)
            }
            StreamUni::PUSH => Err(violation(H3Code::StreamCreation, "a push that nobody allowed")),
            // Without a dynamic table there is nothing on them to know.
            StreamUni::QPACK_ENCODER | StreamUni::QPACK_DECODER => Ok(Reading::Ignored),
            _ => {
                self.effects.push(Effect::Stop(lane));
                Ok(Reading::Ignored)
            }
        }
    }

    fn read_control(&mut self, mut buffer: BytesMut, has_settings: bool) -> Result<Reading, Ended> {
        if !has_settings {
            let mut rest = &buffer[..];
            let settings = match Settings::decode(&mut rest) {
                Ok(settings) => settings,
                Err(SettingsError::UnexpectedEnd) => {
                    return bounded(&buffer).map(|()| Reading::Control { buffer, has_settings });
                }
                Err(error) => return Err(settings_violation(&error)),
            };
            let used = buffer.len() - rest.len();
            buffer.advance(used);
            self.on_settings(&settings)?;
        }
        while let Some((kind, _)) = next_frame(&mut buffer)? {
            if [Frame::DATA, Frame::HEADERS, Frame::SETTINGS, Frame::WEBTRANSPORT].contains(&kind) {
                return Err(violation(H3Code::FrameUnexpected, "this frame on the control stream"));
            }
        }
        Ok(Reading::Control { buffer, has_settings: true })
    }

    fn on_settings(&mut self, settings: &Settings) -> Result<(), Ended> {
        let flags = [Setting::ENABLE_CONNECT_PROTOCOL, Setting::ENABLE_DATAGRAM];
        if flags.iter().filter_map(|flag| settings.get(flag)).any(|value| value.into_inner() > 1) {
            return Err(violation(H3Code::SettingsError, "a flag that is neither 0 nor 1"));
        }
        let Role::Client { authority, connect: Some(connect), is_asked } = &mut self.role else {
            return Ok(());
        };
        if settings.supports_webtransport() == 0 {
            return Err(Ended::NotOffered);
        }
        let request = requests::connect(authority).ok_or(Ended::Refused { status: 400 })?;
        *is_asked = true;
        self.effects.push(Effect::Write(*connect, request));
        Ok(())
    }

    fn read_request(&mut self, lane: LaneId, buffer: BytesMut) -> Result<Reading, Ended> {
        let Role::Server { gate, requests_seen } = &mut self.role else { return Ok(Reading::Ignored) };
        let mut rest = &buffer[..];
        let status = match requests::judge(gate, self.session.is_some(), &mut rest) {
            Answer::Incomplete => return bounded(&buffer).map(|()| Reading::Request(buffer)),
            Answer::Violation(code, what) => return Err(violation(code, what)),
            Answer::Status(status) => status,
        };
        let frames = BytesMut::from(rest);
        if lane.0 == *requests_seen * 4 {
            *requests_seen += 1;
        }
        self.effects.push(Effect::Write(lane, requests::response(status)));
        if !status.is_success() {
            tracing::debug!(%status, "a request of HTTP/3 was refused");
            self.effects.push(Effect::Finish(lane));
            return Ok(Reading::Ignored);
        }
        self.open(lane);
        read_session(frames, BytesMut::new())
    }

    fn read_response(&mut self, lane: LaneId, buffer: BytesMut) -> Result<Reading, Ended> {
        let mut rest = &buffer[..];
        match requests::read_response(&mut rest)? {
            None => bounded(&buffer).map(|()| Reading::Response(buffer)),
            Some(()) => {
                let frames = BytesMut::from(rest);
                self.open(lane);
                read_session(frames, BytesMut::new())
            }
        }
    }

    fn open(&mut self, session: LaneId) {
        self.session = Some(session);
        self.is_open = true;
    }
}

/// Reads what follows the header on the stream of the CONNECT.
fn read_session(mut frames: BytesMut, mut capsules: BytesMut) -> Result<Reading, Ended> {
    while let Some((kind, payload)) = next_frame(&mut frames)? {
        match kind {
            Frame::DATA => capsules.extend_from_slice(&payload),
            Frame::SETTINGS | Frame::WEBTRANSPORT => {
                return Err(violation(H3Code::FrameUnexpected, "this frame on a request's stream"));
            }
            _ => {}
        }
        while let Some(capsule) = next_capsule(&mut capsules)? {
            if let Capsule::CloseWebTransportSession { code, .. } = capsule {
                return Err(Ended::Closed { code });
            }
        }
    }
    Ok(Reading::Session { frames, capsules })
}

fn settings_violation(error: &SettingsError) -> Ended {
    match error {
        SettingsError::FrameTooLarge => violation(H3Code::ExcessiveLoad, "SETTINGS of more than 64 KiB"),
        SettingsError::InvalidSize => violation(H3Code::FrameError, "SETTINGS that cannot be read"),
        _ => violation(H3Code::MissingSettings, "a control stream that does not begin with SETTINGS"),
    }
}

const CRITICAL_STREAM_CLOSED: Ended = violation(H3Code::ClosedCriticalStream, "the end of a control stream");
const EMPTY_DATAGRAM: Ended = violation(H3Code::FrameError, "a datagram that belongs to nothing");

const fn violation(code: H3Code, what: &'static str) -> Ended {
    Ended::Violation { code, what }
}

/// Ids of streams are varints; what is none cannot come from one.
fn varint(value: u64) -> VarInt {
    VarInt::from_u64(value).unwrap_or(VarInt::MAX)
}
