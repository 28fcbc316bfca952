//! The session, as the application holds it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::events::SessionEvents;
use super::path::{PathHandle, Standby};
use super::recv_stream::RecvStream;
use super::send_stream::SendStream;
use super::shared::SessionRef;
use super::waiters::Topic;
use crate::proto::config::PathPolicy;
use crate::proto::error::{AdvertiseError, DatagramError, OpenError, PathError, SessionError};
use crate::proto::event::PathAddress;
use crate::proto::session::{PathInfo, SessionStats};
use crate::proto::wire::code::AppCode;
use crate::proto::wire::id::{Dir, PathId, SessionId, StreamId};

/// Names an address that a server advertises, to withdraw it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdviceId(u64);

/// One session with a peer, carried by any number of paths.
///
/// Streams and datagrams do not depend on paths: they survive the end of any of them, and, for the time of
/// `resume_timeout`, of all of them.
///
/// Cloning gives another handle to the same session. When the last handle is dropped, with all streams and
/// [`PathHandle`]s of the session, it is closed with code 0 as by [`close`](Self::close): what was written is
/// still delivered, as long as the process runs.
#[derive(Clone, Debug)]
pub struct Session {
    session_ref: Arc<SessionRef>,
    id: SessionId,
}

impl Session {
    /// Waits until the session is open. A future that is dropped gives the session up.
    pub(crate) async fn opened(session_ref: Arc<SessionRef>) -> Result<Self, SessionError> {
        let id = session_ref.wait(Topic::Opened, |core, _| match core.end() {
            Some(error) => Some(Err(error)),
            None => core.session.id().map(Ok),
        });
        let id = id.await?;
        Ok(Self { session_ref, id })
    }

    /// A session that a client has opened, whether or not it has ended.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn accepted(id: SessionId, session_ref: Arc<SessionRef>) -> Self {
        Self { session_ref, id }
    }

    /// The session's name, the same at both ends. It is no secret.
    pub fn id(&self) -> SessionId {
        self.id
    }

    // ---- streams ----

    /// Opens a bidirectional stream; waits while as many are open as the peer allows. The peer learns of it with
    /// the first bytes.
    ///
    /// Cancel safe: a future that is dropped has opened nothing.
    pub async fn open_bi(&self) -> Result<(SendStream, RecvStream), OpenError> {
        let id = self.open(Dir::Bi).await?;
        Ok(self.both_halves(id))
    }

    /// Opens a unidirectional stream; waits while as many are open as the peer allows. The peer learns of it with
    /// the first bytes.
    ///
    /// Cancel safe: a future that is dropped has opened nothing.
    pub async fn open_uni(&self) -> Result<SendStream, OpenError> {
        let id = self.open(Dir::Uni).await?;
        Ok(SendStream::new(self.session_ref.clone(), id))
    }

    /// The next bidirectional stream that the peer opened, in its order. Fails when the session has ended.
    ///
    /// Cancel safe: a stream is handed out or stays.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), SessionError> {
        let id = self.accept(Dir::Bi).await?;
        Ok(self.both_halves(id))
    }

    /// The next unidirectional stream that the peer opened, in its order. Fails when the session has ended.
    ///
    /// Cancel safe: a stream is handed out or stays.
    pub async fn accept_uni(&self) -> Result<RecvStream, SessionError> {
        let id = self.accept(Dir::Uni).await?;
        Ok(RecvStream::new(self.session_ref.clone(), id))
    }

    async fn open(&self, dir: Dir) -> Result<StreamId, OpenError> {
        self.session_ref.wait(Topic::Open(dir), |core, _| core.session.open(dir).transpose()).await
    }

    async fn accept(&self, dir: Dir) -> Result<StreamId, SessionError> {
        let next = self.session_ref.wait(Topic::Accept(dir), |core, _| match core.session.accept(dir) {
            Some(id) => Some(Ok(id)),
            None => core.end().map(Err),
        });
        next.await
    }

    fn both_halves(&self, id: StreamId) -> (SendStream, RecvStream) {
        (SendStream::new(self.session_ref.clone(), id), RecvStream::new(self.session_ref.clone(), id))
    }

    // ---- datagrams ----

    /// Sends a datagram on the path that the scheduler likes best, once, without a promise. It does not wait:
    /// when too many are waiting to be sent, the oldest are dropped.
    pub fn send_datagram(&self, data: Bytes) -> Result<(), DatagramError> {
        self.send_datagram_with(data, PathPolicy::Any)
    }

    /// Sends a datagram on paths that meet `policy`, otherwise as [`send_datagram`](Self::send_datagram).
    pub fn send_datagram_with(&self, data: Bytes, policy: PathPolicy) -> Result<(), DatagramError> {
        self.session_ref.with(|session, now| session.send_datagram(now, data, policy))
    }

    /// The next datagram from the peer. Each is handed out at most once, whatever paths it came on. When too many
    /// are waiting, the oldest are dropped. Fails when the session has ended.
    ///
    /// Cancel safe: a datagram is handed out or stays.
    pub async fn recv_datagram(&self) -> Result<Bytes, SessionError> {
        let next =
            self.session_ref.wait(Topic::Datagram, |core, now| match core.session.recv_datagram(now) {
                Some(data) => Some(Ok(data)),
                None => core.end().map(Err),
            });
        next.await
    }

    /// The longest datagram that can be sent now, in bytes; it changes with the paths. `None` when the peer takes
    /// none or no path carries any.
    pub fn max_datagram_size(&self) -> Option<usize> {
        self.session_ref.read(|core| core.session.max_datagram_bytes())
    }

    // ---- paths ----

    /// Client: adds a path to `address`, such as `"kwik://b.example:4433"` or a [`PathAddress`], and waits until
    /// it is part of the session. From then on the client keeps a path there: one that is lost is dialled again,
    /// under a new id. If it cannot be opened at the first attempt, it is not tried again.
    ///
    /// A future that is dropped does not stop the attempt; the outcome is among the [`events`](Self::events).
    pub async fn add_path<A>(&self, address: A) -> Result<PathHandle, PathError>
    where
        A: TryInto<PathAddress>,
        PathError: From<A::Error>,
    {
        PathHandle::add(self.session_ref.clone(), address.try_into()?).await
    }

    /// A handle to a path. It is not checked whether there is such a path.
    pub fn path(&self, path: PathId) -> PathHandle {
        PathHandle::new(self.session_ref.clone(), path)
    }

    /// What is known of all paths that there are now, by id.
    pub fn paths(&self) -> Vec<PathInfo> {
        let mut paths: Vec<_> = self.session_ref.read(|core| core.session.paths().collect());
        for path in &mut paths {
            path.remote = self.session_ref.remote(path.id);
        }
        paths
    }

    /// Removes a path. See [`PathHandle::remove`].
    pub fn remove_path(&self, path: PathId) -> Result<(), PathError> {
        self.path(path).remove()
    }

    /// Puts a path on standby, or back into use. See [`PathHandle::set_standby`].
    pub fn set_standby(&self, path: PathId, standby: Standby) -> Result<(), PathError> {
        self.path(path).set_standby(standby)
    }

    /// Says what a byte on a path costs. See [`PathHandle::set_cost`].
    pub fn set_cost(&self, path: PathId, cost: u32) -> Result<(), PathError> {
        self.path(path).set_cost(cost)
    }

    /// Measures a round trip on a path. See [`PathHandle::ping`].
    ///
    /// Cancel safe.
    pub async fn ping(&self, path: PathId) -> Result<Duration, PathError> {
        self.path(path).ping().await
    }

    /// Client: dials at once whatever paths are missing, instead of after the back-off: for when something says
    /// that the network is back.
    pub fn network_changed(&self) {
        self.session_ref.with(|session, now| session.network_changed(now));
    }

    /// Server: tells the client of a further address, `host:port`, by which this session can be reached, now and
    /// for paths to come. `pin` is the SHA-256 of the certificate there, when it is not that of the first path;
    /// addresses of a lower `priority` come first.
    ///
    /// # Errors
    ///
    /// When this end is the client, the address is too long, or as many are standing as the client takes paths.
    pub fn advertise(
        &self,
        authority: &str,
        pin: Option<[u8; 32]>,
        priority: u32,
    ) -> Result<AdviceId, AdvertiseError> {
        self.session_ref
            .with(|session, now| session.advertise(now, authority.to_owned(), pin, priority))
            .map(AdviceId)
    }

    /// Server: withdraws an address; the client closes the path that came of it.
    pub fn withdraw(&self, advice: AdviceId) {
        self.session_ref.with(|session, now| session.withdraw(now, advice.0));
    }

    // ---- life ----

    /// What happens to the session from now on.
    pub fn events(&self) -> SessionEvents {
        SessionEvents::new(Arc::clone(&self.session_ref))
    }

    /// Counts so far.
    pub fn stats(&self) -> SessionStats {
        self.session_ref.read(|core| core.session.stats())
    }

    /// No new streams from either end; those that are open go on. The peer gets
    /// [`SessionEvent::Draining`](crate::proto::event::SessionEvent::Draining).
    pub fn drain(&self) {
        self.session_ref.with(|session, now| session.drain(now));
    }

    /// Begins to end the session: it ends once the peer has everything that was written, or after
    /// `close_timeout`, and the peer gets `code` and `reason` (clipped to 1,024 bytes). It does not wait; see
    /// [`closed`](Self::closed).
    pub fn close(&self, code: AppCode, reason: &[u8]) {
        let reason = Bytes::copy_from_slice(reason);
        self.session_ref.with(|session, now| session.close(now, code, reason));
    }

    /// Ends the session at once: what the peer does not have yet, it may not get.
    pub fn abort(&self, code: AppCode, reason: &[u8]) {
        let reason = Bytes::copy_from_slice(reason);
        self.session_ref.with(|session, now| session.abort(now, code, reason));
    }

    /// Waits for the end of the session, caused by either end, and until the peer was told; returns why it has ended.
    ///
    /// Cancel safe.
    pub async fn closed(&self) -> SessionError {
        let end = self
            .session_ref
            .wait(Topic::Over, |core, _| if core.session.is_over() { core.end() } else { None });
        end.await
    }

    /// Why the session has ended; `None` while it has not.
    pub fn close_reason(&self) -> Option<SessionError> {
        self.session_ref.read(|core| core.end())
    }
}
