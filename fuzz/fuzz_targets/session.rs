//! A whole session, fed with whatever bytes on whatever lanes, and with well-formed frames and records that say whatever
//! a hostile peer may say, while its application does whatever it likes at whatever times. It never panics, holds no more than its configuration allows, and is through with every turn
//! after a bounded number of outputs.
#![no_main]

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::{Bytes, BytesMut};
use kwik::proto::carrier::{Carrier, Figures, LaneClosed, Lanes};
use kwik::proto::config::{PathPolicy, SessionConfig, Window};
use kwik::proto::error::AppCode;
use kwik::proto::event::{Action, PathAddress, PathLoss, Scheme};
use kwik::proto::frame::{
    Accept, Ack, AddPath, Close, Credentials, Frame, Hello, Intent, Parameters, PathReport, PathStatus,
};
use kwik::proto::greeter::Greeter;
use kwik::proto::id::{Dir, LaneId, PathId, SessionId, Side, StreamId};
use kwik::proto::lane::{put_control_header, put_record_header, put_stream_header};
use kwik::proto::limits::{MAX_ACK_RANGES, MAX_STREAMS, VERSION};
use kwik::proto::session::Session;
use kwik::proto::time::Time;
use kwik::proto::varint;
use libfuzzer_sys::fuzz_target;

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

/// A number on the wire: small, near a limit, or the largest there is.
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
            Self::Limit(n) => 40_000_u64.saturating_add_signed(n.into()),
            Self::Largest(n) => varint::MAX - u64::from(n),
        }
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
    ResetStream { stream: u8, final_size: Number },
    StopSending { stream: u8 },
    AddPath { advice: Number, relay: bool },
    RemovePath { advice: Number },
    PathClose { path: u8, code: u8 },
    GoAway,
    Close { application: bool },
    Stream { stream: u8, offset: Number, fin: bool, bytes: u8 },
    Datagram { sequence: Number, bytes: u8 },
}

impl Word {
    fn frame(self) -> Frame {
        let path = |path: u8| PathId((path % 4).into());
        let stream = |stream: u8| StreamId((stream % 24).into());
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
                let contiguous = contiguous.get().min(varint::MAX / 2);
                let mut end = contiguous;
                let mut range = |(gap, length): (u8, u8)| {
                    let start = end + u64::from(gap) + 1;
                    end = start + u64::from(length) + 1;
                    start..end
                };
                let ranges = ranges.into_iter().take(MAX_ACK_RANGES).map(&mut range).collect();
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
            Self::ResetStream { stream: id, final_size } => {
                Frame::ResetStream { stream: stream(id), code: 1, final_size: final_size.get() }
            }
            Self::StopSending { stream: id } => Frame::StopSending { stream: stream(id), code: 2 },
            Self::AddPath { advice, relay } => Frame::AddPath(AddPath {
                advice: advice.get(),
                priority: 0,
                relay,
                authority: "a:1".into(),
                certificate_hash: None,
            }),
            Self::RemovePath { advice } => Frame::RemovePath { advice: advice.get() },
            Self::PathClose { path: id, code } => {
                Frame::PathClose { path: path(id), code: code.into(), reason: Bytes::new() }
            }
            Self::GoAway => Frame::GoAway,
            Self::Close { application } => {
                Frame::Close(Close { application, code: 9, reason: Bytes::from_static(b"bye") })
            }
            Self::Stream { stream: id, offset, fin, bytes } => Frame::Stream {
                stream: stream(id),
                offset: offset.get().min(varint::MAX - u64::from(bytes)),
                fin,
                data: vec![0; bytes.into()].into(),
            },
            Self::Datagram { sequence, bytes } => {
                Frame::Datagram { sequence: sequence.get(), data: vec![0; bytes.into()].into() }
            }
        }
    }
}

/// Takes some, knows little.
struct Sink {
    room: usize,
    lanes: u64,
    now: Time,
    kind: Lanes,
}

impl Carrier for Sink {
    fn capacity(&mut self) -> usize {
        self.room
    }
    fn open_lane(&mut self, dir: Dir) -> Option<LaneId> {
        self.lanes += 1;
        (self.lanes < 50).then_some(LaneId((self.lanes - 1) << 2 | u64::from(dir == Dir::Uni) << 1))
    }
    fn write(&mut self, _: LaneId, data: Bytes) -> Result<(), LaneClosed> {
        self.room = self.room.saturating_sub(data.len());
        Ok(())
    }
    fn finish(&mut self, _: LaneId) {}
    fn reset(&mut self, _: LaneId) {}
    fn send_datagram(&mut self, data: Bytes) -> bool {
        data.len() < 100
    }
    fn max_datagram_bytes(&mut self) -> Option<usize> {
        Some(1_200)
    }
    fn lanes(&self) -> Lanes {
        self.kind
    }
    fn figures(&self) -> Figures {
        Figures { awaiting_since: Some(self.now), knows_acks: self.lanes % 2 == 0, ..Figures::default() }
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
    }
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::default();
    config.stream_receive_window = Window { initial_bytes: 20_000, max_bytes: 40_000 };
    config.session_receive_window = Window { initial_bytes: 40_000, max_bytes: 80_000 };
    config.stream_send_buffer_bytes = 30_000;
    config.session_send_buffer_bytes = 60_000;
    config
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

fn greeted(path: PathId, intent: Intent) -> kwik::proto::greeter::Greeted {
    let hello = Frame::Hello(Hello { versions: vec![VERSION], path, intent, parameters: parameters() });
    let greeter = Greeter::new().on_lane_data(LaneId(0), Dir::Bi, control(hello));
    greeter.expect("a good HELLO").expect("a whole HELLO")
}

fn server(now: Time) -> Session {
    let greeted = greeted(PathId::PRIMARY, Intent::New);
    let mut session = Session::server(config(), [1; 32], &greeted.hello);
    session.attach(now, greeted);
    session
}

/// A client whose first path is about to be accepted.
fn client(now: Time, carriers: &mut [Sink]) -> Session {
    let mut session = Session::client(now, config(), [1; 32], address());
    session.path_connected(now, PathId::PRIMARY);
    settle(now, &mut session, carriers);
    let credentials = Some(Credentials { resume_key: [1; 32], nonce: [2; 16] });
    let accept =
        Accept { version: VERSION, session: SessionId([3; 16]), credentials, parameters: parameters() };
    session.on_lane_data(now, PathId::PRIMARY, LaneId(0), Dir::Bi, control(Frame::Accept(accept)));
    session
}

/// Drains the outputs; a dialled path is there at once.
fn settle(now: Time, session: &mut Session, carriers: &mut [Sink]) {
    let mut turns = 0;
    loop {
        let mut busy = false;
        while let Some(action) = session.poll_action() {
            busy = true;
            match action {
                Action::Transmit { path } => {
                    if let Some(carrier) = carriers.get_mut(path.0 as usize) {
                        carrier.now = now;
                        session.transmit(now, path, carrier);
                    }
                }
                Action::Dial { path, .. } if path.0 < 4 => session.path_connected(now, path),
                Action::Dial { path, .. } => session.path_failed(now, path, "no".into()),
                Action::ClosePath { .. } => {}
            }
            turns += 1;
            assert!(turns < 100_000, "the outputs never end");
        }
        while session.poll_event().is_some() {
            busy = true;
        }
        if !busy {
            break;
        }
    }
    let (stats, config) = (session.stats(), session.config());
    assert!(stats.retained_bytes <= config.session_send_buffer_bytes as u64);
    assert!(stats.buffered_bytes <= config.session_receive_window.max_bytes);
}

fn dir(uni: bool) -> Dir {
    if uni { Dir::Uni } else { Dir::Bi }
}

/// What fails fails: that is the session's business, and the next step's.
fn happen(now: Time, session: &mut Session, step: Step<'_>) {
    let path = |path: u8| PathId(u64::from(path % 4));
    let stream = |stream: u8| StreamId(u64::from(stream % 24));
    match step {
        Step::Data { path: on, lane, bytes } => {
            let lane = LaneId(u64::from(lane % 16));
            let dir = dir(lane.0 & 2 != 0);
            session.on_lane_data(now, path(on), lane, dir, Bytes::copy_from_slice(bytes));
        }
        Step::Finished { path: on, lane } => {
            session.on_lane_finished(now, path(on), LaneId(u64::from(lane % 16)))
        }
        Step::Reset { path: on, lane } => session.on_lane_reset(now, path(on), LaneId(u64::from(lane % 16))),
        Step::Stopped { path: on, lane } => {
            session.on_lane_stopped(now, path(on), LaneId(u64::from(lane % 16)))
        }
        Step::Datagram { path: on, bytes } => {
            session.on_datagram(now, path(on), Bytes::copy_from_slice(bytes))
        }
        Step::Say { path: on, word } => {
            let mut frame = BytesMut::new();
            word.frame().encode(&mut frame);
            session.on_lane_data(now, path(on), LaneId(0), Dir::Bi, frame.freeze());
        }
        Step::Record { path: on, lane, stream: id, offset, bytes, fin } => {
            // Lanes of the peer, each with one record: so streams are had in pieces over any path.
            let lane = LaneId(64 + u64::from(lane) * 4 + 2 + u64::from(session.side() == Side::Client));
            let mut record = BytesMut::new();
            put_stream_header(&mut record, stream(id));
            let len = usize::from(bytes);
            put_record_header(&mut record, offset.get().min(varint::MAX - u64::from(bytes)), len, fin);
            record.resize(record.len() + len, 0);
            session.on_lane_data(now, path(on), lane, Dir::Uni, record.freeze());
            session.on_lane_finished(now, path(on), lane);
        }
        Step::Closed { path: on } => session.path_closed(now, path(on), PathLoss::TimedOut),
        Step::Join { path: on } => {
            // As if its proof had been checked.
            let intent = Intent::Join { session: SessionId([0; 16]), proof: [0; 32] };
            if session.side() == Side::Server && session.path_info(path(on)).is_none() {
                session.attach(now, greeted(path(on), intent));
            }
        }
        Step::Wait { .. } => session.handle_timeout(now),
        Step::Open { uni } => drop(session.open(dir(uni))),
        Step::Accept { uni } => drop(session.accept(dir(uni))),
        Step::Write { stream: id, bytes } => {
            drop(session.write(stream(id), &mut Bytes::from(vec![0; usize::from(bytes)])));
        }
        Step::Finish { stream: id } => drop(session.finish(stream(id))),
        Step::GiveUp { stream: id } => drop(session.reset(now, stream(id), AppCode(1))),
        Step::Read { stream: id } => drop(session.read(now, stream(id), 10_000)),
        Step::Stop { stream: id } => drop(session.stop(now, stream(id), AppCode(2))),
        Step::Release { stream: id } => {
            session.release_send(stream(id));
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
            drop(session.send_datagram(now, Bytes::from(vec![0; usize::from(bytes)]), PathPolicy::Redundant));
        }
        Step::AddPath => drop(session.add_path(now, address())),
        Step::RemovePath { path: on } => drop(session.remove_path(now, path(on))),
        Step::Standby { path: on, on: wish } => drop(session.set_standby(path(on), wish)),
        Step::Ping { path: on } => drop(session.ping(path(on))),
        Step::Drain => session.drain(now),
        Step::Close => session.close(now, AppCode(3), Bytes::new()),
        Step::Abort => session.abort(now, AppCode(4), Bytes::new()),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut source = Unstructured::new(data);
    let Ok((is_server, one_lane)) = <(bool, bool)>::arbitrary(&mut source) else { return };
    let mut now = Time::from_epoch(Duration::from_secs(1));
    let kind = if one_lane { Lanes::One } else { Lanes::Many };
    let mut carriers: Vec<_> = (0..4).map(|lanes| Sink { room: 0, lanes, now, kind }).collect();
    carriers[0].lanes = 0;
    let mut session = if is_server { server(now) } else { client(now, &mut carriers) };
    settle(now, &mut session, &mut carriers);
    while let Ok(step) = Step::arbitrary(&mut source) {
        if let Step::Wait { ms } = step {
            now += Duration::from_millis(u64::from(ms));
            carriers.iter_mut().for_each(|carrier| carrier.room = 20_000);
        }
        happen(now, &mut session, step);
        settle(now, &mut session, &mut carriers);
        if source.is_empty() {
            break;
        }
    }
});
