//! 64 MiB over two paths, one of which is cut in the midst of it. The file arrives whole.
//!
//! `cargo run --release --example file_transfer`

use std::error::Error;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use kwik::{Address, AppCode, Config, Identity, Listener, ServerConfig, Session};
use kwik_netem::{Forwarder, ForwarderConfig, LinkSpec, Rate};
use sha2::{Digest, Sha256};

const FILE_BYTES: usize = 64 << 20;
const BLOCK_BYTES: usize = 256 << 10;

/// What lies between client and server, twice.
const LINE: LinkSpec = LinkSpec::new().rate(Rate::mbit(200)).delay_ms(5);

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // A server with two addresses, a line to each.
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let identity = Identity::ephemeral()?;
    let listener = kwik::listen(&[any_port; 2][..], ServerConfig::new(identity)).await?;
    let lines: Vec<(Forwarder, Address)> =
        listener.urls().iter().map(|url| line_to(url.parse()?)).collect::<Result<_, _>>()?;
    let server = tokio::spawn(serve(listener));

    // One session over both lines.
    let [(_first, first_url), (second, second_url)] = &lines[..] else {
        return Err("two lines were expected".into());
    };
    let session = kwik::dial(&first_url.to_string(), Config::default()).await?;
    session.add_path(second_url).await?;

    let started = Instant::now();
    let received = receive(&session, second).await?;
    println!("{} MiB in {:.1?}", FILE_BYTES >> 20, started.elapsed());
    for path in session.paths() {
        println!("path {}: {}, {} KiB received", path.id, path.state, path.received_bytes >> 10);
    }
    session.close(AppCode(0), b"thanks");

    let sent = server.await??;
    println!("sent     {sent}\nreceived {received}");
    if sent == received { Ok(()) } else { Err("the file was damaged".into()) }
}

fn line_to(server: Address) -> Result<(Forwarder, Address), BoxError> {
    let target = SocketAddr::new(server.host.parse()?, server.port);
    let forwarder = Forwarder::start(ForwarderConfig::to(target).both_ways(LINE))?;
    let mut address = server;
    address.port = forwarder.local_addr().port();
    Ok((forwarder, address))
}

/// Sends the file to the first client that comes, and returns its SHA-256.
async fn serve(listener: Listener) -> Result<String, BoxError> {
    let session = listener.accept().await.ok_or("the listener was closed")?;
    let mut send = session.open_uni().await?;
    let mut hasher = Sha256::new();
    for number in 0..FILE_BYTES / BLOCK_BYTES {
        let block: Vec<u8> = (0..BLOCK_BYTES).map(|at| (at.wrapping_mul(number + 7) >> 3) as u8).collect();
        hasher.update(&block);
        send.write_chunk(Bytes::from(block)).await?;
    }
    send.finish()?;
    send.delivered().await?;
    session.closed().await;
    Ok(hex(hasher))
}

/// Receives the file; cuts the second line when half of it is there.
async fn receive(session: &Session, second: &Forwarder) -> Result<String, BoxError> {
    let mut recv = session.accept_uni().await?;
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    let mut is_whole = true;
    while let Some(chunk) = recv.read_chunk(BLOCK_BYTES).await? {
        hasher.update(&chunk);
        bytes += chunk.len();
        if is_whole && bytes > FILE_BYTES / 2 {
            println!("the second line is cut");
            second.silence();
            is_whole = false;
        }
    }
    Ok(hex(hasher))
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
