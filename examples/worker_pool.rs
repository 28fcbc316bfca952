//! Fifty sessions at once: the threads and buffers that they need, which are bounded, and given back.
//!
//! `cargo run --release --example worker_pool`

use std::error::Error;
use std::time::Duration;

use kwik::{AppCode, Config, Identity, ServerConfig, Session};
use tokio::task::JoinSet;

const SESSIONS: usize = 50;
const BYTES_EACH: usize = 1 << 20;

type BoxError = Box<dyn Error + Send + Sync>;

/// One thread of the runtime, so that the others are easy to count.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let before = threads();
    println!("before:  {}", describe(before));

    let identity = Identity::ephemeral()?;
    let listener = kwik::listen("127.0.0.1:0", ServerConfig::new(identity)).await?;
    let url = listener.urls().swap_remove(0);
    let with_one_listener = threads();
    println!("started: {}", describe(with_one_listener));

    let mut clients = JoinSet::new();
    let mut servers = JoinSet::new();
    for _ in 0..SESSIONS {
        let url = url.clone();
        clients.spawn(async move { echo(kwik::dial(&url, Config::default()).await?).await });
    }
    for _ in 0..SESSIONS {
        servers.spawn(serve(listener.accept().await.ok_or("the listener was closed")?));
    }
    println!("during:  {}", describe(threads()));
    // The promise: the number of threads does not depend on the number of sessions.
    assert_eq!(threads(), with_one_listener);
    while let Some(echoed) = clients.join_next().await {
        echoed??;
    }
    while servers.join_next().await.is_some() {}

    let work = kwik::stats().workers;
    println!(
        "done:    {SESSIONS} sessions by {} workers: {} jobs, {:.1?} of work",
        work.workers, work.executed, work.busy
    );
    let buffers = kwik::stats().buffers;
    println!(
        "buffers: {} used again, {} allocated, {} in use",
        buffers.hits, buffers.misses, buffers.outstanding
    );

    drop(listener);
    everything_is_given_back(before).await
}

/// Sends some bytes and reads them back.
async fn echo(session: Session) -> Result<(), BoxError> {
    let (mut send, mut recv) = session.open_bi().await?;
    let message = vec![42; BYTES_EACH];
    let write = async {
        send.write_all(&message).await?;
        Ok::<_, BoxError>(send.finish()?)
    };
    let read = async { Ok::<_, BoxError>(recv.read_to_end(BYTES_EACH).await?) };
    let ((), answer) = tokio::try_join!(write, read)?;
    session.close(AppCode::new(0), b"done");
    session.closed().await;
    if answer == message { Ok(()) } else { Err("what came back is not what was sent".into()) }
}

async fn serve(session: Session) {
    while let Ok((mut send, mut recv)) = session.accept_bi().await {
        tokio::spawn(async move { tokio::io::copy(&mut recv, &mut send).await });
    }
}

/// The promise: what was started for sessions ends with them.
async fn everything_is_given_back(before: Option<usize>) -> Result<(), BoxError> {
    for _ in 0..100 {
        if threads() == before {
            println!("after:   {}", describe(before));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{} at the end, {} before", describe(threads()), describe(before)).into())
}

/// The threads of this process, where the system tells (Linux).
fn threads() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

fn describe(threads: Option<usize>) -> String {
    threads.map_or("threads not known here".to_owned(), |threads| format!("{threads} threads"))
}
