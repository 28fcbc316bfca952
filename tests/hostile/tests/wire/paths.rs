//! What is said about paths.

use kwik_hostile_tests::code::*;
use kwik_hostile_tests::peer::patiently;
use kwik_hostile_tests::wire::{self, kind, server_uni};

use super::scene::Scene;

#[tokio::test]
async fn closing_a_path_that_was_never_there_is_ignored() {
    let (mut path, _, session) = Scene::new().await.open().await;
    for id in [1, 77, wire::MAX_VARINT] {
        path.say(&wire::path_close(id, wire::MAX_VARINT, b"")).await;
    }
    path.is_served().await;
    assert_eq!(session.close_reason(), None);
}

#[tokio::test]
async fn a_path_can_be_closed_from_another_and_the_session_goes_on() {
    let scene = Scene::new().await;
    let (first, credentials, session) = scene.open().await;
    let mut second = scene.client.join(&credentials, 1).await;
    second.say(&wire::path_close(0, PATH_ABANDONED, b"wifi gone")).await;
    first.carrier_code().await;
    second.is_served().await;
    assert_eq!(session.paths().len(), 1);
}

#[tokio::test]
async fn closing_the_last_path_suspends_the_session() {
    let scene = Scene::new().await;
    let (mut first, credentials, session) = scene.open().await;
    first.say(&wire::path_close(0, NO_ERROR, b"")).await;
    first.carrier_code().await;
    assert_eq!(session.close_reason(), None);
    scene.client.join(&credentials, 1).await.is_served().await;
}

#[tokio::test]
async fn the_first_status_of_a_path_has_sequence_0_and_counts() {
    let scene = Scene::new().await;
    let (mut first, credentials, session) = scene.open().await;
    let mut second = scene.client.join(&credentials, 1).await;
    first.say(&wire::numbers(kind::PATH_STATUS, &[0, 0, 1, 55])).await;
    first.is_served().await;
    second.is_served().await;
    assert_eq!(session.path(kwik::PathId(0)).info().unwrap().cost, 55);
    assert_eq!(session.path(kwik::PathId(0)).info().unwrap().state, kwik::PathState::Standby);
    // The path that is available carries what there is to send.
    let mut send = session.open_uni().await.unwrap();
    send.write_all(b"hello").await.unwrap();
    let mut lane = patiently("a lane", second.connection.accept_uni()).await.unwrap();
    let mut begins = [0; 2];
    lane.read_exact(&mut begins).await.unwrap();
    assert_eq!(begins, wire::lane(server_uni(0))[..]);
}

#[tokio::test]
async fn a_status_that_is_older_than_the_newest_is_ignored() {
    let (mut path, _, session) = Scene::new().await.open().await;
    for [sequence, cost] in [[5, 5], [4, 4], [5, 6], [0, 9]] {
        path.say(&wire::numbers(kind::PATH_STATUS, &[0, sequence, 0, cost])).await;
    }
    path.is_served().await;
    assert_eq!(session.path(kwik::PathId(0)).info().unwrap().cost, 5);
}

#[tokio::test]
async fn statuses_of_paths_that_nobody_knows_are_ignored() {
    let (mut path, _, session) = Scene::new().await.open().await;
    let unknown =
        (1..1_000).flat_map(|id| wire::numbers(kind::PATH_STATUS, &[id << 20, 1, 1, 0])).collect::<Vec<_>>();
    path.say(&unknown).await;
    path.is_served().await;
    assert_eq!(session.paths().len(), 1);
}

/// PROTOCOL 4.2: A server MUST NOT have more advice standing than the client's `max_paths`; a client MAY ignore what is
/// beyond.
#[tokio::test]
async fn a_server_advertises_no_more_than_the_client_takes_paths() {
    let scene = Scene::with(|config| config.advertise = vec!["192.0.2.1:443".to_owned(); 5]).await;
    let hello = wire::hello(&[1], 0, &[0], &[wire::parameter(6, 2), wire::parameter(7, 30_000)].concat());
    let mut path = scene.client.greet(&hello).await;
    let session = scene.listener.accept().await.unwrap();
    let ids = [path.until(kind::ADD_PATH).await.fields::<1>(), path.until(kind::ADD_PATH).await.fields()];
    assert_eq!(ids, [[0], [1]]);
    let third = session.advertise("192.0.2.2:443", None, 0);
    assert!(matches!(third, Err(kwik::AdvertiseError::TooMany { max: 2 })), "{third:?}");
    path.say(&wire::numbers(kind::PING, &[1])).await;
    while let Some(frame) = path.next().await {
        assert_ne!(frame.kind, kind::ADD_PATH);
        if frame.kind == kind::PONG {
            break;
        }
    }
}
