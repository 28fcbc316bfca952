//! What a stream does, as whoever opened it asked.
//!
//! A stream of the page's begins with a [`Request`] in JSON, which ends with its line. What came of it can be learnt
//! under the request's name, and from the answer of a `sink`:
//!
//! ```text
//! {"name":"mine","echo":{}}                          the bytes come back
//! {"name":"mine","source":{"bytes":1000,"seed":7}}   so many bytes, and then their SHA-256 in 32 bytes
//! {"name":"mine","sink":{}}                          takes all, and answers {"bytes":..,"sha256":".."}
//! {"name":"mine","hold":{}}                          the same, but reads nothing until it is released
//! {"name":"mine","reset":{"code":33,"after":1000}}   so many bytes, and then a reset
//! {"name":"mine","stop":{"code":34}}                 stops reading
//! ```

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kwik::{AppCode, ReadError, RecvStream, SendStream, WriteError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Error;
use crate::ledger::{Entry, Ledger};
use crate::noise::{Noise, Sum};

/// The longest request.
const MAX_REQUEST_BYTES: usize = 1024;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    #[serde(default)]
    name: String,
    #[serde(flatten)]
    act: Act,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    Echo {},
    Source {
        bytes: u64,
        #[serde(default)]
        seed: u64,
    },
    Sink {},
    Hold {},
    Reset {
        code: u64,
        #[serde(default)]
        after: u64,
    },
    Stop {
        code: u64,
    },
}

/// The halves that this end has of a stream.
pub(crate) struct Halves {
    pub(crate) send: Option<SendStream>,
    pub(crate) recv: Option<Incoming>,
}

/// A receiving half whose first line was read.
pub(crate) struct Incoming {
    stream: RecvStream,
    /// What came with the line.
    rest: Bytes,
}

impl Incoming {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, rest: Bytes::new() }
    }

    /// The request that a stream begins with.
    async fn request(&mut self) -> Result<Request, Error> {
        let mut line = BytesMut::new();
        loop {
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                let request = serde_json::from_slice(&line.split_to(end + 1))?;
                self.rest = line.freeze();
                return Ok(request);
            }
            if line.len() > MAX_REQUEST_BYTES {
                return Err("a stream does not begin with a request".into());
            }
            let chunk = self.stream.read_chunk(usize::MAX).await?;
            line.extend_from_slice(&chunk.ok_or("a stream ends before its request does")?);
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        if self.rest.is_empty() {
            return self.stream.read_chunk(usize::MAX).await;
        }
        Ok(Some(std::mem::take(&mut self.rest)))
    }
}

/// Does what the first line of a stream asks for.
pub(crate) async fn serve(ledger: Arc<Ledger>, send: Option<SendStream>, recv: RecvStream) {
    let mut recv = Incoming::new(recv);
    match recv.request().await {
        Ok(request) => perform(&ledger, request, Halves { send, recv: Some(recv) }).await,
        Err(error) => eprintln!("test server: {error}"),
    }
}

/// Does what was asked for, and keeps what came of it.
pub(crate) async fn perform(ledger: &Ledger, request: Request, halves: Halves) {
    let entry = ledger.entry(&request.name);
    let Halves { mut send, mut recv } = halves;
    let outcome = match (request.act, &mut send, &mut recv) {
        (Act::Echo {}, Some(send), Some(recv)) => echo(&entry, send, recv).await,
        (Act::Source { bytes, seed }, Some(send), _) => source(&entry, send, bytes, seed).await,
        (Act::Sink {}, send, Some(recv)) => sink(&entry, send.as_mut(), recv).await,
        (Act::Hold {}, send, Some(recv)) => {
            entry.released().await;
            sink(&entry, send.as_mut(), recv).await
        }
        (Act::Reset { code, after }, Some(send), _) => reset(&entry, send, AppCode(code), after).await,
        (Act::Stop { code }, send, Some(recv)) => stop(&entry, send.as_mut(), recv, AppCode(code)).await,
        (act, ..) => Err(Failure::Other(format!("{act:?} needs a half that this stream does not have"))),
    };
    entry.end(outcome.unwrap_or_else(Failure::into_json));
}

/// Why a stream came to no good end, which may be what the test wants.
enum Failure {
    Reset(AppCode),
    Stopped(AppCode),
    Other(String),
}

impl Failure {
    fn into_json(self) -> Value {
        match self {
            Self::Reset(code) => json!({ "reset": code.0 }),
            Self::Stopped(code) => json!({ "stopped": code.0 }),
            Self::Other(error) => json!({ "error": error }),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset { code, .. } => Self::Reset(code),
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped { code, .. } => Self::Stopped(code),
            error => Self::Other(error.to_string()),
        }
    }
}

type Outcome = Result<Value, Failure>;

async fn write(entry: &Entry, send: &mut SendStream, mut chunk: Bytes) -> Result<(), Failure> {
    while !chunk.is_empty() {
        entry.sent(send.write_some_of(&mut chunk).await?);
    }
    Ok(())
}

async fn echo(entry: &Entry, send: &mut SendStream, recv: &mut Incoming) -> Outcome {
    while let Some(chunk) = recv.chunk().await? {
        entry.received(chunk.len());
        write(entry, send, chunk).await?;
    }
    send.finish()?;
    Ok(entry.progress())
}

async fn source(entry: &Entry, send: &mut SendStream, bytes: u64, seed: u64) -> Outcome {
    let mut sum = Sum::default();
    for piece in Noise::new(bytes, seed) {
        sum.add(&piece);
        write(entry, send, piece).await?;
    }
    send.write_chunk(Bytes::copy_from_slice(&sum.bytes())).await?;
    send.finish()?;
    send.delivered().await?;
    Ok(entry.progress())
}

async fn sink(entry: &Entry, send: Option<&mut SendStream>, recv: &mut Incoming) -> Outcome {
    let mut sum = Sum::default();
    while let Some(chunk) = recv.chunk().await? {
        entry.received(chunk.len());
        sum.add(&chunk);
    }
    let outcome = json!({ "bytes": entry.received_bytes(), "sha256": sum.hex() });
    if let Some(send) = send {
        send.write_chunk(outcome.to_string().into()).await?;
        send.finish()?;
    }
    Ok(outcome)
}

async fn reset(entry: &Entry, send: &mut SendStream, code: AppCode, after: u64) -> Outcome {
    for piece in Noise::new(after, 0) {
        write(entry, send, piece).await?;
    }
    send.reset(code)?;
    Ok(entry.progress())
}

async fn stop(entry: &Entry, send: Option<&mut SendStream>, recv: &mut Incoming, code: AppCode) -> Outcome {
    recv.stream.stop(code)?;
    if let Some(send) = send {
        send.finish()?;
    }
    Ok(entry.progress())
}
