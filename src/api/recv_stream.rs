//! The receiving half of a stream.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use super::shared::SessionRef;
use super::waiters::{Topic, WaiterId};
use crate::proto::error::ReadError;
use crate::proto::streams::recv::Read;
use crate::proto::wire::code::AppCode;
use crate::proto::wire::id::StreamId;

/// Small reads are served from a piece of up to this many bytes, so that they need not take the session's lock
/// one by one.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// Why [`RecvStream::read_exact`] failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadExactError {
    /// The stream ended before the buffer was full.
    #[error("stream {stream} ended after {read} of the {wanted} bytes that were wanted")]
    FinishedEarly {
        /// The stream.
        stream: StreamId,
        /// Bytes that are in the buffer.
        read: usize,
        /// The buffer's length.
        wanted: usize,
    },
    /// The stream failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why [`RecvStream::read_to_end`] failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadToEndError {
    /// The stream is longer than the limit; what was read of it is lost.
    #[error("stream {stream} is longer than the {limit} bytes that were allowed")]
    TooLong {
        /// The stream.
        stream: StreamId,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The stream failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The receiving half of a stream: bytes in order, each once, whichever paths they came on.
///
/// A reader that does not read holds the peer back, once as much waits as the receive windows of
/// [`SessionConfig`](crate::proto::config::SessionConfig) allow.
///
/// Dropping it before its end tells the peer to stop, with code 0. A session stays open as long as one of its
/// streams is held.
#[derive(Debug)]
pub struct RecvStream {
    session: Arc<SessionRef>,
    id: StreamId,
    /// Taken from the session and not yet handed out.
    rest: Bytes,
    finished: bool,
}

impl RecvStream {
    pub(crate) fn new(session: Arc<SessionRef>, id: StreamId) -> Self {
        Self { session, id, rest: Bytes::new(), finished: false }
    }

    /// The stream's name; both halves of a bidirectional stream have the same.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Reads into `buf`, at least one byte unless it is empty; `None` at the end of the stream.
    ///
    /// Cancel safe: a future that is dropped has read nothing.
    pub async fn read(&mut self, buf: &mut [u8]) -> Result<Option<usize>, ReadError> {
        poll_fn(|cx| self.poll_read_some(cx, buf)).await
    }

    /// The next bytes, at most `max_bytes` of them, without copying; `None` at the end of the stream.
    ///
    /// Cancel safe: a future that is dropped has read nothing.
    pub async fn read_chunk(&mut self, max_bytes: usize) -> Result<Option<Bytes>, ReadError> {
        poll_fn(|cx| self.poll_chunk(cx, max_bytes)).await
    }

    /// Fills `buf`.
    ///
    /// Not cancel safe: bytes read before the future is dropped are in `buf`, and it is not known how many.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> Result<(), ReadExactError> {
        let wanted = buf.len();
        let mut left = buf;
        while !left.is_empty() {
            let Some(bytes) = self.read(left).await? else {
                let read = wanted - left.len();
                return Err(ReadExactError::FinishedEarly { stream: self.id, read, wanted });
            };
            left = left.get_mut(bytes..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads up to the end of the stream, at most `limit` bytes.
    ///
    /// Not cancel safe: bytes read before the future is dropped are lost.
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, ReadToEndError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.read_chunk(usize::MAX).await? {
            if chunk.len() > limit - all.len() {
                return Err(ReadToEndError::TooLong { stream: self.id, limit });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// Tells the peer that no more of the stream is wanted: its writes fail with `code`. What has arrived is
    /// dropped.
    pub fn stop(&mut self, code: AppCode) -> Result<(), ReadError> {
        self.rest.clear();
        self.session.with(|session, now| session.stop(now, self.id, code))
    }

    fn poll_chunk(&mut self, cx: &Context<'_>, max_bytes: usize) -> Poll<Result<Option<Bytes>, ReadError>> {
        if max_bytes == 0 {
            return Poll::Ready(Ok(Some(Bytes::new())));
        }
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(self.rest.split_to(max_bytes.min(self.rest.len())))));
        }
        if self.finished {
            return Poll::Ready(Ok(None));
        }
        let id = self.id;
        let read = self.session.with_core(|core, now| {
            let read = core.session.read(now, id, max_bytes);
            if read == Ok(Read::Blocked) {
                core.waiters.register(Topic::Read(id), WaiterId::ONLY, cx.waker());
            }
            read
        });
        match read? {
            Read::Data(data) => Poll::Ready(Ok(Some(data))),
            Read::Finished => {
                self.finished = true;
                Poll::Ready(Ok(None))
            }
            Read::Blocked => Poll::Pending,
        }
    }

    fn poll_read_some(&mut self, cx: &Context<'_>, buf: &mut [u8]) -> Poll<Result<Option<usize>, ReadError>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(Some(0)));
        }
        if self.rest.is_empty() {
            match ready!(self.poll_chunk(cx, buf.len().max(READ_AHEAD_BYTES)))? {
                Some(chunk) => self.rest = chunk,
                None => return Poll::Ready(Ok(None)),
            }
        }
        let len = self.rest.len().min(buf.len());
        buf[..len].copy_from_slice(&self.rest.split_to(len));
        Poll::Ready(Ok(Some(len)))
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        self.session.with_core(|core, now| {
            core.waiters.forget(Topic::Read(self.id), WaiterId::ONLY);
            core.session.release_recv(now, self.id);
        });
    }
}

/// Errors are [`ReadError`]s inside.
impl AsyncRead for RecvStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.initialize_unfilled();
        if let Some(bytes) = ready!(self.poll_read_some(cx, room))? {
            buf.advance(bytes);
        }
        Poll::Ready(Ok(()))
    }
}
