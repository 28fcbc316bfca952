//! How long 100 bytes take there and back, on a stream and by datagram.
//!
//! `cargo run --release --example pingpong` runs a server and a client. With `-- serve` it is a server only, for clients
//! elsewhere: the same client runs in a web page, where `cargo xtask examples` makes a script of it.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use kwik::{AppCode, Config, Session};

// A browser has no clock and no timers that std and tokio know.
#[cfg(not(target_arch = "wasm32"))]
use {std::time::Instant, tokio::time::timeout};
#[cfg(target_arch = "wasm32")]
use {wasmtimer::std::Instant, wasmtimer::tokio::timeout};

const ROUND_TRIPS: usize = 2_000;
const MESSAGE: [u8; 100] = [42; 100];

type BoxError = Box<dyn Error + Send + Sync>;

// ---- the client, natively and in a page or a web worker ----

async fn client(url: &str) -> Result<String, BoxError> {
    let session = kwik::dial(url, Config::default()).await?;
    let mut report = describe("stream", on_a_stream(&session).await?)?;
    report += &describe("datagram", by_datagram(&session).await?)?;
    session.close(AppCode::new(0), b"done");
    session.closed().await;
    Ok(report)
}

async fn on_a_stream(session: &Session) -> Result<Vec<Duration>, BoxError> {
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
async fn by_datagram(session: &Session) -> Result<Vec<Duration>, BoxError> {
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
        if let Ok(answered) = timeout(Duration::from_millis(500), answer).await {
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
fn describe(name: &str, mut round_trips: Vec<Duration>) -> Result<String, BoxError> {
    round_trips.sort();
    let percentile = |percent: usize| round_trips[(round_trips.len() - 1) * percent / 100];
    let mut text = format!("{name}: p50 {:.1?}, p99 {:.1?}\n", percentile(50), percentile(99));
    let mut from = Duration::ZERO;
    let mut to = Duration::from_micros(32);
    while from <= percentile(100) {
        let count = round_trips.iter().filter(|&&trip| from <= trip && trip < to).count();
        if count > 0 {
            let bar = "#".repeat(count * 60 / round_trips.len());
            writeln!(text, "  up to {:>8} {count:>5}  {bar}", format!("{to:?}"))?;
        }
        (from, to) = (to, to * 2);
    }
    Ok(text)
}

// ---- in a page: `import init, { run } from './pingpong.js'; await init(); await run(url)` ----

/// Runs the client and returns what there is to print.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub async fn run(url: String) -> Result<String, wasm_bindgen::JsError> {
    client(&url).await.map_err(|error| wasm_bindgen::JsError::new(&error.to_string()))
}

#[cfg(target_arch = "wasm32")]
fn main() {}

// ---- natively: the server, which sends back all that comes ----

#[cfg(not(target_arch = "wasm32"))]
#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let identity = kwik::Identity::ephemeral()?;
    let listener = kwik::listen("127.0.0.1:0", kwik::ServerConfig::new(identity)).await?;
    let url = listener.urls().swap_remove(0);
    let server = tokio::spawn(server::run(listener));
    if std::env::args().any(|argument| argument == "serve") {
        println!("{url}");
        server.await?;
    } else {
        print!("{}", client(&url).await?);
    }
    Ok(())
}

#[cfg(not(target_arch = "wasm32"))]
mod server {
    use kwik::{Listener, Session};

    pub(super) async fn run(listener: Listener) {
        while let Some(session) = listener.accept().await {
            tokio::spawn(echo_streams(session.clone()));
            tokio::spawn(echo_datagrams(session));
        }
    }

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
}
