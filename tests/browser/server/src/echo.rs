//! An application that sends back whatever comes, and says hello: the same as [`raw`](crate::raw) over plain
//! WebTransport.

use kwik::{RecvStream, SendStream, Session};

use crate::Error;

/// Begins the stream that every session is given.
pub(crate) const HELLO: &[u8] = b"hello";

/// Serves a session to its end.
pub(crate) async fn serve(session: Session) {
    // Whichever ends first, the session is over.
    let _ = tokio::try_join!(hello(&session), streams(&session), letters(&session), datagrams(&session));
}

async fn hello(session: &Session) -> Result<(), Error> {
    let (mut send, recv) = session.open_bi().await?;
    send.write_all(HELLO).await?;
    both_ways(send, recv).await;
    Ok(())
}

async fn streams(session: &Session) -> Result<(), Error> {
    loop {
        let (send, recv) = session.accept_bi().await?;
        tokio::spawn(both_ways(send, recv));
    }
}

/// A unidirectional stream comes back on another one.
async fn letters(session: &Session) -> Result<(), Error> {
    loop {
        let recv = session.accept_uni().await?;
        let send = session.open_uni().await?;
        tokio::spawn(both_ways(send, recv));
    }
}

async fn datagrams(session: &Session) -> Result<(), Error> {
    loop {
        let datagram = session.recv_datagram().await?;
        // It may be lost like any other.
        let _ = session.send_datagram(datagram);
    }
}

async fn both_ways(mut send: SendStream, mut recv: RecvStream) {
    while let Ok(Some(chunk)) = recv.read_chunk(usize::MAX).await {
        if send.write_chunk(chunk).await.is_err() {
            return;
        }
    }
    // Nobody is left to be told.
    let _ = send.finish();
}
