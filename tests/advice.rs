//! A client that knows one address of a server learns of the others.

mod support;

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};

use kwik::proto::wire::limits::{
    ADVISED_INITIALS_AT_ONCE, ADVISED_INITIALS_PER_MINUTE, INITIALS_PER_ATTEMPT,
};
use kwik::{Config, Listener, PathLoss, PathState, Session, SessionEvent};
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

/// Somebody who never asked for anything, and does not answer.
struct Bystander(UdpSocket);

impl Bystander {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    fn authority(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Datagrams that begin with an Initial packet of QUIC version 1 (RFC 9000 section 17.2.2) since the last call.
    fn initials(&self) -> u64 {
        let mut buf = [0; 2_048];
        let mut count = 0;
        while let Ok(len) = self.0.recv(&mut buf) {
            count += u64::from(len >= 1_200 && buf[0] & 0xf0 == 0xc0);
        }
        count
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_advises_strangers_over_and_over_makes_its_client_send_them_little() {
    within_patience(async {
        let (_listener, client, server) = pair(1).await;
        let began = std::time::Instant::now();
        let mut events = client.events();
        let strangers: Vec<_> = (0..20).map(|_| Bystander::new()).collect();
        let count = || strangers.iter().map(Bystander::initials).sum::<u64>();

        // What one attempt costs that nobody answers: as many as the budget counts for it.
        let standing: Vec<_> =
            strangers[..7].iter().map(|it| server.advertise(&it.authority(), None, 0).unwrap()).collect();
        let mut unanswered = 0;
        while unanswered < 7 {
            unanswered += match events.next().await.unwrap() {
                SessionEvent::PathLost(_, PathLoss::NotOpened) => 1,
                _ => 0,
            };
        }
        standing.into_iter().for_each(|advice| server.withdraw(advice));
        let mut initials = count();
        assert!(initials >= 7, "the advice was followed");
        assert!(initials <= 7 * INITIALS_PER_ATTEMPT, "{initials} Initials for 7 attempts");

        // And a flood of them, each taken back as soon as the client has heard of it.
        for stranger in strangers.iter().cycle().take(1_000) {
            let advice = server.advertise(&stranger.authority(), None, 0).unwrap();
            while !matches!(events.next().await.unwrap(), SessionEvent::Advised(_)) {}
            server.withdraw(advice);
            initials += stranger.initials();
        }
        while client.paths().len() > 1 {
            events.next().await.unwrap();
        }
        initials += count();
        assert!(
            client.stats().advice_not_followed.budget > 0,
            "it was as much as a client can be made to do"
        );
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        let refill = (ADVISED_INITIALS_PER_MINUTE - ADVISED_INITIALS_AT_ONCE) as f64;
        let allowed = ADVISED_INITIALS_AT_ONCE + (minutes * refill).ceil() as u64;
        println!("{initials} Initials, {allowed} allowed, {:?}", client.stats().advice_not_followed);
        assert!(initials <= allowed, "{initials} Initials, {allowed} allowed");
    })
    .await;
}
