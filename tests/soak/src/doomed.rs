//! A process with some sessions that ends in no good order: it is killed.

use std::time::Duration;

use anyhow::{Result, bail};
use kwik::Session;
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;

use crate::exchange::{Failure, Kind, Request};
use crate::load::config;

const SESSIONS: u64 = 3;
/// The server keeps these no longer, so that they are gone at the end of the run.
const RESUME_TIMEOUT: Duration = Duration::from_secs(5);

/// Echoes until it is killed, or its standard input ends.
pub(crate) async fn run(url: &str) -> Result<()> {
    let mut sessions = JoinSet::new();
    for seed in 0..SESSIONS {
        let mut config = config();
        config.session.resume_timeout = RESUME_TIMEOUT;
        let session = kwik::dial(url, config).await?;
        sessions.spawn(async move { echo(&session, seed).await });
    }
    let mut stdin = tokio::io::stdin();
    let mut nothing = [0; 1];
    tokio::select! {
        _ = stdin.read(&mut nothing) => Ok(()),
        failed = sessions.join_next() => bail!("a session of the process to be killed failed: {failed:?}"),
    }
}

async fn echo(session: &Session, seed: u64) -> Result<(), Failure> {
    loop {
        Request { kind: Kind::Echo, seed, bytes: 20_000 }.run(session, Duration::ZERO).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
