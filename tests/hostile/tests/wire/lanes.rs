//! Lanes and the records on them.

use kwik_hostile_tests::code::*;
use kwik_hostile_tests::wire::{
    self, MAX_VARINT, client_bidi, client_uni, kind, record, record_head, varint,
};

use super::scene::Scene;

/// A session in which this comes on a unidirectional lane, which then ends, ends with this code.
#[track_caller]
fn blamed(lane: Vec<u8>, code: u64) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let (path, _, _session) = Scene::new().await.open().await;
        path.whole_lane(&lane).await;
        println!("{lane:02x?} at {place}");
        path.is_blamed(code).await;
    }
}

fn uni(records: &[u8]) -> Vec<u8> {
    [wire::lane(client_uni(0)), records.to_vec()].concat()
}

#[tokio::test]
async fn a_second_control_lane_in_either_kind_of_lane() {
    let scene = Scene::new().await;
    let (path, _) = scene.client.open().await;
    let _lane = path.bi(&[wire::CONTROL_LANE]).await;
    path.is_blamed(PROTOCOL_VIOLATION).await;
    blamed(vec![wire::CONTROL_LANE], PROTOCOL_VIOLATION).await;
}

#[tokio::test]
async fn lanes_of_unknown_types_are_ignored_whatever_is_on_them() {
    let (mut path, _, session) = Scene::new().await.open().await;
    for kind in [0x02, 0x21, MAX_VARINT] {
        path.whole_lane(&[varint(kind), vec![0xff; 10_000]].concat()).await;
        path.bi(&[varint(kind), vec![0xff; 10_000]].concat()).await.0.finish().unwrap();
    }
    path.is_served().await;
    assert_eq!(session.close_reason(), None);
}

#[tokio::test]
async fn a_lane_that_ends_inside_a_header_or_a_record() {
    let whole = uni(&record(5, false, b"hello"));
    for len in (1..whole.len()).filter(|len| *len != 2) {
        blamed(whole[..len].to_vec(), FRAME_ENCODING).await;
    }
}

#[tokio::test]
async fn a_lane_that_ends_between_records_or_without_a_byte_is_nothing_special() {
    let (mut path, _, session) = Scene::new().await.open().await;
    path.whole_lane(&[]).await;
    path.whole_lane(&uni(&[])).await;
    path.whole_lane(&uni(&record(0, false, b"still "))).await;
    path.whole_lane(&uni(&record(6, true, b"here"))).await;
    path.is_served().await;
    assert_eq!(session.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), b"still here");
}

#[tokio::test]
async fn a_lane_that_is_reset_inside_a_record_does_not_touch_its_stream() {
    let (mut path, _, session) = Scene::new().await.open().await;
    let mut lane = path.uni(&uni(&[record_head(0, true, 10), b"still".to_vec()].concat())).await;
    lane.reset(33_u32.into()).unwrap();
    path.whole_lane(&uni(&record(0, true, b"still here"))).await;
    assert_eq!(session.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), b"still here");
    path.is_served().await;
}

#[tokio::test]
async fn bytes_behind_the_record_that_ends_the_stream() {
    for behind in [record(5, false, b""), vec![0]] {
        blamed(uni(&[record(0, true, b"hello"), behind].concat()), FRAME_ENCODING).await;
    }
}

#[tokio::test]
async fn a_record_longer_than_any_may_be() {
    blamed(uni(&record_head(0, false, (1 << 20) + 1)), LIMIT_EXCEEDED).await;
    blamed(uni(&record_head(0, false, MAX_VARINT >> 1)), LIMIT_EXCEEDED).await;
}

/// PROTOCOL 5.1: offset + length MUST NOT exceed MAX_VARINT (FRAME_ENCODING).
#[tokio::test]
async fn a_record_that_ends_beyond_all_offsets() {
    blamed(uni(&record_head(MAX_VARINT, false, 1)), FRAME_ENCODING).await;
}

#[tokio::test]
async fn empty_records_mean_nothing() {
    let (mut path, _, session) = Scene::new().await.open().await;
    let empty: Vec<u8> = (0..1_000).flat_map(|offset| record(offset * 1_000_000_000, false, b"")).collect();
    path.whole_lane(&uni(&[empty, record(0, true, b"still here")].concat())).await;
    assert_eq!(session.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), b"still here");
    path.is_served().await;
}

#[tokio::test]
async fn the_answer_on_a_lane_names_another_stream() {
    let (path, _, session) = Scene::new().await.open().await;
    let (mut send, _recv) = session.open_bi().await.unwrap();
    send.write_all(b"question").await.unwrap();
    let (mut answer, _question) = path.connection.accept_bi().await.unwrap();
    answer.write_all(&[wire::lane(wire::server_bidi(1)), record(0, false, b"x")].concat()).await.unwrap();
    path.is_blamed(PROTOCOL_VIOLATION).await;
}

#[tokio::test]
async fn a_control_lane_that_ends_or_is_reset_ends_the_path_and_not_the_session() {
    let scene = Scene::new().await;
    for end in ["finished", "reset", "stopped"] {
        let (mut path, credentials, session) = scene.open().await;
        match end {
            "finished" => path.control.finish().unwrap(),
            "reset" => path.control.reset(0_u32.into()).unwrap(),
            _ => path.stop_reading(),
        }
        path.carrier_code().await;
        let mut second = scene.client.join(&credentials, 1).await;
        second.is_served().await;
        assert_eq!(session.close_reason(), None, "{end}");
    }
}

#[tokio::test]
async fn a_control_lane_that_ends_inside_a_frame_takes_the_path_with_it() {
    let scene = Scene::new().await;
    let (mut path, credentials, session) = scene.open().await;
    path.say(&[kind::PING as u8, 8, 0xc0]).await;
    path.control.finish().unwrap();
    path.carrier_code().await;
    scene.client.join(&credentials, 1).await.is_served().await;
    assert_eq!(session.close_reason(), None);
}

#[tokio::test]
async fn one_stream_in_both_ways_at_once() {
    let (mut path, _, session) = Scene::new().await.open().await;
    // The same bytes as records of two lanes and as frames, out of order and cut differently.
    path.whole_lane(&[wire::lane(client_bidi(0)), record(6, true, b"here")].concat()).await;
    path.say(&wire::stream(client_bidi(0), 3, false, b"ll he")).await;
    path.bi(&[wire::lane(client_bidi(0)), record(0, false, b"still")].concat()).await;
    let (_, mut recv) = session.accept_bi().await.unwrap();
    assert_eq!(recv.read_to_end(100).await.unwrap(), b"still here");
    path.is_served().await;
}
