//! Paths that fall silent: nothing is lost, and the transfer goes on.

mod support;

use std::time::Duration;

use bytes::Bytes;
use kwik::{Config, Session, SessionEvent};
use kwik_netem::{Direction, Forwarder, ForwarderConfig};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use support::*;

/// In each direction.
const REPETITIONS: u64 = 20;

/// A server, and a session with it over one path through each of `count` forwarders.
async fn through_forwarders(count: usize) -> (Vec<Forwarder>, kwik::Listener, Session, Session) {
    let listener = listen_on(1, server_config()).await;
    let target = listener.local_addrs()[0];
    let forwarders: Vec<_> =
        (0..count).map(|_| Forwarder::start(ForwarderConfig::to(target)).unwrap()).collect();
    let url = |forwarder: &Forwarder| format!("kwik://{}?pin={}", forwarder.local_addr(), listener.pin());
    let first = url(&forwarders[0]);
    let (client, server) = tokio::join!(kwik::dial(&first, Config::default()), listener.accept());
    let client = client.unwrap();
    for forwarder in &forwarders[1..] {
        client.add_path(url(forwarder)).await.unwrap();
    }
    (forwarders, listener, client, server.unwrap())
}

/// What is sent, and what has to arrive.
struct File {
    contents: Bytes,
    sha256: [u8; 32],
}

impl File {
    /// 64 MiB.
    fn new() -> Self {
        let contents = data(64 * MIB, 5);
        let sha256 = sha256(&contents);
        Self { contents, sha256 }
    }
}

/// Sends the file from one end to the other; `meanwhile` is told how far it is.
async fn transfer(
    file: &File,
    from: Session,
    to: Session,
    mut meanwhile: impl FnMut(usize) + Send + 'static,
) {
    let receiving = tokio::spawn(async move {
        let mut recv = to.accept_uni().await.unwrap();
        receive_all(&mut recv, &mut meanwhile).await
    });
    let mut send = from.open_uni().await.unwrap();
    send_all(&mut send, &file.contents).await;
    assert_eq!(receiving.await.unwrap(), (file.contents.len(), file.sha256));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_paths_one_is_silenced_at_any_moment_while_the_client_sends() {
    let file = File::new();
    for seed in 0..REPETITIONS {
        within_patience(one_of_two_is_silenced(&file, Direction::Up, seed)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_paths_one_is_silenced_at_any_moment_while_the_server_sends() {
    let file = File::new();
    for seed in REPETITIONS..2 * REPETITIONS {
        within_patience(one_of_two_is_silenced(&file, Direction::Down, seed)).await;
    }
}

async fn one_of_two_is_silenced(file: &File, direction: Direction, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // What the sender may keep is less than what is left then: the silence is in the midst of the transfer.
    let at = (rng.next_u64() % (48 * MIB as u64)) as usize;
    let victim = (rng.next_u64() % 2) as usize;
    println!("seed {seed}: path {victim} is silent after {at} bytes, {direction:?}");
    let (mut forwarders, _listener, client, server) = through_forwarders(2).await;
    let mut victim = Some(forwarders.remove(victim));
    let (silenced, silent) = tokio::sync::oneshot::channel();
    let mut silenced = Some(silenced);
    let silence = move |len| {
        if len >= at
            && let Some(victim) = victim.take()
        {
            victim.silence();
            silenced.take().unwrap().send(victim).unwrap();
        }
    };
    let (from, to) = match direction {
        Direction::Up => (&client, &server),
        Direction::Down => (&server, &client),
    };
    let mut events = from.events();
    transfer(file, from.clone(), to.clone(), silence).await;
    let _victim = silent.await.unwrap();
    // The end that sends finds the path out.
    loop {
        match events.next().await.unwrap() {
            SessionEvent::PathSuspect(_) | SessionEvent::PathLost(..) => break,
            _ => {}
        }
    }
    assert!(from.stats().path_failures > 0);
    assert!(client.close_reason().is_none() && server.close_reason().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_paths_are_silent_for_five_seconds_and_the_transfer_goes_on_where_it_was() {
    within_patience(async {
        let (forwarders, _listener, client, server) = through_forwarders(2).await;
        let (silenced, silent) = tokio::sync::oneshot::channel();
        let mut cut = Some((forwarders, silenced));
        let silence = move |len| {
            if len >= 20 * MIB
                && let Some((forwarders, silenced)) = cut.take()
            {
                forwarders.iter().for_each(Forwarder::silence);
                assert!(silenced.send(forwarders).is_ok());
            }
        };
        let restoring = tokio::spawn(async move {
            let forwarders = silent.await.unwrap();
            // The length of the silence is what the situation is about.
            tokio::time::sleep(Duration::from_secs(5)).await;
            forwarders.iter().for_each(Forwarder::restore);
            forwarders
        });
        transfer(&File::new(), client.clone(), server.clone(), silence).await;
        let _forwarders = restoring.await.unwrap();
        assert!(client.stats().path_failures > 0);
    })
    .await;
}
