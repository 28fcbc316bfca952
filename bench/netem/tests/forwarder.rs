//! A forwarder between real sockets. Nobody waits for a time here: a datagram that must not arrive is
//! followed by one that must, on the same way, and the second one arriving first is the proof.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use kwik_netem::{Counters, Direction, Forwarder, ForwarderConfig, LinkSpec, Rate};

/// A server, a forwarder to it and a client of the forwarder.
struct Rig {
    server: UdpSocket,
    client: UdpSocket,
    forwarder: Forwarder,
}

impl Rig {
    fn new(spec: LinkSpec) -> Self {
        let server = socket();
        let config = ForwarderConfig::to(server.local_addr().unwrap()).both_ways(spec);
        Self { server, client: socket(), forwarder: Forwarder::start(config).unwrap() }
    }

    fn call(&self, text: &str) {
        self.client.send_to(text.as_bytes(), self.forwarder.local_addr()).unwrap();
    }

    /// What the server hears next, and from whom.
    fn heard_by_server(&self) -> (String, SocketAddr) {
        receive(&self.server)
    }

    /// Waits until this many packets were dropped on the way.
    fn await_dropped(&self, direction: Direction, packets: u64) {
        while self.forwarder.counters(direction).dropped_packets < packets {
            std::thread::yield_now();
        }
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Only so that a broken forwarder fails the test instead of hanging it.
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 2048];
    let (len, from) = socket.recv_from(&mut buffer).expect("a datagram should have arrived");
    (String::from_utf8(buffer[..len].to_vec()).unwrap(), from)
}

#[test]
fn a_call_and_its_answer_pass_and_are_counted() {
    let rig = Rig::new(LinkSpec::new());
    rig.call("ping");
    let (text, from) = rig.heard_by_server();
    assert_eq!(text, "ping");
    rig.server.send_to(b"pong!", from).unwrap();
    assert_eq!(receive(&rig.client), ("pong!".into(), rig.forwarder.local_addr()));
    let once = |bytes| Counters { packets: 1, bytes, ..Counters::default() };
    assert_eq!(rig.forwarder.counters(Direction::Up), once(4));
    assert_eq!(rig.forwarder.counters(Direction::Down), once(5));
}

#[test]
fn silence_drops_both_ways_and_restore_ends_it() {
    let rig = Rig::new(LinkSpec::new());
    rig.call("before");
    let (_, client_seen_from_server) = rig.heard_by_server();

    rig.forwarder.silence();
    rig.call("lost call");
    rig.server.send_to(b"lost answer", client_seen_from_server).unwrap();
    rig.await_dropped(Direction::Up, 1);
    rig.await_dropped(Direction::Down, 1);

    rig.forwarder.restore();
    rig.call("after");
    rig.server.send_to(b"answer", client_seen_from_server).unwrap();
    assert_eq!(rig.heard_by_server(), ("after".into(), client_seen_from_server));
    assert_eq!(receive(&rig.client).0, "answer");
}

#[test]
fn one_direction_can_be_silenced_alone() {
    let rig = Rig::new(LinkSpec::new());
    rig.forwarder.silence_direction(Direction::Down);
    rig.call("still heard");
    let (text, from) = rig.heard_by_server();
    assert_eq!(text, "still heard");
    rig.server.send_to(b"not heard", from).unwrap();
    rig.await_dropped(Direction::Down, 1);
    assert_eq!(rig.forwarder.counters(Direction::Down).packets, 0);
}

#[test]
fn silence_also_takes_what_is_under_way() {
    let rig = Rig::new(LinkSpec::new().delay_ms(200));
    rig.call("under way");
    rig.forwarder.silence();
    rig.await_dropped(Direction::Up, 1);
    rig.forwarder.restore();
    rig.call("later");
    assert_eq!(rig.heard_by_server().0, "later");
}

#[test]
fn each_client_gets_its_own_answers() {
    let rig = Rig::new(LinkSpec::new());
    let other = socket();
    rig.call("one");
    let (_, one) = rig.heard_by_server();
    other.send_to(b"two", rig.forwarder.local_addr()).unwrap();
    let (_, two) = rig.heard_by_server();
    assert_ne!(one, two);
    rig.server.send_to(b"for two", two).unwrap();
    rig.server.send_to(b"for one", one).unwrap();
    assert_eq!(receive(&rig.client).0, "for one");
    assert_eq!(receive(&other).0, "for two");
}

#[test]
fn a_stranger_cannot_answer_in_the_targets_place() {
    let rig = Rig::new(LinkSpec::new());
    rig.call("hello");
    let (_, from) = rig.heard_by_server();
    socket().send_to(b"I am the server", from).unwrap();
    rig.server.send_to(b"the server is here", from).unwrap();
    assert_eq!(receive(&rig.client).0, "the server is here");
}

#[test]
fn delay_is_never_less_than_asked_for() {
    let rig = Rig::new(LinkSpec::new().delay_ms(20));
    let start = Instant::now();
    rig.call("ping");
    let (_, from) = rig.heard_by_server();
    rig.server.send_to(b"pong", from).unwrap();
    receive(&rig.client);
    assert!(start.elapsed() >= Duration::from_millis(40), "{:?}", start.elapsed());
}

#[test]
fn a_full_queue_drops_and_the_rest_arrives_in_order() {
    let spec = LinkSpec { queue_bytes: Some(400), ..LinkSpec::new().rate(Rate::bits_per_second(8_000)) };
    let rig = Rig::new(spec);
    for n in 0..100 {
        rig.call(&format!("{n:0>100}"));
    }
    let heard: Vec<u32> = (0..4).map(|_| rig.heard_by_server().0.parse().unwrap()).collect();
    assert!(heard.is_sorted(), "{heard:?}");
    rig.await_dropped(Direction::Up, 1);
}

#[test]
fn loss_hits_about_its_share_and_every_packet_is_accounted_for() {
    let rig = Rig::new(LinkSpec::new().loss_permille(500));
    for n in 0..1000 {
        rig.call(&n.to_string());
        // One at a time, so that no socket buffer can overflow and blur the count.
        loop {
            let counters = rig.forwarder.counters(Direction::Up);
            if counters.packets + counters.dropped_packets > n {
                break;
            }
            std::thread::yield_now();
        }
    }
    let lost = rig.forwarder.counters(Direction::Up).dropped_packets;
    assert!((400..600).contains(&lost), "{lost} of 1000");
}
