//! A peer that writes its bytes by hand: each rule that it breaks ends the session with the code promised for it,
//! and nothing that it does makes an end panic or hold more than its limits.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kwik::proto::acceptor::Acceptor;
use kwik::proto::carrier::{Carrier, CarrierMetrics, LaneClosed};
use kwik::proto::config::{SessionConfig, Window};
use kwik::proto::error::SessionError;
use kwik::proto::event::Action;
use kwik::proto::session::{CloseState, Session};
use kwik::proto::streams::recv::Read;
use kwik::proto::time::Time;
use kwik::proto::wire::code::AppCode;
use kwik::proto::wire::code::TransportCode;
use kwik::proto::wire::frame::{
    Accept, Ack, Credentials, Frame, Hello, Intent, Parameters, PathReport, PathStatus,
};
use kwik::proto::wire::id::{Dir, LaneId, PathId, SessionId, Side, StreamId};
use kwik::proto::wire::lane::{
    LaneItem, LaneReader, put_control_header, put_record_header, put_stream_header,
};
use kwik::proto::wire::limits::VERSION;

use crate::world::address;

pub(crate) const CONTROL: LaneId = LaneId(0);

/// Takes everything and keeps it.
#[derive(Default)]
pub(crate) struct Sink {
    lanes: u64,
    written: BTreeMap<LaneId, Vec<u8>>,
    finished: Vec<LaneId>,
}

impl Carrier for Sink {
    fn capacity(&mut self) -> usize {
        1 << 20
    }
    fn open_lane(&mut self, dir: Dir) -> Option<LaneId> {
        self.lanes += 1;
        Some(LaneId((self.lanes - 1) << 2 | u64::from(dir == Dir::Uni) << 1))
    }
    fn write(&mut self, lane: LaneId, data: Bytes) -> Result<(), LaneClosed> {
        self.written.entry(lane).or_default().extend_from_slice(&data);
        Ok(())
    }
    fn finish(&mut self, lane: LaneId) {
        self.finished.push(lane);
    }
    fn reset(&mut self, _: LaneId) {}
    fn send_datagram(&mut self, _: Bytes) -> bool {
        true
    }
    fn max_datagram_bytes(&mut self) -> Option<usize> {
        Some(1_200)
    }
    fn metrics(&self) -> CarrierMetrics {
        CarrierMetrics { knows_acks: true, ..CarrierMetrics::default() }
    }
}

/// One end, and the hand-made peer in front of it.
pub(crate) struct Victim {
    pub(crate) now: Time,
    pub(crate) session: Session,
    carrier: Sink,
}

pub(crate) fn parameters() -> Parameters {
    Parameters {
        initial_max_data_bytes: 1 << 20,
        initial_max_stream_data_bytes: 1 << 20,
        initial_max_streams_bidi: 10,
        initial_max_streams_uni: 10,
        max_datagram_bytes: 1_000,
        max_paths: 4,
        resume_timeout_ms: 1_000,
        max_ack_delay_ms: 25,
        lone_path_ack_delay_ms: 0,
    }
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::default();
    config.stream_receive_window = Window { initial_bytes: 10_000, max_bytes: 10_000 };
    config.session_receive_window = Window { initial_bytes: 15_000, max_bytes: 15_000 };
    config.max_streams_bidi = 3;
    config.max_streams_uni = 3;
    config
}

pub(crate) fn bytes_of(frames: &[Frame]) -> Bytes {
    let mut buf = BytesMut::new();
    frames.iter().for_each(|frame| frame.encode(&mut buf));
    buf.freeze()
}

pub(crate) fn control(frames: &[Frame]) -> Bytes {
    let mut buf = BytesMut::new();
    put_control_header(&mut buf);
    buf.extend_from_slice(&bytes_of(frames));
    buf.freeze()
}

fn hello() -> Frame {
    let intent = Intent::New;
    Frame::Hello(Hello { versions: vec![VERSION], path: PathId::PRIMARY, intent, parameters: parameters() })
}

fn pong(frame: Frame) -> Option<u64> {
    if let Frame::Pong { token } = frame { Some(token) } else { None }
}

pub(crate) fn accept() -> Frame {
    let credentials = Some(Credentials { resume_key: [1; 32], nonce: [2; 16] });
    Frame::Accept(Accept {
        version: VERSION,
        session: SessionId([3; 16]),
        credentials,
        parameters: parameters(),
    })
}

/// A lane of `stream` with records of `(offset, bytes, fin)`.
pub(crate) fn records(stream: StreamId, records: &[(u64, usize, bool)]) -> Bytes {
    let mut buf = BytesMut::new();
    put_stream_header(&mut buf, stream);
    for (offset, len, fin) in records {
        put_record_header(&mut buf, *offset, *len, *fin);
        buf.resize(buf.len() + len, 7);
    }
    buf.freeze()
}

const UNI: StreamId = StreamId(2);
const BI: StreamId = StreamId(0);

impl Victim {
    /// A server that has seen HELLO, and these frames behind it.
    fn server_greeted_with(more: &[Frame]) -> Self {
        Self::server_with(config(), more)
    }

    pub(crate) fn server_with(config: SessionConfig, more: &[Frame]) -> Self {
        let frames: Vec<_> = std::iter::once(hello()).chain(more.iter().cloned()).collect();
        let accepted = Acceptor::new().on_lane_data(CONTROL, Dir::Bi, control(&frames)).unwrap();
        let accepted = accepted.unwrap();
        let now = Time::from_epoch(Duration::from_secs(1));
        let mut session = Session::server(config.validate().unwrap(), [9; 32], &accepted.hello);
        session.attach(now, accepted);
        let mut victim = Self { now, session, carrier: Sink::default() };
        victim.settle();
        victim
    }

    pub(crate) fn server() -> Self {
        Self::server_greeted_with(&[])
    }

    /// A client that has sent HELLO.
    fn dialling() -> Self {
        let now = Time::from_epoch(Duration::from_secs(1));
        let session = Session::client(now, config().validate().unwrap(), [9; 32], address(0));
        let mut victim = Self { now, session, carrier: Sink::default() };
        victim.session.path_connected(now, PathId::PRIMARY);
        victim.settle();
        victim
    }

    fn client() -> Self {
        let mut victim = Self::dialling();
        victim.lane(CONTROL, control(&[accept()]));
        assert_eq!(victim.session.close_state(), CloseState::Open);
        victim
    }

    pub(crate) fn settle(&mut self) {
        while let Some(action) = self.session.poll_action() {
            if let Action::Transmit { path } = action {
                self.session.transmit(self.now, path, &mut self.carrier);
            }
        }
        while self.session.poll_event().is_some() {}
    }

    pub(crate) fn lane(&mut self, lane: LaneId, data: Bytes) {
        let dir = if lane.0 & 2 == 0 { Dir::Bi } else { Dir::Uni };
        self.session.on_lane_data(self.now, PathId::PRIMARY, lane, dir, data);
        self.session.transmit(self.now, PathId::PRIMARY, &mut self.carrier);
        self.settle();
    }

    pub(crate) fn say(&mut self, frame: Frame) {
        self.lane(CONTROL, bytes_of(&[frame]));
    }

    /// The end is over, and says what the peer did wrong.
    #[track_caller]
    pub(crate) fn blames(mut self, expected: TransportCode) {
        self.settle();
        match self.session.close_state() {
            CloseState::Closed(SessionError::Protocol { code, .. }) => assert_eq!(code, expected),
            other => panic!("the session is {other:?}, {expected} was expected"),
        }
        let closes = self.said().into_iter().filter_map(|frame| match frame {
            Frame::Close(close) => Some(close),
            _ => None,
        });
        let codes: Vec<_> = closes.map(|close| (close.application, close.code)).collect();
        assert_eq!(codes, [(false, expected.as_u64())]);
        assert_eq!(self.session.stats().retained_bytes, 0);
    }

    /// All frames that the end has said, once.
    fn said(&mut self) -> Vec<Frame> {
        let mut said = LaneReader::new();
        said.push(Bytes::from(self.carrier.written.remove(&CONTROL).unwrap_or_default()));
        let said = std::iter::from_fn(|| said.next().expect("what an end says is well-formed"));
        said.filter_map(|item| if let LaneItem::Frame(frame) = item { Some(frame) } else { None }).collect()
    }

    #[track_caller]
    pub(crate) fn assert_unharmed(mut self) {
        self.settle();
        assert_eq!(self.session.close_state(), CloseState::Open);
    }

    /// Opens a stream of the victim's own and writes on it.
    fn writes(&mut self, dir: Dir, len: usize) -> StreamId {
        let id = self.session.open(dir).unwrap().unwrap();
        let mut data = Bytes::from(vec![1; len]);
        assert_eq!(self.session.write(id, &mut data), Ok(len));
        self.settle();
        id
    }
}

#[test]
fn more_bytes_on_a_stream_than_its_window() {
    let mut victim = Victim::server();
    victim.lane(LaneId(2), records(UNI, &[(0, 10_001, false)]));
    victim.blames(TransportCode::FlowControl);
}

#[test]
fn a_byte_beyond_the_window_with_a_gap_before_it() {
    let mut victim = Victim::server();
    victim.lane(LaneId(2), records(UNI, &[(1 << 40, 1, false)]));
    victim.blames(TransportCode::FlowControl);
}

#[test]
fn more_bytes_on_all_streams_than_the_sessions_window() {
    let mut victim = Victim::server();
    victim.lane(LaneId(2), records(UNI, &[(0, 8_000, false)]));
    victim.lane(LaneId(6), records(StreamId(6), &[(0, 8_000, false)]));
    victim.blames(TransportCode::FlowControl);
}

#[test]
fn a_reset_that_claims_more_than_the_window() {
    let mut victim = Victim::server();
    victim.say(Frame::ResetStream { stream: UNI, code: 0, final_size: 10_001 });
    victim.blames(TransportCode::FlowControl);
}

#[test]
fn a_stream_in_more_pieces_than_anyone_needs() {
    let mut config = config();
    config.stream_receive_window = Window { initial_bytes: 1 << 20, max_bytes: 1 << 20 };
    config.session_receive_window = config.stream_receive_window;
    let mut victim = Victim::server_with(config, &[]);
    let pieces: Vec<_> = (0..8_192).map(|piece| (1 + piece * 2, 1, false)).collect();
    victim.lane(LaneId(2), records(UNI, &pieces));
    assert_eq!(victim.session.close_state(), CloseState::Open, "8,192 pieces are allowed");
    victim.lane(LaneId(6), records(UNI, &[(1 + 8_192 * 2, 1, false)]));
    victim.blames(TransportCode::LimitExceeded);
}

#[test]
fn a_stream_beyond_the_limit() {
    let mut victim = Victim::server();
    victim.lane(LaneId(2), records(StreamId::new(Side::Client, Dir::Uni, 3), &[(0, 1, false)]));
    victim.blames(TransportCode::StreamLimit);
}

#[test]
fn a_stream_that_the_victim_would_have_had_to_open() {
    let mut victim = Victim::server();
    victim.lane(LaneId(2), records(StreamId::new(Side::Server, Dir::Bi, 0), &[(0, 1, false)]));
    victim.blames(TransportCode::StreamState);
}

#[test]
fn bytes_on_a_stream_on_which_only_the_victim_sends() {
    let mut victim = Victim::server();
    let id = victim.writes(Dir::Uni, 10);
    victim.lane(LaneId(2), records(id, &[(0, 1, false)]));
    victim.blames(TransportCode::StreamState);
}

#[test]
fn frames_about_a_half_that_the_victim_does_not_have() {
    for frame in [
        Frame::Ack(Ack { stream: UNI, complete: false, contiguous: 0, ranges: Vec::new() }),
        Frame::MaxStreamData { stream: UNI, max_bytes: 1 },
        Frame::StopSending { stream: UNI, code: 0 },
    ] {
        let mut victim = Victim::server();
        victim.say(frame);
        victim.blames(TransportCode::StreamState);
    }
}

#[test]
fn a_final_size_that_changes() {
    for then in [records(UNI, &[(0, 6, true)]), records(UNI, &[(0, 4, true)]), records(UNI, &[(5, 1, false)])]
    {
        let mut victim = Victim::server();
        victim.lane(LaneId(2), records(UNI, &[(3, 2, true)]));
        victim.lane(LaneId(6), then);
        victim.blames(TransportCode::FinalSize);
    }
}

#[test]
fn a_reset_that_ends_elsewhere_than_the_stream() {
    let mut victim = Victim::server();
    victim.lane(LaneId(2), records(UNI, &[(3, 2, true)]));
    victim.say(Frame::ResetStream { stream: UNI, code: 0, final_size: 6 });
    victim.blames(TransportCode::FinalSize);
}

#[test]
fn a_reset_before_bytes_that_came_already() {
    let mut victim = Victim::server();
    victim.lane(LaneId(2), records(UNI, &[(0, 5, false)]));
    victim.say(Frame::ResetStream { stream: UNI, code: 0, final_size: 4 });
    victim.blames(TransportCode::FinalSize);
}

#[test]
fn an_acknowledgement_of_bytes_that_were_never_sent() {
    let implausible = [(11, vec![], false), (0, vec![(12, 13)], false), (10, vec![], true)];
    for (contiguous, ranges, complete) in implausible {
        let mut victim = Victim::server();
        let stream = victim.writes(Dir::Uni, 10);
        let ranges = ranges.into_iter().map(|(start, end)| start..end).collect();
        victim.say(Frame::Ack(Ack { stream, complete, contiguous, ranges }));
        victim.blames(TransportCode::ProtocolViolation);
    }
}

#[test]
fn a_report_of_bytes_that_were_never_sent() {
    let mut victim = Victim::server();
    victim.writes(Dir::Uni, 10);
    victim.say(Frame::PathReport(PathReport { received_bytes: 11, delay_us: 0 }));
    victim.blames(TransportCode::ProtocolViolation);
}

#[test]
fn a_second_control_lane() {
    let mut victim = Victim::server();
    victim.lane(LaneId(4), control(&[]));
    victim.blames(TransportCode::ProtocolViolation);
}

#[test]
fn a_second_greeting() {
    for frame in [hello(), accept()] {
        let mut victim = Victim::server();
        victim.say(frame);
        victim.blames(TransportCode::ProtocolViolation);
    }
}

#[test]
fn advice_from_a_client() {
    let mut victim = Victim::server();
    victim.say(Frame::RemovePath { advice: 0 });
    victim.blames(TransportCode::ProtocolViolation);
}

#[test]
fn the_answer_on_a_lane_names_another_stream() {
    let mut victim = Victim::client();
    let first = victim.writes(Dir::Bi, 10);
    let second = victim.writes(Dir::Bi, 10);
    let lane = *victim.carrier.written.keys().find(|lane| **lane != CONTROL).unwrap();
    assert_eq!(first, BI);
    victim.lane(lane, records(second, &[(0, 1, false)]));
    victim.blames(TransportCode::ProtocolViolation);
}

#[test]
fn a_lane_that_ends_inside_a_record() {
    let mut victim = Victim::server();
    let whole = records(UNI, &[(0, 10, false)]);
    victim.lane(LaneId(2), whole.slice(..whole.len() - 1));
    victim.session.on_lane_finished(victim.now, PathId::PRIMARY, LaneId(2));
    victim.blames(TransportCode::FrameEncoding);
}

#[test]
fn a_frame_longer_than_any_may_be() {
    let mut victim = Victim::server();
    victim.lane(CONTROL, Bytes::from_static(&[0x05, 0x80, 0x01, 0x00, 0x01]));
    victim.blames(TransportCode::LimitExceeded);
}

#[test]
fn of_more_pings_than_anyone_needs_the_newest_are_answered() {
    let mut victim = Victim::server();
    let pings: Vec<_> = (0..100).map(|token| Frame::Ping { token }).collect();
    victim.lane(CONTROL, bytes_of(&pings));
    let answered: Vec<_> = victim.said().into_iter().filter_map(pong).collect();
    assert_eq!(answered, (36..100).collect::<Vec<_>>());
    victim.assert_unharmed();
}

#[test]
fn the_first_status_of_a_path_counts_whatever_its_sequence_and_an_older_one_does_not() {
    let mut victim = Victim::server();
    for (sequence, cost, expected) in [(0, 5, 5), (0, 6, 5), (3, 7, 7), (2, 8, 7)] {
        victim.say(Frame::PathStatus(PathStatus { path: PathId::PRIMARY, sequence, standby: false, cost }));
        assert_eq!(victim.session.path_info(PathId::PRIMARY).unwrap().cost, expected);
    }
}

#[test]
fn pings_that_are_answered_one_by_one_do_no_harm() {
    let mut victim = Victim::server();
    (0..1_000).for_each(|token| victim.say(Frame::Ping { token }));
    victim.assert_unharmed();
}

#[test]
fn a_datagram_without_a_sequence_or_too_long_is_dropped() {
    let mut victim = Victim::server();
    victim.session.on_datagram(victim.now, PathId::PRIMARY, Bytes::new());
    victim.session.on_datagram(victim.now, PathId::PRIMARY, Bytes::from(vec![0; 65_100]));
    assert_eq!(victim.session.recv_datagram(victim.now), None);
    assert_eq!(victim.session.stats().dropped_datagrams, 2);
    victim.assert_unharmed();
}

#[test]
fn datagrams_that_nobody_reads_are_bounded() {
    let mut victim = Victim::server();
    for sequence in 0..10_000_u64 {
        victim.say(Frame::Datagram { sequence, data: Bytes::from(vec![0; 1_000]) });
    }
    let mut waiting = 0;
    while let Some(data) = victim.session.recv_datagram(victim.now) {
        waiting += data.len();
    }
    assert!(waiting <= victim.session.config().datagram_buffer_bytes, "{waiting} bytes waited");
    assert!(victim.session.stats().dropped_datagrams > 0);
    victim.assert_unharmed();
}

#[test]
fn frames_between_hello_and_accept_cost_the_path_alone() {
    let victim = Victim::server_greeted_with(&[Frame::Ping { token: 1 }]);
    assert_eq!(victim.session.paths().count(), 0);
    victim.assert_unharmed();
}

#[test]
fn a_client_that_is_answered_with_anything_but_accept_gives_up() {
    let mut victim = Victim::dialling();
    victim.lane(CONTROL, control(&[Frame::Ping { token: 1 }]));
    let state = victim.session.close_state();
    assert!(matches!(state, CloseState::Closed(SessionError::DialFailed { .. })), "{state:?}");
}

#[test]
fn a_client_that_is_given_another_version_or_no_credentials_gives_up() {
    let Frame::Accept(accept) = accept() else { unreachable!() };
    for accept in [Accept { version: 7, ..accept.clone() }, Accept { credentials: None, ..accept }] {
        let mut victim = Victim::dialling();
        victim.lane(CONTROL, control(&[Frame::Accept(accept)]));
        let state = victim.session.close_state();
        assert!(matches!(state, CloseState::Closed(SessionError::DialFailed { .. })), "{state:?}");
    }
}

#[test]
fn a_stream_that_overtakes_accept_waits_for_it_and_can_be_answered() {
    let mut victim = Victim::dialling();
    let id = StreamId::new(Side::Server, Dir::Bi, 0);
    victim.lane(LaneId(1), records(id, &[(0, 5, true)]));
    victim.session.on_lane_finished(victim.now, PathId::PRIMARY, LaneId(1));
    assert_eq!(victim.session.accept(Dir::Bi), None);
    victim.lane(CONTROL, control(&[accept()]));
    assert_eq!(victim.session.accept(Dir::Bi), Some(id));
    assert_eq!(victim.session.read(victim.now, id, 100), Ok(Read::Data(Bytes::from_static(&[7; 5]))));
    assert_eq!(victim.session.write(id, &mut Bytes::from_static(b"answer")), Ok(6));
    victim.settle();
    assert!(victim.carrier.written[&LaneId(1)].ends_with(b"answer"));
}

#[test]
fn a_server_that_floods_before_accept_loses_the_path() {
    let mut victim = Victim::dialling();
    for lane in 0..2_000 {
        victim.lane(LaneId(lane << 2 | 3), Bytes::from(vec![0; 1_000]));
    }
    let state = victim.session.close_state();
    assert!(matches!(state, CloseState::Closed(SessionError::DialFailed { .. })), "{state:?}");
}

#[test]
fn a_wrong_proof_changes_nothing_and_uses_up_no_path_id() {
    let mut victim = Victim::server();
    let session = victim.session.id().unwrap();
    let wrong = Intent::Join { session, proof: [0; 32] };
    for _ in 0..100 {
        assert_eq!(victim.session.check_join(PathId(1), &wrong), Err(TransportCode::BadProof));
    }
    victim.assert_unharmed();
}

#[test]
fn nothing_is_read_from_a_peer_after_the_end() {
    let mut victim = Victim::server();
    let stream = victim.writes(Dir::Uni, 10);
    victim.session.abort(victim.now, AppCode::new(1), Bytes::new());
    victim.settle();
    victim.say(Frame::Ack(Ack { stream, complete: false, contiguous: 10, ranges: Vec::new() }));
    victim.lane(LaneId(2), records(UNI, &[(0, 11_000, true)]));
    let expected = SessionError::LocallyClosed { code: AppCode::new(1), undelivered_bytes: 10 };
    assert_eq!(victim.session.close_state(), CloseState::Closed(expected));
}
