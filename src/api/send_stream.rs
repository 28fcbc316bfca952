//! The sending half of a stream.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::shared::SessionRef;
use super::waiters::{Topic, WaiterId};
use crate::proto::config::PathPolicy;
use crate::proto::error::WriteError;
use crate::proto::wire::code::AppCode;
use crate::proto::wire::id::StreamId;

/// A slice is copied in pieces of at most this many bytes: what waits for room should not be copied in vain, and
/// a copy should still be in the cache when it is sent.
const COPY_BYTES: usize = 64 * 1024;

/// The sending half of a stream.
///
/// What is written is kept until the peer has it, whatever happens to paths meanwhile. Writing waits while too
/// much is kept or no path takes it; the limits are in [`SessionConfig`](crate::proto::config::SessionConfig).
///
/// Dropping it finishes the stream, unless it was finished or reset before: what was written is still delivered.
/// A session stays open as long as one of its streams is held.
#[derive(Debug)]
pub struct SendStream {
    session: Arc<SessionRef>,
    id: StreamId,
}

impl SendStream {
    pub(crate) fn new(session: Arc<SessionRef>, id: StreamId) -> Self {
        Self { session, id }
    }

    /// The stream's name; both halves of a bidirectional stream have the same.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Writes some of `data`, at least one byte unless it is empty, and returns how many bytes that was.
    ///
    /// Cancel safe: a future that is dropped has written nothing.
    pub async fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        let mut chunk = first_piece(data);
        poll_fn(|cx| self.poll_write_chunk(cx, &mut chunk)).await
    }

    /// Writes all of `data`.
    ///
    /// A future that is dropped may have written a part, from the beginning, which will be delivered. To know how
    /// much, use [`write`](Self::write).
    pub async fn write_all(&mut self, mut data: &[u8]) -> Result<(), WriteError> {
        while !data.is_empty() {
            let piece = first_piece(data);
            data = data.get(piece.len()..).unwrap_or_default();
            self.write_chunk(piece).await?;
        }
        Ok(())
    }

    /// Writes all of `chunk` without copying it: it is kept, by reference, until the peer has it.
    ///
    /// A future that is dropped may have written a part, from the beginning, which will be delivered. To know how
    /// much, use [`write_some_of`](Self::write_some_of).
    pub async fn write_chunk(&mut self, mut chunk: Bytes) -> Result<(), WriteError> {
        while !chunk.is_empty() {
            self.write_some_of(&mut chunk).await?;
        }
        Ok(())
    }

    /// Writes some of `chunk` without copying it, at least one byte unless it is empty. What was written is cut
    /// off its front; returns how many bytes that was.
    ///
    /// Cancel safe: a future that is dropped has written nothing, and `chunk` is as it was.
    pub async fn write_some_of(&mut self, chunk: &mut Bytes) -> Result<usize, WriteError> {
        poll_fn(|cx| self.poll_write_chunk(cx, chunk)).await
    }

    fn poll_write_chunk(&self, cx: &Context<'_>, chunk: &mut Bytes) -> Poll<Result<usize, WriteError>> {
        self.session.with_core(|core, _| match core.session.write(self.id, chunk) {
            Ok(0) if !chunk.is_empty() => {
                core.waiters.register(Topic::Write(self.id), WaiterId::ONLY, cx.waker());
                Poll::Pending
            }
            written => Poll::Ready(written),
        })
    }

    /// Ends the stream after what was written. It does not wait; see [`delivered`](Self::delivered).
    pub fn finish(&mut self) -> Result<(), WriteError> {
        self.session.with(|session, _| session.finish(self.id))
    }

    /// Gives the stream up, even after [`finish`](Self::finish): what the peer does not have yet, it will not
    /// get. Its reads fail with `code`.
    pub fn reset(&mut self, code: AppCode) -> Result<(), WriteError> {
        self.session.with(|session, now| session.reset(now, self.id, code))
    }

    /// Waits until the peer has the whole stream, to its end: call [`finish`](Self::finish) before. That its
    /// application has read it does not follow.
    ///
    /// Cancel safe.
    pub async fn delivered(&self) -> Result<(), WriteError> {
        let id = self.id;
        self.session.wait(Topic::Delivered(id), move |core, _| core.session.send_outcome(id)).await
    }

    /// Waits until the peer wants no more of the stream and returns its code; `None` when it has the whole stream.
    ///
    /// Cancel safe.
    pub async fn stopped(&self) -> Result<Option<AppCode>, WriteError> {
        match self.delivered().await {
            Ok(()) => Ok(None),
            Err(WriteError::Stopped { code, .. }) => Ok(Some(code)),
            Err(error) => Err(error),
        }
    }

    /// Streams of a higher priority go first, those of the same take turns. The default is 0.
    pub fn set_priority(&mut self, priority: i32) {
        self.session.with(|session, _| session.set_priority(self.id, priority));
    }

    /// On which paths the stream may travel, from now on.
    pub fn set_policy(&mut self, policy: PathPolicy) {
        self.session.with(|session, _| session.set_policy(self.id, policy));
    }
}

fn first_piece(data: &[u8]) -> Bytes {
    Bytes::copy_from_slice(data.get(..COPY_BYTES).unwrap_or(data))
}

impl Drop for SendStream {
    fn drop(&mut self) {
        self.session.with_core(|core, now| {
            core.waiters.forget(Topic::Write(self.id), WaiterId::ONLY);
            core.session.release_send(now, self.id);
        });
    }
}

/// Flushing does nothing, since what is written is sent without being asked; shutting down is
/// [`finish`](SendStream::finish). Errors are [`WriteError`]s inside.
impl AsyncWrite for SendStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_chunk(cx, &mut first_piece(data)).map_err(io::Error::from)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.finish() {
            // Shutting down twice is allowed, and a peer that has what it wants misses no end: over TCP, too, only
            // a writer learns that the peer reads no more. HTTP libraries end every connection like this.
            Ok(()) | Err(WriteError::Closed { .. } | WriteError::Stopped { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        })
    }
}
