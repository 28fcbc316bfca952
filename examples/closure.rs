//! Every way in which a stream or a session ends, and what each end sees of it.
//!
//! `cargo run --example closure`

use std::error::Error;

use bytes::Bytes;
use kwik::{
    AppCode, Config, Identity, Listener, OpenError, ReadError, RecvStream, SendStream, ServerConfig, Session,
    SessionError, SessionEvent, WriteError,
};

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let identity = Identity::ephemeral()?;
    let listener = kwik::listen("127.0.0.1:0", ServerConfig::new(identity)).await?;

    let (client, server) = session(&listener).await?;
    a_stream_that_is_finished_is_read_to_its_end(&client, &server).await?;
    a_stream_that_is_reset_fails_at_the_reader(&client, &server).await?;
    a_stream_that_is_stopped_fails_at_the_writer(&client, &server).await?;
    a_stream_that_is_dropped_is_finished_or_stopped(&client, &server).await?;
    a_session_that_drains_ends_what_was_begun_and_begins_nothing(&client, &server).await?;
    a_session_that_is_closed_delivers_what_was_written(client, server).await?;

    let (client, server) = session(&listener).await?;
    a_session_that_is_aborted_ends_at_once(client, server).await?;

    let (client, server) = session(&listener).await?;
    a_session_that_nobody_holds_is_closed(client, server).await?;

    Ok(())
}

/// Both ends of a new session.
async fn session(listener: &Listener) -> Result<(Session, Session), Box<dyn Error>> {
    let url = listener.urls().swap_remove(0);
    let (client, server) = tokio::join!(kwik::dial(&url, Config::default()), listener.accept());
    Ok((client?, server.ok_or("the listener was closed")?))
}

/// A stream from client to server on which `first` has been said.
async fn stream(client: &Session, server: &Session) -> Result<(SendStream, RecvStream), Box<dyn Error>> {
    let mut send = client.open_uni().await?;
    send.write_all(b"first").await?;
    let mut recv = server.accept_uni().await?;
    let mut first = [0; 5];
    recv.read_exact(&mut first).await?;
    assert_eq!(&first, b"first");
    Ok((send, recv))
}

async fn a_stream_that_is_finished_is_read_to_its_end(client: &Session, server: &Session) -> Outcome {
    let (mut send, mut recv) = stream(client, server).await?;
    send.write_all(b" and last").await?;
    send.finish()?;
    // The writer: nothing more can be written.
    assert!(matches!(send.write(b"more").await, Err(WriteError::Closed { .. })));
    // The reader: all of it, and then the end.
    assert_eq!(recv.read_to_end(100).await?, b" and last");
    assert_eq!(recv.read_chunk(100).await?, None);
    // The writer: it is known to have arrived.
    send.delivered().await?;
    println!("finish: the reader has everything, and the writer knows");
    Ok(())
}

async fn a_stream_that_is_reset_fails_at_the_reader(client: &Session, server: &Session) -> Outcome {
    let (mut send, mut recv) = stream(client, server).await?;
    send.reset(AppCode(7))?;
    assert!(matches!(send.write(b"more").await, Err(WriteError::Closed { .. })));
    let failed = recv.read_chunk(100).await;
    assert!(matches!(failed, Err(ReadError::Reset { code: AppCode(7), .. })), "{failed:?}");
    println!("reset: the reader gets the code");
    Ok(())
}

async fn a_stream_that_is_stopped_fails_at_the_writer(client: &Session, server: &Session) -> Outcome {
    let (mut send, mut recv) = stream(client, server).await?;
    recv.stop(AppCode(8))?;
    assert!(matches!(recv.read_chunk(100).await, Err(ReadError::Closed { .. })));
    assert_eq!(send.stopped().await?, Some(AppCode(8)));
    let failed = send.write(b"more").await;
    assert!(matches!(failed, Err(WriteError::Stopped { code: AppCode(8), .. })), "{failed:?}");
    println!("stop: the writer gets the code");
    Ok(())
}

async fn a_stream_that_is_dropped_is_finished_or_stopped(client: &Session, server: &Session) -> Outcome {
    let (send, mut recv) = stream(client, server).await?;
    drop(send);
    assert_eq!(recv.read_chunk(100).await?, None);
    let (send, recv) = stream(client, server).await?;
    drop(recv);
    assert_eq!(send.stopped().await?, Some(AppCode(0)));
    println!("drop: a writer is finished, a reader is stopped with code 0");
    Ok(())
}

async fn a_session_that_drains_ends_what_was_begun_and_begins_nothing(
    client: &Session,
    server: &Session,
) -> Outcome {
    // In a session of its own: draining cannot be taken back.
    let (mut send, mut recv) = stream(client, server).await?;
    let mut events = client.events();
    server.drain();
    while events.next().await != Some(SessionEvent::Draining) {}
    assert!(matches!(client.open_bi().await, Err(OpenError::GoingAway)));
    assert!(matches!(server.open_bi().await, Err(OpenError::GoingAway)));
    send.write_all(b" to the end").await?;
    send.finish()?;
    assert_eq!(recv.read_to_end(100).await?, b" to the end");
    println!("drain: no new streams at either end, the open ones go on");
    Ok(())
}

async fn a_session_that_is_closed_delivers_what_was_written(client: Session, server: Session) -> Outcome {
    // The session of before is draining, and can still be closed in good order. What both ends see:
    client.close(AppCode(9), b"enough");
    let end = server.closed().await;
    assert_eq!(end, SessionError::ClosedByPeer { code: AppCode(9), reason: Bytes::from_static(b"enough") });
    let end = client.closed().await;
    assert_eq!(end, SessionError::LocallyClosed { code: AppCode(9), undelivered_bytes: 0 });
    assert_eq!(client.close_reason(), Some(end.clone()));
    assert!(matches!(client.open_bi().await, Err(OpenError::Session(error)) if error == end));
    println!("close: code and reason at both ends, nothing undelivered");
    Ok(())
}

async fn a_session_that_is_aborted_ends_at_once(client: Session, server: Session) -> Outcome {
    let (mut send, mut recv) = stream(&client, &server).await?;
    client.abort(AppCode(10), b"no more");
    let failed = send.write(b"more").await;
    assert!(
        matches!(failed, Err(WriteError::Session(SessionError::LocallyClosed { code: AppCode(10), .. }))),
        "{failed:?}"
    );
    // The reader's stream was not finished: it fails, rather than ends.
    let failed = recv.read_chunk(100).await;
    assert!(
        matches!(failed, Err(ReadError::Session(SessionError::ClosedByPeer { code: AppCode(10), .. }))),
        "{failed:?}"
    );
    println!("abort: at once, and streams that were not finished fail");
    Ok(())
}

async fn a_session_that_nobody_holds_is_closed(client: Session, server: Session) -> Outcome {
    let (mut send, mut recv) = stream(&client, &server).await?;
    send.write_all(b" words").await?;
    drop(client);
    // A stream holds its session.
    send.finish()?;
    assert_eq!(recv.read_to_end(100).await?, b" words");
    drop(send);
    let end = server.closed().await;
    assert!(matches!(end, SessionError::ClosedByPeer { code: AppCode(0), .. }), "{end:?}");
    println!("drop: the session ends when neither it nor any of its streams is held");
    Ok(())
}
