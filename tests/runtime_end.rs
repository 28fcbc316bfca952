//! A session needs the runtime in which it was opened. When that ends first, whoever holds the session hears of it.

use std::time::Duration;

use kwik::{Config, Identity, Listener, ServerConfig, SessionError, dial, listen};
use tokio::runtime::Runtime;

/// Longer than anything here should take on a machine that does a lot else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and where it is.
fn listen_in(runtime: &Runtime) -> (Listener, String) {
    let config = ServerConfig::new(Identity::ephemeral().unwrap());
    let address: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = runtime.block_on(listen(address, config)).unwrap();
    let url = listener.urls().remove(0);
    (listener, url)
}

#[test]
fn a_session_whose_runtime_has_ended_fails_and_so_do_its_streams() {
    let (ours, its) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (_listener, url) = listen_in(&ours);
    let session = its.block_on(dial(&url, Config::default())).unwrap();
    let (mut send, mut recv) = its.block_on(session.open_bi()).unwrap();
    its.block_on(send.write_all(b"hello")).unwrap();
    drop(its);
    ours.block_on(async {
        let end = tokio::time::timeout(PATIENCE, session.closed()).await.expect("it is not told");
        assert!(matches!(&end, SessionError::Failed { reason } if reason.contains("runtime")), "{end}");
        let read = tokio::time::timeout(PATIENCE, recv.read_to_end(10)).await.expect("a read hangs");
        assert!(read.is_err());
        assert!(session.open_bi().await.is_err());
    });
}

#[test]
fn so_does_a_servers_session() {
    let (ours, its) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (listener, url) = listen_in(&its);
    let _client = ours.block_on(dial(&url, Config::default())).unwrap();
    let session = its.block_on(listener.accept()).unwrap();
    drop(its);
    let closed = async { tokio::time::timeout(PATIENCE, session.closed()).await };
    let end = ours.block_on(closed).expect("it is not told");
    assert!(matches!(&end, SessionError::Failed { reason } if reason.contains("runtime")), "{end}");
}
