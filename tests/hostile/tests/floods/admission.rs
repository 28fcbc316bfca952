//! One client, without any rights, that takes all the room there is.

use kwik_hostile_tests::code::TOO_MANY_SESSIONS;
use kwik_hostile_tests::siege::Siege;
use kwik_hostile_tests::wire;

use tokio::task::JoinSet;

use super::{VICTIM, siege};

/// 3,000 connections that say nothing: the innocent client's dials find room all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing() {
    let siege = siege("half-open: 3,000 connections that say nothing").await;
    let client = siege.attacker();
    let mut attempts = JoinSet::new();
    let mut held = Vec::new();
    let connecting = async {
        for number in 0..3_000 {
            let client = client.clone();
            attempts.spawn(async move { client.connect().await });
            // As many handshakes at a time as come to an end.
            if number >= 100
                && let Some(Ok(Ok(connection))) = attempts.join_next().await
            {
                held.push(connection);
            }
        }
    };
    let _ = siege.at_leisure(connecting).await;
    println!("{} connections", held.len());
    siege.wait_out().await;
    siege.lift().await;
}

/// One address opens sessions until there is no room: others find some.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_one_address() {
    let siege = Siege::lay("sessions: all of them from one address", VICTIM, &["max-sessions=200"]).await;
    let client = siege.attacker();
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..300 {
        let mut path = client.greet(&wire::hello_new()).await;
        match path.next().await {
            Some(frame) if frame.kind == wire::kind::REJECT => {
                assert_eq!(frame.fields(), [TOO_MANY_SESSIONS]);
                refused += 1;
            }
            _ => held.push(path),
        }
    }
    println!("{} sessions, {refused} refused", held.len());
    assert!(refused > 0);
    siege.wait_out().await;
    siege.lift().await;
}

/// The same with sessions that are left without a path, which the server keeps for half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspended_sessions_of_one_address() {
    let siege = Siege::lay("sessions: all suspended, from one address", VICTIM, &["max-sessions=200"]).await;
    let client = siege.attacker();
    for _ in 0..300 {
        let mut path = client.greet(&wire::hello_new()).await;
        if path.next().await.is_some_and(|frame| frame.kind == wire::kind::ACCEPT) {
            // It has understood ACCEPT: otherwise the server need not keep the session.
            path.say(&wire::numbers(wire::kind::PING, &[1])).await;
            path.until(wire::kind::PONG).await;
            path.cut();
        }
    }
    siege.wait_out().await;
    siege.lift().await;
}

/// Three sessions that download, or upload, as fast as they can: nobody's dial is lost beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_downloads_and_three_uploads() {
    let siege = siege("busy: three downloads, three uploads").await;
    let mut busy = Vec::new();
    for _ in 0..3 {
        let session = kwik::dial(&siege.url(), kwik::Config::default()).await.unwrap();
        busy.push(tokio::spawn(async move {
            let (mut send, mut recv) = session.open_bi().await.unwrap();
            send.write_all(b"D").await.unwrap();
            while recv.read_chunk(usize::MAX).await.is_ok_and(|chunk| chunk.is_some()) {}
        }));
        let session = kwik::dial(&siege.url(), kwik::Config::default()).await.unwrap();
        busy.push(tokio::spawn(async move {
            let (mut send, mut recv) = session.open_bi().await.unwrap();
            let echo =
                tokio::spawn(async move { while let Ok(Some(_)) = recv.read_chunk(usize::MAX).await {} });
            while send.write_all(&[b'E'; 1 << 16]).await.is_ok() {}
            echo.abort();
        }));
    }
    siege.wait_out().await;
    busy.iter().for_each(tokio::task::JoinHandle::abort);
    siege.lift().await;
}
