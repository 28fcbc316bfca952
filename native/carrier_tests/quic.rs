//! Two carriers in memory, on a virtual clock: packets are passed by hand, one way takes 10 ms.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::congestion::CubicConfig;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, ConnectionError, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, ServerConfig,
    TransportConfig, VarInt,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::carrier::quic::receive::Arrival;
use crate::carrier::quic::{Change, MAX_SLACK_BYTES, QuicCarrier};
use crate::carrier::reassembly::Order;
use crate::carrier::{Allowance, Clock, Observations, ObservedFactory};
use crate::native::transport::TransportSettings;
use crate::proto::carrier::{Carrier, LaneClosed};
use crate::proto::wire::id::{Dir, LaneId, Side};

const ONE_WAY: Duration = Duration::from_millis(10);

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// One end: an endpoint with one connection.
pub(super) struct End {
    endpoint: Endpoint,
    handle: Option<ConnectionHandle>,
    carrier: Option<QuicCarrier>,
    server: Option<(Arc<ServerConfig>, Arc<Observations>)>,
    pub(super) received: BTreeMap<u64, Vec<u8>>,
    finished: Vec<LaneId>,
    stopped: Vec<LaneId>,
    reset: Vec<LaneId>,
    datagrams: Vec<Bytes>,
    lost: Option<ConnectionError>,
    connected: bool,
    /// Before there is anybody who takes lanes: so many bytes of each are read at a time.
    reads_at_most: Option<usize>,
}

impl End {
    fn new(server: Option<(Arc<ServerConfig>, Arc<Observations>)>) -> Self {
        let config = server.as_ref().map(|(config, _)| Arc::clone(config));
        Self {
            endpoint: Endpoint::new(Arc::new(EndpointConfig::default()), config, true, Some([1; 32])),
            handle: None,
            carrier: None,
            server,
            received: BTreeMap::new(),
            finished: Vec::new(),
            stopped: Vec::new(),
            reset: Vec::new(),
            datagrams: Vec::new(),
            lost: None,
            connected: false,
            reads_at_most: None,
        }
    }

    pub(super) fn carrier(&mut self) -> &mut QuicCarrier {
        self.carrier.as_mut().unwrap()
    }

    fn on_packet(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        let mut scratch = Vec::new();
        match self.endpoint.handle(now, from, None, None, BytesMut::from(packet), &mut scratch) {
            Some(DatagramEvent::ConnectionEvent(_, event)) => self.carrier().handle_event(event),
            Some(DatagramEvent::NewConnection(incoming)) => {
                let observations = Arc::clone(&self.server.as_ref().unwrap().1);
                let (handle, connection) = self.endpoint.accept(incoming, now, &mut scratch, None).unwrap();
                self.handle = Some(handle);
                self.carrier = Some(QuicCarrier::new(connection, observations));
            }
            Some(DatagramEvent::Response(_)) | None => {}
        }
    }

    /// All that a driver does after something has happened. Returns packets.
    fn work(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let (Some(carrier), Some(handle)) = (&mut self.carrier, self.handle) else { return Vec::new() };
        if carrier.poll_timeout().is_some_and(|at| at <= now) {
            carrier.handle_timeout(now);
        }
        while let Some(change) = carrier.poll() {
            match change {
                Change::Connected => self.connected = true,
                Change::Lost(reason) => self.lost = Some(reason),
            }
        }
        let take = |arrival| match arrival {
            Arrival::Data { lane, data, .. } => {
                self.received.entry(lane.0).or_default().extend_from_slice(&data)
            }
            Arrival::Finished(lane) => self.finished.push(lane),
            Arrival::Reset(lane) => self.reset.push(lane),
            Arrival::Stopped(lane) => self.stopped.push(lane),
            Arrival::Datagram(data) => self.datagrams.push(data),
            Arrival::DatagramsDropped(count) => panic!("{count} datagrams dropped"),
        };
        match self.reads_at_most {
            None => carrier.receive(&Allowance::unlimited(), take),
            Some(max_bytes) => carrier.receive_from(|_, _| max_bytes, take),
        }
        while let Some(event) = carrier.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(handle, event) {
                carrier.handle_event(answer);
            }
        }
        let mut packets = Vec::new();
        let mut buffer = Vec::new();
        while let Some(transmit) = carrier.poll_transmit(now, 10, &mut buffer) {
            let size = transmit.segment_size.unwrap_or(transmit.size);
            packets.extend(buffer[..transmit.size].chunks(size).map(<[u8]>::to_vec));
            buffer.clear();
        }
        packets
    }
}

/// Both ends and the packets between them.
pub(super) struct Pair {
    start: Instant,
    now: Instant,
    pub(super) client: End,
    pub(super) server: End,
    under_way: Vec<(Instant, bool, Vec<u8>)>,
    /// Nothing gets through.
    pub(super) is_cut: bool,
    /// How much later every fifth packet comes.
    pub(super) fifth_is_late_by: Duration,
    /// Of what the client sends, every second packet is lost.
    loses_every_second: bool,
    sent: usize,
    /// Longer packets are lost.
    mtu: usize,
}

impl Pair {
    fn new() -> Self {
        Self::with_mtu(usize::MAX)
    }

    /// Two ends that have shaken hands.
    fn with_mtu(mtu: usize) -> Self {
        let observe = |clock| {
            let observations = Observations::new(clock);
            let mut transport = TransportConfig::default();
            let factory = ObservedFactory::new(Arc::new(CubicConfig::default()), Arc::clone(&observations));
            transport.congestion_controller_factory(factory);
            transport.keep_alive_interval(None);
            (Arc::new(transport), observations)
        };
        Self::with_transport(mtu, observe)
    }

    /// Two ends that are set as paths are.
    pub(super) fn as_paths_are() -> Self {
        let settings = TransportSettings { keep_alive: None, ..TransportSettings::default() };
        Self::with_transport(usize::MAX, |clock| settings.to_config(clock, address(1).ip(), Side::Client))
    }

    fn with_transport(
        mtu: usize,
        transport: impl Fn(Clock) -> (Arc<TransportConfig>, Arc<Observations>),
    ) -> Self {
        let start = Instant::now();
        let clock = Clock::new(start);
        let (client_tls, server_tls) = tls();
        let observe = || transport(clock);
        let (transport, observations) = observe();
        let mut server_config = ServerConfig::with_crypto(Arc::new(server_tls));
        server_config.transport_config(transport);
        let server = End::new(Some((Arc::new(server_config), observations)));
        let (transport, observations) = observe();
        let mut client_config = ClientConfig::new(Arc::new(client_tls));
        client_config.transport_config(transport);
        let mut client = End::new(None);
        let connected = client.endpoint.connect(start, client_config, address(1), "localhost");
        let (handle, connection) = connected.unwrap();
        client.handle = Some(handle);
        client.carrier = Some(QuicCarrier::new(connection, observations));
        let mut pair = Self {
            start,
            now: start,
            client,
            server,
            under_way: Vec::new(),
            is_cut: false,
            fifth_is_late_by: Duration::ZERO,
            loses_every_second: false,
            sent: 0,
            mtu,
        };
        pair.run(Duration::from_millis(500));
        assert!(pair.client.connected && pair.server.connected);
        pair
    }

    /// Lets time pass, millisecond by millisecond.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            for from_client in [true, false] {
                let from = if from_client { &mut self.client } else { &mut self.server };
                for packet in from.work(self.now) {
                    self.sent += 1;
                    let is_lost = from_client && self.loses_every_second && self.sent.is_multiple_of(2);
                    if !self.is_cut && !is_lost && packet.len() <= self.mtu {
                        let late =
                            if self.sent.is_multiple_of(5) { self.fifth_is_late_by } else { Duration::ZERO };
                        self.under_way.push((self.now + ONE_WAY + late, from_client, packet));
                    }
                }
            }
            if self.now >= end {
                return;
            }
            self.now += Duration::from_millis(1);
            let (arrived, under_way) = self.under_way.drain(..).partition(|(at, ..)| *at <= self.now);
            self.under_way = under_way;
            for (_, from_client, packet) in arrived {
                if from_client {
                    self.server.on_packet(self.now, address(2), &packet);
                } else {
                    self.client.on_packet(self.now, address(1), &packet);
                }
            }
        }
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }
}

fn tls() -> (QuicClientConfig, QuicServerConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (client.try_into().unwrap(), server.try_into().unwrap())
}

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn what_is_written_on_lanes_arrives_in_order_with_its_end() {
    let mut pair = Pair::new();
    let (bi, uni) = (
        pair.client.carrier().open_lane(Dir::Bi).unwrap(),
        pair.client.carrier().open_lane(Dir::Uni).unwrap(),
    );
    for lane in [bi, uni] {
        pair.client.carrier().write(lane, Bytes::from_static(b"one ")).unwrap();
        pair.client.carrier().write(lane, Bytes::from_static(b"two")).unwrap();
        pair.client.carrier().finish(lane);
    }
    assert!(pair.client.carrier().send_datagram(Bytes::from_static(b"a datagram")));
    pair.run(ms(50));
    for lane in [bi, uni] {
        assert_eq!(pair.server.received[&lane.0], b"one two");
        assert!(pair.server.finished.contains(&lane));
    }
    assert_eq!(pair.server.datagrams, [Bytes::from_static(b"a datagram")]);
    pair.server.carrier().write(bi, Bytes::from_static(b"back")).unwrap();
    pair.run(ms(50));
    assert_eq!(pair.client.received[&bi.0], b"back");
    let LaneClosed = pair.server.carrier().write(uni, Bytes::new()).unwrap_err();
}

#[test]
fn lanes_that_are_given_up_or_not_wanted_tell_the_other_end() {
    let mut pair = Pair::new();
    let lanes: Vec<_> = (0..2).map(|_| pair.client.carrier().open_lane(Dir::Bi).unwrap()).collect();
    for lane in &lanes {
        pair.client.carrier().write(*lane, Bytes::from_static(b"x")).unwrap();
    }
    pair.run(ms(50));
    pair.client.carrier().reset(lanes[0]);
    pair.server.carrier().stop(lanes[1], 0);
    pair.run(ms(50));
    assert_eq!(pair.server.reset, [lanes[0]]);
    assert_eq!(pair.client.stopped, [lanes[1]]);
    assert!(pair.client.carrier().write(lanes[1], Bytes::from_static(b"y")).is_err());
}

#[test]
fn the_carrier_wants_little_more_than_it_can_send_and_never_stalls() {
    let mut pair = Pair::new();
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    let mut written = 0;
    let most = MAX_SLACK_BYTES as usize;
    while written < 8 << 20 {
        let capacity = pair.client.carrier().capacity();
        assert!(capacity <= most);
        if capacity > 0 {
            pair.client.carrier().write(lane, Bytes::from(vec![7; capacity])).unwrap();
            written += capacity;
        }
        pair.run(ms(1));
        assert!(pair.elapsed() < Duration::from_secs(30), "stalled after {written} bytes");
        let arrived = pair.server.received.get(&lane.0).map_or(0, Vec::len);
        let window = pair.client.carrier().connection().congestion_state().window() as usize;
        assert!(written - arrived <= 2 * window + 2 * most, "{} handed over early", written - arrived);
    }
    pair.run(ms(500));
    assert_eq!(pair.server.received[&lane.0].len(), written);
    assert!(pair.client.carrier().capacity() > 0);
}

#[test]
fn what_quic_does_not_take_is_held_back_and_follows_before_the_end_of_the_lane() {
    let mut pair = Pair::new();
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    let much = vec![9; 4 << 20];
    pair.client.carrier().capacity();
    pair.client.carrier().write(lane, Bytes::from(much.clone())).unwrap();
    pair.client.carrier().finish(lane);
    assert_eq!(pair.client.carrier().capacity(), 0, "more than the send window");
    pair.run(Duration::from_secs(10));
    assert!(pair.server.received[&lane.0] == much, "{} bytes", pair.server.received[&lane.0].len());
    assert_eq!(pair.server.finished, [lane]);
    assert!(pair.client.carrier().capacity() > 0);
}

#[test]
fn an_idle_path_awaits_nothing_and_a_path_with_answers_never_waits_long() {
    let mut pair = Pair::new();
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    assert_eq!(pair.client.carrier().metrics().awaiting_since, None);
    for _ in 0..300 {
        pair.client.carrier().write(lane, Bytes::from_static(&[1; 500])).unwrap();
        pair.run(ms(1));
        let (clock, now) = (Clock::new(pair.start), pair.now);
        for end in [&mut pair.client, &mut pair.server] {
            let since = end.carrier().metrics().awaiting_since;
            assert!(since.is_none_or(|since| clock.time(now) - since < ms(60)), "{since:?}");
        }
    }
    pair.run(ms(200));
    for end in [&mut pair.client, &mut pair.server] {
        let figures = end.carrier().metrics();
        assert_eq!((figures.awaiting_since, figures.in_flight_bytes), (None, Some(0)));
        assert!(figures.rtt.unwrap() >= 2 * ONE_WAY && figures.pto.unwrap() >= 2 * ONE_WAY);
    }
}

#[test]
fn a_cut_shows_by_the_time_since_the_last_answer_whatever_is_sent_meanwhile() {
    let mut pair = Pair::new();
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    pair.client.carrier().write(lane, Bytes::from_static(&[1; 500])).unwrap();
    pair.run(ms(100));
    pair.is_cut = true;
    let cut_at = Clock::new(pair.start).time(pair.now);
    for _ in 0..10 {
        pair.client.carrier().write(lane, Bytes::from_static(&[1; 500])).unwrap();
        pair.run(ms(100));
        assert_eq!(pair.client.carrier().metrics().awaiting_since, Some(cut_at), "probes change nothing");
    }
    pair.is_cut = false;
    pair.run(Duration::from_secs(3));
    assert_eq!(pair.client.carrier().metrics().awaiting_since, None);
    assert_eq!(pair.server.received[&lane.0].len(), 5_500);
}

/// Has the client write and send this much at once.
fn packets_with(pair: &mut Pair, lane: LaneId, bytes: usize) -> Vec<Vec<u8>> {
    pair.client.carrier().write(lane, Bytes::from(vec![5; bytes])).unwrap();
    pair.client.work(pair.now)
}

/// Has these arrive at the server at once; returns what it sends at once.
fn answers_to(pair: &mut Pair, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    packets.iter().for_each(|packet| pair.server.on_packet(pair.now, address(2), packet));
    pair.server.work(pair.now)
}

#[test]
fn acknowledgements_of_bulk_data_go_out_for_ten_packets_at_once_or_after_a_millisecond() {
    let mut pair = Pair::new();
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    // The congestion window grows.
    pair.client.carrier().write(lane, Bytes::from(vec![5; 82_000])).unwrap();
    pair.run(Duration::from_secs(1));
    let rest = pair.now + ms(1);
    let packets = packets_with(&mut pair, lane, 15_000);
    let (first, others) = packets.split_at(4);
    assert!(answers_to(&mut pair, first).is_empty());
    assert_eq!(answers_to(&mut pair, others).len(), 1, "for {} packets", packets.len());

    let few = packets_with(&mut pair, lane, 3_000);
    assert!(few.len() > 1);
    assert!(answers_to(&mut pair, &few).is_empty());
    assert_eq!(pair.server.carrier().poll_timeout(), Some(rest));
    assert_eq!(pair.server.work(rest).len(), 1);
    assert_eq!(pair.server.received[&lane.0].len(), 100_000);
}

#[test]
fn an_acknowledgement_goes_along_with_what_is_sent_anyway() {
    let mut pair = Pair::new();
    let lane = pair.client.carrier().open_lane(Dir::Bi).unwrap();
    let now = pair.now;
    let packets = packets_with(&mut pair, lane, 3_000);
    assert!(answers_to(&mut pair, &packets).is_empty());
    pair.server.carrier().write(lane, Bytes::from_static(b"answer")).unwrap();
    let answers = pair.server.work(now);
    assert_eq!(answers.len(), 1);
    pair.client.on_packet(now, address(1), &answers[0]);
    pair.client.work(now);
    assert_eq!(pair.client.received[&lane.0], b"answer");
    assert_eq!(pair.client.carrier().metrics().awaiting_since, None);
}

#[test]
fn as_long_as_there_is_more_only_whole_packets_leave() {
    let mut pair = Pair::new();
    pair.run(Duration::from_secs(1));
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    let now = pair.now;
    let mut buffer = Vec::new();
    for piece in [4_000, 3_000, 5_000] {
        let carrier = pair.client.carrier();
        carrier.write(lane, Bytes::from(vec![1; piece])).unwrap();
        let segments = carrier.whole_packets();
        assert!(segments > 0);
        buffer.clear();
        let transmit = carrier.poll_transmit(now, segments, &mut buffer).unwrap();
        let size = transmit.segment_size.unwrap_or(transmit.size);
        assert_eq!(transmit.size, segments * size, "a packet is not full");
        assert_eq!(size, usize::from(carrier.connection().current_mtu()));
    }
}

#[test]
fn probes_for_a_larger_mtu_that_do_not_fit_make_nobody_wait() {
    let mut pair = Pair::with_mtu(1_300);
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    for _ in 0..200 {
        pair.client.carrier().write(lane, Bytes::from_static(&[1; 3_000])).unwrap();
        pair.run(ms(5));
    }
    pair.run(Duration::from_secs(1));
    assert!(pair.client.carrier().connection().stats().path.sent_plpmtud_probes > 0);
    assert_eq!(pair.client.carrier().metrics().awaiting_since, None);
}

#[test]
fn a_close_reaches_the_other_end_with_its_code() {
    let mut pair = Pair::new();
    let now = pair.now;
    pair.client.carrier().close(now, 16, Bytes::from_static(b"over"));
    pair.run(ms(50));
    match pair.server.lost.take() {
        Some(ConnectionError::ApplicationClosed(close)) => assert_eq!(close.error_code, VarInt::from_u32(16)),
        other => panic!("{other:?}"),
    }
    let LaneClosed = pair.client.carrier().write(LaneId(0), Bytes::new()).unwrap_err();
    assert_eq!(pair.client.carrier().capacity(), 0);
}

#[test]
fn before_a_client_is_known_only_its_first_lane_is_read() {
    let mut pair = Pair::new();
    for dir in [Dir::Uni, Dir::Bi, Dir::Bi] {
        let lane = pair.client.carrier().open_lane(dir).unwrap();
        pair.client.carrier().write(lane, Bytes::from_static(b"hello")).unwrap();
    }
    for packet in pair.client.work(pair.now) {
        pair.server.on_packet(pair.now, address(2), &packet);
    }
    let carrier = pair.server.carrier();
    while carrier.poll().is_some() {}
    let mut lanes = Vec::new();
    carrier.receive_from(
        |lane, _| if lane == LaneId(0) { usize::MAX } else { 0 },
        |arrival| match arrival {
            Arrival::Data { lane, .. } => lanes.push(lane),
            other => panic!("{other:?}"),
        },
    );
    assert_eq!(lanes, [LaneId(0)]);
    assert!(carrier.has_arrivals(), "the others wait");
}

#[test]
fn what_waits_for_bytes_before_it_is_counted_and_handed_on_in_order_when_they_come() {
    let mut pair = Pair::new();
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    let text: Vec<_> = (0..2_000_u32).flat_map(u32::to_be_bytes).collect();
    pair.loses_every_second = true;
    let mut most = 0;
    for piece in text.chunks(40) {
        pair.client.carrier().write(lane, Bytes::copy_from_slice(piece)).unwrap();
        pair.run(ms(1));
        most = most.max(pair.server.carrier().held_bytes());
    }
    pair.client.carrier().finish(lane);
    assert!(most > 10 * 200, "of 20 pieces that wait apart, each costs 200 bytes and more, and all {most}");
    pair.loses_every_second = false;
    pair.run(Duration::from_secs(2));
    assert!(pair.server.received[&lane.0] == text);
    assert_eq!(pair.server.finished, [lane]);
    assert_eq!(pair.server.carrier().held_bytes(), 0);
}

#[test]
fn a_lane_whose_bytes_are_not_wanted_yet_waits_with_its_end_and_is_counted() {
    let mut pair = Pair::new();
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    pair.client.carrier().write(lane, Bytes::from_static(b"some words")).unwrap();
    pair.client.carrier().finish(lane);
    pair.server.reads_at_most = Some(0);
    pair.run(ms(50));
    assert!(pair.server.received.is_empty() && pair.server.finished.is_empty());
    assert!(pair.server.carrier().held_bytes() >= 10);
    pair.server.reads_at_most = Some(4);
    pair.run(ms(0));
    assert_eq!(pair.server.received[&lane.0][..4], *b"some");
    pair.server.reads_at_most = None;
    pair.run(ms(1));
    assert_eq!(pair.server.received[&lane.0], b"some words");
    assert_eq!(pair.server.finished, [lane]);
    assert_eq!(pair.server.carrier().held_bytes(), 0);
}

#[test]
fn only_lanes_with_gaps_are_taken_out_of_the_hands_of_quic() {
    let mut pair = Pair::new();
    let lanes = [(); 2].map(|()| pair.client.carrier().open_lane(Dir::Uni).unwrap());
    let write = |pair: &mut Pair, lane| {
        for _ in 0..20 {
            pair.client.carrier().write(lane, Bytes::from_static(b"a few words")).unwrap();
            pair.run(ms(1));
        }
    };
    write(&mut pair, lanes[0]);
    pair.loses_every_second = true;
    write(&mut pair, lanes[1]);
    pair.loses_every_second = false;
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.server.received[&lanes[0].0], pair.server.received[&lanes[1].0]);
    let server = pair.server.carrier();
    assert_eq!((server.lanes_in(Order::Quic), server.lanes_in(Order::Own)), (1, 1));
}
