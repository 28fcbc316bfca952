//! Paths that a client has no right to, or asks for too often; and those that come back.

use std::collections::BTreeSet;

use kwik_hostile_tests::code::*;
use kwik_hostile_tests::peer::patiently;
use kwik_hostile_tests::wire::{self, Credentials, client_uni, kind, parameter, record, server_uni};

use super::scene::{Scene, end_of};

/// PROTOCOL 3.3: The session MUST NOT be affected: in particular the path id does not count as used.
#[tokio::test]
async fn a_wrong_proof_costs_the_path_and_nothing_else() {
    let scene = Scene::new().await;
    let (mut first, credentials, session) = scene.open().await;
    let wrong = Credentials { nonce: [0; 16], ..credentials.clone() };
    for id in [0, 1, 1, wire::MAX_VARINT] {
        scene.client.ask_to_join(&wrong, id).await.is_refused(BAD_PROOF).await;
    }
    scene.client.join(&credentials, 1).await.is_served().await;
    first.is_served().await;
    assert_eq!(session.close_reason(), None);
}

#[tokio::test]
async fn a_session_that_is_not_there() {
    let scene = Scene::new().await;
    let (_first, credentials, session) = scene.open().await;
    let other = Credentials { session: [9; 16], ..credentials.clone() };
    scene.client.ask_to_join(&other, 1).await.is_refused(UNKNOWN_SESSION).await;
    session.abort(kwik::AppCode::new(1), b"over");
    end_of(&session).await;
    drop(session);
    scene.listener.idle().await;
    scene.client.ask_to_join(&credentials, 1).await.is_refused(UNKNOWN_SESSION).await;
}

#[tokio::test]
async fn a_proof_is_good_for_one_path_once() {
    let scene = Scene::new().await;
    let (mut first, credentials, _session) = scene.open().await;
    let mut second = scene.client.join(&credentials, 1).await;
    scene.client.ask_to_join(&credentials, 1).await.is_refused(PATH_ID_USED).await;
    second.is_served().await;
    second.cut();
    scene.client.ask_to_join(&credentials, 1).await.is_refused(PATH_ID_USED).await;
    scene.client.ask_to_join(&credentials, 0).await.is_refused(PATH_ID_USED).await;
    let proof_of_another = wire::hello_join(&credentials.session, 2, &credentials.proof(3));
    scene.client.greet(&proof_of_another).await.is_refused(BAD_PROOF).await;
    first.is_served().await;
}

#[tokio::test]
async fn an_id_is_used_even_when_the_join_fails_in_a_later_step() {
    let scene = Scene::with(|config| config.session.max_paths = 1).await;
    let (first, credentials, _session) = scene.open().await;
    let mut held = vec![first];
    let mut id = 1;
    // However much room the server leaves for paths that it does not know to be lost, there is an end to it.
    while id < 10 {
        let mut path = scene.client.ask_to_join(&credentials, id).await;
        match path.next().await {
            Some(frame) if frame.kind == kind::REJECT => {
                assert_eq!(frame.fields(), [TOO_MANY_PATHS]);
                break;
            }
            _ => held.push(path),
        }
        id += 1;
    }
    held.pop().unwrap().cut();
    scene.client.ask_to_join(&credentials, id).await.is_refused(PATH_ID_USED).await;
}

#[tokio::test]
async fn more_paths_than_both_ends_allow() {
    let scene = Scene::new().await;
    let hello = wire::hello(&[1], 0, &[0], &[parameter(6, 3), parameter(7, 30_000)].concat());
    let mut first = scene.client.greet(&hello).await;
    let credentials = first.until(kind::ACCEPT).await.credentials();
    let mut held = vec![];
    for id in 1..6 {
        held.push(scene.client.join(&credentials, id).await);
    }
    scene.client.ask_to_join(&credentials, 6).await.is_refused(TOO_MANY_PATHS).await;
    for path in held.iter_mut().chain([&mut first]) {
        path.is_served().await;
    }
}

/// PROTOCOL 3.3: Parameters in the HELLO and ACCEPT of a join SHOULD repeat those of the opening and MUST be ignored.
#[tokio::test]
async fn parameters_of_a_join_change_nothing() {
    let scene = Scene::new().await;
    let nothing = wire::hello(&[1], 0, &[0], &[parameter(6, 8), parameter(7, 30_000)].concat());
    let mut first = scene.client.greet(&nothing).await;
    let credentials = first.until(kind::ACCEPT).await.credentials();
    let session = scene.listener.accept().await.unwrap();
    // The join grants a lot; the opening granted no stream.
    let mut second = scene.client.join(&credentials, 1).await;
    second.is_served().await;
    let opened = tokio::select! {
        biased;
        opened = session.open_uni() => Some(opened),
        () = second.is_served() => None,
    };
    assert!(opened.is_none(), "{opened:?}");
}

#[tokio::test]
async fn a_join_is_answered_without_credentials() {
    let scene = Scene::new().await;
    let (_first, credentials, _session) = scene.open().await;
    let mut second = scene.client.ask_to_join(&credentials, 1).await;
    let accept = second.until(kind::ACCEPT).await;
    assert_eq!(accept.body[..17], [&[1][..], &credentials.session].concat());
    assert_eq!(accept.body[17], 0, "no flags: the key is told once");
}

#[tokio::test]
async fn a_suspended_session_is_resumed_by_the_first_join_and_sends_its_control_frames_again() {
    let scene = Scene::new().await;
    let (mut first, credentials, session) = scene.open().await;
    first.say(&wire::stream(client_uni(0), 0, false, b"before ")).await;
    first.until(kind::ACK).await;
    let mut recv = session.accept_uni().await.unwrap();
    first.cut();
    let mut second = scene.client.join(&credentials, 7).await;
    // Limits are told again, and what had arrived.
    second.until(kind::MAX_DATA).await;
    second.say(&wire::stream(client_uni(0), 7, true, b"after")).await;
    assert_eq!(recv.read_to_end(100).await.unwrap(), b"before after");
    second.is_served().await;
}

#[tokio::test]
async fn a_session_that_is_not_to_be_kept_ends_with_its_last_path() {
    let scene = Scene::new().await;
    let mut first = scene.client.greet(&wire::hello(&[1], 0, &[0], &[])).await;
    let credentials = first.until(kind::ACCEPT).await.credentials();
    let session = scene.listener.accept().await.unwrap();
    first.cut();
    let end = end_of(&session).await;
    assert!(matches!(end, kwik::SessionError::ResumeTimeout { .. }), "{end:?}");
    drop(session);
    scene.listener.idle().await;
    scene.client.ask_to_join(&credentials, 1).await.is_refused(UNKNOWN_SESSION).await;
}

#[tokio::test]
async fn bytes_of_one_stream_over_many_paths_that_come_and_go() {
    let scene = Scene::new().await;
    let (first, credentials, session) = scene.open().await;
    first.whole_lane(&[wire::lane(client_uni(0)), record(0, false, b"0")].concat()).await;
    let mut recv = session.accept_uni().await.unwrap();
    for id in 1..30 {
        let mut path = scene.client.join(&credentials, id).await;
        path.say(&wire::stream(client_uni(0), id, id == 29, b"x")).await;
        path.is_served().await;
        path.cut();
    }
    assert_eq!(recv.read_to_end(100).await.unwrap().len(), 30);
    drop(first);
}

/// PROTOCOL 5.2: The sender MUST keep every byte until an ACK covers it, whatever the carrier says: bytes that a carrier
/// has acknowledged can still be lost when the path dies between the carrier and the application.
#[tokio::test]
async fn bytes_that_only_the_carrier_has_acknowledged_are_sent_again_on_another_path() {
    let scene = Scene::new().await;
    let (first, credentials, session) = scene.open().await;
    let mut send = session.open_uni().await.unwrap();
    send.write_all(b"not acknowledged").await.unwrap();
    let all = [wire::lane(server_uni(0)), record(0, false, b"not acknowledged")].concat();
    for path in [first, scene.client.join(&credentials, 1).await, scene.client.join(&credentials, 2).await] {
        let mut lane = patiently("a lane", path.connection.accept_uni()).await.unwrap();
        let mut read = vec![0; all.len()];
        lane.read_exact(&mut read).await.unwrap();
        assert_eq!(read, all);
        path.cut();
    }
}

/// PROTOCOL 6.3: When a path turns Suspect or Closed, each of these frames sent on it that may not have arrived MUST be
/// sent again on another path, or on the first one that joins: the newest MAX_DATA, MAX_STREAM_DATA and MAX_STREAMS
/// that the receiver granted; ACKs for all streams with bytes received or complete since they were last known to have
/// arrived, except for those that are forgotten (section 5.4), whose sender asks with their end; RESET_STREAM and
/// STOP_SENDING that were not confirmed; the newest PATH_STATUS of each path; standing ADD_PATH, and REMOVE_PATH;
/// PATH_CLOSE; GOAWAY.
#[tokio::test]
async fn control_frames_of_a_path_that_dies_are_sent_again_on_another() {
    let scene = Scene::new().await;
    let (mut first, credentials, session) = scene.open().await;
    let mut second = scene.client.join(&credentials, 1).await;
    let third = scene.client.join(&credentials, 2).await;
    first.say(&wire::stream(client_uni(0), 0, false, b"kept")).await;
    first.say(&wire::stream(client_uni(1), 0, false, b"unwanted")).await;
    first.is_served().await;
    let _kept = session.accept_uni().await.unwrap();
    session.accept_uni().await.unwrap().stop(kwik::AppCode::new(5)).unwrap();
    session.open_uni().await.unwrap().reset(kwik::AppCode::new(6)).unwrap();
    session.set_cost(kwik::PathId(1), 7).unwrap();
    session.advertise("192.0.2.1:443", None, 0).unwrap();
    let withdrawn = session.advertise("192.0.2.2:443", None, 0).unwrap();
    session.withdraw(withdrawn);
    session.path(kwik::PathId(2)).remove().unwrap();
    third.carrier_code().await;
    scene.listener.drain();
    // All of it is said by now, on whichever path; the first dies, and nobody knows what arrived.
    first.is_served().await;
    second.is_served().await;
    first.cut();
    let mut missing = BTreeSet::from([
        kind::MAX_DATA,
        kind::MAX_STREAM_DATA,
        kind::MAX_STREAMS,
        kind::ACK,
        kind::RESET_STREAM,
        kind::STOP_SENDING,
        kind::PATH_STATUS,
        kind::ADD_PATH,
        kind::REMOVE_PATH,
        kind::PATH_CLOSE,
        kind::GOAWAY,
    ]);
    let mut token = 0;
    while !missing.is_empty() && token < 1_000 {
        // The path goes on to be of use while nothing is said on it.
        token += 1;
        second.say(&wire::numbers(kind::PING, &[token])).await;
        while let Some(frame) = second.next().await {
            missing.remove(&frame.kind);
            if frame.kind == kind::PONG && frame.fields() == [token] {
                break;
            }
        }
    }
    assert!(missing.is_empty(), "not said again: {missing:x?}");
}
