//! Fairness between the connections of one socket, as the shares that honest sessions get beside one that floods.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kwik::Config;
use kwik_hostile_tests::siege::Siege;
use kwik_hostile_tests::wire;
use tokio::sync::Barrier;

use super::siege;

const SESSIONS: usize = 50;

/// Echoes one hundred bytes, over and over, from when all have begun, and counts.
async fn echo_on(url: String, echoes: Arc<AtomicU64>, all: Arc<Barrier>) {
    let session = kwik::dial(&url, Config::default()).await.unwrap();
    let (mut send, mut recv) = session.open_bi().await.unwrap();
    send.write_all(b"E").await.unwrap();
    all.wait().await;
    loop {
        send.write_all(&[7; 100]).await.unwrap();
        recv.read_exact(&mut [0; 100]).await.unwrap();
        echoes.fetch_add(1, Ordering::Relaxed);
    }
}

/// Says as many frames as the server takes, of a kind that it can make some use of, so that it is not cut off.
async fn flood_with_news(siege: &Siege) {
    let client = siege.attacker();
    let (mut path, _) = client.open().await;
    let mut offset = 0;
    while siege.goes_on() {
        let mut burst = Vec::new();
        for _ in 0..1_000 {
            burst.extend(wire::stream(wire::client_uni(0), offset % 1_000, false, b"x"));
            burst.extend(wire::frame(wire::kind::GREASE, b""));
            offset += 1;
        }
        let _ = siege.within_time(path.control.write_all(&burst)).await;
        if path.connection.close_reason().is_some() {
            path = client.open().await.0;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_honest_sessions_get_equal_shares_beside_one_that_floods() {
    let siege = siege("fairness: fifty sessions that echo beside one that floods").await;
    let echoes: Vec<_> = (0..SESSIONS).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let all = Arc::new(Barrier::new(SESSIONS + 1));
    let begin = |echoes| tokio::spawn(echo_on(siege.url(), Arc::clone(echoes), Arc::clone(&all)));
    let honest: Vec<_> = echoes.iter().map(begin).collect();
    all.wait().await;
    flood_with_news(&siege).await;
    let counts: Vec<_> = echoes.iter().map(|echoes| echoes.load(Ordering::Relaxed)).collect();
    honest.iter().for_each(tokio::task::JoinHandle::abort);
    let (least, most) =
        (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
    println!("fairness: {} echoes, the least {least}, the most {most}", counts.iter().sum::<u64>());
    // A machine that does a lot else lets some wait longer than others.
    assert!(least * 4 >= most, "shares: {counts:?}");
    siege.lift().await;
}
