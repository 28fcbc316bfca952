//! The rival: a file (or bytes from memory) over one stream of one plain quinn connection.
//!
//! Both ends are set so that they do what KWIK does and no more: MTU fixed at 1472, CUBIC, AES-128-GCM
//! with ring, tokio's default runtime. With a file the server reads and hashes it and the client hashes
//! what it gets and compares, as `kwik` does; from memory nobody hashes.
//!
//! A stream carries one byte that says whether all this is hashed, the length (8 bytes, big-endian), the
//! bytes, and then perhaps their SHA-256.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::rustls::crypto::{CryptoProvider, ring};
use quinn::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use quinn::rustls::{ClientConfig, RootCertStore, ServerConfig, version::TLS13};
use quinn::{Connection, Endpoint, SendStream, TransportConfig};
use sha2::{Digest as _, Sha256};

use crate::data::{BLOCK_BYTES, ByteSize, from_hex, hex};
use crate::process::own_cpu_seconds;

/// What KWIK's packets grow to over IPv4 on Ethernet.
const MTU: u16 = 1472;
pub(crate) const SERVER_NAME: &str = "rival";
pub(crate) const ALPN: &[u8] = b"rival";

/// Serves one file over plain quinn, until killed.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Where; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Serve this file.
    #[arg(long, required_unless_present = "bytes")]
    file: Option<PathBuf>,
    /// Serve so many bytes from memory, without hashing.
    #[arg(long, conflicts_with = "file")]
    bytes: Option<ByteSize>,
}

/// Gets what `quinn-serve` serves and prints bytes, seconds and CPU seconds as JSON.
#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// As printed by `quinn-serve`.
    url: String,
    /// Go by way of this address instead of the URL's.
    #[arg(long)]
    via: Option<SocketAddr>,
}

/// Where the bytes come from.
#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Memory(u64),
}

/// Runs `quinn-serve`.
pub async fn serve(args: &ServeArgs) -> Result<()> {
    let source = match (&args.file, args.bytes) {
        (Some(file), _) => Source::File(file.clone()),
        (None, Some(bytes)) => Source::Memory(bytes.0),
        (None, None) => bail!("nothing to serve: give --file or --bytes"),
    };
    let (config, certificate) = server_config()?;
    let endpoint = Endpoint::server(config, args.listen)
        .with_context(|| format!("quinn could not listen on {}", args.listen))?;
    println!("listening {}", url(endpoint.local_addr()?, &certificate));
    while let Some(incoming) = endpoint.accept().await {
        let source = source.clone();
        tokio::spawn(async move {
            let served = async {
                let connection = incoming.await?;
                let (send, _request) = connection.accept_bi().await?;
                send_all(send, &source).await?;
                connection.closed().await;
                Ok::<_, anyhow::Error>(())
            };
            if let Err(error) = served.await {
                eprintln!("quinn-serve: {error:#}");
            }
        });
    }
    Ok(())
}

async fn send_all(mut send: SendStream, source: &Source) -> Result<()> {
    match source {
        Source::Memory(bytes) => {
            send.write_all(&header(false, *bytes)).await?;
            let block = vec![0x5a; BLOCK_BYTES];
            let mut left = *bytes;
            while left > 0 {
                let len = left.min(BLOCK_BYTES as u64) as usize;
                send.write_all(&block[..len]).await?;
                left -= len as u64;
            }
        }
        Source::File(path) => {
            let mut file =
                File::open(path).with_context(|| format!("{} could not be opened", path.display()))?;
            send.write_all(&header(true, file.metadata()?.len())).await?;
            let mut hasher = Sha256::new();
            let mut block = vec![0; BLOCK_BYTES];
            loop {
                // From memory, in some 50 us: shorter than the hop to a thread that may block.
                match file.read(&mut block)? {
                    0 => break,
                    len => {
                        hasher.update(&block[..len]);
                        send.write_all(&block[..len]).await?;
                    }
                }
            }
            send.write_all(&hasher.finalize()).await?;
        }
    }
    send.finish()?;
    Ok(())
}

fn header(is_hashed: bool, bytes: u64) -> [u8; 9] {
    let mut header = [u8::from(is_hashed); 9];
    header[1..].copy_from_slice(&bytes.to_be_bytes());
    header
}

/// Runs `quinn-get`.
pub async fn get(args: &GetArgs) -> Result<()> {
    let (addr, certificate) = parse_url(&args.url)?;
    let unspecified = if addr.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let mut endpoint = Endpoint::client(unspecified.parse()?)?;
    endpoint.set_default_client_config(client_config(certificate)?);
    let started = Instant::now();
    let connection = endpoint.connect(args.via.unwrap_or(addr), SERVER_NAME)?.await?;
    let received = receive_all(&connection).await?;
    let seconds = started.elapsed().as_secs_f64();
    // The end is not waited for: some 100 ms of draining (3 x PTO) are no part of a transfer.
    connection.close(0u32.into(), b"done");
    let report = serde_json::json!({
        "bytes": received.bytes, "seconds": seconds, "sha256": received.sha256, "cpu_seconds": own_cpu_seconds()?,
    });
    println!("{report}");
    Ok(())
}

struct Received {
    bytes: u64,
    /// `None` from memory.
    sha256: Option<String>,
}

async fn receive_all(connection: &Connection) -> Result<Received> {
    let (mut request, mut recv) = connection.open_bi().await?;
    // A stream is announced by its first frame: an end without bytes will do.
    request.finish()?;
    let mut header = [0; 9];
    recv.read_exact(&mut header).await?;
    let [is_hashed, length @ ..] = header;
    let bytes = u64::from_be_bytes(length);
    let mut hasher = (is_hashed != 0).then(Sha256::new);
    let mut left = bytes as usize;
    while left > 0 {
        let chunk = recv.read_chunk(left, true).await?.context("the stream ended too soon")?;
        left -= chunk.bytes.len();
        if let Some(hasher) = &mut hasher {
            hasher.update(&chunk.bytes);
        }
    }
    let Some(hasher) = hasher else { return Ok(Received { bytes, sha256: None }) };
    let mut expected = [0; 32];
    recv.read_exact(&mut expected).await?;
    let sha256 = hasher.finalize();
    ensure!(sha256.as_slice() == expected, "the bytes that arrived are not those that were sent");
    Ok(Received { bytes, sha256: Some(hex(&sha256)) })
}

/// What clients need to know of a server.
pub(crate) fn url(addr: SocketAddr, certificate: &CertificateDer<'_>) -> String {
    format!("quinn://{addr}?cert={}", hex(certificate))
}

/// The reverse of [`url`].
pub(crate) fn parse_url(url: &str) -> Result<(SocketAddr, CertificateDer<'static>)> {
    let parsed = || {
        let (addr, certificate) = url.strip_prefix("quinn://")?.split_once("?cert=")?;
        Some((addr.parse().ok()?, CertificateDer::from(from_hex(certificate)?)))
    };
    parsed().context("the URL is not one that quinn-serve prints")
}

/// AES-128-GCM with ring and nothing else.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
    Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() })
}

/// Defaults, with CUBIC and an MTU that is not searched for.
pub(crate) fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .initial_mtu(MTU)
        .min_mtu(MTU)
        .mtu_discovery_config(None)
        .congestion_controller_factory(Arc::new(CubicConfig::default()));
    transport
}

/// A certificate for a server of this run, self-signed, and its key (ECDSA with P-256, as KWIK makes them).
pub(crate) fn certificate() -> Result<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>)> {
    let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()])?;
    Ok((made.cert.der().clone(), made.signing_key.serialize_der().into()))
}

/// The server's side of TLS.
pub(crate) fn server_tls(
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
) -> Result<ServerConfig> {
    let mut tls = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    Ok(tls)
}

fn server_config() -> Result<(quinn::ServerConfig, CertificateDer<'static>)> {
    let (certificate, key) = certificate()?;
    let tls = server_tls(certificate.clone(), key)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport()));
    Ok((config, certificate))
}

fn client_config(certificate: CertificateDer<'static>) -> Result<quinn::ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let mut tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}
