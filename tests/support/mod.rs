//! A server on loopback, clients for it, and data that tells when it is not itself any more.
#![allow(dead_code, reason = "each test program uses a part of it")]

mod figures;
mod plain_quic;
mod raw_path;

use std::time::Duration;

use bytes::Bytes;
use kwik::{Config, Identity, Listener, RecvStream, SendStream, ServerConfig, Session};
use sha2::{Digest, Sha256};

#[allow(unused_imports, reason = "as above")]
pub(crate) use figures::Figures;
#[allow(unused_imports, reason = "as above")]
pub(crate) use plain_quic::{PlainQuic, identity_and_plain_quic, server_and_plain_quic};
#[allow(unused_imports, reason = "as above")]
pub(crate) use raw_path::{RawPath, join};

pub(crate) const MIB: usize = 1 << 20;

/// Longer than anything here should take on a machine that does a lot else, so that a test that hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn server_config() -> ServerConfig {
    ServerConfig::new(Identity::ephemeral().unwrap())
}

/// A server with this many sockets.
pub(crate) async fn listen_on(sockets: usize, config: ServerConfig) -> Listener {
    let addresses = vec!["127.0.0.1:0".parse().unwrap(); sockets];
    kwik::listen(&addresses[..], config).await.unwrap()
}

/// A server with this many sockets, and a session with it, over the first of them.
pub(crate) async fn pair(sockets: usize) -> (Listener, Session, Session) {
    let listener = listen_on(sockets, server_config()).await;
    let url = &listener.urls()[0];
    let (client, server) = tokio::join!(kwik::dial(url, Config::default()), listener.accept());
    (listener, client.unwrap(), server.unwrap())
}

/// Runs a situation, and fails when it takes longer than anything should.
pub(crate) async fn within_patience<T>(situation: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, situation).await.expect("it hangs")
}

/// The same bytes for the same seed, different at every place.
pub(crate) fn data(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = (0..len.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(len).collect::<Vec<u8>>().into()
}

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// Sends all of `data` in pieces, and the end of the stream.
pub(crate) async fn send_all(send: &mut SendStream, data: &Bytes) {
    for at in (0..data.len()).step_by(256 * 1024) {
        send.write_chunk(data.slice(at..data.len().min(at + 256 * 1024))).await.unwrap();
    }
    send.finish().unwrap();
}

/// Length and SHA-256 of all that comes, up to the end of the stream. `progress` is told the length so far.
pub(crate) async fn receive_all(recv: &mut RecvStream, mut progress: impl FnMut(usize)) -> (usize, [u8; 32]) {
    let mut hash = Sha256::new();
    let mut len = 0;
    while let Some(chunk) = recv.read_chunk(usize::MAX).await.unwrap() {
        len += chunk.len();
        hash.update(&chunk);
        progress(len);
    }
    (len, hash.finalize().into())
}

/// Sends `data` on a stream from one end to the other, which has to receive just that. Gives the other end back.
pub(crate) async fn deliver(from: &Session, to: Session, data: &Bytes) -> Session {
    let receiving = tokio::spawn(async move {
        let mut recv = to.accept_uni().await.unwrap();
        (receive_all(&mut recv, |_| ()).await, to)
    });
    let mut send = from.open_uni().await.unwrap();
    send_all(&mut send, data).await;
    let (received, to) = receiving.await.unwrap();
    assert_eq!(received, (data.len(), sha256(data)));
    to
}
