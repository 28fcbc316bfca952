//! Files in blocks, read, hashed and written on threads that may block.
//!
//! A bounded channel joins each such thread to its stream: a slow disk slows the network down and the other
//! way round, and no more than a few blocks are under way.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::digest::Digest;
use crate::error::Error;
use crate::messages::Incoming;
use crate::protocol::ProtocolError;

/// Read, handed over and written at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// Blocks that wait between a file and its stream.
const WAITING_BLOCKS: usize = 8;

/// A file that is being read.
#[derive(Debug)]
pub(crate) struct Blocks {
    blocks: mpsc::Receiver<Bytes>,
    reader: JoinHandle<io::Result<Digest>>,
}

impl Blocks {
    /// Reads the next `bytes` of `source`, and hashes them after what `hasher` has had.
    pub(crate) fn read(mut source: impl Read + Send + 'static, bytes: u64, mut hasher: Sha256) -> Self {
        let (sender, blocks) = mpsc::channel(WAITING_BLOCKS);
        let reader = tokio::task::spawn_blocking(move || {
            let mut left = bytes;
            while left > 0 {
                let block = read_block(&mut source, left)?;
                left -= block.len() as u64;
                hasher.update(&block);
                // With nobody to take it, nobody asks for the sum either.
                if sender.blocking_send(block.into()).is_err() {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
            Ok(Digest::of(hasher))
        });
        Self { blocks, reader }
    }

    /// The next block; `None` at the end, and after a failure.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.blocks.recv().await
    }

    /// The sum of the whole, or why there is none.
    pub(crate) async fn digest(self) -> io::Result<Digest> {
        drop(self.blocks);
        joined(self.reader).await
    }
}

fn read_block(source: &mut impl Read, left: u64) -> io::Result<Vec<u8>> {
    let wanted = left.min(BLOCK_BYTES as u64);
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    source.take(wanted).read_to_end(&mut block)?;
    match block.len() as u64 == wanted {
        true => Ok(block),
        false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was at first")),
    }
}

/// Hashes the next `bytes` of `source`.
pub(crate) fn hash_prefix(source: &mut impl Read, bytes: u64) -> io::Result<Sha256> {
    let mut hasher = Sha256::new();
    let mut left = bytes;
    while left > 0 {
        let block = read_block(source, left)?;
        left -= block.len() as u64;
        hasher.update(&block);
    }
    Ok(hasher)
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct BlockWriter<W> {
    batches: mpsc::Sender<Vec<Bytes>>,
    writer: JoinHandle<io::Result<(W, Digest)>>,
}

impl<W: Write + Send + 'static> BlockWriter<W> {
    /// Writes to `target`, and hashes what it writes after what `hasher` has had.
    pub(crate) fn new(target: W, mut hasher: Sha256) -> Self {
        let (batches, mut receiver) = mpsc::channel::<Vec<Bytes>>(WAITING_BLOCKS);
        let writer = tokio::task::spawn_blocking(move || {
            let mut target = io::BufWriter::with_capacity(BLOCK_BYTES, target);
            while let Some(batch) = receiver.blocking_recv() {
                for chunk in batch {
                    hasher.update(&chunk);
                    target.write_all(&chunk)?;
                }
            }
            let target = target.into_inner().map_err(io::IntoInnerError::into_error)?;
            Ok((target, Digest::of(hasher)))
        });
        Self { batches, writer }
    }

    /// Hands chunks over; `false` when the file takes no more, and [`finish`](Self::finish) says why.
    async fn write(&mut self, batch: Vec<Bytes>) -> bool {
        self.batches.send(batch).await.is_ok()
    }

    /// Waits until all is written; the sum is that of the whole.
    pub(crate) async fn finish(self) -> io::Result<(W, Digest)> {
        drop(self.batches);
        joined(self.writer).await
    }
}

async fn joined<T>(task: JoinHandle<io::Result<T>>) -> io::Result<T> {
    task.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Moves the next `bytes` of a stream to a file, and tells `arrived` about every batch and how long
/// it was waited for. Ends early, and with
/// success, when the file takes no more: [`BlockWriter::finish`] has the reason.
pub(crate) async fn receive<W: Write + Send + 'static>(
    incoming: &mut Incoming,
    bytes: u64,
    writer: &mut BlockWriter<W>,
    mut arrived: impl FnMut(u64, Duration),
) -> Result<(), Error> {
    let mut left = bytes;
    while left > 0 {
        let asked = Instant::now();
        let batch = next_batch(incoming, left.min(BLOCK_BYTES as u64)).await?;
        let batch_bytes = batch.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        left = left.saturating_sub(batch_bytes);
        arrived(batch_bytes, asked.elapsed());
        if !writer.write(batch).await {
            break;
        }
    }
    Ok(())
}

/// All that is there, up to `max_bytes`: handing over single chunks would cost a wake-up each.
async fn next_batch(incoming: &mut Incoming, max_bytes: u64) -> Result<Vec<Bytes>, Error> {
    let mut left = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let first = incoming.chunk(left).await?.ok_or(ProtocolError::EndsEarly)?;
    left -= first.len();
    let mut batch = vec![first];
    while left > 0 {
        let mut next = std::pin::pin!(incoming.chunk(left));
        match poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await {
            Poll::Ready(Ok(Some(chunk))) => {
                left -= chunk.len();
                batch.push(chunk);
            }
            // An end or an error is found again by whoever reads on.
            Poll::Ready(_) | Poll::Pending => break,
        }
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at * at / 7) as u8).collect()
    }

    #[tokio::test]
    async fn a_file_goes_through_in_blocks_and_both_ends_know_its_sum() {
        let contents = noise(3 * BLOCK_BYTES + 5);
        let mut blocks =
            Blocks::read(io::Cursor::new(contents.clone()), contents.len() as u64, Sha256::new());
        let mut writer = BlockWriter::new(Vec::new(), Sha256::new());
        while let Some(block) = blocks.next().await {
            assert!(writer.write(vec![block]).await);
        }
        let sum = Digest::of(Sha256::new_with_prefix(&contents));
        assert_eq!(blocks.digest().await.unwrap(), sum);
        assert_eq!(writer.finish().await.unwrap(), (contents, sum));
    }

    #[tokio::test]
    async fn continuing_gives_the_sum_of_the_whole() {
        let contents = noise(BLOCK_BYTES + 100);
        let mut source = io::Cursor::new(contents.clone());
        let hasher = hash_prefix(&mut source, 77).unwrap();
        let mut rest = Blocks::read(source, contents.len() as u64 - 77, hasher);
        while rest.next().await.is_some() {}
        assert_eq!(rest.digest().await.unwrap(), Digest::of(Sha256::new_with_prefix(&contents)));
    }

    #[tokio::test]
    async fn a_file_that_shrinks_has_no_sum() {
        let mut blocks = Blocks::read(io::Cursor::new(noise(10)), 11, Sha256::new());
        assert!(blocks.next().await.is_none());
        assert_eq!(blocks.digest().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_target_that_is_full_says_so_at_the_end() {
        // A slice takes what fits it.
        let target = io::Cursor::new(vec![0; 8].into_boxed_slice());
        let mut writer = BlockWriter::new(target, Sha256::new());
        writer.write(vec![Bytes::from(noise(9))]).await;
        assert_eq!(writer.finish().await.unwrap_err().kind(), io::ErrorKind::WriteZero);
    }
}
