//! Sessions do not cost threads. A program of its own: it counts those of the whole process.
#![cfg(target_os = "linux")]

mod support;

use std::num::NonZeroUsize;

use kwik::{Config, Listener, Session};
use support::*;

fn threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
    line.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_sessions_at_once_run_on_four_workers_and_the_threads_that_one_session_needs() {
    within_patience(async {
        let mut config = server_config();
        config.workers = NonZeroUsize::new(4);
        let listener = listen_on(1, config).await;
        let url = listener.urls().remove(0);
        let serving = tokio::spawn(echo_all(listener));
        let first = ask(&url, 0).await;
        let before = threads();
        assert_eq!(kwik::stats().workers.workers, 4);

        let clients = (1..200_u32).map(|number| {
            let url = url.clone();
            tokio::spawn(async move { ask(&url, number).await })
        });
        let mut sessions = vec![first];
        for client in clients.collect::<Vec<_>>() {
            sessions.push(client.await.unwrap());
            assert_eq!(threads(), before);
        }
        assert!(sessions.iter().all(|session| session.close_reason().is_none()));
        assert_eq!(sessions.len(), 200);
        assert_eq!(kwik::stats().workers.workers, 4);
        serving.abort();
    })
    .await;
}

/// Answers every request of every session with itself.
async fn echo_all(listener: Listener) {
    while let Some(session) = listener.accept().await {
        tokio::spawn(async move {
            while let Ok((mut send, mut recv)) = session.accept_bi().await {
                let request = recv.read_to_end(1_000).await.unwrap();
                send.write_all(&request).await.unwrap();
            }
        });
    }
}

/// A session that has had its own answer.
async fn ask(url: &str, number: u32) -> Session {
    let session = kwik::dial(url, Config::default()).await.unwrap();
    let (mut send, mut recv) = session.open_bi().await.unwrap();
    send.write_all(&number.to_be_bytes()).await.unwrap();
    send.finish().unwrap();
    assert_eq!(recv.read_to_end(100).await.unwrap(), number.to_be_bytes());
    session
}
