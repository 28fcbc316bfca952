//! A WebTransport server that knows nothing of KWIK, with the application of [`echo`](crate::echo).

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use wtransport::endpoint::IncomingSession;
use wtransport::endpoint::endpoint_side::Server;
use wtransport::{Connection, Endpoint, Identity, RecvStream, SendStream, ServerConfig};

use crate::Error;
use crate::echo::HELLO;

/// Starts it; it runs as long as the program. Returns where it is and the hash of its certificate.
pub(crate) fn listen() -> Result<Value, Error> {
    let identity = Identity::self_signed(["localhost", "127.0.0.1"])?;
    let hash = identity.certificate_chain().as_slice()[0].hash();
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let config = ServerConfig::builder().with_bind_address(address).with_identity(identity).build();
    let endpoint = Endpoint::server(config)?;
    let url = format!("https://{}/", endpoint.local_addr()?);
    tokio::spawn(accept(endpoint));
    Ok(json!({ "url": url, "hash": hash.as_ref() }))
}

async fn accept(endpoint: Endpoint<Server>) {
    loop {
        let incoming = endpoint.accept().await;
        tokio::spawn(async move {
            // One that fails is the page's to see.
            let _ = serve(incoming).await;
        });
    }
}

async fn serve(incoming: IncomingSession) -> Result<(), Error> {
    let session = incoming.await?.accept().await?;
    tokio::try_join!(hello(&session), streams(&session), letters(&session), datagrams(&session))?;
    Ok(())
}

async fn hello(session: &Connection) -> Result<(), Error> {
    let (mut send, recv) = session.open_bi().await?.await?;
    send.write_all(HELLO).await?;
    both_ways(send, recv).await;
    Ok(())
}

async fn streams(session: &Connection) -> Result<(), Error> {
    loop {
        let (send, recv) = session.accept_bi().await?;
        tokio::spawn(both_ways(send, recv));
    }
}

async fn letters(session: &Connection) -> Result<(), Error> {
    loop {
        let recv = session.accept_uni().await?;
        let send = session.open_uni().await?.await?;
        tokio::spawn(both_ways(send, recv));
    }
}

async fn datagrams(session: &Connection) -> Result<(), Error> {
    loop {
        let datagram = session.receive_datagram().await?;
        session.send_datagram(datagram.payload())?;
    }
}

async fn both_ways(mut send: SendStream, mut recv: RecvStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(Some(len)) = recv.read(&mut buffer).await {
        if send.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
    // Nobody is left to be told.
    let _ = send.finish().await;
}
