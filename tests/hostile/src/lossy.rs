//! A client that decides which of its packets are lost: quinn-proto, driven by hand.
//!
//! Plain quinn repeats what is lost, and so closes every gap. This client does not notice: time never passes for its
//! loss detection once it has been accepted, and no acknowledgement makes it believe that an earlier packet is lost.
//! Nothing else holds it back either, neither congestion control nor pacing.
//!
//! It blocks, as quinn-proto does nothing by itself. That is no harm in a case that has nothing else to do.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn_proto::congestion::{Controller, ControllerFactory};
use quinn_proto::{
    Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, Side,
    StreamId, TransportConfig,
};

use crate::peer::{PATIENCE, client_config};
use crate::wire::{self, CONTROL_LANE, Credentials, Frame, kind};

/// How long one look at the socket waits, so that what was lost by accident is asked for again.
const LOOK: Duration = Duration::from_millis(20);
/// A UDP payload that loopback and every Ethernet carry.
const MTU: u16 = 1_400;
/// Short enough that a server does not answer what it does not know (RFC 9000 section 5.2.2).
const JUNK_BYTES: usize = 1_199;
/// A long header of a version that nobody speaks, with empty connection ids (RFC 8999 section 5.1).
const JUNK_HEAD: [u8; 7] = [0xc0, 0x6a, 0x75, 0x6e, 0x6b, 0, 0];

/// What becomes of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are sent.
    Sent,
    /// They look sent to the connection, and never arrive.
    Lost,
    /// They are sent behind so many packets of junk, all in one message: where the server's kernel hands it over in
    /// one piece (GRO), they share their receive buffer with nothing that anybody keeps.
    BehindJunk(usize),
}

/// One connection, with its control lane.
pub struct Lossy {
    socket: UdpSocket,
    state: UdpSocketState,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    server: SocketAddr,
    control: StreamId,
    unread: Vec<u8>,
    frames: VecDeque<Frame>,
    numbers: Arc<Numbers>,
    end: Option<ConnectionError>,
}

impl std::fmt::Debug for Lossy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lossy").field("end", &self.end).finish_non_exhaustive()
    }
}

impl Lossy {
    /// A connection from this address, on which nothing has been said.
    pub fn connect(address: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((IpAddr::V4(address), 0)).expect("a socket");
        let state = UdpSocketState::new((&socket).into()).expect("its options");
        socket.set_nonblocking(false).expect("a socket can block");
        socket.set_read_timeout(Some(LOOK)).expect("it can block for a while");
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let numbers = Arc::new(Numbers::default());
        let config = client_config(transport(Unlimited(Arc::clone(&numbers))));
        let (handle, connection) =
            endpoint.connect(Instant::now(), config, server, "localhost").expect("a connection");
        let control = StreamId::new(Side::Client, Dir::Bi, 0);
        let mut client = Self {
            socket,
            state,
            endpoint,
            handle,
            connection,
            server,
            control,
            unread: Vec::new(),
            frames: VecDeque::new(),
            numbers,
            end: None,
        };
        client.until("the handshake", |client| (!client.connection.is_handshaking()).then_some(()));
        let opened = client.connection.streams().open(Dir::Bi);
        assert_eq!(opened, Some(control), "the first lane is the control lane");
        client
    }

    /// Opens a session.
    pub fn open(&mut self) -> Credentials {
        self.greet(&wire::hello_new()).expect("a new session is accepted").credentials()
    }

    /// Joins a session, unless the server does not want it.
    pub fn join(&mut self, credentials: &Credentials, id: u64) -> Option<Frame> {
        self.greet(&wire::hello_join(&credentials.session, id, &credentials.proof(id)))
    }

    /// Says HELLO, and waits until it is accepted and the limits of a session are known, which are wider than those of
    /// a path that has not said HELLO.
    fn greet(&mut self, hello: &[u8]) -> Option<Frame> {
        self.say(&[&[CONTROL_LANE], hello].concat());
        let answer = self.until("the answer to HELLO", |client| {
            let answers = [kind::ACCEPT, kind::REJECT];
            let answer = client.frames.iter().find(|frame| answers.contains(&frame.kind)).cloned();
            if client.end.is_some() { Some(None) } else { answer.map(Some) }
        })?;
        self.settle();
        (answer.kind == kind::ACCEPT).then_some(answer)
    }

    /// Writes on the control lane.
    fn say(&mut self, bytes: &[u8]) {
        let written = self.connection.send_stream(self.control).write(bytes);
        assert_eq!(written.ok(), Some(bytes.len()), "the control lane takes little");
    }

    /// Opens as many lanes as the server allows, unidirectional ones first.
    pub fn open_lanes(&mut self, most: usize) -> Vec<StreamId> {
        let mut lanes = Vec::new();
        for dir in [Dir::Uni, Dir::Bi] {
            while lanes.len() < most
                && let Some(lane) = self.connection.streams().open(dir)
            {
                lanes.push(lane);
            }
        }
        lanes
    }

    /// Writes a byte to each of these lanes. This becomes of the packets that carry them, of which each is as full as it
    /// can be.
    pub fn write_a_byte(&mut self, lanes: &[StreamId], fate: Fate) {
        // Whatever else there is to say, acknowledgements and answers, is not to be lost.
        self.transmit(Fate::Sent);
        for lane in lanes {
            // It fails once the server has closed, or has stopped the lane, or when its window is used up: then there
            // is nothing more to attack with.
            let _ = self.connection.send_stream(*lane).write(&[0]);
        }
        self.transmit(fate);
    }

    /// Waits until the server has taken in what was sent, or has closed: it acknowledges a PING behind it.
    pub fn settle(&mut self) {
        let began = Instant::now();
        self.connection.ping();
        self.transmit(Fate::Sent);
        let last = self.numbers.sent.load(Ordering::Relaxed);
        while self.end.is_none() && self.numbers.acknowledged.load(Ordering::Relaxed) < last {
            assert!(began.elapsed() < PATIENCE, "it hangs: the server does not acknowledge");
            if !self.receive() {
                self.connection.ping();
                self.transmit(Fate::Sent);
            }
        }
    }

    /// The code with which the server has closed the connection, if it has.
    ///
    /// # Panics
    ///
    /// When the connection ended in another way.
    pub fn carrier_code(&self) -> Option<u64> {
        match self.end.as_ref()? {
            ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
            other => panic!("not closed with a code: {other}"),
        }
    }

    /// Whether the server has ended the connection.
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Drives the connection as anybody would, until this is there.
    fn until<T>(&mut self, what: &str, mut found: impl FnMut(&mut Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            self.transmit(Fate::Sent);
            if let Some(found) = found(self) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "it hangs: {what}");
            self.receive();
            let now = Instant::now();
            if self.connection.poll_timeout().is_some_and(|at| at <= now) {
                self.connection.handle_timeout(now);
            }
        }
    }

    /// Makes packets of all that waits.
    fn transmit(&mut self, fate: Fate) {
        let mut packet = Vec::new();
        while self.connection.poll_transmit(Instant::now(), 1, &mut packet).is_some() {
            match fate {
                Fate::Lost => {}
                Fate::Sent => self.send(&packet, None),
                Fate::BehindJunk(count) => {
                    let mut message =
                        [&JUNK_HEAD[..], &[0; JUNK_BYTES - JUNK_HEAD.len()]].concat().repeat(count);
                    message.extend_from_slice(&packet);
                    self.send(&message, Some(JUNK_BYTES));
                }
            }
            packet.clear();
        }
    }

    fn send(&self, contents: &[u8], segment_size: Option<usize>) {
        let transmit = Transmit { destination: self.server, ecn: None, contents, segment_size, src_ip: None };
        // What the kernel has no room for is lost, which is no harm here.
        let _ = self.state.send((&self.socket).into(), &transmit);
    }

    /// Waits for a message, and takes it in. Returns whether one has come.
    fn receive(&mut self) -> bool {
        let mut buffer = vec![0; 1 << 16];
        let mut meta = [RecvMeta::default()];
        let received = self.state.recv((&self.socket).into(), &mut [IoSliceMut::new(&mut buffer)], &mut meta);
        match received {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return false;
            }
            Err(error) => panic!("{error}"),
        }
        for datagram in buffer[..meta[0].len].chunks(meta[0].stride.max(1)) {
            self.take_in(datagram);
        }
        self.pass_events();
        self.read_control();
        true
    }

    fn take_in(&mut self, datagram: &[u8]) {
        let mut answer = Vec::new();
        let data = BytesMut::from(datagram);
        let event = self.endpoint.handle(Instant::now(), self.server, None, None, data, &mut answer);
        // Anything else is of a connection that is over.
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.connection.handle_event(event);
        }
    }

    fn pass_events(&mut self) {
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(answer);
            }
        }
        while let Some(event) = self.connection.poll() {
            if let Event::ConnectionLost { reason } = event {
                self.end.get_or_insert(reason);
            }
        }
    }

    /// Answers what has to be answered for the path to be taken for alive, and keeps the rest.
    fn take(&mut self, frame: Frame) {
        match frame.kind {
            kind::PING => self.say(&wire::frame(kind::PONG, &frame.body)),
            _ => self.frames.push_back(frame),
        }
    }

    /// Reads what there is on the control lane.
    fn read_control(&mut self) {
        let mut stream = self.connection.recv_stream(self.control);
        let Ok(mut chunks) = stream.read(true) else { return };
        while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
            self.unread.extend_from_slice(&chunk.bytes);
        }
        let _ = chunks.finalize();
        if self.frames.is_empty() && self.unread.first() == Some(&CONTROL_LANE) {
            self.unread.remove(0);
        }
        while let Some(frame) = Frame::read(&mut self.unread) {
            self.take(frame);
        }
    }
}

/// Never believes that a packet is lost, and sends whatever there is at once.
fn transport(controllers: Unlimited) -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .send_window(1 << 30)
        .initial_mtu(MTU)
        .mtu_discovery_config(None)
        .packet_threshold(u32::MAX)
        .time_threshold(1e6)
        .congestion_controller_factory(Arc::new(controllers));
    Arc::new(transport)
}

/// The last packet that was sent, and the last that was acknowledged.
#[derive(Debug, Default)]
struct Numbers {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

/// Congestion control that controls nothing. It is where quinn-proto tells the numbers of packets.
#[derive(Clone, Debug)]
struct Unlimited(Arc<Numbers>);

impl ControllerFactory for Unlimited {
    fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}

impl Controller for Unlimited {
    fn on_sent(&mut self, _: Instant, _: u64, last_packet_number: u64) {
        self.0.sent.store(last_packet_number, Ordering::Relaxed);
    }

    fn on_end_acks(&mut self, _: Instant, _: u64, _: bool, largest: Option<u64>) {
        self.0.acknowledged.fetch_max(largest.unwrap_or_default(), Ordering::Relaxed);
    }

    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}

    fn on_mtu_update(&mut self, _: u16) {}

    /// So much that quinn-proto does not pace either: it does up to what 32 bits can say.
    fn window(&self) -> u64 {
        1 << 40
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
