//! Shaped links between namespaces. Skipped, with a word, where this is not root.
#![cfg(target_os = "linux")]

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use kwik_netem::link::{LinkError, PathSpec, Topology};
use kwik_netem::{Direction, LinkSpec};

/// The network, or `None` (and a word about it) where this machine does not let us make one.
fn topology(paths: &[PathSpec]) -> Option<Topology> {
    match Topology::create(paths) {
        Ok(net) => Some(net),
        Err(error @ (LinkError::Enter { .. } | LinkError::Thread(_))) => panic!("{error}"),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// A server on path `k` and a client connected to it.
fn sockets(net: &Topology, k: u8) -> (UdpSocket, UdpSocket) {
    let server = net.server().enter(|| UdpSocket::bind((net.server_addr(k), 0)).unwrap()).unwrap();
    let client = net.client().enter(|| UdpSocket::bind((net.client_addr(k), 0)).unwrap()).unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    for socket in [&server, &client] {
        // Only so that a broken link fails the test instead of hanging it.
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    }
    (server, client)
}

fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 2048];
    let len = socket.recv(&mut buffer).expect("a datagram should have arrived");
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

#[test]
fn each_path_has_its_own_delay() {
    let delayed = |ms| PathSpec::symmetric(LinkSpec::new().delay_ms(ms));
    let Some(net) = topology(&[delayed(5), delayed(20)]) else { return };
    for (k, rtt_ms) in [(0, 10), (1, 40)] {
        let (server, client) = sockets(&net, k);
        let start = Instant::now();
        client.send(b"ping").unwrap();
        assert_eq!(receive(&server), "ping");
        server.send_to(b"pong", client.local_addr().unwrap()).unwrap();
        assert_eq!(receive(&client), "pong");
        assert!(start.elapsed() >= Duration::from_millis(rtt_ms), "{:?}", start.elapsed());
    }
}

#[test]
fn a_silent_link_carries_nothing_until_restored() {
    let Some(net) = topology(&[PathSpec::symmetric(LinkSpec::new())]) else { return };
    let (server, client) = sockets(&net, 0);
    let link = &net.links()[0];
    link.silence();
    let before = link.counters(Direction::Up).dropped_packets;
    client.send(b"lost").unwrap();
    while link.counters(Direction::Up).dropped_packets == before {
        std::thread::yield_now();
    }
    link.restore();
    client.send(b"heard").unwrap();
    assert_eq!(receive(&server), "heard");
}

#[test]
fn everything_is_removed_with_the_topology_and_whatever_ran_inside_is_killed() {
    let Some(net) = topology(&[PathSpec::symmetric(LinkSpec::new())]) else { return };
    let name = net.server().name().to_owned();
    let exists = || std::path::Path::new("/run/netns").join(&name).exists();
    let mut sleeper = net.server().command("sleep").arg("600").spawn().unwrap();
    let has_entered = || {
        let program = std::fs::read_to_string(format!("/proc/{}/comm", sleeper.id()));
        program.is_ok_and(|program| program.trim() == "sleep")
    };
    while !has_entered() {
        std::thread::yield_now();
    }
    assert!(exists());
    drop(net);
    assert!(!exists());
    assert!(!sleeper.wait().unwrap().success());
}
