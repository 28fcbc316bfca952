//! How long 100 bytes take there and back, on a stream and by datagram.
//!
//! `cargo run --release --example pingpong`

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kwik::{AppCode, Config, Identity, ServerConfig, Session};

const ROUND_TRIPS: usize = 2_000;
const MESSAGE: [u8; 100] = [42; 100];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let identity = Identity::ephemeral()?;
    let listener = kwik::listen("127.0.0.1:0", ServerConfig::new(identity)).await?;
    let url = listener.urls().swap_remove(0);
    tokio::spawn(async move {
        while let Some(session) = listener.accept().await {
            tokio::spawn(echo_streams(session.clone()));
            tokio::spawn(echo_datagrams(session));
        }
    });

    let session = kwik::dial(&url, Config::default()).await?;
    print("stream", on_a_stream(&session).await?);
    print("datagram", by_datagram(&session).await?);
    session.close(AppCode(0), b"done");
    session.closed().await;
    Ok(())
}

// ---- the server: all comes back ----

async fn echo_streams(session: Session) {
    while let Ok((mut send, mut recv)) = session.accept_bi().await {
        tokio::spawn(async move { tokio::io::copy(&mut recv, &mut send).await });
    }
}

async fn echo_datagrams(session: Session) {
    while let Ok(datagram) = session.recv_datagram().await {
        if session.send_datagram(datagram).is_err() {
            return;
        }
    }
}

// ---- the client ----

async fn on_a_stream(session: &Session) -> Result<Vec<Duration>, Box<dyn Error>> {
    let (mut send, mut recv) = session.open_bi().await?;
    let mut round_trips = Vec::with_capacity(ROUND_TRIPS);
    let mut answer = [0; MESSAGE.len()];
    for _ in 0..ROUND_TRIPS {
        let sent = Instant::now();
        send.write_all(&MESSAGE).await?;
        recv.read_exact(&mut answer).await?;
        round_trips.push(sent.elapsed());
        if answer != MESSAGE {
            return Err("what came back is not what was sent".into());
        }
    }
    Ok(round_trips)
}

/// Datagrams may get lost: those that did are left out, and must be few.
async fn by_datagram(session: &Session) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut round_trips = Vec::with_capacity(ROUND_TRIPS);
    for number in 0..ROUND_TRIPS as u64 {
        let message = [&number.to_be_bytes()[..], &MESSAGE[8..]].concat();
        let sent = Instant::now();
        session.send_datagram(Bytes::from(message.clone()))?;
        let answer = async {
            loop {
                match session.recv_datagram().await {
                    Ok(answer) if answer != message => {} // of one that was given up
                    answered => return answered,
                }
            }
        };
        if let Ok(answered) = tokio::time::timeout(Duration::from_millis(500), answer).await {
            answered?;
            round_trips.push(sent.elapsed());
        }
    }
    match round_trips.len() * 100 >= ROUND_TRIPS * 99 {
        true => Ok(round_trips),
        false => Err(format!("only {} of {ROUND_TRIPS} datagrams came back", round_trips.len()).into()),
    }
}

/// Percentiles, and a line for each doubling of the time.
fn print(name: &str, mut round_trips: Vec<Duration>) {
    round_trips.sort();
    let percentile = |percent: usize| round_trips[(round_trips.len() - 1) * percent / 100];
    println!("{name}: p50 {:.1?}, p99 {:.1?}", percentile(50), percentile(99));
    let mut from = Duration::ZERO;
    let mut to = Duration::from_micros(32);
    while from <= percentile(100) {
        let count = round_trips.iter().filter(|&&trip| from <= trip && trip < to).count();
        if count > 0 {
            println!(
                "  up to {:>8} {:>5}  {}",
                format!("{to:?}"),
                count,
                "#".repeat(count * 60 / round_trips.len())
            );
        }
        (from, to) = (to, to * 2);
    }
}
