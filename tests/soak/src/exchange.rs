//! What client and server say to each other on one stream, and the check of every byte of it.
//!
//! A stream begins with a request of 17 bytes: what is wanted, of which pattern, how much of it. Then come the bytes
//! themselves, from the client ([`Kind::Put`], [`Kind::Echo`]), from the server ([`Kind::Get`], [`Kind::Echo`]). A put is
//! answered with the number of bytes that were as they have to be.

use std::time::Duration;

use bytes::Bytes;
use kwik::{AppCode, RecvStream, SendStream, Session};

use crate::counts::COUNTS;
use crate::pattern::Pattern;

const REQUEST_BYTES: usize = 17;
/// Written at once.
const BLOCK_BYTES: u64 = 256 * 1024;
/// What a slow reader reads between two pauses.
const SLOW_BLOCK_BYTES: u64 = 64 * 1024;

/// Who sends the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The client, and the server the same ones again.
    Echo,
    /// The server.
    Get,
    /// The client.
    Put,
}

/// The beginning of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    pub(crate) bytes: u64,
}

/// Why an exchange did not end as it has to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Bytes are wrong, missing or too many. Nothing excuses that.
    Damaged(String),
    /// The session or the stream failed; it may have been told to.
    Broken(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Request {
    fn encode(self) -> Bytes {
        let mut encoded = vec![self.kind as u8];
        encoded.extend_from_slice(&self.seed.to_be_bytes());
        encoded.extend_from_slice(&self.bytes.to_be_bytes());
        encoded.into()
    }

    fn decode(encoded: [u8; REQUEST_BYTES]) -> Result<Self, Failure> {
        let [kind, rest @ ..] = encoded;
        let kind = match kind {
            0 => Kind::Echo,
            1 => Kind::Get,
            2 => Kind::Put,
            _ => return Err(Failure::Damaged(format!("a request of kind {kind}"))),
        };
        let number = |at: usize| rest[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Ok(Self { kind, seed: number(0), bytes: number(8) })
    }

    fn pattern(self) -> Pattern {
        Pattern { seed: self.seed }
    }

    /// Client: asks, and takes what comes; it stays away for `pause` after every 64 KiB.
    pub(crate) async fn run(self, session: &Session, pause: Duration) -> Result<(), Failure> {
        let (mut send, mut recv) = session.open_bi().await?;
        send.write_chunk(self.encode()).await?;
        match self.kind {
            Kind::Get => {
                send.finish()?;
                check(&mut recv, self, pause).await
            }
            Kind::Put => {
                write(&mut send, self).await?;
                let arrived = recv.read_to_end(100).await?;
                if arrived == self.bytes.to_be_bytes() {
                    return Ok(());
                }
                Err(Failure::Damaged(format!("{self:?}: the server says {arrived:?}")))
            }
            Kind::Echo => {
                let (written, checked) =
                    tokio::join!(write(&mut send, self), check(&mut recv, self, Duration::ZERO));
                written.and(checked)
            }
        }
    }

    /// Client: begins, and gives the stream up in the middle.
    pub(crate) async fn give_up(self, session: &Session) -> Result<(), Failure> {
        let (mut send, mut recv) = session.open_bi().await?;
        send.write_chunk(self.encode()).await?;
        if self.kind == Kind::Put {
            let half = Self { bytes: self.bytes / 2, ..self };
            write_blocks(&mut send, half).await?;
        } else {
            let some = recv.read_chunk(usize::MAX).await?.unwrap_or_default();
            if !self.pattern().is_at(0, &some) {
                return Err(Failure::Damaged(format!("{self:?}: wrong bytes at 0")));
            }
            recv.stop(AppCode::new(9))?;
        }
        Ok(send.reset(AppCode::new(9))?)
    }
}

/// Server: reads a request and does it.
pub(crate) async fn answer(mut send: SendStream, mut recv: RecvStream) -> Result<(), Failure> {
    let mut encoded = [0; REQUEST_BYTES];
    recv.read_exact(&mut encoded).await?;
    let request = Request::decode(encoded)?;
    match request.kind {
        Kind::Get => write(&mut send, request).await,
        Kind::Put => {
            check(&mut recv, request, Duration::ZERO).await?;
            send.write_chunk(Bytes::copy_from_slice(&request.bytes.to_be_bytes())).await?;
            Ok(send.finish()?)
        }
        Kind::Echo => {
            let mut at = 0;
            while let Some(chunk) = recv.read_chunk(usize::MAX).await? {
                at = check_chunk(request, at, &chunk)?;
                send.write_chunk(chunk).await?;
            }
            check_end(request, at)?;
            Ok(send.finish()?)
        }
    }
}

async fn write(send: &mut SendStream, request: Request) -> Result<(), Failure> {
    write_blocks(send, request).await?;
    Ok(send.finish()?)
}

async fn write_blocks(send: &mut SendStream, request: Request) -> Result<(), Failure> {
    let mut at = 0;
    while at < request.bytes {
        let len = BLOCK_BYTES.min(request.bytes - at);
        send.write_chunk(request.pattern().bytes(at, len as usize)).await?;
        at += len;
    }
    Ok(())
}

async fn check(recv: &mut RecvStream, request: Request, pause: Duration) -> Result<(), Failure> {
    let mut at = 0;
    while let Some(chunk) = recv.read_chunk(usize::MAX).await? {
        let before = at;
        at = check_chunk(request, at, &chunk)?;
        if !pause.is_zero() && at / SLOW_BLOCK_BYTES > before / SLOW_BLOCK_BYTES {
            tokio::time::sleep(pause).await;
        }
    }
    check_end(request, at)
}

/// Where the next chunk begins.
fn check_chunk(request: Request, at: u64, chunk: &[u8]) -> Result<u64, Failure> {
    if !request.pattern().is_at(at, chunk) {
        return Err(Failure::Damaged(format!(
            "{request:?}: wrong bytes within {} from {at} on",
            chunk.len()
        )));
    }
    COUNTS.checked(chunk.len());
    Ok(at + chunk.len() as u64)
}

fn check_end(request: Request, at: u64) -> Result<(), Failure> {
    if at == request.bytes {
        return Ok(());
    }
    Err(Failure::Damaged(format!("{request:?}: {at} bytes came")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for kind in [Kind::Echo, Kind::Get, Kind::Put] {
            let request = Request { kind, seed: u64::MAX - 1, bytes: 1 << 40 | 5 };
            let encoded = request.encode();
            let decoded = Request::decode(encoded[..].try_into().unwrap());
            assert_eq!(decoded.ok(), Some(request));
        }
    }

    #[test]
    fn a_wrong_byte_and_a_wrong_length_are_damage() {
        let request = Request { kind: Kind::Get, seed: 3, bytes: 100 };
        let mut chunk = request.pattern().bytes(0, 100).to_vec();
        assert!(matches!(check_chunk(request, 0, &chunk), Ok(100)));
        chunk[50] ^= 0x80;
        assert!(matches!(check_chunk(request, 0, &chunk), Err(Failure::Damaged(_))));
        assert!(check_end(request, 100).is_ok());
        assert!(matches!(check_end(request, 99), Err(Failure::Damaged(_))));
    }
}
