//! When what has arrived is acknowledged, so that its sender can forget it.

use std::time::Duration;

use super::net::Net;
use super::{SendStream, Session};
use crate::proto::config::SessionConfig;

const ZERO: Duration = Duration::ZERO;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A stream of the client's on which something was sent, but no end, and the other end's session.
struct Scene {
    net: Net,
    client: Session,
    server: Session,
    _send: SendStream,
}

impl Scene {
    fn new(config: SessionConfig, bytes: usize) -> Self {
        let (mut net, client, server) = Net::pair(config);
        // What was said in the beginning is old.
        net.pass(ms(1_000));
        let mut send = net.block_on(client.open_uni()).unwrap();
        net.block_on(send.write_all(&vec![1; bytes])).unwrap();
        net.settle();
        Self { net, client, server, _send: send }
    }

    fn is_acknowledged(&self) -> bool {
        self.client.stats().retained_bytes == 0
    }

    /// How long it takes from now on.
    fn acknowledged_after(&mut self) -> Duration {
        let (began, client) = (self.net.now(), &self.client);
        self.net.run_until(|| client.stats().retained_bytes == 0);
        self.net.now() - began
    }
}

#[test]
fn little_waits_on_a_lone_path_and_much_does_not() {
    let acknowledged_after = |bytes| Scene::new(SessionConfig::default(), bytes).acknowledged_after();
    assert_eq!([1, 60_000, 64 * 1024, 1 << 20].map(acknowledged_after), [ms(200), ms(200), ZERO, ms(10)]);
}

#[test]
fn little_that_has_waited_goes_with_data() {
    let mut scene = Scene::new(SessionConfig::default(), 100);
    let mut answer = scene.net.block_on(scene.server.open_uni()).unwrap();
    scene.net.pass(ms(50));
    scene.net.block_on(answer.write_all(b"one")).unwrap();
    scene.net.settle();
    assert!(!scene.is_acknowledged());
    scene.net.pass(ms(50));
    scene.net.block_on(answer.write_all(b"two")).unwrap();
    scene.net.settle();
    assert!(scene.is_acknowledged());
}

#[test]
fn a_second_path_makes_it_due_soon() {
    let mut scene = Scene::new(SessionConfig::default(), 100);
    scene.net.block_on(scene.client.add_path("other:2")).unwrap();
    assert!(!scene.is_acknowledged());
    assert_eq!(scene.acknowledged_after(), ms(20));
}

#[test]
fn who_keeps_little_or_says_nothing_else_is_acknowledged_soon() {
    let config = SessionConfig { stream_send_buffer_bytes: 100_000, ..SessionConfig::default() };
    assert_eq!(Scene::new(config, 100).acknowledged_after(), ms(20));
    let config = SessionConfig { lone_path_ack_delay: ZERO, ..SessionConfig::default() };
    assert_eq!(Scene::new(config, 100).acknowledged_after(), ms(20));
    let config = SessionConfig { max_ack_delay: ZERO, ..SessionConfig::default() };
    assert_eq!(Scene::new(config, 100).acknowledged_after(), ZERO);
}

#[test]
fn a_whole_stream_is_acknowledged_at_once() {
    let mut scene = Scene::new(SessionConfig::default(), 100);
    let mut whole = scene.net.block_on(scene.client.open_uni()).unwrap();
    scene.net.block_on(whole.write_all(b"all")).unwrap();
    whole.finish().unwrap();
    let began = scene.net.now();
    scene.net.block_on(whole.delivered()).unwrap();
    assert_eq!(scene.net.now() - began, ZERO);
}
