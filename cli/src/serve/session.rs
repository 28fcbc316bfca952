//! One client's session: its streams side by side, its datagrams back where they came from.

use std::sync::Arc;

use kwik::{AppCode, PathPolicy, SendStream, Session, SessionError, SessionEvent};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::Client;
use super::request;
use super::store::Store;
use crate::messages::Incoming;
use crate::protocol::echo_path;

/// The code of sessions that the server cuts off.
const CUT_OFF: AppCode = AppCode::new(1);

/// Serves a client until it goes, or, once the server drains, until what it has begun is done, or until `stop`
/// has no sender any more.
pub(super) async fn serve(session: Session, store: Arc<dyn Store>, mut stop: watch::Receiver<()>) {
    let client = Arc::new(Client::new(session));
    tracing::info!(session = %client.session.id(), "session opened");
    // The number of streams at one time is bounded by the session's limits.
    let mut requests = JoinSet::new();
    let end = tokio::select! {
        end = serve_streams(&client, &store, &mut requests) => end,
        end = echo_datagrams(&client.session) => end,
        _ = stop.changed() => cut_off(&client.session).await,
        () = drained(&client.session) => {
            tokio::select! {
                () = async { while requests.join_next().await.is_some() {} } => {
                    client.session.close(AppCode::new(0), b"the server has stopped");
                    client.session.closed().await
                }
                _ = stop.changed() => cut_off(&client.session).await,
            }
        }
    };
    tracing::info!(session = %client.session.id(), %end, "session ended");
}

async fn cut_off(session: &Session) -> SessionError {
    session.abort(CUT_OFF, b"the server was stopped");
    session.closed().await
}

async fn serve_streams(
    client: &Arc<Client>,
    store: &Arc<dyn Store>,
    requests: &mut JoinSet<()>,
) -> SessionError {
    loop {
        tokio::select! {
            accepted = client.session.accept_bi() => match accepted {
                Ok((send, recv)) => {
                    let (client, store) = (Arc::clone(client), Arc::clone(store));
                    requests.spawn(answer(client, store, send, Incoming::new(recv)));
                }
                Err(end) => return end,
            },
            Some(_) = requests.join_next() => {}
        }
    }
}

async fn answer(client: Arc<Client>, store: Arc<dyn Store>, send: SendStream, incoming: Incoming) {
    if let Err(error) = request::answer(&store, &client, send, incoming).await {
        tracing::debug!(session = %client.session.id(), %error, "request failed");
    }
}

async fn echo_datagrams(session: &Session) -> SessionError {
    loop {
        match session.recv_datagram().await {
            Ok(datagram) => {
                if let Some(path) = echo_path(&datagram) {
                    // A datagram may get lost, here as well as anywhere.
                    let _ = session.send_datagram_with(datagram, PathPolicy::Pin(path));
                }
            }
            Err(end) => return end,
        }
    }
}

/// Waits until either end wants no new streams.
async fn drained(session: &Session) {
    let mut events = session.events();
    while let Some(event) = events.next().await {
        if event == SessionEvent::Draining {
            return;
        }
    }
    // The session has ended, which the others notice too.
    std::future::pending().await
}
