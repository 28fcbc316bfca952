//! A whole session against a hostile peer: whatever bytes on whatever lanes, and well-formed frames and records that
//! say whatever they may say, while its application does whatever it likes at whatever times.
//!
//! It never panics nor fails by a fault of its own; holds no more than its configuration allows; writes nothing that a
//! peer could not read; hands out the bytes of a stream in order and as they were sent; is through with every turn
//! after a bounded number of outputs; and once it is closed it is over soon.
#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::{Bytes, BytesMut};
use kwik::proto::carrier::{Carrier, CarrierMetrics, LaneClosed, Lanes};
use kwik::proto::config::{PathPolicy, SessionConfig, ValidConfig, Window};
use kwik::proto::error::SessionError;
use kwik::proto::wire::code::AppCode;
use kwik::proto::event::{Action, PathAddress, PathLoss, Scheme};
use kwik::proto::wire::frame::{
    Accept, Ack, AddPath, Close, Credentials, Frame, Hello, Intent, Parameters, PathReport, PathStatus,
};
use kwik::proto::acceptor::{Accepted, Acceptor};
use kwik::proto::wire::id::{Dir, LaneId, PathId, SessionId, Side, StreamId};
use kwik::proto::wire::lane::{LaneReader, put_control_header, put_record_header, put_stream_header};
use kwik::proto::wire::limits::{MAX_ACK_RANGES, MAX_STREAMS, VERSION};
use kwik::proto::streams::recv::Read;
use kwik::proto::session::{CloseState, Session};
use kwik::proto::time::Time;
use kwik::proto::wire::varint;
use libfuzzer_sys::fuzz_target;

/// Path ids and stream ids are few, so that things meet.
const PATHS: u8 = 4;
const STREAMS: u8 = 24;
/// Lanes of its own that a peer lets the session have on a path; more are refused.
const MAX_OWN_LANES: u64 = 50;
/// A session that is closed has nothing to wait for but its paths.
const MAX_TIMEOUTS: usize = 100;

/// What happens next.
#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Data { path: u8, lane: u8, bytes: &'a [u8] },
    Finished { path: u8, lane: u8 },
    Reset { path: u8, lane: u8 },
    Stopped { path: u8, lane: u8 },
    Datagram { path: u8, bytes: &'a [u8] },
    Say { path: u8, word: Word },
    Record { path: u8, lane: u8, stream: u8, offset: Number, bytes: u16, fin: bool },
    Closed { path: u8 },
    Join { path: u8 },
    Wait { ms: u16 },
    Open { uni: bool },
    Accept { uni: bool },
    Write { stream: u8, bytes: u16 },
    Finish { stream: u8 },
    GiveUp { stream: u8 },
    Read { stream: u8 },
    Stop { stream: u8 },
    Release { stream: u8 },
    Policy { stream: u8, path: u8, kind: u8 },
    SendDatagram { bytes: u8 },
    AddPath,
    RemovePath { path: u8 },
    Standby { path: u8, on: bool },
    Ping { path: u8 },
    Drain,
    Close,
    Abort,
}

/// A number on the wire: small, near a window's end, or near the largest there is.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Number {
    Small(u8),
    Middling(u32),
    Limit(i8),
    Largest(u8),
}

impl Number {
    fn get(self) -> u64 {
        match self {
            Self::Small(n) => n.into(),
            Self::Middling(n) => n.into(),
            Self::Limit(n) => config().stream_receive_window.initial_bytes.saturating_add_signed(n.into()),
            Self::Largest(n) => varint::MAX - u64::from(n),
        }
    }

    /// Where `bytes` may begin: no record ends beyond the largest offset.
    fn offset(self, bytes: impl Into<u64>) -> u64 {
        self.get().min(varint::MAX - bytes.into())
    }
}

/// A well-formed frame.
#[derive(Arbitrary, Debug)]
enum Word {
    PathStatus { path: u8, sequence: Number, standby: bool, cost: Number },
    Ping { token: Number },
    Pong { token: Number },
    Ack { stream: u8, complete: bool, contiguous: Number, ranges: Vec<(u8, u8)> },
    PathReport { received_bytes: Number, delay_us: Number },
    MaxData(Number),
    MaxStreamData { stream: u8, max_bytes: Number },
    MaxStreams { uni: bool, max: Number },
    ResetStream { stream: u8, code: Number, final_size: Number },
    StopSending { stream: u8, code: Number },
    AddPath { advice: Number, priority: Number, relay: bool },
    RemovePath { advice: Number },
    PathClose { path: u8, code: u8 },
    GoAway,
    Close { application: bool, code: Number },
    Stream { stream: u8, offset: Number, fin: bool, bytes: u8 },
    Datagram { sequence: Number, bytes: u8 },
}

impl Word {
    fn frame(self) -> Frame {
        match self {
            Self::PathStatus { path: id, sequence, standby, cost } => Frame::PathStatus(PathStatus {
                path: path(id),
                sequence: sequence.get(),
                standby,
                cost: cost.get(),
            }),
            Self::Ping { token } => Frame::Ping { token: token.get() },
            Self::Pong { token } => Frame::Pong { token: token.get() },
            Self::Ack { stream: id, complete, contiguous, ranges } => {
                let most = MAX_ACK_RANGES as u64 * 2 * u64::from(u8::MAX) + 2;
                let contiguous = contiguous.get().min(varint::MAX - most);
                let mut end = contiguous;
                let range = |(gap, length): (u8, u8)| {
                    let start = end + u64::from(gap).max(1);
                    end = start + u64::from(length).max(1);
                    start..end
                };
                let ranges = ranges.into_iter().take(MAX_ACK_RANGES).map(range).collect();
                Frame::Ack(Ack { stream: stream(id), complete, contiguous, ranges })
            }
            Self::PathReport { received_bytes, delay_us } => Frame::PathReport(PathReport {
                received_bytes: received_bytes.get(),
                delay_us: delay_us.get(),
            }),
            Self::MaxData(max) => Frame::MaxData { max_bytes: max.get() },
            Self::MaxStreamData { stream: id, max_bytes } => {
                Frame::MaxStreamData { stream: stream(id), max_bytes: max_bytes.get() }
            }
            Self::MaxStreams { uni, max } => {
                Frame::MaxStreams { dir: dir(uni), max: max.get().min(MAX_STREAMS) }
            }
            Self::ResetStream { stream: id, code, final_size } => {
                Frame::ResetStream { stream: stream(id), code: code.get(), final_size: final_size.get() }
            }
            Self::StopSending { stream: id, code } => {
                Frame::StopSending { stream: stream(id), code: code.get() }
            }
            Self::AddPath { advice, priority, relay } => Frame::AddPath(AddPath {
                advice: advice.get(),
                priority: priority.get(),
                relay,
                authority: "a:1".into(),
                certificate_hash: None,
            }),
            Self::RemovePath { advice } => Frame::RemovePath { advice: advice.get() },
            Self::PathClose { path: id, code } => {
                Frame::PathClose { path: path(id), code: code.into(), reason: Bytes::new() }
            }
            Self::GoAway => Frame::GoAway,
            Self::Close { application, code } => {
                Frame::Close(Close { application, code: code.get(), reason: Bytes::from_static(b"bye") })
            }
            Self::Stream { stream: id, offset, fin, bytes } => {
                let (stream, offset) = (stream(id), offset.offset(bytes));
                let data = payload(stream, offset, bytes.into());
                Frame::Stream { stream, offset, fin, data }
            }
            Self::Datagram { sequence, bytes } => {
                Frame::Datagram { sequence: sequence.get(), data: vec![0; bytes.into()].into() }
            }
        }
    }
}

fn path(path: u8) -> PathId {
    PathId((path % PATHS).into())
}

fn stream(stream: u8) -> StreamId {
    StreamId((stream % STREAMS).into())
}

fn dir(uni: bool) -> Dir {
    if uni { Dir::Uni } else { Dir::Bi }
}

/// The bytes of a stream are the same whenever they are sent.
fn payload(stream: StreamId, offset: u64, len: usize) -> Bytes {
    (offset..offset + len as u64).map(|offset| (offset.wrapping_mul(31) ^ stream.0) as u8).collect()
}

/// A carrier that takes some, knows little, and reads what it is given.
struct Sink {
    side: Side,
    kind: Lanes,
    knows_acks: bool,
    now: Time,
    room: usize,
    opened: [u64; 2],
    /// What the session says, as its peer reads it; `None` for a lane that the session writes to no more.
    lanes: BTreeMap<LaneId, Option<LaneReader>>,
    /// Lanes that the peer has stopped.
    stopped: Vec<LaneId>,
    /// Whether the peer's half of the control lane has begun.
    is_greeted: bool,
}

impl Sink {
    fn new(side: Side, kind: Lanes, path: u8, now: Time) -> Self {
        Self {
            side,
            kind,
            knows_acks: path % 2 == 0,
            now,
            room: 0,
            opened: [0; 2],
            lanes: BTreeMap::new(),
            stopped: Vec::new(),
            is_greeted: side == Side::Server,
        }
    }

    fn is_stopped(&self, lane: LaneId) -> bool {
        self.stopped.contains(&lane)
    }
}

impl Carrier for Sink {
    fn capacity(&mut self) -> usize {
        self.room
    }

    fn open_lane(&mut self, dir: Dir) -> Option<LaneId> {
        let (server, uni) = (u64::from(self.side == Side::Server), u64::from(dir == Dir::Uni));
        let opened = &mut self.opened[usize::from(dir == Dir::Uni)];
        *opened += 1;
        (*opened <= MAX_OWN_LANES).then_some(LaneId((*opened - 1) << 2 | uni << 1 | server))
    }

    fn write(&mut self, lane: LaneId, data: Bytes) -> Result<(), LaneClosed> {
        self.room = self.room.saturating_sub(data.len());
        if self.is_stopped(lane) {
            return Err(LaneClosed);
        }
        let reader = self.lanes.entry(lane).or_insert_with(|| Some(LaneReader::new()));
        let reader = reader.as_mut().expect("nothing is written to a lane that was ended");
        reader.push(data);
        while reader.next().expect("what the session writes can be read").is_some() {}
        Ok(())
    }

    fn finish(&mut self, lane: LaneId) {
        if let Some(Some(reader)) = self.lanes.insert(lane, None)
            && !self.is_stopped(lane)
        {
            reader.finish().expect("a lane does not end in the middle of something");
        }
    }

    fn reset(&mut self, lane: LaneId) {
        self.lanes.insert(lane, None);
    }

    fn send_datagram(&mut self, data: Bytes) -> bool {
        data.len() < 100
    }

    fn max_datagram_bytes(&mut self) -> Option<usize> {
        (self.kind == Lanes::Many).then_some(1_200)
    }

    fn lanes(&self) -> Lanes {
        self.kind
    }

    fn metrics(&self) -> CarrierMetrics {
        CarrierMetrics { awaiting_since: Some(self.now), knows_acks: self.knows_acks, ..CarrierMetrics::default() }
    }
}

fn parameters() -> Parameters {
    Parameters {
        initial_max_data_bytes: 100_000,
        initial_max_stream_data_bytes: 50_000,
        initial_max_streams_bidi: 8,
        initial_max_streams_uni: 8,
        max_datagram_bytes: 1_000,
        max_paths: 4,
        resume_timeout_ms: 5_000,
        max_ack_delay_ms: 25,
        lone_path_ack_delay_ms: 0,
    }
}

fn valid_config() -> ValidConfig {
    config().validate().expect("all numbers are in their ranges")
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::default();
    config.stream_receive_window = Window { initial_bytes: 20_000, max_bytes: 40_000 };
    config.session_receive_window = Window { initial_bytes: 40_000, max_bytes: 80_000 };
    config.stream_send_buffer_bytes = 30_000;
    config.session_send_buffer_bytes = 60_000;
    config.datagram_buffer_bytes = 10_000;
    config
}

/// What a session of this configuration may hold, as its documentation has it: what was written, what has arrived and
/// costs at most twice the window and 1 MiB, 64 slabs of 64 KiB, and datagrams in both directions.
fn max_memory_bytes(config: &SessionConfig) -> u64 {
    let arrived = 2 * config.session_receive_window.max_bytes + (1 << 20) + 64 * (64 << 10);
    config.session_send_buffer_bytes as u64 + arrived + 2 * config.datagram_buffer_bytes as u64
}

fn control(frame: Frame) -> Bytes {
    let mut buf = BytesMut::new();
    put_control_header(&mut buf);
    frame.encode(&mut buf);
    buf.freeze()
}

fn address() -> PathAddress {
    PathAddress { scheme: Scheme::Kwik, authority: "a:1".into(), pins: Vec::new(), local: None }
}

fn accepted(path: PathId, intent: Intent) -> Accepted {
    let hello = Frame::Hello(Hello { versions: vec![VERSION], path, intent, parameters: parameters() });
    let acceptor = Acceptor::new().on_lane_data(LaneId(0), Dir::Bi, control(hello));
    acceptor.expect("a good HELLO").expect("a whole HELLO")
}

/// The session, and what its peer and its application know of it.
struct World {
    now: Time,
    kind: Lanes,
    session: Session,
    carriers: Vec<Sink>,
    /// How far the application has read each stream.
    read_offsets: BTreeMap<StreamId, u64>,
    /// Whether anything has come that only looks like bytes of a stream.
    is_garbled: bool,
}

impl World {
    fn new(side: Side, kind: Lanes) -> Self {
        let now = Time::from_epoch(Duration::from_secs(1));
        let session = match side {
            Side::Client => Session::client(now, valid_config(), [1; 32], address()),
            Side::Server => {
                let accepted = accepted(PathId::PRIMARY, Intent::New);
                let mut session = Session::server(valid_config(), [1; 32], &accepted.hello);
                session.attach(now, accepted);
                session
            }
        };
        let carriers = (0..PATHS).map(|path| Sink::new(side, kind, path, now)).collect();
        let mut world =
            Self { now, kind, session, carriers, read_offsets: BTreeMap::new(), is_garbled: false };
        world.settle();
        world
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.carriers.iter_mut().for_each(|carrier| carrier.room = 20_000);
        self.session.handle_timeout(self.now);
    }

    /// Drains the outputs; a dialled path is there at once.
    fn settle(&mut self) {
        let mut turns = 0;
        loop {
            let mut busy = false;
            while let Some(action) = self.session.poll_action() {
                busy = true;
                match action {
                    Action::Transmit { path } => {
                        if let Some(carrier) = self.carriers.get_mut(path.0 as usize) {
                            carrier.now = self.now;
                            self.session.transmit(self.now, path, carrier);
                        }
                    }
                    Action::Dial { path, .. } if path.0 < u64::from(PATHS) => {
                        self.session.path_connected(self.now, path);
                    }
                    Action::Dial { path, .. } => self.session.path_failed(self.now, path, "no".into()),
                    Action::ClosePath { .. } => {}
                }
                turns += 1;
                assert!(turns < 100_000, "the outputs never end");
            }
            while self.session.poll_event().is_some() {
                busy = true;
            }
            if !busy {
                break;
            }
        }
        self.check();
    }

    fn check(&self) {
        let (stats, config) = (self.session.stats(), self.session.config());
        assert!(stats.retained_bytes <= config.session_send_buffer_bytes as u64);
        assert!(stats.buffered_bytes <= config.session_receive_window.max_bytes);
        match self.session.close_state() {
            CloseState::Open | CloseState::Flushing => {
                assert!(self.session.memory_bytes() <= max_memory_bytes(config));
            }
            CloseState::Closed(error @ (SessionError::Failed { .. } | SessionError::Evicted)) => {
                panic!("a peer made the session end with {error}");
            }
            CloseState::Closed(_) => {}
        }
    }

    /// The peer says something on its control lane. With its first word on a path it accepts it.
    fn say(&mut self, path: PathId, frame: Frame) {
        let Some(carrier) = self.carriers.get_mut(path.0 as usize) else { return };
        if self.session.path_info(path).is_none() {
            return;
        }
        let mut bytes = BytesMut::new();
        if !std::mem::replace(&mut carrier.is_greeted, true) {
            let is_first = self.session.id().is_none();
            let credentials = is_first.then_some(Credentials { resume_key: [1; 32], nonce: [2; 16] });
            let session = SessionId([3; 16]);
            let accept = Accept { version: VERSION, session, credentials, parameters: parameters() };
            bytes.extend_from_slice(&control(Frame::Accept(accept)));
        }
        frame.encode(&mut bytes);
        self.session.on_lane_data(self.now, path, LaneId(0), Dir::Bi, bytes.freeze());
    }

    /// A lane of the peer's with one record: so streams are had in pieces over any path.
    fn record(&mut self, path: PathId, lane: u8, stream: StreamId, offset: u64, len: u16, fin: bool) {
        let lane = u64::from(lane) << 2 | 2 | u64::from(self.session.side() == Side::Client);
        let mut record = BytesMut::new();
        put_stream_header(&mut record, stream);
        put_record_header(&mut record, offset, len.into(), fin);
        record.extend_from_slice(&payload(stream, offset, len.into()));
        // Beyond those that raw bytes and ends of lanes come on.
        let lane = LaneId(64 + lane);
        self.session.on_lane_data(self.now, path, lane, Dir::Uni, record.freeze());
        self.session.on_lane_finished(self.now, path, lane);
    }

    fn read(&mut self, stream: StreamId) {
        let Ok(Read::Data(data)) = self.session.read(self.now, stream, 10_000) else { return };
        let offset = self.read_offsets.entry(stream).or_default();
        assert!(self.is_garbled || data == payload(stream, *offset, data.len()), "{stream} at {offset}");
        *offset += data.len() as u64;
    }

    /// What fails fails: that is the session's business, and the next step's.
    fn happen(&mut self, step: Step<'_>) {
        let (now, session) = (self.now, &mut self.session);
        let lane = |lane: u8| LaneId(u64::from(lane % 16));
        match step {
            Step::Data { path: on, lane: id, bytes } => {
                self.is_garbled = true;
                let dir = dir(lane(id).0 & 2 != 0);
                session.on_lane_data(now, path(on), lane(id), dir, Bytes::copy_from_slice(bytes));
            }
            Step::Finished { path: on, lane: id } => session.on_lane_finished(now, path(on), lane(id)),
            Step::Reset { path: on, lane: id } => session.on_lane_reset(now, path(on), lane(id)),
            Step::Stopped { path: on, lane: id } => {
                self.carriers[path(on).0 as usize].stopped.push(lane(id));
                session.on_lane_stopped(now, path(on), lane(id));
            }
            Step::Datagram { path: on, bytes } => {
                session.on_datagram(now, path(on), Bytes::copy_from_slice(bytes));
            }
            Step::Say { path: on, word } => self.say(path(on), word.frame()),
            Step::Record { path: on, lane, stream: id, offset, bytes, fin } => {
                self.record(path(on), lane, stream(id), offset.offset(bytes), bytes, fin);
            }
            Step::Closed { path: on } => session.path_closed(now, path(on), PathLoss::TimedOut),
            Step::Join { path: on } => {
                // As if its proof had been checked; a session that is closed lets nobody join.
                let intent = Intent::Join { session: SessionId([0; 16]), proof: [0; 32] };
                let is_closed = matches!(session.close_state(), CloseState::Closed(_));
                if session.side() == Side::Server && !is_closed && session.path_info(path(on)).is_none() {
                    self.carriers[path(on).0 as usize] = Sink::new(Side::Server, self.kind, on % PATHS, now);
                    session.attach(now, accepted(path(on), intent));
                }
            }
            Step::Wait { ms } => self.wait(Duration::from_millis(ms.into())),
            Step::Open { uni } => drop(session.open(dir(uni))),
            Step::Accept { uni } => drop(session.accept(dir(uni))),
            Step::Write { stream: id, bytes } => {
                drop(session.write(stream(id), &mut Bytes::from(vec![0; usize::from(bytes)])));
            }
            Step::Finish { stream: id } => drop(session.finish(stream(id))),
            Step::GiveUp { stream: id } => drop(session.reset(now, stream(id), AppCode::new(1))),
            Step::Read { stream: id } => self.read(stream(id)),
            Step::Stop { stream: id } => drop(session.stop(now, stream(id), AppCode::new(2))),
            Step::Release { stream: id } => {
                session.release_send(now, stream(id));
                session.release_recv(now, stream(id));
            }
            Step::Policy { stream: id, path: on, kind } => {
                let policy = match kind % 6 {
                    0 => PathPolicy::Any,
                    1 => PathPolicy::Prefer(path(on)),
                    2 => PathPolicy::Pin(path(on)),
                    3 => PathPolicy::AvoidCostly,
                    4 => PathPolicy::Redundant,
                    _ => PathPolicy::Deadline(Duration::from_millis(50)),
                };
                session.set_policy(stream(id), policy);
                session.set_priority(stream(id), i32::from(kind));
            }
            Step::SendDatagram { bytes } => {
                let data = Bytes::from(vec![0; usize::from(bytes)]);
                drop(session.send_datagram(now, data, PathPolicy::Redundant));
            }
            Step::AddPath => drop(session.add_path(now, address())),
            Step::RemovePath { path: on } => drop(session.remove_path(now, path(on))),
            Step::Standby { path: on, on: wish } => drop(session.set_standby(path(on), wish)),
            Step::Ping { path: on } => drop(session.ping(path(on))),
            Step::Drain => session.drain(now),
            Step::Close => session.close(now, AppCode::new(3), Bytes::new()),
            Step::Abort => session.abort(now, AppCode::new(4), Bytes::new()),
        }
        self.settle();
    }

    /// The application has had enough, and the peer says nothing more.
    fn end(&mut self) {
        self.session.abort(self.now, AppCode::new(5), Bytes::new());
        self.settle();
        for _ in 0..MAX_TIMEOUTS {
            let Some(at) = self.session.poll_timeout() else { break };
            self.wait(at.saturating_since(self.now));
            self.settle();
        }
        assert!(self.session.is_over(), "closed, and not over: {:?}", self.session);
        assert_eq!(self.session.poll_timeout(), None, "over, and waits for something");
    }
}

fuzz_target!(|data: &[u8]| {
    let mut source = Unstructured::new(data);
    let Ok((is_server, one_lane)) = <(bool, bool)>::arbitrary(&mut source) else { return };
    let side = if is_server { Side::Server } else { Side::Client };
    let mut world = World::new(side, if one_lane { Lanes::One } else { Lanes::Many });
    while !source.is_empty()
        && let Ok(step) = Step::arbitrary(&mut source)
    {
        world.happen(step);
    }
    world.end();
});
