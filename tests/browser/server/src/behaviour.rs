//! The behaviours of streams, each asked for by a request in the stream's first line.
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
use crate::random_bytes::{RandomBytes, Sum};
use crate::stream_records::{StreamRecord, StreamRecords};

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
        code: u32,
        #[serde(default)]
        after: u64,
    },
    Stop {
        code: u32,
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
pub(crate) async fn serve(records: Arc<StreamRecords>, send: Option<SendStream>, recv: RecvStream) {
    let mut recv = Incoming::new(recv);
    match recv.request().await {
        Ok(request) => perform(&records, request, Halves { send, recv: Some(recv) }).await,
        Err(error) => eprintln!("test server: {error}"),
    }
}

/// Carries out a request, and records the outcome.
pub(crate) async fn perform(records: &StreamRecords, request: Request, halves: Halves) {
    let record = records.record(&request.name);
    let Halves { mut send, mut recv } = halves;
    let outcome = match (request.act, &mut send, &mut recv) {
        (Act::Echo {}, Some(send), Some(recv)) => echo(&record, send, recv).await,
        (Act::Source { bytes, seed }, Some(send), _) => source(&record, send, bytes, seed).await,
        (Act::Sink {}, send, Some(recv)) => sink(&record, send.as_mut(), recv).await,
        (Act::Hold {}, send, Some(recv)) => {
            record.released().await;
            sink(&record, send.as_mut(), recv).await
        }
        (Act::Reset { code, after }, Some(send), _) => reset(&record, send, code.into(), after).await,
        (Act::Stop { code }, send, Some(recv)) => stop(&record, send.as_mut(), recv, code.into()).await,
        (act, ..) => Err(Failure::Other(format!("{act:?} needs a half that this stream does not have"))),
    };
    record.end(outcome.unwrap_or_else(Failure::into_json));
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
            Self::Reset(code) => json!({ "reset": code.as_u64() }),
            Self::Stopped(code) => json!({ "stopped": code.as_u64() }),
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

async fn write(record: &StreamRecord, send: &mut SendStream, mut chunk: Bytes) -> Result<(), Failure> {
    while !chunk.is_empty() {
        record.sent(send.write_some_of(&mut chunk).await?);
    }
    Ok(())
}

async fn echo(record: &StreamRecord, send: &mut SendStream, recv: &mut Incoming) -> Outcome {
    while let Some(chunk) = recv.chunk().await? {
        record.received(chunk.len());
        write(record, send, chunk).await?;
    }
    send.finish()?;
    Ok(record.progress())
}

async fn source(record: &StreamRecord, send: &mut SendStream, bytes: u64, seed: u64) -> Outcome {
    let mut sum = Sum::default();
    for piece in RandomBytes::new(bytes, seed) {
        sum.add(&piece);
        write(record, send, piece).await?;
    }
    send.write_chunk(Bytes::copy_from_slice(&sum.bytes())).await?;
    send.finish()?;
    send.delivered().await?;
    Ok(record.progress())
}

async fn sink(record: &StreamRecord, send: Option<&mut SendStream>, recv: &mut Incoming) -> Outcome {
    let mut sum = Sum::default();
    while let Some(chunk) = recv.chunk().await? {
        record.received(chunk.len());
        sum.add(&chunk);
    }
    let outcome = json!({ "bytes": record.received_bytes(), "sha256": sum.hex() });
    if let Some(send) = send {
        send.write_chunk(outcome.to_string().into()).await?;
        send.finish()?;
    }
    Ok(outcome)
}

async fn reset(record: &StreamRecord, send: &mut SendStream, code: AppCode, after: u64) -> Outcome {
    for piece in RandomBytes::new(after, 0) {
        write(record, send, piece).await?;
    }
    send.reset(code)?;
    Ok(record.progress())
}

async fn stop(
    record: &StreamRecord,
    send: Option<&mut SendStream>,
    recv: &mut Incoming,
    code: AppCode,
) -> Outcome {
    recv.stream.stop(code)?;
    if let Some(send) = send {
        send.finish()?;
    }
    Ok(record.progress())
}
