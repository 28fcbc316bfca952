//! 64 MiB over two paths, one of which is cut in the midst of it. The file arrives whole.
//!
//! `cargo run --release --example file_transfer` runs a server and a client. With `-- serve` it is a server only, for
//! clients elsewhere: the same client runs in a web page, where `cargo xtask examples` makes a script of it.

use std::error::Error;
use std::fmt::Write as _;

use kwik::{AppCode, Config};
use sha2::{Digest, Sha256};

const BLOCK_BYTES: usize = 256 << 10;

type BoxError = Box<dyn Error + Send + Sync>;

// ---- the client, natively and in a page or a web worker ----

/// Receives the file in one session, by way of all `urls`.
async fn client(urls: &[String]) -> Result<String, BoxError> {
    let [first, others @ ..] = urls else { return Err("there is no address".into()) };
    let session = kwik::dial(first, Config::default()).await?;
    for url in others {
        session.add_path(url.as_str()).await?;
    }

    // The stream says how long the file is; what comes behind it is the sum of what was sent.
    let mut recv = session.accept_uni().await?;
    let mut file_bytes = [0; 8];
    recv.read_exact(&mut file_bytes).await?;
    let mut missing = usize::try_from(u64::from_be_bytes(file_bytes))?;
    let mut hasher = Sha256::new();
    while missing > 0 {
        let chunk = recv.read_chunk(missing.min(BLOCK_BYTES)).await?.ok_or("the file is too short")?;
        hasher.update(&chunk);
        missing -= chunk.len();
    }
    let sent = hex(&recv.read_to_end(64).await?);
    let received = hex(&hasher.finalize());

    let mut report = format!("sent     {sent}\nreceived {received}\n");
    for path in session.paths() {
        writeln!(report, "path {}: {}, {} KiB received", path.id, path.state, path.received_bytes >> 10)?;
    }
    session.close(AppCode::new(0), b"thanks");
    session.closed().await;
    if sent == received { Ok(report) } else { Err("the file was damaged".into()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// ---- in a page: `import init, { run } from './file_transfer.js'; await init(); await run([url1, url2])` ----

/// Runs the client and returns what there is to print.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub async fn run(urls: Vec<String>) -> Result<String, wasm_bindgen::JsError> {
    client(&urls).await.map_err(|error| wasm_bindgen::JsError::new(&error.to_string()))
}

#[cfg(target_arch = "wasm32")]
fn main() {}

// ---- natively: the server, and what lies between it and its clients ----

#[cfg(not(target_arch = "wasm32"))]
#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (urls, server) = server::start().await?;
    if std::env::args().any(|argument| argument == "serve") {
        println!("{}", urls.join("\n"));
        server.await?;
    } else {
        let started = std::time::Instant::now();
        print!("{}", client(&urls).await?);
        println!("{} MiB in {:.1?}", server::FILE_BYTES >> 20, started.elapsed());
    }
    Ok(())
}

#[cfg(not(target_arch = "wasm32"))]
mod server {
    use std::net::SocketAddr;

    use bytes::Bytes;
    use kwik::{Address, Identity, Listener, ServerConfig, Session};
    use kwik_netem::{Forwarder, ForwarderConfig, LinkSpec, Rate};
    use sha2::{Digest, Sha256};
    use tokio::task::JoinHandle;

    use super::{BLOCK_BYTES, BoxError};

    pub(super) const FILE_BYTES: usize = 64 << 20;

    /// What lies between client and server, twice.
    const LINE: LinkSpec = LinkSpec::new().rate(Rate::mbit(200)).delay_ms(5);

    /// A server with two addresses, and a line to each of them. Returns where the lines begin.
    pub(super) async fn start() -> Result<(Vec<String>, JoinHandle<()>), BoxError> {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let identity = Identity::ephemeral()?;
        let listener = kwik::listen(&[any_port; 2][..], ServerConfig::new(identity)).await?;
        let mut lines = Vec::new();
        let mut urls = Vec::new();
        for url in listener.urls() {
            let mut address: Address = url.parse()?;
            let server = SocketAddr::new(address.host.parse()?, address.port);
            let line = Forwarder::start(ForwarderConfig::to(server).both_ways(LINE))?;
            address.port = line.local_addr().port();
            urls.push(address.to_string());
            lines.push(line);
        }
        Ok((urls, tokio::spawn(serve(listener, lines))))
    }

    /// Sends the file to one client after the other.
    async fn serve(listener: Listener, lines: Vec<Forwarder>) {
        while let Some(session) = listener.accept().await {
            lines.iter().for_each(Forwarder::restore);
            if let Err(error) = send_file(&session, &lines).await {
                eprintln!("a client did not get its file: {error}");
            }
            session.closed().await;
        }
    }

    /// Sends the file; cuts the last line when half of it is under way.
    async fn send_file(session: &Session, lines: &[Forwarder]) -> Result<(), BoxError> {
        let mut send = session.open_uni().await?;
        send.write_all(&(FILE_BYTES as u64).to_be_bytes()).await?;
        let blocks = FILE_BYTES / BLOCK_BYTES;
        let mut hasher = Sha256::new();
        for number in 0..blocks {
            if let Some(line) = lines.last().filter(|_| number == blocks / 2) {
                println!("the second line is cut");
                line.silence();
            }
            let block: Vec<u8> =
                (0..BLOCK_BYTES).map(|at| (at.wrapping_mul(number + 7) >> 3) as u8).collect();
            hasher.update(&block);
            send.write_chunk(Bytes::from(block)).await?;
        }
        send.write_all(&hasher.finalize()).await?;
        Ok(send.finish()?)
    }
}
