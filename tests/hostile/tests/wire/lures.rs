//! A server that aims its clients at others.

use std::time::{Duration, Instant};

use kwik::Config;
use kwik_hostile_tests::peer::{Path, Trap, patiently};
use kwik_hostile_tests::wire::{self, kind};
use tokio::net::UdpSocket;

/// Initials that advice may cause in a minute.
const MOST_INITIALS: usize = 64;

/// Whether a datagram begins with an Initial packet of QUIC version 1 (RFC 9000 section 17.2.2).
fn is_initial(datagram: &[u8]) -> bool {
    datagram.len() >= 5 && datagram[0] & 0xf0 == 0xc0 && datagram[1..5] == [0, 0, 0, 1]
}

/// A client that has dialled us: our end of its path, and its session.
async fn lured() -> (Path, kwik::Session) {
    let trap = Trap::set();
    let url = trap.url();
    let dial = tokio::spawn(async move { kwik::dial(&url, Config::default()).await.unwrap() });
    let (path, _) = trap.welcome().await;
    (path, patiently("the dial", dial).await.unwrap())
}

/// Counts the Initials that arrive until nothing has for a while, or for two seconds.
async fn initials(target: &UdpSocket) -> usize {
    let until = Instant::now() + Duration::from_secs(2);
    let mut buffer = [0; 2_048];
    let mut count = 0;
    while let Ok(Ok(len)) = tokio::time::timeout_at(until.into(), target.recv(&mut buffer)).await {
        count += usize::from(is_initial(&buffer[..len]));
    }
    count
}

/// 200 addresses of one machine that has nothing to do with any of it, advised and taken back again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advice_that_is_given_and_taken_back_a_thousand_times_aims_the_client_at_nobody() {
    let target = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let port = target.local_addr().unwrap().port();
    let (mut path, session) = lured().await;
    let flood = tokio::spawn(async move {
        let mut advice = 0;
        for _ in 0..40 {
            let mut burst = Vec::new();
            for host in 1..=200 {
                burst.extend(wire::add_path(advice, &format!("127.1.1.{host}:{port}")));
                burst.extend(wire::numbers(kind::REMOVE_PATH, &[advice]));
                advice += 1;
            }
            path.say(&burst).await;
            tokio::task::yield_now().await;
        }
        path
    });
    let count = initials(&target).await;
    println!("{count} Initials");
    assert!(count <= MOST_INITIALS, "{count} Initials");
    let mut path = patiently("the flood", flood).await.unwrap();
    path.is_served().await;
    assert_eq!(session.close_reason(), None);
}

/// Advice that stands, at an address that never answers: it is tried less and less often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standing_advice_that_leads_nowhere_is_tried_less_and_less_often() {
    let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut path, session) = lured().await;
    for advice in 0..8 {
        path.say(&wire::add_path(advice, &target.local_addr().unwrap().to_string())).await;
    }
    let count = initials(&target).await;
    println!("{count} Initials");
    assert!((1..=MOST_INITIALS).contains(&count), "{count} Initials");
    assert_eq!(session.close_reason(), None);
}

/// PROTOCOL 4.2: A client MUST NOT follow an ADD_PATH whose id was taken back before, or whose path the client or the
/// server has closed for good (PATH_CLOSE with NO_ERROR); a server that wants the address back gives it a new id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advice_that_was_taken_back_is_not_followed_again() {
    let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut path, session) = lured().await;
    let authority = target.local_addr().unwrap().to_string();
    path.say(&wire::numbers(kind::REMOVE_PATH, &[77])).await;
    path.say(&wire::add_path(3, "127.0.0.1:9")).await;
    path.say(&wire::numbers(kind::REMOVE_PATH, &[3])).await;
    path.say(&wire::add_path(3, &authority)).await;
    path.is_served().await;
    assert_eq!(initials(&target).await, 0);
    assert_eq!(session.close_reason(), None);
}
