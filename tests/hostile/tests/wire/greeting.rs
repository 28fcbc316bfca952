//! HELLO, what stands in its place, and what comes before it.

use kwik_hostile_tests::code::*;
use kwik_hostile_tests::peer::patiently;
use kwik_hostile_tests::wire::{self, CONTROL_LANE, kind, parameter, parameters, varint};

use super::scene::Scene;

/// A path that begins with these frames is refused with this code.
#[track_caller]
fn refused(frames: Vec<u8>, code: u64) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        println!("at {place}");
        let scene = Scene::new().await;
        scene.client.greet(&frames).await.is_refused(code).await;
    }
}

/// A path that begins with these frames is accepted, and works.
async fn accepted(frames: Vec<u8>) {
    let scene = Scene::new().await;
    let mut path = scene.client.greet(&frames).await;
    path.until(kind::ACCEPT).await;
    path.is_served().await;
}

#[tokio::test]
async fn any_other_frame_in_the_place_of_hello() {
    for frames in [
        wire::numbers(kind::PING, &[1]),
        wire::reject(TOO_MANY_SESSIONS, b""),
        wire::close(0, NO_ERROR, b""),
        wire::frame(kind::GOAWAY, b""),
        wire::stream(wire::client_uni(0), 0, true, b"early"),
    ] {
        refused(frames, PROTOCOL_VIOLATION).await;
    }
}

#[tokio::test]
async fn a_client_that_speaks_as_a_server_would() {
    let credentials = wire::Credentials { session: [1; 16], resume_key: [2; 32], nonce: [3; 16] };
    refused(wire::accept(1, &credentials), PROTOCOL_VIOLATION).await;
}

#[tokio::test]
async fn frames_of_unknown_types_before_hello_are_skipped() {
    let grease = wire::frame(kind::GREASE, b"abc");
    accepted([grease.clone(), wire::frame(0x7777, &[9; 65_536]), wire::hello_new(), grease].concat()).await;
}

#[tokio::test]
async fn a_frame_before_hello_that_is_longer_than_any_may_be() {
    for kind in [kind::HELLO, kind::GREASE] {
        refused([varint(kind), varint(65_537)].concat(), LIMIT_EXCEEDED).await;
    }
}

#[tokio::test]
async fn a_second_hello_accept_or_reject() {
    let scene = Scene::new().await;
    let credentials = wire::Credentials { session: [1; 16], resume_key: [2; 32], nonce: [3; 16] };
    for second in [wire::hello_new(), wire::accept(1, &credentials), wire::reject(NO_ERROR, b"")] {
        let (mut path, _) = scene.client.open().await;
        path.say(&second).await;
        path.is_blamed(PROTOCOL_VIOLATION).await;
    }
}

#[tokio::test]
async fn a_frame_between_hello_and_accept_costs_the_path_alone() {
    let scene = Scene::new().await;
    let (mut first, credentials, _session) = scene.open().await;
    let early = [wire::hello_join(&credentials.session, 1, &credentials.proof(1)), wire::numbers(5, &[1])];
    let second = scene.client.greet(&early.concat()).await;
    assert_eq!(second.carrier_code().await, PROTOCOL_VIOLATION);
    first.is_served().await;
}

#[tokio::test]
async fn a_hello_that_lists_no_version_or_more_than_16() {
    refused(wire::hello(&[], 0, &[0], &parameters()), FRAME_ENCODING).await;
    refused(wire::hello(&[1; 17], 0, &[0], &parameters()), LIMIT_EXCEEDED).await;
}

#[tokio::test]
async fn a_hello_without_a_version_that_the_server_speaks() {
    refused(wire::hello(&[2, 0x21, wire::MAX_VARINT], 0, &[0], &parameters()), VERSION).await;
}

#[tokio::test]
async fn a_version_is_found_among_others_that_nobody_knows() {
    let versions = [0x21, 2, 0, wire::MAX_VARINT, 1, 0x40];
    let scene = Scene::new().await;
    let mut path = scene.client.greet(&wire::hello(&versions, 0, &[0], &parameters())).await;
    let [version] = path.until(kind::ACCEPT).await.fields();
    assert_eq!(version, 1);
}

#[tokio::test]
async fn a_new_session_on_a_path_that_is_not_0() {
    refused(wire::hello(&[1], 1, &[0], &parameters()), PROTOCOL_VIOLATION).await;
}

#[tokio::test]
async fn an_intent_that_does_not_exist() {
    refused(wire::hello(&[1], 0, &[2], &parameters()), FRAME_ENCODING).await;
}

#[tokio::test]
async fn a_hello_that_ends_early() {
    let join = [&[1][..], &[7; 16], &[7; 31]].concat();
    refused(wire::hello(&[1], 1, &join, &[]), FRAME_ENCODING).await;
    refused(wire::frame(kind::HELLO, &[2, 1]), FRAME_ENCODING).await;
    refused(wire::frame(kind::HELLO, &[]), FRAME_ENCODING).await;
}

/// PROTOCOL 4.3: Unknown ids MUST be skipped.
#[tokio::test]
async fn parameters_that_nobody_knows_are_skipped() {
    let unknown: Vec<u8> = (100..155).flat_map(|id| parameter(id, wire::MAX_VARINT)).collect();
    let empty = [varint(0x21), varint(0)].concat();
    accepted(wire::hello(&[1], 0, &[0], &[parameters(), unknown, empty].concat())).await;
}

#[tokio::test]
async fn more_than_64_parameters() {
    let many: Vec<u8> = (100..165).flat_map(|id| parameter(id, 1)).collect();
    refused(wire::hello(&[1], 0, &[0], &many), LIMIT_EXCEEDED).await;
}

#[tokio::test]
async fn a_parameter_that_is_there_twice_known_or_not() {
    for id in [0x01, 0x08, 0x21] {
        let twice = [parameter(id, 30), parameter(id, 30)].concat();
        refused(wire::hello(&[1], 0, &[0], &twice), FRAME_ENCODING).await;
    }
}

#[tokio::test]
async fn a_parameter_whose_value_does_not_fill_its_length() {
    for wrong in [
        [varint(1), varint(2), vec![5, 5]].concat(),
        [varint(1), varint(1), vec![0x40]].concat(),
        [varint(1), varint(0)].concat(),
        [varint(1), varint(100)].concat(),
    ] {
        refused(wire::hello(&[1], 0, &[0], &wrong), FRAME_ENCODING).await;
    }
}

#[tokio::test]
async fn a_parameter_that_grants_more_streams_than_there_are_ids() {
    for id in [0x03, 0x04] {
        refused(wire::hello(&[1], 0, &[0], &parameter(id, (1 << 60) + 1)), LIMIT_EXCEEDED).await;
        accepted(wire::hello(&[1], 0, &[0], &parameter(id, 1 << 60))).await;
    }
}

#[tokio::test]
async fn parameters_at_their_largest_do_no_harm() {
    let largest: Vec<u8> =
        [1, 2, 5, 6, 7, 8].iter().flat_map(|id| parameter(*id, wire::MAX_VARINT)).collect();
    accepted(wire::hello(&[1], 0, &[0], &largest)).await;
}

#[tokio::test]
async fn no_parameters_at_all_are_their_defaults() {
    accepted(wire::hello(&[1], 0, &[0], &[])).await;
}

#[tokio::test]
async fn a_greeting_that_comes_byte_by_byte_is_understood() {
    let scene = Scene::new().await;
    let mut path = scene.client.begin(&[CONTROL_LANE]).await;
    for byte in wire::hello_new() {
        path.say(&[byte]).await;
        tokio::task::yield_now().await;
    }
    path.until(kind::ACCEPT).await;
}

#[tokio::test]
async fn a_greeting_in_the_longest_varints_is_understood() {
    let hello = wire::hello_new();
    let mut frame = wire::Frame::read(&mut hello.clone()).unwrap();
    let path_and_intent = 2;
    frame
        .body
        .splice(path_and_intent..path_and_intent + 2, [wire::long_varint(0), wire::long_varint(0)].concat());
    let length = frame.body.len() as u64;
    let long = [wire::long_varint(kind::HELLO), wire::long_varint(length), frame.body].concat();
    let scene = Scene::new().await;
    let mut path = scene.client.begin(&[wire::long_varint(1), long].concat()).await;
    path.until(kind::ACCEPT).await;
    path.is_served().await;
}

#[tokio::test]
async fn the_first_lane_is_no_control_lane() {
    for first in [wire::lane(wire::client_bidi(0)), wire::varint(0x21), wire::varint(wire::MAX_VARINT)] {
        let scene = Scene::new().await;
        scene.client.begin(&first).await.is_refused(PROTOCOL_VIOLATION).await;
    }
}

#[tokio::test]
async fn a_control_lane_that_ends_before_hello() {
    let scene = Scene::new().await;
    let mut path = scene.client.begin(&[CONTROL_LANE]).await;
    path.control.finish().unwrap();
    path.is_refused(PROTOCOL_VIOLATION).await;
}

#[tokio::test]
async fn a_stream_lane_before_hello_is_not_read_and_harms_nobody() {
    let scene = Scene::new().await;
    let connection = scene.client.connect().await.unwrap();
    let mut lane = connection.open_uni().await.unwrap();
    lane.write_all(&[wire::lane(wire::client_uni(0)), wire::record(0, true, b"early")].concat())
        .await
        .unwrap();
    let (mut control, mut replies) = connection.open_bi().await.unwrap();
    control.write_all(&[&[CONTROL_LANE], &wire::hello_new()[..]].concat()).await.unwrap();
    // Either it comes too early, and the path goes, or it was read after ACCEPT, and is a stream like any other.
    let first = patiently("an answer", replies.read_chunk(usize::MAX, true)).await;
    match first {
        Ok(_) => {}
        Err(_) => assert!(connection.close_reason().is_some()),
    }
    scene.client.open().await.0.is_served().await;
}

#[tokio::test]
async fn a_client_that_never_says_hello() {
    let scene = Scene::new().await;
    let silent = scene.client.connect().await.unwrap();
    let half = scene.client.begin(&[CONTROL_LANE, kind::HELLO as u8]).await;
    assert_eq!(half.carrier_code().await, HANDSHAKE_TIMEOUT);
    match patiently("the server's patience", silent.closed()).await {
        quinn::ConnectionError::ApplicationClosed(close) => {
            assert_eq!(close.error_code.into_inner(), HANDSHAKE_TIMEOUT);
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_server_without_room_says_so() {
    let scene = Scene::with(|config| config.max_sessions = 1).await;
    let (mut first, _, _session) = scene.open().await;
    scene.client.greet(&wire::hello_new()).await.is_refused(TOO_MANY_SESSIONS).await;
    first.is_served().await;
}

#[tokio::test]
async fn a_server_that_is_about_to_stop_says_so() {
    let scene = Scene::new().await;
    let (mut first, _, _session) = scene.open().await;
    scene.listener.drain();
    scene.client.greet(&wire::hello_new()).await.is_refused(GOING_AWAY).await;
    first.until(kind::GOAWAY).await;
    first.is_served().await;
}
