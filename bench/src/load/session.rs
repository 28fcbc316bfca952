//! What both contenders can do, so that protocol and driver are written once.
//!
//! Calls are resolved when compiled: no future is boxed, and no byte is copied that a contender would not copy itself.

use std::future::Future;

use anyhow::Result;
use bytes::Bytes;

/// A client's way of opening sessions.
pub(crate) trait Dialer: Clone + Send + Sync + 'static {
    type Session: Session;

    /// Opens a session, with all of its paths.
    fn dial(&self) -> impl Future<Output = Result<Self::Session>> + Send;
}

/// A KWIK session, or a QUIC connection.
pub(crate) trait Session: Clone + Send + Sync + 'static {
    type Writer: Writer;
    type Reader: Reader;

    /// Opens a bidirectional stream.
    fn open(&self) -> impl Future<Output = Result<(Self::Writer, Self::Reader)>> + Send;

    /// The next bidirectional stream that the peer opened.
    fn accept(&self) -> impl Future<Output = Result<(Self::Writer, Self::Reader)>> + Send;

    /// Ends it; does not wait.
    fn end(&self);
}

/// The sending half of a stream.
pub(crate) trait Writer: Send + 'static {
    /// Writes all of `data`, of which it makes a copy.
    fn write_all(&mut self, data: &[u8]) -> impl Future<Output = Result<()>> + Send;

    /// Writes all of `chunk`, of which it makes none.
    fn write_chunk(&mut self, chunk: Bytes) -> impl Future<Output = Result<()>> + Send;

    /// Ends the stream; does not wait.
    fn finish(&mut self) -> Result<()>;
}

/// The receiving half of a stream.
pub(crate) trait Reader: Send + 'static {
    /// Fills `buffer`.
    fn read_exact(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<()>> + Send;

    /// Whatever comes next, of which it makes no copy; `None` at the end of the stream.
    fn read_chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>>> + Send;
}
