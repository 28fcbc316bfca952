//! The clients' process: sessions of mixed traffic, some of them busy, faults among them, and fresh dials beside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use kwik::{AppCode, Config, Session, SessionError};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::counts::COUNTS;
use crate::exchange::{Failure, Kind, Request};
use crate::fault::{Fault, Targets};
use crate::member::{Member, Traffic};
use crate::message::{End, Message, print_samples};

/// No faults in the last seconds, so that everything can come to its end.
pub(crate) const QUIET_END: Duration = Duration::from_secs(8);
/// Whatever takes longer hangs. All paths of a session may be silent for 6 s, several times, and the machine be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than connections take to be gone after they were closed.
const DRAINING: Duration = Duration::from_secs(5);
/// Tasks that dial, and what each waits between two dials.
const DIALLERS: u64 = 4;
const DIAL_PAUSE: Duration = Duration::from_millis(100);
const FRESH_GET_BYTES: u64 = 1_000;

/// What the clients' process is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(crate) seed: u64,
    #[arg(long)]
    pub(crate) seconds: u64,
    #[arg(long)]
    pub(crate) sessions: usize,
    /// Two addresses of the server without anything between, joined by a comma.
    #[arg(long)]
    pub(crate) direct: String,
    /// Two addresses of the server through a network that fails at times.
    #[arg(long)]
    pub(crate) network: Vec<String>,
}

pub(crate) async fn run(args: &Args) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let direct = two(&args.direct);
    let networks: Vec<_> = args.network.iter().map(|urls| two(urls)).collect();
    let members: Vec<_> = (0..args.sessions)
        .map(|index| {
            let traffic = Traffic::of(index);
            // The busy ones are as busy as the machine allows.
            let through = if traffic.is_busy() { &direct } else { &networks[index % networks.len()] };
            Arc::new(Member::new(index, args.seed, traffic, through.clone(), direct.clone()))
        })
        .collect();
    let sampling = tokio::spawn(print_samples());
    let mut tasks: Vec<_> = members.iter().map(|member| tokio::spawn(Arc::clone(member).live(end))).collect();
    let number = Arc::new(AtomicU64::new(0));
    for _ in 0..DIALLERS {
        tasks.push(tokio::spawn(keep_dialling(direct[0].clone(), args.seed, Arc::clone(&number), end)));
    }
    let targets = Targets { sessions: args.sessions, networks: networks.len() };
    let mut faults = tokio::task::JoinSet::new();
    for second in 1..args.seconds.saturating_sub(QUIET_END.as_secs()) {
        sleep_until(end - Duration::from_secs(args.seconds - second)).await;
        faults.spawn(happen(Fault::at(args.seed, second, targets), second, members.clone()));
    }
    for task in tasks {
        task.await?;
    }
    faults.join_all().await;
    sampling.abort();
    drop(members);
    // A connection that was closed drains for three probe timeouts, with all that it holds.
    sleep(DRAINING).await;
    Message::End(End::now()).print()
}

fn two(urls: &str) -> [String; 2] {
    let (first, second) = urls.split_once(',').unwrap_or((urls, urls));
    [first.to_owned(), second.to_owned()]
}

/// Does what of a fault is the clients' part. The networks are in other hands.
async fn happen(fault: Fault, second: u64, members: Vec<Arc<Member>>) {
    let request = |kind, bytes| Request { kind, seed: second << 32, bytes };
    match fault {
        Fault::PathCut { .. } | Fault::Outage { .. } | Fault::ProcessKilled => return,
        Fault::PathAdded { session, lasting } => members[session].add_path_for(lasting).await,
        Fault::PathRemoved { session, lasting } => members[session].remove_path_for(lasting).await,
        Fault::SessionAborted { session } => members[session].abort(),
        Fault::StreamGivenUp { session, kind } => {
            let what = |session: Session| async move { request(kind, 8 << 20).give_up(&session).await };
            members[session].beside(what).await;
        }
        Fault::SlowReader { session } => {
            let pause = Duration::from_millis(50);
            let what =
                |session: Session| async move { request(Kind::Get, 4 << 20).run(&session, pause).await };
            members[session].beside(what).await;
        }
    }
    COUNTS.event(fault.name());
}

/// The defaults, with more patience: on a machine that does a lot else a dial may take long, and one that is lost does
/// not come in 30 s either.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.session.handshake_timeout = Duration::from_secs(30);
    config
}

/// Fresh sessions, one after another: each has to open, to get what it asks for, and to close.
async fn keep_dialling(url: String, seed: u64, number: Arc<AtomicU64>, end: Instant) {
    while Instant::now() < end {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let seed = seed ^ number << 16;
        let since = Instant::now();
        match timeout(PATIENCE, dial_and_get(&url, seed)).await {
            Ok(Ok(())) => COUNTS.dialled(since.elapsed()),
            Ok(Err(Failure::Broken(text) | Failure::Damaged(text))) => {
                COUNTS.violation(format!("fresh dial {number} is lost after {:?}: {text}", since.elapsed()));
            }
            Err(_) => COUNTS.violation(format!("fresh dial {number} hangs")),
        }
        sleep(DIAL_PAUSE).await;
    }
}

async fn dial_and_get(url: &str, seed: u64) -> Result<(), Failure> {
    let session = kwik::dial(url, config()).await?;
    Request { kind: Kind::Get, seed, bytes: FRESH_GET_BYTES }.run(&session, Duration::ZERO).await?;
    close(&session).await
}

/// Closes a session, which has to end with everything delivered.
pub(crate) async fn close(session: &Session) -> Result<(), Failure> {
    session.close(AppCode::new(0), b"");
    match session.closed().await {
        SessionError::LocallyClosed { undelivered_bytes: 0, .. } => Ok(()),
        other => Err(Failure::Broken(format!("closed, and {other}"))),
    }
}
