//! Paths that a client has no right to, made by hand over plain QUIC: they are refused with a code, and the session
//! that they meant does not notice.

mod support;

use kwik::proto::wire::frame::{Credentials, Intent};
use kwik::proto::wire::limits::ALPN;
use kwik::{Config, Dir, Listener, PathId, SessionId, Side, StreamId, TransportCode};
use support::*;

/// A server, and plain QUIC to reach it with.
struct Scene {
    listener: Listener,
    quic: quinn::Endpoint,
}

impl Scene {
    async fn new() -> Self {
        let (listener, quic) = server_and_plain_quic(ALPN).await;
        Self { listener, quic }
    }

    /// Opens a connection and says HELLO on its control lane.
    async fn path(&self, id: PathId, intent: Intent) -> RawPath {
        RawPath::open(&self.quic, self.listener.local_addrs()[0], id, intent).await.unwrap()
    }

    /// Opens a session over a path made by hand.
    async fn session(&self) -> (RawPath, SessionId, Credentials, kwik::Session) {
        let mut path = self.path(PathId::PRIMARY, Intent::New).await;
        let accept = path.accepted().await;
        let server = self.listener.accept().await.unwrap();
        assert_eq!(accept.session, server.id());
        (path, accept.session, accept.credentials.unwrap(), server)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_with_a_wrong_proof_is_refused_and_the_session_goes_on() {
    within_patience(async {
        let scene = Scene::new().await;
        let url = &scene.listener.urls()[0];
        let (client, server) = tokio::join!(kwik::dial(url, Config::default()), scene.listener.accept());
        let (client, server) = (client.unwrap(), server.unwrap());
        // Whoever has seen the session's name, which is no secret, does not get in with it.
        for path in [PathId(1), PathId::PRIMARY] {
            let intent = Intent::Join { session: client.id(), proof: [7; 32] };
            assert_eq!(scene.path(path, intent).await.refused().await, TransportCode::BadProof);
        }
        assert_eq!(server.paths().len(), 1);
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"still here").await.unwrap();
        send.finish().unwrap();
        assert_eq!(server.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), b"still here");
        // The wrong ones have not used its ids up.
        let second = client.add_path(url).await.unwrap();
        assert_eq!(second.id(), PathId(1));
        assert_eq!(server.stats().path_failures, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_is_good_for_one_path_once() {
    within_patience(async {
        let scene = Scene::new().await;
        let (first, session, credentials, server) = scene.session().await;
        let intent = join(session, &credentials, PathId(1));
        let mut second = scene.path(PathId(1), intent.clone()).await;
        let accept = second.accepted().await;
        assert_eq!(accept.session, session);
        assert_eq!(accept.credentials, None, "the key is told once");

        let refused = scene.path(PathId(1), intent.clone()).await.refused().await;
        assert_eq!(refused, TransportCode::PathIdUsed, "while the path is there");
        second.connection.close(0_u32.into(), b"");
        let refused = scene.path(PathId(1), intent.clone()).await.refused().await;
        assert_eq!(refused, TransportCode::PathIdUsed, "when it is gone");
        let refused = scene.path(PathId(2), intent).await.refused().await;
        assert_eq!(refused, TransportCode::BadProof, "for another path");
        let primary = join(session, &credentials, PathId::PRIMARY);
        let refused = scene.path(PathId::PRIMARY, primary).await.refused().await;
        assert_eq!(refused, TransportCode::PathIdUsed, "the session was opened on it");

        first.send(StreamId::new(Side::Client, Dir::Uni, 0), b"still here").await;
        assert_eq!(server.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), b"still here");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_not_there_cannot_be_joined_whatever_the_proof() {
    within_patience(async {
        let scene = Scene::new().await;
        let (first, session, credentials, server) = scene.session().await;
        let other = SessionId([9; 16]);
        let refused = scene.path(PathId(1), join(other, &credentials, PathId(1))).await.refused().await;
        assert_eq!(refused, TransportCode::UnknownSession);

        server.abort(kwik::AppCode::new(1), b"over");
        server.closed().await;
        drop(server);
        scene.listener.idle().await;
        let refused = scene.path(PathId(1), join(session, &credentials, PathId(1))).await.refused().await;
        assert_eq!(refused, TransportCode::UnknownSession, "its end is its end");
        drop(first);
    })
    .await;
}
