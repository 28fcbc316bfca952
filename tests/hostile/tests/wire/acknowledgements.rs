//! Acknowledgements and reports of what never was, and what a server has to acknowledge.

use kwik::Session;
use kwik_hostile_tests::code::*;
use kwik_hostile_tests::peer::Path;
use kwik_hostile_tests::wire::{self, client_bidi, client_uni, kind, record, server_uni};

use super::scene::Scene;

/// A session on whose first unidirectional stream the server has sent ten bytes.
async fn sent_ten() -> (Path, Session, kwik::SendStream) {
    let (path, _, session) = Scene::new().await.open().await;
    let mut send = session.open_uni().await.unwrap();
    send.write_all(&[1; 10]).await.unwrap();
    let mut lane = path.connection.accept_uni().await.unwrap();
    lane.read_exact(&mut [0; 14]).await.unwrap();
    (path, session, send)
}

#[tokio::test]
async fn an_acknowledgement_of_bytes_that_were_never_sent() {
    let stream = server_uni(0);
    for said in [
        wire::ack(stream, false, 11, &[]),
        wire::ack(stream, false, 0, &[(9, 2)]),
        wire::ack(stream, false, 0, &[(1, 1), (1, 1), (100, 1)]),
        wire::ack(stream, false, wire::MAX_VARINT, &[]),
    ] {
        let (mut path, _session, _send) = sent_ten().await;
        path.say(&said).await;
        path.is_blamed(PROTOCOL_VIOLATION).await;
    }
}

#[tokio::test]
async fn completeness_of_a_stream_whose_end_was_never_sent() {
    let (mut path, _session, _send) = sent_ten().await;
    path.say(&wire::ack(server_uni(0), true, 10, &[])).await;
    path.is_blamed(PROTOCOL_VIOLATION).await;
}

#[tokio::test]
async fn acknowledgements_add_up_whatever_a_later_one_says() {
    let (mut path, session, mut send) = sent_ten().await;
    for said in [
        wire::ack(server_uni(0), false, 0, &[(3, 2)]),
        wire::ack(server_uni(0), false, 0, &[]),
        wire::ack(server_uni(0), false, 10, &[]),
        wire::ack(server_uni(0), false, 5, &[]),
    ] {
        path.say(&said).await;
    }
    path.is_served().await;
    assert_eq!(session.stats().retained_bytes, 0);
    send.finish().unwrap();
    // Only the end is left to confirm.
    path.say(&wire::numbers(kind::PING, &[1])).await;
    path.until(kind::PONG).await;
    path.say(&wire::ack(server_uni(0), true, 10, &[])).await;
    send.delivered().await.unwrap();
}

#[tokio::test]
async fn a_report_of_more_bytes_than_were_sent_on_the_path() {
    let (mut path, _session, _send) = sent_ten().await;
    path.say(&wire::numbers(kind::PATH_REPORT, &[10, 0])).await;
    path.is_served().await;
    // Far more: copies count, and the server may have sent some meanwhile.
    path.say(&wire::numbers(kind::PATH_REPORT, &[1 << 20, 0])).await;
    path.is_blamed(PROTOCOL_VIOLATION).await;
}

#[tokio::test]
async fn a_report_of_a_delay_longer_than_the_path_is_old_is_borne() {
    let (mut path, session, _send) = sent_ten().await;
    path.say(&wire::numbers(kind::PATH_REPORT, &[5, wire::MAX_VARINT])).await;
    path.is_served().await;
    assert_eq!(session.close_reason(), None);
}

/// PROTOCOL 5.3: The receiver MUST acknowledge a stream (with an ACK on any path, which SHOULD be one that is not Suspect:
/// an ACK that goes into a dead path stops the sender) within its `max_ack_delay` after new bytes arrived, and at once
/// when the stream becomes complete.
#[tokio::test]
async fn what_arrives_is_acknowledged_and_what_is_complete_is_said_to_be() {
    let (mut path, _, session) = Scene::new().await.open().await;
    path.say(&wire::stream(client_uni(0), 3, false, b"de")).await;
    let ack = path.until(kind::ACK).await;
    assert_eq!(ack.fields(), [client_uni(0), 0, 0, 1, 3, 2]);
    path.say(&wire::stream(client_uni(0), 0, true, b"abcde")).await;
    let ack = path.until(kind::ACK).await;
    assert_eq!(ack.fields(), [client_uni(0), 1, 5, 0]);
    assert_eq!(session.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), b"abcde");
}

/// PROTOCOL 6.1: A receiver MUST send PATH_REPORT on each path where chunks have arrived: at least once every 64 KiB of
/// payload, and within its `max_ack_delay` after payload arrived that no report has counted.
#[tokio::test]
async fn every_path_where_chunks_arrive_gets_its_report() {
    let scene = Scene::new().await;
    let (mut first, credentials, _session) = scene.open().await;
    let mut second = scene.client.join(&credentials, 1).await;
    first.whole_lane(&[wire::lane(client_uni(0)), record(0, false, &[1; 1_000])].concat()).await;
    second.whole_lane(&[wire::lane(client_uni(0)), record(1_000, false, &[1; 300])].concat()).await;
    for (path, bytes) in [(&mut first, 1_000), (&mut second, 300)] {
        loop {
            let [reported] = path.until(kind::PATH_REPORT).await.fields();
            if reported == bytes {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_stop_is_answered_by_a_reset_with_its_code() {
    let (mut path, _session, send) = sent_ten().await;
    path.say(&wire::numbers(kind::STOP_SENDING, &[server_uni(0), 77])).await;
    let reset = path.until(kind::RESET_STREAM).await;
    assert_eq!(reset.fields(), [server_uni(0), 77, 10]);
    assert_eq!(send.stopped().await.unwrap(), Some(kwik::AppCode::new(77)));
    path.say(&wire::ack(server_uni(0), true, 0, &[])).await;
    path.is_served().await;
}

#[tokio::test]
async fn a_stream_cut_into_more_ranges_than_anyone_needs() {
    let (mut path, _, _session) = Scene::new().await.open().await;
    let piece = |index: u64| record(1 + 2 * index, false, b"x");
    let many: Vec<u8> = (0..8_192).flat_map(piece).collect();
    let mut lane = path.uni(&[wire::lane(client_bidi(0)), many].concat()).await;
    path.is_served().await;
    for index in 8_192..20_000 {
        if lane.write_all(&piece(index)).await.is_err() {
            break;
        }
    }
    path.is_blamed(LIMIT_EXCEEDED).await;
}
