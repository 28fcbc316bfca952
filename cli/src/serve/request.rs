//! One request.

use std::fs::File;
use std::io::{self, Read};

use kwik::{PathId, PathPolicy, SendStream};
use sha2::{Digest as _, Sha256};

use super::session::Client;
use super::{Access, Service};
use crate::blocks::{BlockWriter, Blocks, hash_prefix, receive};
use crate::digest::Digest;
use crate::error::Error;
use crate::protocol::{GAVE_UP, Incoming, Reason, Reply, Request, Trailer, send_line};
use crate::root::{NameError, Root, Upload};

/// Echoed at once.
const ECHO_BYTES: usize = 64 * 1024;

/// Why a request is refused, for the client.
#[derive(Debug)]
struct Refusal {
    reason: Reason,
    message: String,
}

impl Service {
    /// Answers the request of one stream. Errors are for the log: the client has been told.
    pub(super) async fn answer(
        &self,
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
                match self.open(name, offset, prefix_sha256).await {
                    Ok(file) => self.get(client, send, file).await,
                    Err(refusal) => refuse(send, incoming, refusal).await,
                }
            }
            Request::Put { name, size } => match self.create(name.clone()).await {
                Ok(upload) => put(send, incoming, Stored { name, size, upload }).await,
                Err(refusal) => refuse(send, incoming, refusal).await,
            },
            Request::Echo { path } => echo(send, incoming, PathId(path)).await,
            Request::Paths {} => send_line(&mut send, &Reply::Paths { carried: client.carried() }).await,
        }
    }

    async fn open(&self, name: String, offset: u64, prefix: Option<Digest>) -> Result<Opened, Refusal> {
        let root = self.root.clone();
        blocking(move || open(&root, &name, offset, prefix)).await
    }

    async fn get(&self, client: &Client, mut send: SendStream, file: Opened) -> Result<(), Error> {
        let Opened { file, size, offset, hasher } = file;
        send_line(&mut send, &Reply::Sending { size, offset }).await?;
        let blocks = Blocks::read(file, size - offset, hasher);
        send_blocks(&mut send, blocks, || client.observe()).await
    }

    async fn create(&self, name: String) -> Result<Upload, Refusal> {
        if self.access == Access::ReadOnly {
            let message = "this server takes no files: it was started without --writable".to_owned();
            return Err(Refusal { reason: Reason::Forbidden, message });
        }
        let root = self.root.clone();
        blocking(move || root.create(&name)).await
    }
}

/// A file to be sent from `offset` on.
#[derive(Debug)]
struct Opened {
    file: File,
    size: u64,
    offset: u64,
    /// Has had what comes before `offset`.
    hasher: Sha256,
}

/// Opens a file, and goes on at `offset` if what comes before is what the client has.
fn open(root: &Root, name: &str, offset: u64, prefix: Option<Digest>) -> Result<Opened, NameError> {
    let (mut file, size) = root.open(name)?;
    if offset == 0 || offset > size {
        return Ok(Opened { file, size, offset: 0, hasher: Sha256::new() });
    }
    let io_error = |source| NameError::Io { name: name.to_owned(), source };
    let hasher = hash_prefix(&mut file, offset).map_err(io_error)?;
    if prefix == Some(Digest::of(hasher.clone())) {
        return Ok(Opened { file, size, offset, hasher });
    }
    io::Seek::rewind(&mut file).map_err(io_error)?;
    Ok(Opened { file, size, offset: 0, hasher: Sha256::new() })
}

/// Sends the `size` bytes of `source` as the answer to a request for a whole file.
pub(crate) async fn send_file(
    send: &mut SendStream,
    source: impl Read + Send + 'static,
    size: u64,
) -> Result<(), Error> {
    send_line(send, &Reply::Sending { size, offset: 0 }).await?;
    send_blocks(send, Blocks::read(source, size, Sha256::new()), || {}).await
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
#[derive(Debug)]
struct Stored {
    name: String,
    size: u64,
    upload: Upload,
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
            NameError::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Reason::Forbidden,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::NoSpace,
                _ => Reason::Other,
            },
        };
        Self { reason, message: error.to_string() }
    }
}
