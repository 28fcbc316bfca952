//! The server of `bench/browser`: the same transfers for a page, through KWIK and over raw WebTransport.
//!
//! Both are in this process, at ports of their own, with one certificate. A transfer is a bidirectional stream that
//! the page opens: eight bytes (big-endian) say how many are wanted, then follows what the page sends; the server
//! sends what is wanted, reads to the end, and ends its half.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use kwik::{Identity, Listener, RecvStream, SendStream};
use rcgen::{CertificateParams, KeyPair};
use time::{Duration, OffsetDateTime};
use wtransport::tls::{Certificate, CertificateChain, PrivateKey};
use wtransport::{Endpoint, endpoint::endpoint_side::Server};

use crate::data::BLOCK_BYTES;

/// Browsers take a pinned certificate only if it is valid for at most 14 days.
const VALIDITY: Duration = Duration::days(10);
const READ_BYTES: usize = 64 * 1024;

/// Serves pages through KWIK and over raw WebTransport, until killed. See bench/browser/run.mjs.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Where; the port is the system's choice.
    #[arg(long, default_value = "127.0.0.1")]
    listen: std::net::IpAddr,
}

/// Runs `browser-serve`.
pub async fn serve(args: &ServeArgs) -> Result<()> {
    let (chain, key) = certificate()?;
    let identity = Identity::from_der(vec![chain.clone()], key.clone())?;
    let listener = kwik::listen((args.listen, 0), kwik::ServerConfig::new(identity)).await?;
    let chain = CertificateChain::single(Certificate::from_der(chain)?);
    let identity = wtransport::Identity::new(chain, PrivateKey::from_der_pkcs8(key));
    let config = wtransport::ServerConfig::builder()
        .with_bind_address(SocketAddr::new(args.listen, 0))
        .with_identity(identity)
        .build();
    let endpoint = Endpoint::server(config).context("the raw server could not listen")?;
    let kwik = listener.urls().concat();
    let raw = format!("https://{}/", endpoint.local_addr()?);
    let pin = listener.pin().to_string();
    println!("{}", serde_json::json!({ "kwik": kwik, "raw": raw, "pin": pin }));
    tokio::join!(serve_kwik(&listener), serve_raw(&endpoint));
    Ok(())
}

fn certificate() -> Result<(Vec<u8>, Vec<u8>)> {
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
    params.not_after = params.not_before + VALIDITY;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.der().to_vec(), key.serialize_der()))
}

async fn serve_kwik(listener: &Listener) {
    while let Some(session) = listener.accept().await {
        tokio::spawn(async move {
            while let Ok((send, recv)) = session.accept_bi().await {
                tokio::spawn(async move { complain(transfer_kwik(send, recv).await) });
            }
        });
    }
}

async fn transfer_kwik(mut send: SendStream, mut recv: RecvStream) -> Result<()> {
    let mut wanted = [0; 8];
    recv.read_exact(&mut wanted).await?;
    let block = bytes::Bytes::from(vec![0x5a; BLOCK_BYTES]);
    for len in blocks(u64::from_be_bytes(wanted)) {
        send.write_chunk(block.slice(..len)).await?;
    }
    while recv.read_chunk(READ_BYTES).await?.is_some() {}
    Ok(send.finish()?)
}

async fn serve_raw(endpoint: &Endpoint<Server>) {
    loop {
        let incoming = endpoint.accept().await;
        tokio::spawn(async move {
            let connection = incoming.await?.accept().await?;
            while let Ok((send, recv)) = connection.accept_bi().await {
                tokio::spawn(async move { complain(transfer_raw(send, recv).await) });
            }
            Ok::<_, anyhow::Error>(())
        });
    }
}

async fn transfer_raw(mut send: wtransport::SendStream, mut recv: wtransport::RecvStream) -> Result<()> {
    let mut wanted = [0; 8];
    recv.read_exact(&mut wanted).await?;
    let block = vec![0x5a; BLOCK_BYTES];
    for len in blocks(u64::from_be_bytes(wanted)) {
        send.write_all(&block[..len]).await?;
    }
    let mut buffer = vec![0; READ_BYTES];
    while recv.read(&mut buffer).await?.is_some() {}
    send.finish().await?;
    Ok(())
}

/// The lengths of the blocks that `bytes` bytes are sent in.
fn blocks(bytes: u64) -> impl Iterator<Item = usize> {
    let block = BLOCK_BYTES as u64;
    (0..bytes.div_ceil(block)).map(move |index| (bytes - index * block).min(block) as usize)
}

fn complain(outcome: Result<()>) {
    if let Err(error) = outcome {
        eprintln!("browser-serve: {error:#}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_add_up_to_what_is_wanted() {
        assert_eq!(blocks(0).count(), 0);
        assert_eq!(blocks(BLOCK_BYTES as u64 + 7).collect::<Vec<_>>(), [BLOCK_BYTES, 7]);
    }
}
