//! One request.

use std::io::{self, Read};
use std::sync::Arc;

use kwik::{PathId, PathPolicy, SendStream};
use sha2::{Digest as _, Sha256};

use super::client::Client;
use super::store::{Source, Store, Upload};
use crate::blocks::{BlockWriter, Blocks, hash_prefix, receive};
use crate::digest::Digest;
use crate::error::Error;
use crate::messages::{Incoming, send_line};
use crate::protocol::{GAVE_UP, Reason, Reply, Request, Trailer};
use crate::root::NameError;

/// Echoed at once.
const ECHO_BYTES: usize = 64 * 1024;

/// Why a request is refused, for the client.
#[derive(Debug)]
struct Refusal {
    reason: Reason,
    message: String,
}

/// Answers the request of one stream. Errors are for the log: the client has been told.
pub(super) async fn answer(
    store: &Arc<dyn Store>,
    client: &Client,
    mut send: SendStream,
    mut incoming: Incoming,
) -> Result<(), Error> {
    let request = match incoming.request().await {
        Err(Error::Protocol(error)) => {
            let refusal = Refusal { reason: Reason::BadRequest, message: error.to_string() };
            return refuse(send, incoming, refusal).await;
        }
        request => request?,
    };
    tracing::debug!(session = %client.session.id(), ?request, "request");
    match request {
        Request::Get { name, offset, prefix_sha256 } => {
            let store = Arc::clone(store);
            match blocking(move || open(&*store, &name, offset, prefix_sha256)).await {
                Ok(file) => get(client, send, file).await,
                Err(refusal) => refuse(send, incoming, refusal).await,
            }
        }
        Request::Put { name, size } => {
            let (store, named) = (Arc::clone(store), name.clone());
            match blocking(move || store.create(&named)).await {
                Ok(upload) => put(send, incoming, Stored { name, size, upload }).await,
                Err(refusal) => refuse(send, incoming, refusal).await,
            }
        }
        Request::Echo { path } => echo(send, incoming, PathId(path)).await,
        Request::Paths {} => send_line(&mut send, &Reply::Paths { carried: client.carried() }).await,
    }
}

/// A file to be sent from `offset` on.
struct Opened {
    /// What comes from `offset` on.
    rest: Box<dyn Read + Send>,
    size: u64,
    offset: u64,
    /// Has had what comes before `offset`.
    hasher: Sha256,
}

/// Opens a file, and goes on at `offset` if what comes before is what the client has.
fn open(store: &dyn Store, name: &str, offset: u64, prefix: Option<Digest>) -> Result<Opened, NameError> {
    let Source { mut contents, mut bytes } = store.open(name)?;
    if 0 < offset && offset <= bytes {
        let hasher = hash_prefix(&mut contents, offset)
            .map_err(|source| NameError::Io { name: name.to_owned(), source })?;
        if prefix == Some(Digest::of(hasher.clone())) {
            return Ok(Opened { rest: contents, size: bytes, offset, hasher });
        }
        Source { contents, bytes } = store.open(name)?;
    }
    Ok(Opened { rest: contents, size: bytes, offset: 0, hasher: Sha256::new() })
}

async fn get(client: &Client, mut send: SendStream, file: Opened) -> Result<(), Error> {
    let Opened { rest, size, offset, hasher } = file;
    send_line(&mut send, &Reply::Sending { size, offset }).await?;
    send_blocks(&mut send, Blocks::read(rest, size - offset, hasher), || client.observe()).await
}

/// Sends bytes and what they are.
async fn send_blocks(send: &mut SendStream, mut blocks: Blocks, sent: impl Fn()) -> Result<(), Error> {
    while let Some(block) = blocks.next().await {
        send.write_chunk(block).await?;
        sent();
    }
    match blocks.digest().await {
        Ok(sha256) => {
            send_line(send, &Trailer::Sent { sha256 }).await?;
            Ok(send.finish()?)
        }
        Err(error) => {
            send.reset(GAVE_UP)?;
            Err(error.into())
        }
    }
}

/// A file on its way in, with what was said about it.
struct Stored {
    name: String,
    size: u64,
    upload: Box<dyn Upload>,
}

async fn put(mut send: SendStream, mut incoming: Incoming, file: Stored) -> Result<(), Error> {
    send_line(&mut send, &Reply::Ready {}).await?;
    match take(&mut incoming, file).await {
        Ok(sha256) => {
            send_line(&mut send, &Reply::Stored { sha256 }).await?;
            Ok(send.finish()?)
        }
        Err(TakeError::Refusal(refusal)) => refuse(send, incoming, refusal).await,
        Err(TakeError::Stream(error)) => Err(error),
    }
}

enum TakeError {
    /// The client wants to know.
    Refusal(Refusal),
    /// There is no client any more.
    Stream(Error),
}

/// Takes a file in; it has its name when this succeeds, and leaves nothing otherwise.
async fn take(incoming: &mut Incoming, file: Stored) -> Result<Digest, TakeError> {
    let Stored { name, size, upload } = file;
    let failed = |source| {
        let error = NameError::Io { name: name.clone(), source };
        TakeError::Refusal(error.into())
    };
    let mut writer = BlockWriter::new(upload, Sha256::new());
    receive(incoming, size, &mut writer, |_, _| {}).await.map_err(TakeError::Stream)?;
    let (upload, arrived) = writer.finish().await.map_err(failed)?;
    let stated = incoming.trailer().await.map_err(TakeError::Stream)?;
    if arrived != stated {
        let message = format!("{name:?} has arrived damaged: its SHA-256 is {arrived}, not {stated}");
        return Err(TakeError::Refusal(Refusal { reason: Reason::Mismatch, message }));
    }
    let named = name.clone();
    let keep = move || upload.keep().map_err(|source| NameError::Io { name: named, source });
    blocking(keep).await.map_err(TakeError::Refusal)?;
    Ok(arrived)
}

async fn echo(mut send: SendStream, mut incoming: Incoming, path: PathId) -> Result<(), Error> {
    send.set_policy(PathPolicy::Pin(path));
    while let Some(chunk) = incoming.chunk(ECHO_BYTES).await? {
        send.write_chunk(chunk).await?;
    }
    Ok(send.finish()?)
}

async fn refuse(mut send: SendStream, mut incoming: Incoming, refusal: Refusal) -> Result<(), Error> {
    let Refusal { reason, message } = refusal;
    send_line(&mut send, &Reply::Failed { reason, message: message.clone() }).await?;
    send.finish()?;
    incoming.stop();
    Err(Error::Refused { reason, message })
}

/// Does what may block where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NameError> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Refusal::from),
        Err(_) => Err(Refusal { reason: Reason::Other, message: "the server failed".to_owned() }),
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        let reason = match &error {
            NameError::BadName(_) => Reason::BadName,
            NameError::NotFound(_) => Reason::NotFound,
            NameError::ReadOnly => Reason::Forbidden,
            NameError::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Reason::Forbidden,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::NoSpace,
                _ => Reason::Other,
            },
        };
        Self { reason, message: error.to_string() }
    }
}
