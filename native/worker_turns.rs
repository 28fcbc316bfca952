//! What a turn of a path can reach, in threads without a runtime around them: all turns of unit tests run in such threads
//! (`turn_each` in `reactor.rs`), as they do on the workers of a busy server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::{Config, DialError, Identity, Listener, ServerConfig, dial, listen};
use crate::api::Session;
use crate::proto::error::SessionError;
use crate::proto::scheduler::{Copies, PathView, Scheduler, SchedulerKind, Verdict, Work};
use crate::proto::time::Time;
use crate::proto::wire::code::AppCode;
use crate::proto::wire::id::PathId;

/// Longer than anything here should take on a machine that does a lot else.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within_patience<T>(situation: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, situation).await.expect("it hangs")
}

async fn server(adapt: impl FnOnce(&mut ServerConfig)) -> Listener {
    let mut config = ServerConfig::new(Identity::ephemeral().unwrap());
    adapt(&mut config);
    listen(&["127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()][..], config).await.unwrap()
}

async fn pair(listener: &Listener, url: &str) -> (Session, Session) {
    let (client, server) = tokio::join!(dial(url, Config::default()), listener.accept());
    (client.unwrap(), server.unwrap())
}

async fn echo(client: &Session, server: &Session) {
    let (mut send, mut recv) = client.open_bi().await.unwrap();
    send.write_all(b"there").await.unwrap();
    send.finish().unwrap();
    let (mut reply, mut request) = server.accept_bi().await.unwrap();
    reply.write_all(&request.read_to_end(100).await.unwrap()).await.unwrap();
    reply.finish().unwrap();
    assert_eq!(recv.read_to_end(100).await.unwrap(), b"there");
}

fn https(listener: &Listener) -> String {
    listener.urls()[0].replace("kwik://", "https://")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_lives_its_whole_life_without_a_runtime_around_its_turns() {
    within_patience(async {
        let listener = server(|config| config.advertise = vec!["localhost:1".to_owned()]).await;
        let (client, server) = pair(&listener, &listener.urls()[0]).await;
        echo(&client, &server).await;
        // Joins, goes, fails to come, and is replaced.
        let second = client.add_path(&listener.urls()[1]).await.unwrap();
        second.remove().unwrap();
        assert!(client.add_path("kwik://127.0.0.1:1").await.is_err());
        client.add_path(&listener.urls()[1]).await.unwrap();
        client.send_datagram(b"tick".as_slice().into()).unwrap();
        assert_eq!(server.recv_datagram().await.unwrap(), b"tick".as_slice());
        echo(&client, &server).await;
        client.close(AppCode::new(7), b"done");
        assert_eq!(
            server.closed().await,
            SessionError::ClosedByPeer { code: AppCode::new(7), reason: "done".into() }
        );
        listener.idle().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_one_over_http3() {
    within_patience(async {
        let listener = server(|_| ()).await;
        let (client, server) = pair(&listener, &https(&listener)).await;
        echo(&client, &server).await;
        server.close(AppCode::new(8), b"enough");
        let end = client.closed().await;
        assert_eq!(end, SessionError::ClosedByPeer { code: AppCode::new(8), reason: "enough".into() });
        listener.idle().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_are_refused_hear_why() {
    within_patience(async {
        let listener = server(|config| config.max_sessions = 1).await;
        let _held = pair(&listener, &listener.urls()[0]).await;
        for url in [listener.urls()[0].clone(), https(&listener)] {
            let refused = dial(&url, Config::default()).await.unwrap_err();
            assert!(matches!(refused, DialError::Rejected { .. }), "{refused}");
        }
        listener.drain();
        let refused = dial(&listener.urls()[0], Config::default()).await.unwrap_err();
        assert!(matches!(refused, DialError::Rejected { .. }), "{refused}");
    })
    .await;
}

/// A scheduler that fails when it is asked, once it is told to.
#[derive(Debug)]
struct Faulty(Arc<AtomicBool>);

impl Scheduler for Faulty {
    fn decide(&mut self, _: Time, _: PathId, _: &[PathView], _: &Work) -> Verdict {
        Verdict::Send { max_bytes: 1 }
    }

    fn copies(&self) -> Copies {
        assert!(!self.0.load(Ordering::Relaxed), "on purpose");
        Copies::Capped
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_sessions_own_code_ends_it_at_both_ends_and_no_other() {
    within_patience(async {
        let (made, fails) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&fails);
        let make = move || match made.fetch_add(1, Ordering::Relaxed) {
            0 => SchedulerKind::default().build(),
            _ => Box::new(Faulty(Arc::clone(&told))) as Box<dyn Scheduler>,
        };
        let listener =
            server(|config| config.session.scheduler = SchedulerKind::Custom(Arc::new(make))).await;
        let (good_client, good_server) = pair(&listener, &listener.urls()[0]).await;
        let (client, server) = pair(&listener, &listener.urls()[0]).await;
        fails.store(true, Ordering::Relaxed);
        let mut send = server.open_uni().await.unwrap();
        // It may fail while this is being written, or a moment later.
        let _ = send.write_all(b"x").await;
        let end = server.closed().await;
        assert!(matches!(&end, SessionError::Failed { reason } if reason.contains("on purpose")), "{end}");
        let end = client.closed().await;
        assert!(matches!(&end, SessionError::Rejected { .. } | SessionError::PeerError { .. }), "{end}");
        echo(&good_client, &good_server).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_while_a_session_is_made_is_told_to_its_client_at_once() {
    within_patience(async {
        let listener = server(|config| {
            config.session.scheduler = SchedulerKind::Custom(Arc::new(|| panic!("on purpose")));
        })
        .await;
        for url in [listener.urls()[0].clone(), https(&listener)] {
            let mut config = Config::default();
            // Whoever is not told waits for this long.
            config.session.handshake_timeout = PATIENCE * 2;
            let error = dial(&url, config).await.unwrap_err();
            assert!(error.to_string().contains("internal"), "{error}");
        }
    })
    .await;
}
