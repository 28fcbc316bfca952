//! One transfer between two namespaces, watched at the end that receives.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use kwik::{AppCode, Config, Identity, Listener, RecvStream, ServerConfig, Session};
use kwik_netem::Direction;
use kwik_netem::link::{Namespace, Topology};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::scenario::{Moves, Scenario};

/// The port of every server, in its own namespace.
const PORT: u16 = 4433;
/// Written at once.
const PIECE_BYTES: usize = 64 * 1024;
/// How long a client may take to hear that the session is over, and to say so to its peer.
const GOODBYE: Duration = Duration::from_secs(2);
/// The first address that the client moves to.
const FIRST_MOVED_HOST: u8 = 3;

/// A transfer that arrived whole.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// In Mbit/s, from the opened session to the last byte.
    pub goodput: f64,
    /// The longest time between two arrivals, the first one counted from the opened session.
    pub longest_stall: Duration,
    /// Paths that one end had to take for dead, at least for a while.
    pub path_failures: u64,
}

/// The bytes of a scenario and their sum.
struct Cargo {
    bytes: Bytes,
    sha256: [u8; 32],
}

impl Cargo {
    fn new(len: usize) -> Self {
        let mut bytes = vec![0; len];
        ChaCha8Rng::seed_from_u64(len as u64).fill_bytes(&mut bytes);
        Self { sha256: Sha256::digest(&bytes).into(), bytes: bytes.into() }
    }
}

/// Plays a scenario in one direction.
///
/// # Errors
///
/// When links cannot be made, and when anything else than the bytes that were sent arrives, or nothing within `limit`.
pub fn play(scenario: &Scenario, direction: Direction, limit: Duration) -> Result<Figures> {
    let net = Topology::create(scenario.paths)?;
    let cargo = Cargo::new(scenario.bytes);
    let (urls, from_server) = oneshot::channel();
    let figures = std::thread::scope(|scope| {
        let server =
            scope.spawn(|| within(net.server(), limit, serve(&net, scenario, direction, &cargo, urls)));
        let client = within(net.client(), limit, visit(&net, scenario, direction, &cargo, from_server));
        let server = server.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (client.context("client"), server.context("server")) {
            // What the one that receives says is the reason; the other's error often only follows from it.
            (Ok(client), Ok(server)) => client.or(server).context("nobody received anything"),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
            (Err(client), Err(server)) => Err(client.context(format!("{server:#}"))),
        }
    })?;
    let impaired = |direction| net.links().iter().map(move |link| link.counters(direction).impaired_packets);
    let impaired: u64 = impaired(Direction::Up).chain(impaired(Direction::Down)).sum();
    ensure!(impaired > 0 || !scenario.is_impaired(), "nothing happened to any packet: this proves nothing");
    Ok(figures)
}

/// Runs one end on a thread inside its namespace.
fn within<T: Send>(
    namespace: &Namespace,
    limit: Duration,
    end: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    namespace.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async { tokio::time::timeout(limit, end).await });
        result.unwrap_or_else(|_| bail!("it has not ended after {} s", limit.as_secs()))
    })?
}

/// The server: one session.
async fn serve(
    net: &Topology,
    scenario: &Scenario,
    direction: Direction,
    cargo: &Cargo,
    urls: oneshot::Sender<Vec<String>>,
) -> Result<Option<Figures>> {
    let addresses: Vec<SocketAddr> =
        (0..).zip(scenario.paths).map(|(k, _)| (net.server_addr(k), PORT).into()).collect();
    let listener = kwik::listen(&addresses[..], ServerConfig::new(Identity::ephemeral()?)).await?;
    urls.send(listener.urls()).ok().context("the client is gone")?;
    let session = accept(&listener).await?;
    let figures = match direction {
        Direction::Up => Some(receive(&session, cargo).await?),
        Direction::Down => send(&session, cargo).await.map(|()| None)?,
    };
    // The client closes: its goodbye shows that it has what it wants.
    session.closed().await;
    Ok(figures)
}

async fn accept(listener: &Listener) -> Result<Session> {
    listener.accept().await.context("there is no session")
}

/// The client: it opens the session over the first path, and adds the others when it can.
async fn visit(
    net: &Topology,
    scenario: &Scenario,
    direction: Direction,
    cargo: &Cargo,
    urls: oneshot::Receiver<Vec<String>>,
) -> Result<Option<Figures>> {
    let urls = urls.await.context("the server is gone")?;
    let (first, others) = urls.split_first().context("the server has no address")?;
    let session = kwik::dial(first, Config::default()).await?;
    let mut joining = JoinSet::new();
    for url in others {
        let (session, url) = (session.clone(), url.clone());
        joining.spawn(async move { session.add_path(&url).await.map(drop) });
    }
    let transfer = async {
        match direction {
            Direction::Up => send(&session, cargo).await.map(|()| None),
            Direction::Down => receive(&session, cargo).await.map(Some),
        }
    };
    let figures = tokio::select! {
        figures = transfer => figures?,
        error = move_about(net, scenario.moves) => return Err(error),
    };
    session.close(AppCode::new(0), b"done");
    // A server that does not hear it finds out by itself.
    let _ = tokio::time::timeout(GOODBYE, session.closed()).await;
    Ok(figures)
}

/// Moves the client as often as it has to be, and then waits for ever.
async fn move_about(net: &Topology, moves: Moves) -> anyhow::Error {
    for turn in 0..moves.times {
        tokio::time::sleep(moves.every).await;
        for k in 0..moves.paths {
            if let Err(error) = net.move_client(k, FIRST_MOVED_HOST + turn) {
                return error.into();
            }
        }
    }
    std::future::pending().await
}

/// Sends everything, and waits until the other end has it.
async fn send(session: &Session, cargo: &Cargo) -> Result<()> {
    let mut stream = session.open_uni().await?;
    for at in (0..cargo.bytes.len()).step_by(PIECE_BYTES) {
        stream.write_chunk(cargo.bytes.slice(at..cargo.bytes.len().min(at + PIECE_BYTES))).await?;
    }
    stream.finish()?;
    // An error is the client's goodbye, or what the end that receives says better.
    let _ = stream.delivered().await;
    Ok(())
}

async fn receive(session: &Session, cargo: &Cargo) -> Result<Figures> {
    let began = Instant::now();
    let mut watch = Watch { last: began, longest: Duration::ZERO };
    let mut stream = session.accept_uni().await?;
    let (len, sha256) = take_in(&mut stream, &mut watch).await?;
    ensure!((len, sha256) == (cargo.bytes.len(), cargo.sha256), "other bytes arrived than were sent");
    let seconds = watch.last.duration_since(began).as_secs_f64();
    Ok(Figures {
        goodput: len as f64 * 8.0 / 1e6 / seconds,
        longest_stall: watch.longest,
        path_failures: session.stats().path_failures,
    })
}

async fn take_in(stream: &mut RecvStream, watch: &mut Watch) -> Result<(usize, [u8; 32])> {
    let mut hasher = Sha256::new();
    let mut len = 0;
    while let Some(chunk) = stream.read_chunk(usize::MAX).await? {
        watch.on_arrival(Instant::now());
        len += chunk.len();
        hasher.update(&chunk);
    }
    Ok((len, hasher.finalize().into()))
}

/// When something last arrived.
struct Watch {
    last: Instant,
    longest: Duration,
}

impl Watch {
    fn on_arrival(&mut self, now: Instant) {
        self.longest = self.longest.max(now.duration_since(self.last));
        self.last = now;
    }
}
