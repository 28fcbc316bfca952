//! Sessions over WebTransport (HTTP/3), dialled natively by `https://` addresses: the same server, the same port.

mod support;

use bytes::BytesMut;
use kwik::proto::wire::frame::{Close, Frame, Hello, Intent, Parameters};
use kwik::proto::wire::lane::put_control_header;
use kwik::proto::wire::limits::VERSION;
use kwik::{AppCode, Config, DialError, PathId, SessionError, SessionEvent, TransportCode};
use kwik_netem::{Forwarder, ForwarderConfig};
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

        client.close(AppCode::new(7), b"done");
        let end = server.closed().await;
        assert_eq!(end, SessionError::ClosedByPeer { code: AppCode::new(7), reason: "done".into() });
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
        let _server = deliver(&client, server, &data(64 * MIB, 1)).await;
        for path in client.paths() {
            assert!(path.sent_bytes > 0, "{:?}", client.paths());
        }
        drop(second);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_server_closes_says_why() {
    within_patience(async {
        let listener = listen_on(1, server_config()).await;
        let client = kwik::dial(&https(&listener.urls()[0]), Config::default()).await.unwrap();
        let server = listener.accept().await.unwrap();
        server.close(AppCode::new(3), b"enough");
        let end = client.closed().await;
        assert_eq!(end, SessionError::ClosedByPeer { code: AppCode::new(3), reason: "enough".into() });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_enough_sessions_says_so() {
    within_patience(async {
        let mut config = server_config();
        config.max_sessions = 1;
        let listener = listen_on(1, config).await;
        let url = https(&listener.urls()[0]);
        let _first = kwik::dial(&url, Config::default()).await.unwrap();
        let refused = kwik::dial(&url, Config::default()).await.unwrap_err();
        assert!(
            matches!(refused, DialError::Rejected { code: TransportCode::TooManySessions, .. }),
            "{refused}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_paths_fall_silent_and_the_transfer_goes_on_where_it_was() {
    within_patience(async {
        let listener = listen_on(1, server_config()).await;
        let target = listener.local_addrs()[0];
        let forwarder = Forwarder::start(ForwarderConfig::to(target)).unwrap();
        let url = format!("https://{}?pin={}", forwarder.local_addr(), listener.pin());
        let client = kwik::dial(&url, Config::default()).await.unwrap();
        let server = listener.accept().await.unwrap();
        let sent = data(64 * MIB, 3);
        let expected = (sent.len(), sha256(&sent));
        let mut events = client.events();
        let receiving = tokio::spawn(async move {
            let mut recv = server.accept_uni().await.unwrap();
            let mut forwarder = Some(forwarder);
            let (cut, is_cut) = tokio::sync::oneshot::channel();
            let mut cut = Some(cut);
            let received = receive_all(&mut recv, |len| {
                if len > 10 * MIB
                    && let Some(cut) = cut.take()
                    && let Some(forwarder) = forwarder.take()
                {
                    forwarder.silence();
                    let _ = cut.send(forwarder);
                }
            });
            let restoring = async {
                let forwarder = is_cut.await.unwrap();
                while !matches!(events.next().await, Some(SessionEvent::Suspended)) {}
                forwarder.restore();
                while !matches!(events.next().await, Some(SessionEvent::Resumed)) {}
                forwarder
            };
            let (received, _forwarder) = tokio::join!(received, restoring);
            (received, server)
        });
        let mut send = client.open_uni().await.unwrap();
        send_all(&mut send, &sent).await;
        let (received, _server) = receiving.await.unwrap();
        assert_eq!(received, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_breaks_the_rules_loses_its_connection_and_nobody_else_notices() {
    within_patience(async {
        let (listener, quic) = server_and_plain_quic(b"h3").await;
        let server = listener.local_addrs()[0];
        let url = format!("https://{server}?pin={}", listener.pin());
        let good = kwik::dial(&url, Config::default()).await.unwrap();
        let session = listener.accept().await.unwrap();
        // A header that cannot be read, a body without a header, a lane of what cannot be a session.
        for (bytes, code) in
            [(&b"\x01\x02\xff\xff"[..], 0x200_u32), (b"\x00\x01x", 0x105), (b"\x40\x41\x01lane", 0x108)]
        {
            let connection = quic.connect(server, "localhost").unwrap().await.unwrap();
            let _control = say_settings(&connection).await;
            let (mut send, _recv) = connection.open_bi().await.unwrap();
            send.write_all(bytes).await.unwrap();
            match connection.closed().await {
                quinn::ConnectionError::ApplicationClosed(close) => assert_eq!(close.error_code, code.into()),
                other => panic!("{other}"),
            }
        }
        let mut send = good.open_uni().await.unwrap();
        send.write_all(b"still here").await.unwrap();
        send.finish().unwrap();
        let mut recv = session.accept_uni().await.unwrap();
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"still here");
    })
    .await;
}

/// Nothing is answered before them. The stream that carries them may not end.
async fn say_settings(connection: &quinn::Connection) -> quinn::SendStream {
    let mut control = connection.open_uni().await.unwrap();
    control.write_all(include_bytes!("../fuzz/seeds/h3/settings")).await.unwrap();
    control
}

/// The stream of the farewell comes before the lane's in every order there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_words_on_a_lane_count_although_the_farewell_comes_with_them() {
    within_patience(async {
        let (listener, quic) = server_and_plain_quic(b"h3").await;
        let server = listener.local_addrs()[0];
        let connection = quic.connect(server, "localhost").unwrap().await.unwrap();
        let _control = say_settings(&connection).await;
        let (mut request, mut answer) = connection.open_bi().await.unwrap();
        request.write_all(include_bytes!("../fuzz/seeds/h3/connect")).await.unwrap();
        answer.read_chunk(usize::MAX, true).await.unwrap().unwrap();

        let mut hello = BytesMut::from(&b"\x40\x41\x00"[..]);
        put_control_header(&mut hello);
        let parameters = Parameters { max_paths: 8, resume_timeout_ms: 30_000, ..Parameters::default() };
        let intent = Intent::New;
        Frame::Hello(Hello { versions: vec![VERSION], path: PathId::PRIMARY, intent, parameters })
            .encode(&mut hello);
        let (mut control, mut word) = connection.open_bi().await.unwrap();
        control.write_all(&hello).await.unwrap();
        let session = listener.accept().await.unwrap();
        word.read_chunk(usize::MAX, true).await.unwrap().unwrap();

        let mut close = BytesMut::new();
        Frame::Close(Close { application: true, code: 5, reason: "bye".into() }).encode(&mut close);
        let farewell = b"\x00\x07\x68\x43\x04\x00\x00\x00\x00";
        let (said, left) = tokio::join!(control.write_all(&close), request.write_all(farewell));
        said.unwrap();
        left.unwrap();
        let end = session.closed().await;
        assert_eq!(end, SessionError::ClosedByPeer { code: AppCode::new(5), reason: "bye".into() });
    })
    .await;
}
