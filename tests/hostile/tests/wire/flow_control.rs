//! More than was granted, in bytes and in streams.

use kwik_hostile_tests::code::*;
use kwik_hostile_tests::peer::Path;
use kwik_hostile_tests::wire::{self, client_bidi, client_uni, kind, record, record_head, server_uni};

use super::scene::{Scene, narrow};

/// A session with 3 streams of each kind, 10,000 bytes for each and 15,000 bytes in all.
async fn open() -> (Scene, Path) {
    let scene = narrow(3, 10_000, 15_000).await;
    let (path, _) = scene.client.open().await;
    (scene, path)
}

fn lane(stream: u64, records: &[u8]) -> Vec<u8> {
    [wire::lane(stream), records.to_vec()].concat()
}

#[tokio::test]
async fn more_bytes_on_a_stream_than_its_limit() {
    let (_scene, path) = open().await;
    path.whole_lane(&lane(client_uni(0), &record(0, false, &[1; 10_001]))).await;
    path.is_blamed(FLOW_CONTROL).await;
}

#[tokio::test]
async fn as_many_bytes_as_are_granted_are_welcome() {
    let (_scene, mut path) = open().await;
    path.whole_lane(&lane(client_uni(0), &record(0, false, &[1; 10_000]))).await;
    path.whole_lane(&lane(client_uni(1), &record(0, false, &[1; 5_000]))).await;
    path.is_served().await;
}

#[tokio::test]
async fn a_single_byte_beyond_the_limit_with_a_gap_before_it() {
    for offset in [10_000, 1 << 40, wire::MAX_VARINT - 1] {
        let (_scene, path) = open().await;
        path.whole_lane(&lane(client_uni(0), &record(offset, false, &[1]))).await;
        path.is_blamed(FLOW_CONTROL).await;
    }
}

#[tokio::test]
async fn a_record_that_is_only_announced_is_not_beyond_the_limit_before_its_bytes_are() {
    let (_scene, mut path) = open().await;
    let _lane = path.uni(&lane(client_uni(0), &record_head(0, false, 1 << 20))).await;
    path.is_served().await;
}

#[tokio::test]
async fn more_bytes_on_all_streams_than_the_sessions_limit() {
    let (_scene, path) = open().await;
    for index in 0..2 {
        path.whole_lane(&lane(client_uni(index), &record(0, false, &[1; 8_000]))).await;
    }
    path.is_blamed(FLOW_CONTROL).await;
}

#[tokio::test]
async fn gaps_count_as_the_bytes_that_they_are_for() {
    let (_scene, path) = open().await;
    for index in 0..2 {
        path.whole_lane(&lane(client_uni(index), &record(7_999, false, &[1]))).await;
    }
    path.is_blamed(FLOW_CONTROL).await;
}

#[tokio::test]
async fn the_same_bytes_again_are_free() {
    let (_scene, mut path) = open().await;
    for _ in 0..10 {
        path.whole_lane(&lane(client_uni(0), &record(0, false, &[1; 10_000]))).await;
    }
    path.is_served().await;
}

#[tokio::test]
async fn a_reset_that_claims_more_than_was_granted() {
    let (_scene, mut path) = open().await;
    path.say(&wire::numbers(kind::RESET_STREAM, &[client_uni(0), 0, 10_001])).await;
    path.is_blamed(FLOW_CONTROL).await;
    let (_scene, mut path) = open().await;
    path.say(&wire::stream(client_uni(0), 0, false, &[1; 8_000])).await;
    path.say(&wire::numbers(kind::RESET_STREAM, &[client_uni(1), 0, 8_000])).await;
    path.is_blamed(FLOW_CONTROL).await;
}

#[tokio::test]
async fn chunks_in_frames_count_as_those_on_lanes_do() {
    let (_scene, mut path) = open().await;
    path.say(&wire::stream(client_uni(0), 0, false, &[1; 10_001])).await;
    path.is_blamed(FLOW_CONTROL).await;
}

#[tokio::test]
async fn a_stream_beyond_the_limit_of_its_kind_however_it_is_mentioned() {
    for stream in [client_bidi(3), client_uni(3), client_bidi(1 << 59)] {
        let (_scene, path) = open().await;
        path.whole_lane(&lane(stream, &record(0, false, &[1]))).await;
        path.is_blamed(STREAM_LIMIT).await;
    }
    for said in [
        wire::stream(client_uni(3), 0, true, b""),
        wire::numbers(kind::RESET_STREAM, &[client_uni(3), 0, 0]),
        wire::numbers(kind::STOP_SENDING, &[client_bidi(3), 0]),
        wire::numbers(kind::MAX_STREAM_DATA, &[client_bidi(3), 0]),
        wire::ack(client_bidi(3), false, 0, &[]),
    ] {
        let (_scene, mut path) = open().await;
        path.say(&said).await;
        path.is_blamed(STREAM_LIMIT).await;
    }
}

#[tokio::test]
async fn the_last_stream_below_the_limit_opens_those_before_it() {
    let scene = narrow(3, 10_000, 15_000).await;
    let (path, _, session) = scene.open().await;
    path.whole_lane(&lane(client_uni(2), &record(0, true, b"third"))).await;
    path.whole_lane(&lane(client_uni(0), &record(0, true, b"first"))).await;
    path.whole_lane(&lane(client_uni(1), &record(0, true, b"second"))).await;
    for expected in [&b"first"[..], b"second", b"third"] {
        assert_eq!(session.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), expected);
    }
}

/// PROTOCOL 5.5: A receiver MUST count the bytes of a stream that it drops unread as read.
#[tokio::test]
async fn bytes_that_are_dropped_unread_make_room_for_others() {
    let scene = narrow(3, 10_000, 15_000).await;
    let (mut path, _, session) = scene.open().await;
    path.whole_lane(&lane(client_uni(0), &record(0, false, &[1; 10_000]))).await;
    let mut recv = session.accept_uni().await.unwrap();
    recv.stop(kwik::AppCode::new(7)).unwrap();
    // When to tell is the receiver's choice: here, when half of the window is used up.
    grants(&mut path, 10_000 + 7_500).await;
    path.whole_lane(&lane(client_uni(1), &record(0, false, &[1; 7_400]))).await;
    path.is_served().await;
    // So do those of a stream that its sender gives up.
    path.say(&wire::numbers(kind::RESET_STREAM, &[client_uni(1), 0, 7_400])).await;
    grants(&mut path, 10_000 + 7_400 + 7_500).await;
}

/// Waits for a MAX_DATA of at least so many bytes.
async fn grants(path: &mut Path, bytes: u64) {
    loop {
        let [limit] = path.until(kind::MAX_DATA).await.fields();
        if limit >= bytes {
            return;
        }
    }
}

#[tokio::test]
async fn a_peer_that_grants_nothing_is_sent_nothing() {
    let scene = Scene::new().await;
    let nothing = wire::hello(&[1], 0, &[0], &wire::parameter(4, 10));
    let mut path = scene.client.greet(&nothing).await;
    let session = scene.listener.accept().await.unwrap();
    let mut send = session.open_uni().await.unwrap();
    send.write_all(b"hello").await.unwrap();
    path.is_served().await;
    path.say(&wire::numbers(kind::MAX_DATA, &[5])).await;
    path.say(&wire::numbers(kind::MAX_STREAM_DATA, &[server_uni(0), 5])).await;
    let mut lane = path.connection.accept_uni().await.unwrap();
    let mut begins = vec![0; 4];
    lane.read_exact(&mut begins).await.unwrap();
    assert_eq!(begins, [&wire::lane(server_uni(0))[..], &record_head(0, false, 5)].concat());
}

#[tokio::test]
async fn limits_never_shrink() {
    let scene = Scene::new().await;
    let (mut path, _, session) = scene.open().await;
    path.say(&wire::numbers(kind::MAX_DATA, &[1])).await;
    path.say(&wire::numbers(kind::MAX_STREAMS, &[1, 0])).await;
    path.is_served().await;
    let mut send = session.open_uni().await.unwrap();
    path.say(&wire::numbers(kind::MAX_STREAM_DATA, &[server_uni(0), 1])).await;
    send.write_all(b"hello").await.unwrap();
    let mut lane = path.connection.accept_uni().await.unwrap();
    let mut all = vec![0; 4 + 5];
    lane.read_exact(&mut all).await.unwrap();
    assert!(all.ends_with(b"hello"), "{all:?}");
}
