//! Datagrams of carriers and in frames.

use std::time::Duration;

use kwik_hostile_tests::wire::{self, kind, long_varint, varint};

use super::scene::Scene;

fn datagram(sequence: u64, payload: &[u8]) -> Vec<u8> {
    [varint(sequence), payload.to_vec()].concat()
}

#[tokio::test]
async fn datagrams_without_a_whole_sequence_are_dropped() {
    let (mut path, _, session) = Scene::new().await.open().await;
    for broken in [&[][..], &[0x40], &[0xc0, 1, 2]] {
        path.connection.send_datagram_wait(broken.to_vec().into()).await.unwrap();
    }
    path.connection.send_datagram_wait(datagram(0, b"whole").into()).await.unwrap();
    assert_eq!(session.recv_datagram().await.unwrap(), b"whole"[..]);
    path.is_served().await;
}

#[tokio::test]
async fn each_sequence_is_delivered_once_however_it_comes() {
    let (mut path, _, session) = Scene::new().await.open().await;
    for _ in 0..3 {
        path.say(&wire::frame(kind::DATAGRAM, &datagram(5, b"five"))).await;
        path.connection.send_datagram_wait([long_varint(5), b"five".to_vec()].concat().into()).await.unwrap();
    }
    path.is_served().await;
    path.say(&wire::frame(kind::DATAGRAM, &datagram(6, b"six"))).await;
    assert_eq!(session.recv_datagram().await.unwrap(), b"five"[..]);
    assert_eq!(session.recv_datagram().await.unwrap(), b"six"[..]);
}

#[tokio::test]
async fn what_is_older_than_the_window_is_dropped() {
    let (mut path, _, session) = Scene::new().await.open().await;
    for sequence in [wire::MAX_VARINT, 0, 5, wire::MAX_VARINT - 1] {
        path.say(&wire::frame(kind::DATAGRAM, &datagram(sequence, &varint(sequence)))).await;
    }
    path.is_served().await;
    for sequence in [wire::MAX_VARINT, wire::MAX_VARINT - 1] {
        assert_eq!(session.recv_datagram().await.unwrap(), varint(sequence));
    }
    let more = tokio::time::timeout(Duration::ZERO, session.recv_datagram()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn a_payload_longer_than_is_taken_is_no_error() {
    let scene = Scene::with(|config| config.session.max_datagram_bytes = 10).await;
    let (mut path, _, session) = scene.open().await;
    path.say(&wire::frame(kind::DATAGRAM, &datagram(0, &[1; 11]))).await;
    path.say(&wire::frame(kind::DATAGRAM, &datagram(1, &[1; 10]))).await;
    assert_eq!(session.recv_datagram().await.unwrap(), [1; 10][..]);
    path.is_served().await;
    assert_eq!(session.stats().dropped_datagrams, 1);
}
