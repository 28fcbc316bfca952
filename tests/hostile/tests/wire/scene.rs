//! A server in this process, and hostile clients for it.

use kwik::{Identity, Listener, ServerConfig, Session};
use kwik_hostile_tests::peer::{Client, Path, patiently};
use kwik_hostile_tests::wire::Credentials;

pub(crate) struct Scene {
    pub(crate) listener: Listener,
    pub(crate) client: Client,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A server whose configuration was changed.
    pub(crate) async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig::new(Identity::ephemeral().unwrap());
        change(&mut config);
        let listener = kwik::listen("127.0.0.1:0", config).await.unwrap();
        let client = Client::of(listener.local_addrs()[0]);
        Self { listener, client }
    }

    /// A session that a hostile client has opened, and the server's end of it.
    pub(crate) async fn open(&self) -> (Path, Credentials, Session) {
        let (path, credentials) = self.client.open().await;
        let session = patiently("accepting", self.listener.accept()).await.unwrap();
        (path, credentials, session)
    }
}

/// A server that grants `streams` of each kind, `per_stream` bytes for each and `in_all` bytes, and never more.
pub(crate) async fn narrow(streams: u64, per_stream: u64, in_all: u64) -> Scene {
    Scene::with(|config| {
        let window = |bytes| kwik::Window { initial_bytes: bytes, max_bytes: bytes };
        config.session.max_streams_bidi = streams;
        config.session.max_streams_uni = streams;
        config.session.stream_receive_window = window(per_stream);
        config.session.session_receive_window = window(in_all);
    })
    .await
}

/// The end of a session that was told of by the peer, or found in its bytes.
pub(crate) async fn end_of(session: &Session) -> kwik::SessionError {
    patiently("waiting for the session's end", session.closed()).await
}
