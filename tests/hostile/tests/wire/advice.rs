//! Hostile servers, and what a client does about them.

use kwik::{Config, DialError, SessionError};
use kwik_hostile_tests::code::*;
use kwik_hostile_tests::peer::{Trap, patiently};
use kwik_hostile_tests::wire::{self, CONTROL_LANE, Credentials, kind, record, server_uni};

const CREDENTIALS: Credentials = Credentials { session: [1; 16], resume_key: [2; 32], nonce: [3; 16] };

fn begin(frames: &[u8]) -> Vec<u8> {
    [&[CONTROL_LANE], frames].concat()
}

/// A client that is answered with these frames does not get its session, and closes the path with this code.
async fn gives_up(frames: Vec<u8>, code: u64) {
    let trap = Trap::set();
    let url = trap.url();
    let dial = tokio::spawn(async move { kwik::dial(&url, Config::default()).await });
    let (mut path, _) = trap.catch().await;
    path.say(&begin(&frames)).await;
    let closed_with = path.carrier_code().await;
    assert!(patiently("the dial", dial).await.unwrap().is_err());
    assert_eq!(closed_with, code);
}

/// PROTOCOL 3.1: The first frame of the client on a path MUST be HELLO, the first of the server ACCEPT or REJECT;
/// frames of unknown types MAY come before.
///
/// PROTOCOL 3.1: The client MUST NOT send anything but HELLO, and frames of unknown types, before ACCEPT.
#[tokio::test]
async fn a_client_says_nothing_but_hello_before_accept() {
    let trap = Trap::set();
    let url = trap.url();
    let dial = tokio::spawn(async move {
        let session = kwik::dial(&url, Config::default()).await.unwrap();
        let mut send = session.open_uni().await.unwrap();
        send.write_all(b"after ACCEPT").await.unwrap();
        session.ping(kwik::PathId(0)).await.unwrap();
    });
    let (mut path, hello) = trap.catch().await;
    assert_eq!(hello.fields(), [1, 1, 0, 0], "one version, version 1, path 0, new");
    path.say(&begin(&wire::frame(kind::GREASE, b"wait for it"))).await;
    path.say(&wire::accept(1, &CREDENTIALS)).await;
    // All that came before the client knew of ACCEPT: it pings at once when it does.
    loop {
        let frame = path.next().await.unwrap();
        match frame.kind {
            kind::PING => break path.say(&wire::frame(kind::PONG, &frame.body)).await,
            // Reserved numbers, see section 8.
            kind => assert_eq!((kind - 0x21) % 0x1f, 0, "{frame:?} before ACCEPT"),
        }
    }
    patiently("the client", dial).await.unwrap();
}

#[tokio::test]
async fn a_server_that_answers_with_anything_but_accept_or_reject() {
    for frames in [
        wire::numbers(kind::PING, &[1]),
        wire::add_path(0, "192.0.2.1:443"),
        wire::close(0, NO_ERROR, b""),
        wire::hello_new(),
    ] {
        gives_up(frames, PROTOCOL_VIOLATION).await;
    }
}

#[tokio::test]
async fn a_server_that_takes_a_version_that_was_not_offered() {
    gives_up(wire::accept(7, &CREDENTIALS), PROTOCOL_VIOLATION).await;
}

#[tokio::test]
async fn a_server_that_gives_no_credentials() {
    gives_up(wire::accept_join(&CREDENTIALS.session), PROTOCOL_VIOLATION).await;
}

#[tokio::test]
async fn a_server_whose_answer_cannot_be_parsed() {
    gives_up(wire::frame(kind::ACCEPT, &[1]), FRAME_ENCODING).await;
    gives_up(wire::frame(kind::REJECT, &[14]), FRAME_ENCODING).await;
}

#[tokio::test]
async fn a_server_that_refuses() {
    for (code, reason) in [(TOO_MANY_SESSIONS, &b"full"[..]), (VERSION, b""), (wire::MAX_VARINT, &[0xff])] {
        let trap = Trap::set();
        let url = trap.url();
        let dial = tokio::spawn(async move { kwik::dial(&url, Config::default()).await });
        let (mut path, _) = trap.catch().await;
        path.say(&begin(&wire::reject(code, reason))).await;
        let refused = patiently("the dial", dial).await.unwrap().unwrap_err();
        assert!(matches!(refused, DialError::Rejected { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_lured_client_bears_a_stream_that_overtakes_accept() {
    let trap = Trap::set();
    let url = trap.url();
    let dial = tokio::spawn(async move { kwik::dial(&url, Config::default()).await.unwrap() });
    let (mut path, _) = trap.catch().await;
    path.whole_lane(&[wire::lane(server_uni(0)), record(0, true, b"early")].concat()).await;
    path.say(&begin(&wire::accept(1, &CREDENTIALS))).await;
    let session = patiently("the dial", dial).await.unwrap();
    assert_eq!(session.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), b"early");
}

#[tokio::test]
async fn a_server_that_breaks_a_rule_is_told_which() {
    for (said, code) in [
        (wire::hello_new(), PROTOCOL_VIOLATION),
        (wire::accept(1, &CREDENTIALS), PROTOCOL_VIOLATION),
        (wire::add_path(0, ""), FRAME_ENCODING),
        (wire::frame(kind::ADD_PATH, &[0, 0, 4, 1, b'x']), FRAME_ENCODING),
        (wire::add_path(0, &"x".repeat(513)), LIMIT_EXCEEDED),
        (wire::frame(kind::ADD_PATH, &[0, 0, 0, 2, 0xff, 0xff]), FRAME_ENCODING),
        (wire::stream(wire::client_uni(0), 0, false, b"x"), STREAM_STATE),
        (wire::numbers(kind::PATH_REPORT, &[1, 0]), PROTOCOL_VIOLATION),
    ] {
        let trap = Trap::set();
        let url = trap.url();
        let dial = tokio::spawn(async move { kwik::dial(&url, Config::default()).await.unwrap() });
        let (mut path, _) = trap.welcome().await;
        let _session = patiently("the dial", dial).await.unwrap();
        path.say(&said).await;
        path.is_blamed(code).await;
    }
}

/// PROTOCOL 3.3: After UNKNOWN_SESSION a client MUST end the session if no other path of it is open; if one is, that
/// address leads to a server that does not know the session, and the client SHOULD NOT dial it again.
#[tokio::test]
async fn a_server_that_does_not_know_the_session_any_more_ends_it() {
    let trap = Trap::set();
    let url = trap.url();
    let dial = tokio::spawn(async move { kwik::dial(&url, Config::default()).await.unwrap() });
    let (path, _) = trap.welcome().await;
    let session = patiently("the dial", dial).await.unwrap();
    path.cut();
    let (mut back, hello) = trap.catch().await;
    let [versions, _, id, intent] = hello.fields();
    assert_eq!((versions, id, intent), (1, 1, 1), "it joins, as path 1");
    back.say(&begin(&wire::reject(UNKNOWN_SESSION, b"restarted"))).await;
    let end = super::scene::end_of(&session).await;
    assert!(
        matches!(end, SessionError::Rejected { code: kwik::TransportCode::UnknownSession, .. }),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_joining_client_proves_that_it_has_the_key() {
    let trap = Trap::set();
    let url = trap.url();
    let dial = tokio::spawn(async move { kwik::dial(&url, Config::default()).await.unwrap() });
    let (path, credentials) = trap.welcome().await;
    let session = patiently("the dial", dial).await.unwrap();
    path.cut();
    let (mut back, hello) = trap.catch().await;
    let mut cursor = wire::Cursor(&hello.body[4..]);
    assert_eq!(cursor.array(), Some(credentials.session));
    assert_eq!(cursor.array(), Some(credentials.proof(1)));
    back.say(&begin(&wire::accept_join(&credentials.session))).await;
    back.is_served().await;
    assert_eq!(session.close_reason(), None);
}

#[tokio::test]
async fn an_address_that_leads_to_a_server_that_does_not_know_the_session_leaves_it_alone() {
    let (trap, elsewhere) = (Trap::set(), Trap::set());
    let url = trap.url();
    let dial = tokio::spawn(async move { kwik::dial(&url, Config::default()).await.unwrap() });
    let (mut path, _) = trap.welcome().await;
    let session = patiently("the dial", dial).await.unwrap();
    let adding = tokio::spawn({
        let (session, url) = (session.clone(), elsewhere.url());
        async move { session.add_path(&url).await.map(|path| path.id()) }
    });
    let (mut second, _) = elsewhere.catch().await;
    second.say(&begin(&wire::reject(UNKNOWN_SESSION, b""))).await;
    let added = patiently("adding", adding).await.unwrap();
    assert!(added.is_err(), "{added:?}");
    path.is_served().await;
    assert_eq!(session.close_reason(), None);
}

/// PROTOCOL 3.3: A client MUST NOT have more paths than the smaller of both ends' `max_paths`.
#[tokio::test]
async fn a_client_has_no_more_paths_than_the_server_takes() {
    let (trap, elsewhere) = (Trap::set(), Trap::set());
    let url = trap.url();
    let dial = tokio::spawn(async move { kwik::dial(&url, Config::default()).await.unwrap() });
    let (mut path, _) = trap.catch().await;
    let parameters = [wire::parameter(6, 2), wire::parameter(7, 30_000)].concat();
    path.say(&begin(&wire::accept_with(1, &CREDENTIALS, &parameters))).await;
    let session = patiently("the dial", dial).await.unwrap();
    let adding = tokio::spawn({
        let (session, url) = (session.clone(), elsewhere.url());
        async move { session.add_path(&url).await.unwrap() }
    });
    let (mut second, _) = elsewhere.catch().await;
    second.say(&begin(&wire::accept_join(&CREDENTIALS.session))).await;
    patiently("adding", adding).await.unwrap();
    let third = session.add_path(&elsewhere.url()).await;
    assert!(matches!(third, Err(kwik::PathError::TooMany { max: 2 })), "{third:?}");
    // Nor does it follow advice beyond that.
    path.say(&wire::add_path(0, "127.0.0.1:9")).await;
    path.is_served().await;
    assert_eq!(session.paths().len(), 2);
}
