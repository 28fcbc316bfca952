//! Frames of a session that is open: their fields, their lengths, their limits.

use kwik_hostile_tests::code::*;
use kwik_hostile_tests::wire::{self, MAX_VARINT, client_bidi, client_uni, kind, text, varint, varints};

use super::scene::Scene;

/// A session whose peer says this ends with this code.
#[track_caller]
fn blamed(said: Vec<u8>, code: u64) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let (mut path, _, _session) = Scene::new().await.open().await;
        path.say(&said).await;
        println!("{said:02x?} at {place}");
        path.is_blamed(code).await;
    }
}

/// A session whose peer says this goes on.
async fn borne(said: Vec<u8>) {
    let (mut path, _, session) = Scene::new().await.open().await;
    path.say(&said).await;
    path.is_served().await;
    assert_eq!(session.close_reason(), None);
}

/// A body of each type that a client may send after HELLO, as section 4.2 has it. None does any harm.
fn bodies() -> Vec<(u64, Vec<u8>)> {
    let stream = client_bidi(0);
    vec![
        (kind::PATH_STATUS, varints(&[0, 1, 0, 7])),
        (kind::PING, varints(&[1_000])),
        (kind::PONG, varints(&[1_000])),
        (kind::ACK, varints(&[stream, 0, 0, 0])),
        (kind::PATH_REPORT, varints(&[0, 0])),
        (kind::MAX_DATA, varints(&[1 << 30])),
        (kind::MAX_STREAM_DATA, varints(&[stream, 1 << 30])),
        (kind::MAX_STREAMS, varints(&[1, 2_000])),
        (kind::RESET_STREAM, varints(&[stream, 7, 0])),
        (kind::STOP_SENDING, varints(&[stream, 7])),
        (kind::PATH_CLOSE, [varints(&[77, PATH_ABANDONED]), text(b"never opened")].concat()),
        (kind::GOAWAY, vec![]),
    ]
}

#[tokio::test]
async fn every_frame_as_it_should_be() {
    borne(bodies().iter().flat_map(|(kind, body)| wire::frame(*kind, body)).collect()).await;
}

#[tokio::test]
async fn a_body_that_ends_early() {
    for (kind, body) in bodies().into_iter().filter(|(_, body)| !body.is_empty()) {
        blamed(wire::frame(kind, &body[..body.len() - 1]), FRAME_ENCODING).await;
    }
}

#[tokio::test]
async fn a_body_with_bytes_left_over() {
    for (kind, body) in bodies() {
        blamed(wire::frame(kind, &[body, vec![0]].concat()), FRAME_ENCODING).await;
    }
}

#[tokio::test]
async fn a_flag_or_a_value_without_meaning() {
    for (kind, body) in [
        (kind::PATH_STATUS, varints(&[0, 1, 2, 0])),
        (kind::ACK, varints(&[client_bidi(0), 2, 0, 0])),
        (kind::MAX_STREAMS, varints(&[2, 5])),
        (kind::CLOSE, [varints(&[2, 0]), text(b"")].concat()),
        (kind::STREAM, varints(&[client_uni(0), 0, 2])),
    ] {
        blamed(wire::frame(kind, &body), FRAME_ENCODING).await;
    }
}

/// PROTOCOL 4.1: A frame of unknown type MUST be skipped by its length.
#[tokio::test]
async fn frames_of_unknown_types_are_skipped_up_to_the_longest() {
    let unknown = [0x15, kind::GREASE, 0x1234, MAX_VARINT];
    let lengths = [0, 1, 100, 65_536];
    borne(
        unknown
            .iter()
            .flat_map(|kind| lengths.map(|length| wire::frame(*kind, &vec![0xff; length])))
            .flatten()
            .collect(),
    )
    .await;
}

#[tokio::test]
async fn a_frame_longer_than_any_may_be() {
    for kind in [kind::PING, kind::STREAM, kind::DATAGRAM, kind::GREASE] {
        for length in [65_537, MAX_VARINT] {
            blamed([varint(kind), varint(length)].concat(), LIMIT_EXCEEDED).await;
        }
    }
}

#[tokio::test]
async fn a_reason_longer_than_a_sentence() {
    borne(wire::path_close(77, PATH_ABANDONED, &[b'x'; 1_024])).await;
    blamed(wire::path_close(77, PATH_ABANDONED, &[b'x'; 1_025]), LIMIT_EXCEEDED).await;
    blamed(wire::close(0, NO_ERROR, &[b'x'; 1_025]), LIMIT_EXCEEDED).await;
}

#[tokio::test]
async fn a_reason_that_is_longer_than_its_frame() {
    blamed(wire::frame(kind::PATH_CLOSE, &varints(&[77, 0, 10])), FRAME_ENCODING).await;
}

/// PROTOCOL 4.2: Reasons are UTF-8 for people; a receiver MUST NOT act on one, and MUST bear what is not UTF-8.
#[tokio::test]
async fn a_reason_that_is_not_utf_8() {
    borne(wire::path_close(77, PATH_ABANDONED, &[0xff, 0xfe, 0x00, 0xc0])).await;
    let (mut path, _, session) = Scene::new().await.open().await;
    path.say(&wire::close(1, 42, &[0xff, 0xfe])).await;
    match super::scene::end_of(&session).await {
        kwik::SessionError::ClosedByPeer { code, reason } => {
            assert_eq!((code.as_u64(), &reason[..]), (42, &[0xff, 0xfe][..]));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn more_ranges_in_one_ack_than_256() {
    blamed(wire::ack(client_bidi(0), false, 0, &[(1, 1); 257]), LIMIT_EXCEEDED).await;
}

#[tokio::test]
async fn a_range_of_an_ack_without_gap_or_length_or_beyond_all_offsets() {
    for range in [(0, 1), (1, 0), (MAX_VARINT, 1), (1, MAX_VARINT)] {
        blamed(wire::ack(client_bidi(0), false, 0, &[range]), FRAME_ENCODING).await;
    }
    blamed(wire::ack(client_bidi(0), false, MAX_VARINT, &[(1, 1)]), FRAME_ENCODING).await;
}

#[tokio::test]
async fn an_ack_that_announces_ranges_and_has_none() {
    blamed(wire::numbers(kind::ACK, &[client_bidi(0), 0, 0, 200]), FRAME_ENCODING).await;
}

#[tokio::test]
async fn more_streams_than_there_are_ids() {
    borne(wire::numbers(kind::MAX_STREAMS, &[0, 1 << 60])).await;
    blamed(wire::numbers(kind::MAX_STREAMS, &[0, (1 << 60) + 1]), LIMIT_EXCEEDED).await;
}

/// PROTOCOL 4.2: **STREAM**: a chunk as in section 5.1; offset plus the number of bytes MUST NOT exceed MAX_VARINT.
#[tokio::test]
async fn a_chunk_in_a_frame_that_ends_beyond_all_offsets() {
    blamed(wire::stream(client_uni(0), MAX_VARINT, false, b"x"), FRAME_ENCODING).await;
}

#[tokio::test]
async fn advice_from_a_client() {
    blamed(wire::add_path(0, "192.0.2.1:443"), PROTOCOL_VIOLATION).await;
    blamed(wire::numbers(kind::REMOVE_PATH, &[0]), PROTOCOL_VIOLATION).await;
}

#[tokio::test]
async fn integers_in_more_bytes_than_they_need() {
    let long = [wire::long_varint(kind::PING), wire::long_varint(8), wire::long_varint(5)].concat();
    borne(long).await;
}

#[tokio::test]
async fn what_follows_a_close_does_not_count() {
    let (mut path, _, session) = Scene::new().await.open().await;
    path.say(&[wire::close(1, 9, b"bye"), wire::frame(kind::GOAWAY, b"junk"), vec![0xff; 100]].concat())
        .await;
    let end = super::scene::end_of(&session).await;
    assert!(matches!(end, kwik::SessionError::ClosedByPeer { code, .. } if code.as_u64() == 9), "{end:?}");
    path.carrier_code().await;
}

#[tokio::test]
async fn a_hundred_pings_in_one_write_are_answered_by_the_newest() {
    let (mut path, _, _session) = Scene::new().await.open().await;
    let pings: Vec<u8> = (0..100).flat_map(|token| wire::numbers(kind::PING, &[token])).collect();
    path.say(&pings).await;
    loop {
        let [token] = path.until(kind::PONG).await.fields();
        if token == 99 {
            break;
        }
    }
    path.is_served().await;
}

#[tokio::test]
async fn a_pong_that_answers_no_ping_is_ignored() {
    borne((0..1_000).flat_map(|token| wire::numbers(kind::PONG, &[token])).collect()).await;
}
