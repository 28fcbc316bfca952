//! What a stream's direction, its end or its initiator forbids.

use kwik_hostile_tests::code::*;
use kwik_hostile_tests::wire::{self, client_bidi, client_uni, kind, record, server_bidi, server_uni};

use super::scene::Scene;

fn lane(stream: u64, records: &[u8]) -> Vec<u8> {
    [wire::lane(stream), records.to_vec()].concat()
}

#[tokio::test]
async fn bytes_on_a_stream_on_which_only_the_server_sends() {
    for said in [
        wire::stream(server_uni(0), 0, false, b"x"),
        wire::numbers(kind::RESET_STREAM, &[server_uni(0), 0, 0]),
    ] {
        let (mut path, _, session) = Scene::new().await.open().await;
        let mut send = session.open_uni().await.unwrap();
        send.write_all(b"mine").await.unwrap();
        path.say(&said).await;
        path.is_blamed(STREAM_STATE).await;
    }
    let (path, _, _session) = Scene::new().await.open().await;
    path.whole_lane(&lane(server_uni(0), &record(0, false, b"x"))).await;
    path.is_blamed(STREAM_STATE).await;
}

#[tokio::test]
async fn frames_about_a_half_that_the_server_does_not_have() {
    for said in [
        wire::ack(client_uni(0), false, 0, &[]),
        wire::numbers(kind::MAX_STREAM_DATA, &[client_uni(0), 1_000]),
        wire::numbers(kind::STOP_SENDING, &[client_uni(0), 0]),
    ] {
        let (mut path, _, _session) = Scene::new().await.open().await;
        path.say(&said).await;
        path.is_blamed(STREAM_STATE).await;
    }
}

#[tokio::test]
async fn a_stream_that_the_server_would_have_had_to_open() {
    for said in [
        wire::stream(server_bidi(0), 0, false, b"x"),
        wire::ack(server_bidi(0), false, 0, &[]),
        wire::ack(server_uni(5), true, 0, &[]),
        wire::numbers(kind::MAX_STREAM_DATA, &[server_uni(0), 5]),
        wire::numbers(kind::STOP_SENDING, &[server_bidi(9), 5]),
        wire::numbers(kind::RESET_STREAM, &[server_bidi(0), 0, 0]),
    ] {
        let (mut path, _, _session) = Scene::new().await.open().await;
        path.say(&said).await;
        path.is_blamed(STREAM_STATE).await;
    }
}

/// PROTOCOL 5.1: All chunks with fin, and RESET_STREAM, MUST agree on the stream's final size, and no byte may lie
/// beyond it: FINAL_SIZE otherwise.
#[tokio::test]
async fn an_end_that_moves() {
    let stream = client_uni(0);
    for then in [
        wire::stream(stream, 5, true, b"x"),
        wire::stream(stream, 0, true, b"four"),
        wire::stream(stream, 5, false, b"x"),
        wire::stream(stream, 5_000, true, b""),
        wire::numbers(kind::RESET_STREAM, &[stream, 0, 6]),
        wire::numbers(kind::RESET_STREAM, &[stream, 0, 4]),
    ] {
        let (mut path, _, _session) = Scene::new().await.open().await;
        path.say(&wire::stream(stream, 3, true, b"45")).await;
        path.say(&then).await;
        path.is_blamed(FINAL_SIZE).await;
    }
}

#[tokio::test]
async fn an_end_before_bytes_that_were_there_already() {
    for then in [wire::stream(client_uni(0), 3, true, b""), wire::numbers(kind::RESET_STREAM, &[2, 0, 4])] {
        let (mut path, _, _session) = Scene::new().await.open().await;
        path.say(&wire::stream(client_uni(0), 0, false, b"hello")).await;
        path.say(&then).await;
        path.is_blamed(FINAL_SIZE).await;
    }
}

#[tokio::test]
async fn a_reset_that_is_followed_by_another_of_another_size() {
    let (mut path, _, _session) = Scene::new().await.open().await;
    path.say(&wire::numbers(kind::RESET_STREAM, &[client_bidi(0), 0, 4])).await;
    path.say(&wire::numbers(kind::RESET_STREAM, &[client_bidi(0), 0, 5])).await;
    path.is_blamed(FINAL_SIZE).await;
}

#[tokio::test]
async fn a_stream_that_is_done_bears_whatever_comes_late() {
    let (mut path, _, session) = Scene::new().await.open().await;
    let stream = client_uni(0);
    path.say(&wire::stream(stream, 0, true, b"done")).await;
    assert_eq!(session.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), b"done");
    path.until(kind::ACK).await;
    for late in [
        wire::stream(stream, 0, true, b"done"),
        wire::stream(stream, 2, false, b"ne"),
        wire::numbers(kind::RESET_STREAM, &[stream, 0, 4]),
    ] {
        path.say(&late).await;
        let [acked, flags] = path.until(kind::ACK).await.fields();
        assert_eq!((acked, flags), (stream, 1), "it is acknowledged again, as complete");
    }
    path.is_served().await;
}

#[tokio::test]
async fn a_stream_that_is_reset_drops_what_comes_late() {
    let (mut path, _, session) = Scene::new().await.open().await;
    path.say(&wire::numbers(kind::RESET_STREAM, &[client_uni(0), 9, 100])).await;
    path.say(&wire::stream(client_uni(0), 50, false, b"late")).await;
    path.is_served().await;
    let mut recv = session.accept_uni().await.unwrap();
    let error = recv.read_to_end(100).await.unwrap_err();
    assert!(format!("{error:?}").contains("Reset"), "{error:?}");
}
