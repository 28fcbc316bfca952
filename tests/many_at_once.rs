//! Sessions that begin while others keep the socket busy. A program of its own: panics are counted for the process.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kwik::{AppCode, Config, Listener, RecvStream, SendStream, Session};
use support::*;

/// With two busy paths a socket's work is spread over the workers; the third makes sure that it always is.
const BUSY_SESSIONS: u64 = 3;
/// Dials at the same time, and how many each of these makes, one after another.
const DIALLERS: u32 = 8;
const DIALS_EACH: u32 = 25;

/// What a client asks for, as the first byte of a stream.
const ECHO: u8 = 0;
const DOWNLOAD: u8 = 1;
const UPLOAD: u8 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_dial_is_lost_beside_three_downloads() {
    within_patience(dial_beside(DOWNLOAD)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_dial_is_lost_beside_three_uploads() {
    within_patience(dial_beside(UPLOAD)).await;
}

/// Every fresh session has to open, and to get its own echo, while the busy ones go on.
async fn dial_beside(traffic: u8) {
    let url = start_server();
    let stop = Arc::new(AtomicBool::new(false));
    let moved_bytes = Arc::new(AtomicU64::new(0));
    let mut busy = Vec::new();
    for _ in 0..BUSY_SESSIONS {
        let session = kwik::dial(&url, Config::default()).await.unwrap();
        let (stop, moved_bytes) = (Arc::clone(&stop), Arc::clone(&moved_bytes));
        busy.push(tokio::spawn(keep_busy(session, traffic, stop, moved_bytes)));
    }
    while moved_bytes.load(Ordering::Relaxed) < 16 * MIB as u64 {
        tokio::task::yield_now().await;
    }

    let diallers = (0..DIALLERS).map(|dialler| {
        let url = url.clone();
        tokio::spawn(async move {
            let mut failures = Vec::new();
            for number in 0..DIALS_EACH {
                failures.extend(dial_and_echo(&url, dialler * DIALS_EACH + number).await.err());
            }
            failures
        })
    });
    let mut failures = Vec::new();
    for dialler in diallers.collect::<Vec<_>>() {
        failures.extend(dialler.await.unwrap());
    }
    let panicked = kwik::stats().workers.panicked;
    stop.store(true, Ordering::Relaxed);
    for transfer in busy {
        transfer.await.unwrap();
    }

    let dials = DIALLERS * DIALS_EACH;
    println!("{dials} dials beside {} MB", moved_bytes.load(Ordering::Relaxed) / 1_000_000);
    assert!(failures.is_empty(), "{} of {dials} dials failed, such as: {}", failures.len(), failures[0]);
    assert_eq!(panicked, 0, "panics on the workers");
}

async fn dial_and_echo(url: &str, number: u32) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut config = Config::default();
    // A machine that does a lot else may take long; what is lost does not come in 30 s either.
    config.session.handshake_timeout = Duration::from_secs(30);
    let session = kwik::dial(url, config).await?;
    let (mut send, mut recv) = session.open_bi().await?;
    let request = [&[ECHO], &number.to_be_bytes()[..]].concat();
    send.write_all(&request).await?;
    send.finish()?;
    let answer = recv.read_to_end(100).await?;
    if answer != request {
        return Err(format!("{answer:?} came back for {request:?}").into());
    }
    session.close(AppCode::new(0), b"");
    Ok(())
}

/// Moves bytes one way until told to stop; none of them may differ.
async fn keep_busy(session: Session, traffic: u8, stop: Arc<AtomicBool>, moved_bytes: Arc<AtomicU64>) {
    let (mut send, mut recv) = session.open_bi().await.unwrap();
    send.write_all(&[traffic]).await.unwrap();
    let block = data(MIB, 7);
    if traffic == UPLOAD {
        while !stop.load(Ordering::Relaxed) {
            send.write_chunk(block.clone()).await.unwrap();
            moved_bytes.fetch_add(block.len() as u64, Ordering::Relaxed);
        }
        send.finish().unwrap();
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"intact");
    } else {
        let mut at = 0;
        while !stop.load(Ordering::Relaxed) {
            let chunk = recv.read_chunk(usize::MAX).await.unwrap().unwrap();
            assert!(repeats(&block, at, &chunk), "wrong bytes near {at}");
            at += chunk.len();
            moved_bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
    }
    session.close(AppCode::new(0), b"");
}

/// Whether `chunk` is what comes at `at` when `block` is repeated for ever.
fn repeats(block: &Bytes, mut at: usize, mut chunk: &[u8]) -> bool {
    while !chunk.is_empty() {
        let expected = &block[at % block.len()..];
        let len = expected.len().min(chunk.len());
        if chunk[..len] != expected[..len] {
            return false;
        }
        chunk = &chunk[len..];
        at += len;
    }
    true
}

/// A server on a thread of its own, where packets and application take turns: so the packets come in large batches, as
/// in a server that is alone in its process and busy. It ends with the process.
fn start_server() -> String {
    let (said, url) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = listen_on(1, server_config()).await;
            said.send(listener.urls().remove(0)).unwrap();
            serve(listener).await;
        });
    });
    url.recv().unwrap()
}

async fn serve(listener: Listener) {
    while let Some(session) = listener.accept().await {
        tokio::spawn(async move {
            while let Ok((send, recv)) = session.accept_bi().await {
                tokio::spawn(answer(send, recv));
            }
        });
    }
}

/// Ends, whatever the reason, when the client has gone: the client is who notices what is wrong.
async fn answer(mut send: SendStream, mut recv: RecvStream) -> Option<()> {
    let mut traffic = [0];
    recv.read_exact(&mut traffic).await.ok()?;
    let block = data(MIB, 7);
    match traffic[0] {
        DOWNLOAD => while send.write_chunk(block.clone()).await.is_ok() {},
        UPLOAD => {
            let (mut at, mut intact) = (0, true);
            while let Some(chunk) = recv.read_chunk(usize::MAX).await.ok()? {
                intact &= repeats(&block, at, &chunk);
                at += chunk.len();
            }
            send.write_all(if intact { b"intact" } else { b"damaged" }).await.ok()?;
        }
        _ => {
            let rest = recv.read_to_end(100).await.ok()?;
            send.write_all(&[&traffic, &rest[..]].concat()).await.ok()?;
        }
    }
    send.finish().ok()
}
