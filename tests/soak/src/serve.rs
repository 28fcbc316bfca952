//! The server's process: it answers, checks what it gets, and ends when its standard input does.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kwik::{Identity, Listener, ServerConfig, Session};
use tokio::io::AsyncReadExt as _;

use crate::counts::COUNTS;
use crate::exchange::{Failure, answer};
use crate::message::{End, Message, print_samples};

/// Every client has gone when the server is asked to end, those that were killed within their `resume_timeout`.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn run(sockets: usize) -> Result<()> {
    let addresses = vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0)); sockets];
    let config = ServerConfig::new(Identity::ephemeral().context("no certificate could be made")?);
    let listener = kwik::listen(&addresses[..], config).await?;
    Message::Listening { urls: listener.urls() }.print()?;
    let mut stdin = tokio::io::stdin();
    let mut nothing = [0; 1];
    tokio::select! {
        () = accept(&listener) => {}
        result = print_samples() => result?,
        _ = stdin.read(&mut nothing) => {}
    }
    listener.drain();
    if tokio::time::timeout(IDLE_LIMIT, listener.idle()).await.is_err() {
        COUNTS.violation(format!("{} sessions are left after their clients' end", listener.sessions()));
    }
    Message::End(End::now()).print()
}

async fn accept(listener: &Listener) {
    while let Some(session) = listener.accept().await {
        COUNTS.event("sessions accepted");
        tokio::spawn(echo_datagrams(session.clone()));
        tokio::spawn(serve(session));
    }
}

async fn serve(session: Session) {
    while let Ok((send, recv)) = session.accept_bi().await {
        tokio::spawn(async move {
            match answer(send, recv).await {
                Ok(()) => COUNTS.event("streams answered"),
                // The client knows whether it may; here it is as with any server.
                Err(Failure::Broken(_)) => COUNTS.event("streams broken off"),
                Err(Failure::Damaged(text)) => COUNTS.violation(text),
            }
        });
    }
}

async fn echo_datagrams(session: Session) {
    while let Ok(datagram) = session.recv_datagram().await {
        // One that does not fit any more, as the paths are now, is lost like any other.
        let _ = session.send_datagram(datagram);
    }
}
