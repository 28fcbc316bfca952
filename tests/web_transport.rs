//! Sessions over WebTransport (HTTP/3), dialled natively by `https://` addresses: the same server, the same port.

mod support;

use kwik::{AppCode, Config, SessionError};
use support::*;

/// The same server, by HTTP/3.
fn https(url: &str) -> String {
    url.replace("kwik://", "https://")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_native_client_gets_through_over_http_3() {
    within_patience(async {
        let listener = listen_on(1, server_config()).await;
        let client = kwik::dial(&https(&listener.urls()[0]), Config::default()).await.unwrap();
        let server = listener.accept().await.unwrap();
        let (mut send, mut recv) = client.open_bi().await.unwrap();
        send.write_all(b"hello").await.unwrap();
        send.finish().unwrap();
        let (mut reply, mut request) = server.accept_bi().await.unwrap();
        assert_eq!(request.read_to_end(100).await.unwrap(), b"hello");
        reply.write_all(b"hello yourself").await.unwrap();
        reply.finish().unwrap();
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"hello yourself");

        client.send_datagram(b"to the server".as_slice().into()).unwrap();
        assert_eq!(server.recv_datagram().await.unwrap().as_ref(), b"to the server");
        server.send_datagram(b"to the client".as_slice().into()).unwrap();
        assert_eq!(client.recv_datagram().await.unwrap().as_ref(), b"to the client");

        client.close(AppCode(7), b"done");
        let end = server.closed().await;
        assert_eq!(end, SessionError::ClosedByPeer { code: AppCode(7), reason: "done".into() });
        listener.idle().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_has_paths_of_both_kinds_and_every_byte_arrives_once() {
    within_patience(async {
        let listener = listen_on(2, server_config()).await;
        let client = kwik::dial(&listener.urls()[0], Config::default()).await.unwrap();
        let server = listener.accept().await.unwrap();
        let second = client.add_path(https(&listener.urls()[1])).await.unwrap();
        let sent = data(64 * MIB, 1);
        let expected = (sent.len(), sha256(&sent));
        let receiving = tokio::spawn(async move {
            let mut recv = server.accept_uni().await.unwrap();
            (receive_all(&mut recv, |_| ()).await, server)
        });
        let mut send = client.open_uni().await.unwrap();
        send_all(&mut send, &sent).await;
        let (received, _server) = receiving.await.unwrap();
        assert_eq!(received, expected);
        for path in client.paths() {
            assert!(path.sent_bytes > 0, "{:?}", client.paths());
        }
        drop(second);
    })
    .await;
}
