//! The server that hostile peers attack: it does what careless applications do.
//!
//! A bidirectional stream begins with a byte that says what it is for: `E` echoes, `D` sends without end. Unidirectional
//! streams and datagrams are not read at all. It says where it listens in one line, and ends with its input.
//!
//! ```text
//! hostile-victim [max-sessions=N] [max-memory=BYTES]
//! ```

use kwik::{Identity, RecvStream, SendStream, ServerConfig, Session};
use tokio::io::AsyncReadExt;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut config = ServerConfig::new(Identity::ephemeral()?);
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("max-sessions", most)) => config.max_sessions = most.parse()?,
            Some(("max-memory", most)) => config.max_memory_bytes = most.parse()?,
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let listener = kwik::listen("127.0.0.1:0", config).await?;
    println!("{} {}", listener.local_addrs()[0], listener.urls()[0]);
    let serving = tokio::spawn(async move {
        while let Some(session) = listener.accept().await {
            tokio::spawn(serve(session));
        }
    });
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    serving.abort();
    Ok(())
}

async fn serve(session: Session) {
    while let Ok((send, recv)) = session.accept_bi().await {
        // What comes of it is for the other end to tell.
        tokio::spawn(async move { answer(send, recv).await.ok() });
    }
}

async fn answer(mut send: SendStream, mut recv: RecvStream) -> Result<(), Error> {
    let mut order = [0];
    recv.read_exact(&mut order).await?;
    match order {
        [b'D'] => loop {
            send.write_all(&[0; 65_536]).await?;
        },
        _ => {
            while let Some(chunk) = recv.read_chunk(65_536).await? {
                send.write_chunk(chunk).await?;
            }
            send.finish()?;
            Ok(())
        }
    }
}
