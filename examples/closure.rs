//! Every way in which a stream or a session ends, and what each end sees of it.
//!
//! `cargo run --example closure` runs a server and a client: the two halves of each situation have the same name. With
//! `-- serve` it is a server only, for clients elsewhere: the same client runs in a web page, where
//! `cargo xtask examples` makes a script of it.

use std::error::Error;

use kwik::{AppCode, Config, OpenError, SendStream, Session, SessionError, SessionEvent, WriteError};

type BoxError = Box<dyn Error + Send + Sync>;

/// What a situation shows.
type Lesson = Result<&'static str, BoxError>;

// ---- the client, natively and in a page or a web worker ----

async fn client(url: &str) -> Result<String, BoxError> {
    let session = kwik::dial(url, Config::default()).await?;
    let mut lessons = vec![
        a_stream_that_is_finished_is_read_to_its_end(&session).await?,
        a_stream_that_is_reset_fails_at_the_reader(&session).await?,
        a_stream_that_is_stopped_fails_at_the_writer(&session).await?,
        a_writer_that_is_dropped_is_finished(&session).await?,
        a_reader_that_is_dropped_is_stopped(&session).await?,
        a_session_that_drains_ends_what_was_begun_and_begins_nothing(&session).await?,
        a_session_that_is_closed_delivers_what_was_written(session).await?,
    ];

    let session = kwik::dial(url, Config::default()).await?;
    lessons.push(a_session_that_is_aborted_ends_at_once(session).await?);

    let session = kwik::dial(url, Config::default()).await?;
    lessons.push(a_session_that_nobody_holds_is_closed(session).await?);
    Ok(lessons.join("\n"))
}

/// A stream to the server on which `first` has been said.
async fn stream(session: &Session) -> Result<SendStream, BoxError> {
    let mut send = session.open_uni().await?;
    send.write_all(b"first").await?;
    Ok(send)
}

async fn a_stream_that_is_finished_is_read_to_its_end(session: &Session) -> Lesson {
    let mut send = stream(session).await?;
    send.write_all(b" and last").await?;
    send.finish()?;
    // Nothing more can be written.
    assert!(matches!(send.write(b"more").await, Err(WriteError::Closed { .. })));
    // It is known to have arrived.
    send.delivered().await?;
    Ok("finish: the reader has everything, and the writer knows")
}

async fn a_stream_that_is_reset_fails_at_the_reader(session: &Session) -> Lesson {
    let mut send = stream(session).await?;
    send.reset(AppCode::new(7))?;
    assert!(matches!(send.write(b"more").await, Err(WriteError::Closed { .. })));
    Ok("reset: the reader gets the code")
}

async fn a_stream_that_is_stopped_fails_at_the_writer(session: &Session) -> Lesson {
    let mut send = stream(session).await?;
    assert_eq!(send.stopped().await?, Some(AppCode::new(8)));
    let failed = send.write(b"more").await;
    assert!(matches!(failed, Err(WriteError::Stopped { code, .. }) if code == AppCode::new(8)), "{failed:?}");
    Ok("stop: the writer gets the code")
}

async fn a_writer_that_is_dropped_is_finished(session: &Session) -> Lesson {
    drop(stream(session).await?);
    Ok("drop: a writer is finished")
}

async fn a_reader_that_is_dropped_is_stopped(session: &Session) -> Lesson {
    let send = stream(session).await?;
    assert_eq!(send.stopped().await?, Some(AppCode::new(0)));
    Ok("drop: a reader is stopped with code 0")
}

async fn a_session_that_drains_ends_what_was_begun_and_begins_nothing(session: &Session) -> Lesson {
    let mut events = session.events();
    let mut send = stream(session).await?;
    while events.next().await != Some(SessionEvent::Draining) {}
    assert!(matches!(session.open_bi().await, Err(OpenError::GoingAway)));
    send.write_all(b" to the end").await?;
    send.finish()?;
    Ok("drain: no new streams at either end, the open ones go on")
}

async fn a_session_that_is_closed_delivers_what_was_written(session: Session) -> Lesson {
    // It is the session of before, which is draining, and can still be closed in good order.
    session.close(AppCode::new(9), b"enough");
    let end = session.closed().await;
    assert_eq!(end, SessionError::LocallyClosed { code: AppCode::new(9), undelivered_bytes: 0 });
    assert_eq!(session.close_reason(), Some(end.clone()));
    assert!(matches!(session.open_bi().await, Err(OpenError::Session(error)) if error == end));
    Ok("close: code and reason at both ends, nothing undelivered")
}

async fn a_session_that_is_aborted_ends_at_once(session: Session) -> Lesson {
    let mut send = stream(&session).await?;
    // The server has begun to read.
    assert_eq!(session.accept_uni().await?.read_to_end(100).await?, b"go on");
    session.abort(AppCode::new(10), b"no more");
    let failed = send.write(b"more").await;
    assert!(
        matches!(
            failed,
            Err(WriteError::Session(SessionError::LocallyClosed { code, .. })) if code == AppCode::new(10)
        ),
        "{failed:?}"
    );
    Ok("abort: at once, and streams that were not finished fail")
}

async fn a_session_that_nobody_holds_is_closed(session: Session) -> Lesson {
    let mut send = stream(&session).await?;
    drop(session);
    // A stream holds its session.
    send.write_all(b" words").await?;
    drop(send);
    Ok("drop: the session ends when neither it nor any of its streams is held")
}

// ---- in a page: `import init, { run } from './closure.js'; await init(); await run(url)` ----

/// Runs the client and returns what there is to print.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub async fn run(url: String) -> Result<String, wasm_bindgen::JsError> {
    client(&url).await.map_err(|error| wasm_bindgen::JsError::new(&error.to_string()))
}

#[cfg(target_arch = "wasm32")]
fn main() {}

// ---- natively: the server ----

#[cfg(not(target_arch = "wasm32"))]
#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let identity = kwik::Identity::ephemeral()?;
    let listener = kwik::listen("127.0.0.1:0", kwik::ServerConfig::new(identity)).await?;
    let url = listener.urls().swap_remove(0);
    if std::env::args().any(|argument| argument == "serve") {
        println!("{url}");
        loop {
            server::run(&listener).await?;
        }
    }
    let (report, ()) = tokio::try_join!(client(&url), server::run(&listener))?;
    println!("{report}");
    Ok(())
}

#[cfg(not(target_arch = "wasm32"))]
mod server {
    use bytes::Bytes;
    use kwik::{AppCode, Listener, OpenError, ReadError, RecvStream, Session, SessionError};

    use super::BoxError;

    type Outcome = Result<(), BoxError>;

    /// Does its part with one client.
    pub(super) async fn run(listener: &Listener) -> Outcome {
        let session = session(listener).await?;
        a_stream_that_is_finished_is_read_to_its_end(&session).await?;
        a_stream_that_is_reset_fails_at_the_reader(&session).await?;
        a_stream_that_is_stopped_fails_at_the_writer(&session).await?;
        a_writer_that_is_dropped_is_finished(&session).await?;
        a_reader_that_is_dropped_is_stopped(&session).await?;
        a_session_that_drains_ends_what_was_begun_and_begins_nothing(&session).await?;
        a_session_that_is_closed_delivers_what_was_written(session).await;

        a_session_that_is_aborted_ends_at_once(self::session(listener).await?).await?;
        a_session_that_nobody_holds_is_closed(self::session(listener).await?).await
    }

    async fn session(listener: &Listener) -> Result<Session, BoxError> {
        Ok(listener.accept().await.ok_or("the listener was closed")?)
    }

    /// A stream of the client's, and `first` read from it.
    async fn stream(session: &Session) -> Result<RecvStream, BoxError> {
        let mut recv = session.accept_uni().await?;
        let mut first = [0; 5];
        recv.read_exact(&mut first).await?;
        assert_eq!(&first, b"first");
        Ok(recv)
    }

    async fn a_stream_that_is_finished_is_read_to_its_end(session: &Session) -> Outcome {
        let mut recv = stream(session).await?;
        assert_eq!(recv.read_to_end(100).await?, b" and last");
        assert_eq!(recv.read_chunk(100).await?, None);
        Ok(())
    }

    async fn a_stream_that_is_reset_fails_at_the_reader(session: &Session) -> Outcome {
        let mut recv = session.accept_uni().await?;
        // What was written before may arrive, or not.
        let failed = recv.read_to_end(100).await;
        let Err(kwik::ReadToEndError::Read(failed)) = failed else { panic!("{failed:?}") };
        assert!(matches!(failed, ReadError::Reset { code, .. } if code == AppCode::new(7)), "{failed:?}");
        Ok(())
    }

    async fn a_stream_that_is_stopped_fails_at_the_writer(session: &Session) -> Outcome {
        let mut recv = stream(session).await?;
        recv.stop(AppCode::new(8))?;
        assert!(matches!(recv.read_chunk(100).await, Err(ReadError::Closed { .. })));
        Ok(())
    }

    async fn a_writer_that_is_dropped_is_finished(session: &Session) -> Outcome {
        let mut recv = stream(session).await?;
        assert_eq!(recv.read_chunk(100).await?, None);
        Ok(())
    }

    async fn a_reader_that_is_dropped_is_stopped(session: &Session) -> Outcome {
        drop(stream(session).await?);
        Ok(())
    }

    async fn a_session_that_drains_ends_what_was_begun_and_begins_nothing(session: &Session) -> Outcome {
        let mut recv = stream(session).await?;
        session.drain();
        assert!(matches!(session.open_bi().await, Err(OpenError::GoingAway)));
        assert_eq!(recv.read_to_end(100).await?, b" to the end");
        Ok(())
    }

    async fn a_session_that_is_closed_delivers_what_was_written(session: Session) {
        let end = session.closed().await;
        let reason = Bytes::from_static(b"enough");
        assert_eq!(end, SessionError::ClosedByPeer { code: AppCode::new(9), reason });
    }

    async fn a_session_that_is_aborted_ends_at_once(session: Session) -> Outcome {
        let mut recv = stream(&session).await?;
        let mut send = session.open_uni().await?;
        send.write_all(b"go on").await?;
        send.finish()?;
        // The client's stream was not finished: it fails, rather than ends.
        let failed = recv.read_chunk(100).await;
        assert!(
            matches!(
                failed,
                Err(ReadError::Session(SessionError::ClosedByPeer { code, .. })) if code == AppCode::new(10)
            ),
            "{failed:?}"
        );
        Ok(())
    }

    async fn a_session_that_nobody_holds_is_closed(session: Session) -> Outcome {
        let mut recv = stream(&session).await?;
        assert_eq!(recv.read_to_end(100).await?, b" words");
        let end = session.closed().await;
        assert!(matches!(end, SessionError::ClosedByPeer { code, .. } if code == AppCode::new(0)), "{end:?}");
        Ok(())
    }
}
