//! What client and server say to each other, whichever contender carries it.
//!
//! The client opens streams. Each begins with a message of 100 bytes: the first byte says what is wanted, the next
//! eight (big-endian) how many bytes if that is a transfer.
//!
//! | first byte | then |
//! |---|---|
//! | `e` | the message comes back, and each further one |
//! | `r` | the stream ends, the message comes back, and the other half ends |
//! | `d` | the server sends so many bytes and ends its half |
//! | `u` | the client sends so many bytes and ends its half; their number (eight bytes) comes back |

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;

use super::session::{Reader, Session, Writer};
use crate::data::BLOCK_BYTES;

/// Of a message.
pub(crate) const MESSAGE_BYTES: usize = 100;

const ECHO: u8 = b'e';
const REQUEST: u8 = b'r';
const DOWN: u8 = b'd';
const UP: u8 = b'u';

type Message = [u8; MESSAGE_BYTES];

/// What transfers are made of: always the same memory, so that no other is touched.
static BLOCK: [u8; BLOCK_BYTES] = [0x5a; BLOCK_BYTES];

/// The first message of a stream.
fn message(kind: u8, bytes: u64) -> Message {
    let mut message = [0x5a; MESSAGE_BYTES];
    message[0] = kind;
    message[1..9].copy_from_slice(&bytes.to_be_bytes());
    message
}

fn transfer_bytes(message: &Message) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&message[1..9]);
    u64::from_be_bytes(bytes)
}

// ---- the server ----

/// Answers all streams of a session until it ends.
pub(crate) async fn serve(session: impl Session) {
    while let Ok((writer, reader)) = session.accept().await {
        tokio::spawn(async move {
            // Most streams end with their client's process, in the middle of an echo. What else may be wrong, the
            // client finds out.
            let _ = answer(writer, reader).await;
        });
    }
}

async fn answer(mut writer: impl Writer, mut reader: impl Reader) -> Result<()> {
    let mut message = [0; MESSAGE_BYTES];
    reader.read_exact(&mut message).await?;
    match message[0] {
        ECHO => loop {
            writer.write_all(&message).await?;
            reader.read_exact(&mut message).await?;
        },
        REQUEST => {
            discard(&mut reader).await?;
            writer.write_all(&message).await?;
        }
        DOWN => send(&mut writer, transfer_bytes(&message)).await?,
        UP => {
            let arrived = discard(&mut reader).await?;
            writer.write_all(&arrived.to_be_bytes()).await?;
        }
        kind => bail!("a stream begins with {kind}, which is none of those in use"),
    }
    writer.finish()
}

// ---- the client ----

/// A stream on which one message after another goes there and back.
pub(crate) struct Echo<S: Session> {
    writer: S::Writer,
    reader: S::Reader,
}

impl<S: Session> Echo<S> {
    /// Opens the stream; a first echo has come back.
    pub(crate) async fn start(session: &S) -> Result<Self> {
        let (writer, reader) = session.open().await?;
        let mut echo = Self { writer, reader };
        echo.send_and_receive().await?;
        Ok(echo)
    }

    /// Sends a message and waits until it is back.
    pub(crate) async fn send_and_receive(&mut self) -> Result<()> {
        self.writer.write_all(&message(ECHO, 0)).await?;
        let mut back = [0; MESSAGE_BYTES];
        self.reader.read_exact(&mut back).await?;
        ensure!(back[0] == ECHO, "something else came back than was sent");
        Ok(())
    }
}

/// A stream for one message, there and back.
pub(crate) async fn request(session: &impl Session) -> Result<()> {
    let (mut writer, mut reader) = session.open().await?;
    writer.write_all(&message(REQUEST, 0)).await?;
    writer.finish()?;
    let arrived = discard(&mut reader).await?;
    ensure!(arrived == MESSAGE_BYTES as u64, "{arrived} bytes came back for {MESSAGE_BYTES}");
    Ok(())
}

/// Takes so many bytes from the server.
pub(crate) async fn download(session: &impl Session, bytes: u64) -> Result<()> {
    let (mut writer, mut reader) = session.open().await?;
    writer.write_all(&message(DOWN, bytes)).await?;
    writer.finish()?;
    let arrived = discard(&mut reader).await?;
    ensure!(arrived == bytes, "{arrived} bytes arrived instead of {bytes}");
    Ok(())
}

/// Sends so many bytes, until the server has them.
pub(crate) async fn upload(session: &impl Session, bytes: u64) -> Result<()> {
    let (mut writer, mut reader) = session.open().await?;
    writer.write_all(&message(UP, bytes)).await?;
    send(&mut writer, bytes).await?;
    writer.finish()?;
    let mut arrived = [0; 8];
    reader.read_exact(&mut arrived).await.context("the server did not say how much arrived")?;
    let arrived = u64::from_be_bytes(arrived);
    ensure!(arrived == bytes, "{arrived} bytes arrived instead of {bytes}");
    Ok(())
}

// ---- both ----

async fn send(writer: &mut impl Writer, bytes: u64) -> Result<()> {
    let mut left = bytes;
    while left > 0 {
        let len = left.min(BLOCK_BYTES as u64);
        writer.write_chunk(Bytes::from_static(&BLOCK).slice(..len as usize)).await?;
        left -= len;
    }
    Ok(())
}

/// Reads to the end and says how much that was.
async fn discard(reader: &mut impl Reader) -> Result<u64> {
    let mut bytes = 0;
    while let Some(chunk) = reader.read_chunk().await? {
        bytes += chunk.len() as u64;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_is_wanted_and_how_much() {
        let message = message(DOWN, u64::MAX - 1);
        assert_eq!((message[0], transfer_bytes(&message)), (DOWN, u64::MAX - 1));
    }
}
