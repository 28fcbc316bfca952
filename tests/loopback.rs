//! Sessions over real sockets on the loopback interface.

mod support;

use std::time::Duration;

use kwik::{AppCode, CertificatePin, Config, DialError, SessionError, TransportCode};
use kwik_netem::{Forwarder, ForwarderConfig, LinkSpec};
use support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echo_comes_back_over_one_path() {
    within_patience(async {
        let (_listener, client, server) = pair(1).await;
        let (mut send, mut recv) = client.open_bi().await.unwrap();
        send.write_all(b"hello").await.unwrap();
        send.finish().unwrap();
        let (mut reply, mut request) = server.accept_bi().await.unwrap();
        let heard = request.read_to_end(100).await.unwrap();
        reply.write_all(&heard).await.unwrap();
        reply.finish().unwrap();
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"hello");
        assert_eq!(client.id(), server.id());
        let path = &client.paths()[0];
        assert_eq!(path.remote, Some(_listener.local_addrs()[0]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_session_reaches_the_other_end_with_code_and_reason() {
    within_patience(async {
        let (listener, client, server) = pair(1).await;
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"last words").await.unwrap();
        drop(send);
        client.close(AppCode::new(7), b"done");
        let mut recv = server.accept_uni().await.unwrap();
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"last words", "what was written is delivered");
        let end = server.closed().await;
        assert_eq!(end, SessionError::ClosedByPeer { code: AppCode::new(7), reason: "done".into() });
        assert!(matches!(client.closed().await, SessionError::LocallyClosed { undelivered_bytes: 0, .. }));
        listener.idle().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_paths_carry_one_stream_and_every_byte_arrives_once() {
    within_patience(async {
        let (listener, client, server) = pair(2).await;
        let second = client.add_path(&listener.urls()[1]).await.unwrap();
        let _server = deliver(&client, server, &data(64 * MIB, 1)).await;
        assert!(second.info().unwrap().sent_bytes > 0, "{:?}", client.paths());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_removed_in_the_middle_of_a_transfer_takes_nothing_with_it() {
    within_patience(async {
        let (listener, client, server) = pair(2).await;
        let second = client.add_path(&listener.urls()[1]).await.unwrap();
        let sent = data(64 * MIB, 2);
        let expected = (sent.len(), sha256(&sent));
        let mut recv_side = tokio::spawn(async move {
            let mut recv = server.accept_uni().await.unwrap();
            let mut second = Some(second);
            let remove_late = |len| {
                if len > 20 * MIB
                    && let Some(second) = second.take()
                {
                    second.remove().unwrap();
                }
            };
            (receive_all(&mut recv, remove_late).await, server)
        });
        let mut send = client.open_uni().await.unwrap();
        send_all(&mut send, &sent).await;
        let (received, _server) = (&mut recv_side).await.unwrap();
        assert_eq!(received, expected);
        send.delivered().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_certificate_is_refused_and_its_pin_told() {
    within_patience(async {
        let listener = listen_on(1, server_config()).await;
        let url = format!("kwik://{}?pin={}", listener.local_addrs()[0], CertificatePin([7; 32]));
        let error = kwik::dial(&url, Config::default()).await.unwrap_err();
        match error {
            DialError::Certificate { remote, reason } => {
                assert_eq!(remote, listener.local_addrs()[0]);
                assert!(reason.contains(&listener.pin().to_string()), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
}

/// Where `localhost` is `::1` as well, that is tried first, and nobody is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_addresses_of_a_name_the_one_that_answers_is_used() {
    within_patience(async {
        let listener = listen_on(1, server_config()).await;
        let address = listener.local_addrs()[0];
        let url = format!("kwik://localhost:{}?pin={}", address.port(), listener.pin());
        let session = kwik::dial(&url, Config::default()).await.unwrap();
        assert_eq!(session.paths()[0].remote, Some(address));
    })
    .await;
}

/// Longer than the head start that one address of a name has before the next: the race is over when the answer comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_long_to_answer_is_reached_every_time() {
    within_patience(async {
        let listener = listen_on(1, server_config()).await;
        let far = ForwarderConfig::to(listener.local_addrs()[0]).both_ways(LinkSpec::new().delay_ms(200));
        let far = Forwarder::start(far).unwrap();
        let url = format!("kwik://{}?pin={}", far.local_addr(), listener.pin());
        let dials = (0..16).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { kwik::dial(&url, Config::default()).await })
        });
        for dial in dials.collect::<Vec<_>>() {
            dial.await.unwrap().unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_where_nobody_is_gives_no_answer() {
    within_patience(async {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut config = Config::default();
        config.session.handshake_timeout = Duration::from_millis(300);
        let url = format!("kwik://{}?pin={}", silent.local_addr().unwrap(), CertificatePin([7; 32]));
        let error = kwik::dial(&url, config).await.unwrap_err();
        assert!(matches!(error, DialError::NoAnswer { .. }), "{error:?}");
        let error = kwik::dial("kwik://no-such-host.invalid:1", Config::default()).await.unwrap_err();
        assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
        assert!(matches!(kwik::dial("http://a", Config::default()).await, Err(DialError::Address(_))));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_full_or_draining_says_so() {
    within_patience(async {
        let mut config = server_config();
        config.max_sessions = 1;
        let listener = listen_on(1, config).await;
        let url = listener.urls().remove(0);
        let first = kwik::dial(&url, Config::default()).await.unwrap();
        let refused = |error: DialError| match error {
            DialError::Rejected { code, .. } => code,
            other => panic!("{other:?}"),
        };
        let error = kwik::dial(&url, Config::default()).await.unwrap_err();
        assert_eq!(refused(error), TransportCode::TooManySessions);
        listener.drain();
        let error = kwik::dial(&url, Config::default()).await.unwrap_err();
        assert_eq!(refused(error), TransportCode::GoingAway);
        assert!(listener.accept().await.is_some(), "the one that was waiting");
        assert!(listener.accept().await.is_none());
        drop(first);
        listener.idle().await;
    })
    .await;
}
