//! A client that knows one address of a server learns of the others.

mod support;

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};

use kwik::{Config, Listener, PathState, Session};
use support::*;

/// A server that advertises all its addresses. They have to be known before it is there, so free ones are looked for.
async fn advertising(addresses: usize) -> Listener {
    loop {
        let free: Vec<_> = (0..addresses).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let free: Vec<_> = free.into_iter().map(|socket| socket.local_addr().unwrap()).collect();
        let mut config = server_config();
        config.advertise = free.iter().map(SocketAddr::to_string).collect();
        // Somebody else may have taken one meanwhile.
        if let Ok(listener) = kwik::listen(&free[..], config).await {
            return listener;
        }
    }
}

fn active(session: &Session) -> BTreeSet<SocketAddr> {
    let active = session.paths().into_iter().filter(|path| path.state == PathState::Active);
    active.filter_map(|path| path.remote).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_dialled_one_address_has_as_many_paths_as_it_wants_by_itself() {
    within_patience(async {
        let listener = advertising(4).await;
        let mut config = Config::default();
        config.session.max_paths = 3;
        let url = &listener.urls()[0];
        let (client, server) = tokio::join!(kwik::dial(url, config), listener.accept());
        let (client, server) = (client.unwrap(), server.unwrap());
        let mut events = client.events();
        while active(&client).len() < 3 {
            events.next().await.unwrap();
        }
        let reached = active(&client);
        assert!(reached.iter().all(|address| listener.local_addrs().contains(address)), "{reached:?}");

        let sent = data(16 * MIB, 4);
        let expected = (sent.len(), sha256(&sent));
        let receiver = server.clone();
        let receiving = tokio::spawn(async move {
            let mut recv = receiver.accept_uni().await.unwrap();
            receive_all(&mut recv, |_| assert!(receiver.paths().len() <= 3)).await
        });
        send_all(&mut client.open_uni().await.unwrap(), &sent).await;
        assert_eq!(receiving.await.unwrap(), expected);
        assert_eq!(client.paths().len(), 3, "the fourth address is not dialled");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_follow_advice_stays_on_its_one_path() {
    within_patience(async {
        let listener = advertising(2).await;
        let mut config = Config::default();
        config.session.follow_advice = false;
        let url = &listener.urls()[0];
        let (client, server) = tokio::join!(kwik::dial(url, config), listener.accept());
        let (client, server) = (client.unwrap(), server.unwrap());
        let mut send = server.open_uni().await.unwrap();
        send.write_all(b"after the advice").await.unwrap();
        send.finish().unwrap();
        let mut recv = client.accept_uni().await.unwrap();
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"after the advice");
        assert_eq!(client.paths().len(), 1);
    })
    .await;
}
