//! An application that accepts sessions late: nothing that a client has delivered is lost, and nothing piles up.

mod support;

use kwik::{AppCode, Config, Listener, ServerConfig, Session, SessionError};
use support::*;

const DONE: AppCode = AppCode::new(3);

/// Opens a session, delivers `data` and closes it in order; all before the application has accepted it.
async fn come_and_go(listener: &Listener, data: &[u8]) {
    let client = kwik::dial(&listener.urls()[0], Config::default()).await.unwrap();
    let mut send = client.open_uni().await.unwrap();
    send.write_all(data).await.unwrap();
    send.finish().unwrap();
    send.delivered().await.unwrap();
    client.close(DONE, b"done");
    assert_eq!(client.closed().await, SessionError::LocallyClosed { code: DONE, undelivered_bytes: 0 });
    while listener.sessions() > 0 {
        tokio::task::yield_now().await;
    }
}

/// What the client of a session that is over has delivered.
async fn delivered_on(session: &Session) -> Vec<u8> {
    let mut recv = session.accept_uni().await.unwrap();
    let data = recv.read_to_end(MIB).await.unwrap();
    assert!(matches!(session.accept_uni().await, Err(SessionError::ClosedByPeer { code: DONE, .. })));
    assert!(matches!(session.closed().await, SessionError::ClosedByPeer { code: DONE, .. }));
    data
}

async fn what_is_left(listener: &Listener) -> Vec<Session> {
    let mut left = Vec::new();
    listener.drain();
    while let Some(session) = listener.accept().await {
        left.push(session);
    }
    left
}

async fn listener(adapt: impl FnOnce(&mut ServerConfig)) -> Listener {
    let mut config = server_config();
    adapt(&mut config);
    listen_on(1, config).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_ended_before_they_were_accepted_are_handed_out_with_what_they_brought() {
    within_patience(async {
        let listener = listener(|_| {}).await;
        for number in 0..5 {
            come_and_go(&listener, &[number; 10_000]).await;
        }
        for number in 0..5 {
            let session = listener.accept().await.unwrap();
            assert_eq!(delivered_on(&session).await, [number; 10_000]);
        }
        assert!(what_is_left(&listener).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_sessions_make_way_for_new_ones() {
    within_patience(async {
        const MOST: usize = 4;
        let listener = listener(|config| config.max_sessions = MOST).await;
        for number in 0..20 {
            come_and_go(&listener, &[number]).await;
        }
        let left = what_is_left(&listener).await;
        assert!((1..=MOST).contains(&left.len()), "{} sessions are left", left.len());
        for (session, number) in left.iter().rev().zip((0..20).rev()) {
            assert_eq!(delivered_on(session).await, [number], "those that came last are left");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_sessions_do_not_take_the_memory_of_those_that_live() {
    within_patience(async {
        let listener = listener(|config| config.max_memory_bytes = 32 * MIB as u64).await;
        let data = vec![7; MIB];
        for _ in 0..40 {
            come_and_go(&listener, &data).await;
        }
        let left = what_is_left(&listener).await;
        assert!((1..=16).contains(&left.len()), "{} sessions are left", left.len());
        for session in &left {
            assert!(delivered_on(session).await == data);
        }
    })
    .await;
}
