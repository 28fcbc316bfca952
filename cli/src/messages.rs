//! Messages of the [file protocol](crate::protocol) on streams: how they are sent and read.

use bytes::{Bytes, BytesMut};
use kwik::{RecvStream, SendStream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::Digest;
use crate::error::Error;
use crate::protocol::{GAVE_UP, MAX_LINE_BYTES, ProtocolError, Reply, Request, Trailer, line};

/// Sends the first line of a stream.
pub(crate) async fn send_request(send: &mut SendStream, request: &Request) -> Result<(), Error> {
    Ok(send.write_chunk(request.line()?).await?)
}

/// Sends any other line.
pub(crate) async fn send_line(send: &mut SendStream, message: &impl Serialize) -> Result<(), Error> {
    Ok(send.write_chunk(line(message)?).await?)
}

/// Cuts a line off the front of what arrives.
#[derive(Debug, Default)]
struct LineCutter {
    held: BytesMut,
}

impl LineCutter {
    /// Takes more bytes; returns the line without its newline, and what follows it, once it is complete.
    fn push(&mut self, mut chunk: Bytes) -> Result<Option<(BytesMut, Bytes)>, ProtocolError> {
        let newline = chunk.iter().position(|&byte| byte == b'\n');
        let part_bytes = newline.map_or(chunk.len(), |at| at + 1);
        if self.held.len() + part_bytes > MAX_LINE_BYTES {
            return Err(ProtocolError::LineTooLong);
        }
        self.held.extend_from_slice(&chunk.split_to(part_bytes));
        if newline.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.held);
        line.truncate(line.len().saturating_sub(1));
        Ok(Some((line, chunk)))
    }
}

/// The receiving half of a stream with lines and bytes in it.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: RecvStream,
    /// What arrived together with a line, behind it.
    rest: Bytes,
}

impl Incoming {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, rest: Bytes::new() }
    }

    /// The next bytes, at most `max_bytes`; `None` at the end of the stream. Cancel safe.
    pub(crate) async fn chunk(&mut self, max_bytes: usize) -> Result<Option<Bytes>, Error> {
        if self.rest.is_empty() {
            return Ok(self.stream.read_chunk(max_bytes).await?);
        }
        Ok(Some(self.rest.split_to(max_bytes.min(self.rest.len()))))
    }

    /// The request that begins the stream.
    pub(crate) async fn request(&mut self) -> Result<Request, Error> {
        Ok(Request::parse(&self.line().await?)?)
    }

    /// The server's next message, unless it is a failure.
    pub(crate) async fn reply(&mut self) -> Result<Reply, Error> {
        match self.message().await? {
            Reply::Failed { reason, message } => Err(Error::Refused { reason, message }),
            reply => Ok(reply),
        }
    }

    /// The line behind the bytes.
    pub(crate) async fn trailer(&mut self) -> Result<Digest, Error> {
        let Trailer::Sent { sha256 } = self.message().await?;
        Ok(sha256)
    }

    async fn message<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        let line = self.line().await?;
        Ok(serde_json::from_slice(&line).map_err(ProtocolError::from)?)
    }

    async fn line(&mut self) -> Result<BytesMut, Error> {
        let mut cutter = LineCutter::default();
        loop {
            let chunk = self.chunk(usize::MAX).await?.ok_or(ProtocolError::EndsEarly)?;
            if let Some((line, rest)) = cutter.push(chunk)? {
                self.rest = rest;
                return Ok(line);
            }
        }
    }

    /// Wants no more of the stream.
    pub(crate) fn stop(&mut self) {
        // A stream that is over needs no stopping.
        let _ = self.stream.stop(GAVE_UP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_wherever_the_chunks_end() {
        let bytes = b"line\nrest";
        for cut in 0..=bytes.len() {
            let mut cutter = LineCutter::default();
            let (first, second) = bytes.split_at(cut);
            let found = match cutter.push(Bytes::from_static(first)).unwrap() {
                Some((line, rest)) => (line, [&rest[..], second].concat()),
                None => {
                    let (line, rest) = cutter.push(Bytes::from_static(second)).unwrap().unwrap();
                    (line, rest.to_vec())
                }
            };
            assert_eq!((&found.0[..], &found.1[..]), (&b"line"[..], &b"rest"[..]), "cut at {cut}");
        }
    }

    #[test]
    fn a_line_that_does_not_end_is_not_kept_for_ever() {
        let mut cutter = LineCutter::default();
        for _ in 0..MAX_LINE_BYTES {
            assert!(cutter.push(Bytes::from_static(b"x")).unwrap().is_none());
        }
        assert!(matches!(cutter.push(Bytes::from_static(b"\n")), Err(ProtocolError::LineTooLong)));
    }
}
