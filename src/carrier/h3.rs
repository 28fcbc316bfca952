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
//! lanes pass as they are, without a copy. Nothing a peer sends makes it panic or keep more than one header of 16 KiB
//! for each stream; what has no use is passed over as it comes. What is against the rules ends its stream or the
//! connection with the code that the rules name.
//!
//! It owns no connection: [`PathCarrier`](super::PathCarrier) feeds it arrivals, and carries its [`Effect`]s out.

mod capsules;
mod code;
mod ended;
mod fields;
mod frames;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod huffman;
mod lanes;
mod origin_policy;
mod qpack;
mod requests;
mod settings;
mod static_table;
mod status;
mod streams;
#[cfg(test)]
mod tests;
mod tlv;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use self::capsules::CapsuleReader;
pub(crate) use self::code::H3Code;
pub(crate) use self::ended::Ended;
use self::ended::violation;
use self::frames::Place;
pub(crate) use self::origin_policy::{OriginError, OriginPolicy};
use self::qpack::Instructions;
use self::requests::Answer;
use self::settings::Settings;
use self::status::Status;
use self::streams::ControlStream;
use self::tlv::{Item, Tlv};
use super::quic::receive::Arrival;
use crate::proto::wire::id::{Dir, LaneId};
use crate::proto::wire::varint;

/// The protocol's name in TLS (RFC 9114 section 3.1).
pub(crate) const ALPN_H3: &[u8] = b"h3";

/// The application's code 0 as the codes of lanes are written (draft-ietf-webtrans-http3 section 4.4).
pub(crate) const LANE_CODE: u64 = 0x52e4_a40f_a8db;

/// A datagram names its session by a quarter of its id (RFC 9297 section 2.1).
const MAX_QUARTER_STREAM_ID: u64 = (1 << 60) - 1;

/// What is to be done to the streams of the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Write(LaneId, Bytes),
    Finish(LaneId),
    Reset(LaneId, H3Code),
    Stop(LaneId, H3Code),
}

/// What a stream of the peer's is, as far as it is known.
#[derive(Debug)]
enum Reading {
    /// Its first bytes do not tell yet.
    Unknown(BytesMut),
    Lane,
    /// A lane of a session that may yet come; its bytes are the carrier's to keep.
    Held(LaneId),
    Control(ControlStream),
    Qpack(Instructions),
    /// Server: a request whose header is not complete.
    Request(Tlv),
    /// Client: the answer to its CONNECT.
    Response(Tlv),
    /// The stream of the CONNECT, once the session is open.
    Session(CapsuleReader),
    /// Nothing on it is of interest.
    Ignored,
}

/// Which end this is, and how far it is.
#[derive(Debug)]
enum Role {
    Server {
        policy: Arc<OriginPolicy>,
        /// Requests are looked at one after another until one opens the session: this many are done.
        requests_seen: u64,
    },
    Client {
        authority: String,
        connect: Option<LaneId>,
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
    /// What the peer says it can do; before it has said so, nothing is asked or answered.
    peer: Option<Settings>,
    effects: Vec<Effect>,
}

impl H3 {
    /// A server's: sessions are for whom `policy` lets in.
    pub(crate) fn server(policy: Arc<OriginPolicy>) -> Self {
        Self::new(Role::Server { policy, requests_seen: 0 })
    }

    /// A client's, which asks `authority` (`host:port`) for a session.
    pub(crate) fn client(authority: String) -> Self {
        Self::new(Role::Client { authority, connect: None })
    }

    fn new(role: Role) -> Self {
        Self {
            role,
            session: None,
            is_open: false,
            first_lane: None,
            readings: BTreeMap::new(),
            own_control: None,
            peer: None,
            effects: Vec::new(),
        }
    }

    /// Begins, with a unidirectional stream, and on a client a bidirectional one as well.
    pub(crate) fn start(&mut self, control: LaneId, connect: Option<LaneId>) {
        self.own_control = Some(control);
        self.effects.push(Effect::Write(control, streams::own_control_stream()));
        if let (Role::Client { connect: stream, .. }, Some(lane)) = (&mut self.role, connect) {
            *stream = connect;
            self.readings.insert(lane, Reading::Response(Tlv::default()));
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

    /// How many bytes are to be read of a stream before the lanes of the session are taken. What is left
    /// waits in the carrier, which counts it.
    pub(crate) fn wanted_early(&self, lane: LaneId, dir: Dir) -> usize {
        match (self.readings.get(&lane), &self.role) {
            // The first byte tells how many follow.
            (None, _) if dir == Dir::Uni => 1,
            // What a client asks is looked at in order, so that its first lane is the first in every sense; and not
            // before its SETTINGS (draft-ietf-webtrans-http3 section 3.1).
            (None, Role::Server { requests_seen, .. }) => {
                usize::from(self.peer.is_some() && lane.0 == requests_seen * 4)
            }
            (None, Role::Client { .. }) => 0,
            (Some(Reading::Unknown(head)), _) => missing_of_head(head),
            (Some(Reading::Lane), Role::Server { .. }) if self.first_lane == Some(lane) => usize::MAX,
            (Some(Reading::Lane | Reading::Held(_)), _) => 0,
            (Some(_), _) => usize::MAX,
        }
    }

    /// What is to be done to the streams, in order.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A stream was [stopped](Effect::Stop): nothing more arrives on it, and it is as if it had never been.
    pub(crate) fn forget(&mut self, lane: LaneId) {
        self.readings.remove(&lane);
    }

    // ---- lanes and datagrams that go out ----

    /// A datagram as it is sent (RFC 9297 section 2.1).
    pub(crate) fn wrap_datagram(&self, data: &[u8]) -> Bytes {
        let mut wrapped = BytesMut::with_capacity(self.datagram_overhead_bytes() + data.len());
        varint::put(&mut wrapped, self.quarter_stream_id());
        wrapped.extend_from_slice(data);
        wrapped.freeze()
    }

    /// By how much a datagram is longer when it is sent.
    pub(crate) fn datagram_overhead_bytes(&self) -> usize {
        varint::size(self.quarter_stream_id())
    }

    fn quarter_stream_id(&self) -> u64 {
        self.session.map_or(0, |session| session.0 / 4)
    }

    /// Server: ends the control lane, which tells the client that the path is done with.
    pub(crate) fn take_leave(&mut self) {
        self.effects.extend(self.first_lane.map(Effect::Finish));
    }

    /// Closes the session: nothing is to follow on it. The peer closes the connection when it has heard.
    pub(crate) fn close(&mut self, code: u64, reason: &[u8]) {
        let Some(session) = self.session else { return };
        let farewell = capsules::close(code, reason);
        self.effects.extend([Effect::Write(session, farewell), Effect::Finish(session)]);
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
            Arrival::Stopped(lane) => {
                // No other stream that this end writes on has an answer.
                if matches!(self.readings.get(&lane), None | Some(Reading::Lane)) {
                    take(Arrival::Stopped(lane));
                }
            }
            Arrival::Datagram(mut data) => {
                let id = varint::get(&mut data).filter(|id| *id <= MAX_QUARTER_STREAM_ID);
                let id = id.ok_or(violation(H3Code::DatagramError, "a datagram that belongs to nothing"))?;
                // One for a session that does not exist is dropped.
                if self.is_open && id == self.quarter_stream_id() {
                    take(Arrival::Datagram(data));
                }
            }
            Arrival::DatagramsDropped(count) => take(Arrival::DatagramsDropped(count)),
        }
        Ok(())
    }

    fn on_end(&mut self, lane: LaneId, end: Arrival, take: &mut impl FnMut(Arrival)) -> Result<(), Ended> {
        let is_clean = matches!(end, Arrival::Finished(_));
        match self.readings.remove(&lane) {
            Some(Reading::Lane) => {
                take(end);
                return Ok(());
            }
            Some(Reading::Control(_) | Reading::Qpack(_)) => return Err(CRITICAL_STREAM_CLOSED),
            Some(Reading::Session(reader)) => {
                return Err(if is_clean { reader.end() } else { Ended::Closed { code: 0 } });
            }
            Some(Reading::Request(frames) | Reading::Response(frames))
                if is_clean && !frames.is_complete() =>
            {
                return Err(CUT_OFF);
            }
            Some(Reading::Response(_)) => {
                return Err(violation(H3Code::MessageError, "no answer to CONNECT"));
            }
            Some(Reading::Request(_)) => self.give_up_request(lane, is_clean),
            // The beginning of a frame that does not go on. A unidirectional stream may end before it says what it
            // is (RFC 9114 section 6.2).
            Some(Reading::Unknown(_)) if is_bidirectional(lane) && is_clean => return Err(CUT_OFF),
            Some(Reading::Unknown(_)) | None if is_bidirectional(lane) && self.is_server() => {
                self.give_up_request(lane, is_clean);
            }
            Some(Reading::Unknown(_) | Reading::Held(_) | Reading::Ignored) | None => {}
        }
        self.turn_to_next_request(lane);
        Ok(())
    }

    /// A request that ended before its header did (RFC 9114 sections 4.1 and 4.1.1).
    fn give_up_request(&mut self, lane: LaneId, is_clean: bool) {
        let code = if is_clean { H3Code::RequestIncomplete } else { H3Code::RequestCancelled };
        self.effects.push(Effect::Reset(lane, code));
    }

    /// Server: a stream that was looked at is done with, be it what it may.
    fn turn_to_next_request(&mut self, lane: LaneId) {
        if let Role::Server { requests_seen, .. } = &mut self.role
            && lane.0 == *requests_seen * 4
        {
            *requests_seen += 1;
            self.resolve_held();
        }
    }

    /// Bytes of a stream that is no lane yet.
    fn on_data(
        &mut self,
        lane: LaneId,
        dir: Dir,
        data: Bytes,
        take: &mut impl FnMut(Arrival),
    ) -> Result<(), Ended> {
        let is_server = self.is_server();
        let reading = match self.readings.remove(&lane).unwrap_or(Reading::Unknown(BytesMut::new())) {
            Reading::Unknown(first) => self.classify(lane, dir, first, data, take)?,
            Reading::Control(mut control) => {
                if let Some(settings) = control.read(&data, is_server)? {
                    self.on_settings(settings)?;
                }
                Reading::Control(control)
            }
            Reading::Qpack(mut instructions) => {
                instructions.read(&data)?;
                Reading::Qpack(instructions)
            }
            Reading::Request(mut frames) => {
                frames.push(&data);
                self.read_request(lane, frames)?
            }
            Reading::Response(mut frames) => {
                frames.push(&data);
                self.read_response(lane, frames)?
            }
            Reading::Session(mut reader) => {
                reader.read(&data)?;
                Reading::Session(reader)
            }
            reading @ (Reading::Lane | Reading::Held(_) | Reading::Ignored) => reading,
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
        let Some(kind) = varint::get(&mut rest) else { return Ok(Reading::Unknown(bytes.into())) };
        if kind == streams::lane_signal(dir) {
            let Some(session) = varint::get(&mut rest) else { return Ok(Reading::Unknown(bytes.into())) };
            let reading = self.sort_lane(lane, dir, session)?;
            if matches!(reading, Reading::Lane) && !rest.is_empty() {
                take(Arrival::Data { lane, dir, data: rest });
            }
            return Ok(reading);
        }
        match (dir, &self.role) {
            (Dir::Bi, Role::Server { .. }) => {
                let mut frames = Tlv::default();
                frames.push(&bytes);
                self.read_request(lane, frames)
            }
            (Dir::Bi, Role::Client { .. }) => {
                Err(violation(H3Code::StreamCreation, "a server that opens a request"))
            }
            (Dir::Uni, _) => self.read_special(lane, kind, &rest),
        }
    }

    fn read_special(&mut self, lane: LaneId, kind: u64, data: &[u8]) -> Result<Reading, Ended> {
        let has = |is_same: fn(&Reading) -> bool| self.readings.values().any(is_same);
        let is_second = match kind {
            streams::CONTROL => has(|it| matches!(it, Reading::Control(_))),
            streams::QPACK_ENCODER => has(|it| matches!(it, Reading::Qpack(Instructions::Encoder(_)))),
            streams::QPACK_DECODER => has(|it| matches!(it, Reading::Qpack(Instructions::Decoder(_)))),
            _ => false,
        };
        if is_second {
            return Err(violation(H3Code::StreamCreation, "a second stream of a kind that there is once"));
        }
        match kind {
            streams::CONTROL => {
                let mut control = ControlStream::default();
                if let Some(settings) = control.read(data, self.is_server())? {
                    self.on_settings(settings)?;
                }
                Ok(Reading::Control(control))
            }
            streams::QPACK_ENCODER | streams::QPACK_DECODER => {
                let mut instructions = match kind {
                    streams::QPACK_ENCODER => Instructions::Encoder(BytesMut::new()),
                    _ => Instructions::Decoder(BytesMut::new()),
                };
                instructions.read(data)?;
                Ok(Reading::Qpack(instructions))
            }
            // RFC 9114 sections 4.6 and 6.2.2.
            streams::PUSH if self.is_server() => Err(violation(H3Code::StreamCreation, "a push of a client")),
            streams::PUSH => Err(violation(H3Code::IdError, "a push without MAX_PUSH_ID")),
            _ => {
                self.effects.push(Effect::Stop(lane, H3Code::StreamCreation));
                Ok(Reading::Ignored)
            }
        }
    }

    fn on_settings(&mut self, settings: Settings) -> Result<(), Ended> {
        self.peer = Some(settings);
        let Role::Client { authority, connect: Some(connect) } = &self.role else { return Ok(()) };
        if !settings.offers_sessions {
            return Err(Ended::NotOffered);
        }
        let request = requests::connect(authority).ok_or(Ended::Refused { status: 400 })?;
        self.effects.push(Effect::Write(*connect, request));
        Ok(())
    }

    fn read_request(&mut self, lane: LaneId, mut frames: Tlv) -> Result<Reading, Ended> {
        let Role::Server { policy, .. } = &self.role else { return Ok(Reading::Ignored) };
        let peer = self.peer.ok_or(violation(H3Code::MissingSettings, "a request before SETTINGS"))?;
        let answer = loop {
            match frames.next(|kind| frames::treat(Place::RequestHead, kind))? {
                None => return Ok(Reading::Request(frames)),
                Some(Item::Whole(_, section)) => {
                    break requests::judge(policy, self.session.is_some(), peer, &section)?;
                }
                Some(Item::TooLong(_)) => break Answer::Status(Status::HeaderTooLarge),
                Some(Item::Piece(_)) => {}
            }
        };
        let reading = self.give(lane, answer, frames)?;
        self.turn_to_next_request(lane);
        Ok(reading)
    }

    /// Answers a request.
    fn give(&mut self, lane: LaneId, answer: Answer, frames: Tlv) -> Result<Reading, Ended> {
        match answer {
            Answer::Status(Status::Ok) => {
                self.effects.push(Effect::Write(lane, requests::response(Status::Ok)));
                self.open(lane, frames)
            }
            Answer::Status(status) => {
                tracing::debug!(?status, "a request of HTTP/3 was refused");
                self.effects.extend([Effect::Write(lane, requests::response(status)), Effect::Finish(lane)]);
                Ok(Reading::Ignored)
            }
            Answer::Malformed(what) => {
                tracing::debug!(what, "a request of HTTP/3 was malformed");
                let code = H3Code::MessageError;
                self.effects.extend([Effect::Reset(lane, code), Effect::Stop(lane, code)]);
                Ok(Reading::Ignored)
            }
        }
    }

    fn read_response(&mut self, lane: LaneId, mut frames: Tlv) -> Result<Reading, Ended> {
        while let Some(item) = frames.next(|kind| frames::treat(Place::ResponseHead, kind))? {
            match item {
                Item::Whole(_, section) if requests::read_response(&section)? => {
                    return self.open(lane, frames);
                }
                Item::TooLong(_) => {
                    return Err(violation(H3Code::ExcessiveLoad, "a header of more than 16 KiB"));
                }
                Item::Whole(..) | Item::Piece(_) => {}
            }
        }
        Ok(Reading::Response(frames))
    }

    fn open(&mut self, session: LaneId, frames: Tlv) -> Result<Reading, Ended> {
        self.session = Some(session);
        self.is_open = true;
        self.resolve_held();
        let mut reader = CapsuleReader::after(frames);
        // What came along with the header.
        reader.read(&[])?;
        Ok(Reading::Session(reader))
    }
}

/// RFC 9000 section 2.1.
fn is_bidirectional(lane: LaneId) -> bool {
    lane.0 & 0b10 == 0
}

/// How many bytes are missing until the beginning of a stream says more: of its type, or of a lane's session.
fn missing_of_head(head: &[u8]) -> usize {
    let size = |bytes: &[u8]| bytes.first().map_or(1, |first| varint::size_from_first(*first));
    let missing = |bytes: &[u8]| size(bytes).saturating_sub(bytes.len()).max(1);
    let mut rest = head;
    match varint::get(&mut rest) {
        Some(_) => missing(rest),
        None => missing(head),
    }
}

const CRITICAL_STREAM_CLOSED: Ended =
    violation(H3Code::ClosedCriticalStream, "the end of a stream that has none");
const CUT_OFF: Ended = violation(H3Code::FrameError, "a frame that is cut off");
