//! The session behind its lock, and the one rule applied to it.
//!
//! Everyone who has an input for a session, a handle or a path's driver, goes through [`Shared::with_core`] (or
//! [`with`](Shared::with), which is the same for those who need only the session). It takes the lock, applies the
//! input, takes every output out, and lets go of the lock *before* it calls the backend and wakes tasks: so these
//! may come straight back.
//!
//! ```text
//!   handle, driver --input--> [ lock: Core { session, who waits } ] --outputs--> backend, wakers
//! ```
//!
//! Who keeps whom: handles have a [`SessionRef`] in common, and when the last handle is gone it closes the
//! session. The backend's drivers have `Arc<Shared>`, which keeps the state and not the session open; they let
//! go of it when the backend is told that the session is [`over`](Backend::over), which ends the cycle.

#![cfg_attr(
    target_arch = "wasm32",
    expect(
        clippy::arc_with_non_send_sync,
        reason = "one type for both: a browser's sessions stay in their thread"
    )
)]

use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::pending_replies::PendingReplies;
use super::subscribers::Subscribers;
use super::trace;
use super::waiters::{Topic, WaiterId, Waiters};
use crate::proto::error::SessionError;
#[cfg(not(target_arch = "wasm32"))]
use crate::proto::event::PathLoss;
use crate::proto::event::{Action, Event, PathAddress, SessionEvent};
use crate::proto::session::{CloseState, Session};
use crate::proto::time::Time;
use crate::proto::wire::code::AppCode;
use crate::proto::wire::id::PathId;

/// What a session needs of the world. No method is called with the session's lock held, and several may be
/// called at the same time by different threads.
pub(crate) trait Backend: ThreadSafe + 'static {
    /// The time.
    fn now(&self) -> Time;

    /// The path has something to transmit: its driver should give it a turn. A path that the backend
    /// does not know is not an error: it may have been closed meanwhile.
    fn transmit(&self, path: PathId);

    /// Opens a carrier to `address` and reports with `path_connected` or `path_failed`.
    fn dial(&self, shared: &Arc<Shared>, path: PathId, address: PathAddress);

    /// Closes the path's carrier, or stops dialling. A path that the backend does not know is not an error.
    fn close_path(&self, path: PathId, code: u64, reason: Bytes);

    /// [`Shared::on_timeout`] is to be called at `at`, or earlier if the backend was told an earlier time since
    /// it last called it. (Two threads may tell their times in the wrong order, so the earliest counts.)
    fn deadline(&self, at: Time);

    /// The session is over and has closed all its carriers. It is said once; the backend lets go of the session.
    fn over(&self);

    /// The peer's address on the network, on this path.
    fn remote(&self, path: PathId) -> Option<SocketAddr> {
        let _ = path;
        None
    }
}

/// What a backend has to be where there are threads: `Send + Sync`.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) trait ThreadSafe: Send + Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + Sync> ThreadSafe for T {}

/// A backend made of a browser's objects, which belong to the one thread that has them.
#[cfg(target_arch = "wasm32")]
pub(crate) trait ThreadSafe {}
#[cfg(target_arch = "wasm32")]
impl<T> ThreadSafe for T {}

/// A session that handles and drivers share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    backend: Arc<dyn Backend>,
}

/// What the lock protects.
pub(crate) struct Core {
    pub(crate) session: Session,
    pub(crate) waiters: Waiters,
    pub(crate) subscribers: Subscribers,
    /// Paths whose opening a task waits for.
    pub(crate) openings: PendingReplies<(), ()>,
    /// Pings, by token, that a task waits for.
    pub(crate) pongs: PendingReplies<u64, Duration>,
    /// The time that the backend waits for.
    armed: Option<Time>,
    over: bool,
}

/// What came of an input, to be passed on without the lock. Empty ones cost no allocation.
#[derive(Default)]
struct Outputs {
    actions: Vec<Action>,
    woken: Vec<Waker>,
    deadline: Option<Time>,
    over: bool,
}

impl Shared {
    /// Shares `session`, and passes on what it wants so far: a client's wants its first path dialled.
    pub(crate) fn new(session: Session, backend: Arc<dyn Backend>) -> Arc<Self> {
        let core = Core {
            session,
            waiters: Waiters::default(),
            subscribers: Subscribers::default(),
            openings: PendingReplies::default(),
            pongs: PendingReplies::default(),
            armed: None,
            over: false,
        };
        let shared = Arc::new(Self { core: Mutex::new(core), backend });
        shared.with(|_, _| ());
        shared
    }

    /// Applies an input to the session.
    pub(crate) fn with<T>(self: &Arc<Self>, input: impl FnOnce(&mut Session, Time) -> T) -> T {
        self.with_core(|core, now| input(&mut core.session, now))
    }

    /// Applies an input (or a batch of them) on behalf of the driver of `path`. Returns as well whether that
    /// path was named as having something to transmit: the backend is not told so. After it received something
    /// a driver calls [`transmit`](Session::transmit) in any case.
    #[cfg(any(target_arch = "wasm32", test))]
    pub(crate) fn with_on_path<T>(
        self: &Arc<Self>,
        path: PathId,
        input: impl FnOnce(&mut Session, Time) -> T,
    ) -> (T, bool) {
        let (result, outputs) = self.run(|core, now| input(&mut core.session, now));
        (result, self.pass_on(outputs, Some(path)))
    }

    /// As `with_on_path`, but tasks that have something to do now are not woken: their wakers are added to `woken`. A
    /// driver that wakes them when its batch is done does not rouse another thread for each.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn collect_on_path<T>(
        self: &Arc<Self>,
        path: PathId,
        woken: &mut Vec<Waker>,
        input: impl FnOnce(&mut Session, Time) -> T,
    ) -> (T, bool) {
        let (result, mut outputs) = self.run(|core, now| input(&mut core.session, now));
        woken.append(&mut outputs.woken);
        (result, self.pass_on(outputs, Some(path)))
    }

    /// The work on a path has panicked, and its connection is over. If that was in the session's own code, nothing can
    /// be said of the session's state, so that it ends; otherwise it goes on without the path. (A browser catches none.)
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn fail_path(self: &Arc<Self>, path: PathId, reason: String) {
        let is_broken = self.core.is_poisoned();
        self.with(|session, now| match is_broken {
            true => session.fail(now, reason),
            false => session.path_closed(now, path, PathLoss::Failed(reason)),
        });
    }

    /// The session ends, since its own code or what it stands on has failed.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn fail(self: &Arc<Self>, reason: String) {
        self.with(|session, now| session.fail(now, reason));
    }

    /// The deadline has come, or may have.
    pub(crate) fn on_timeout(self: &Arc<Self>) {
        self.with_core(|core, now| {
            core.armed = None;
            core.session.handle_timeout(now);
        });
    }

    /// Applies an input that concerns those who wait, too.
    pub(crate) fn with_core<T>(self: &Arc<Self>, input: impl FnOnce(&mut Core, Time) -> T) -> T {
        let (result, outputs) = self.run(input);
        self.pass_on(outputs, None);
        result
    }

    /// Reads the state, or tidies up: anything that is no input to the session, so that nothing can come of it.
    pub(crate) fn read<T>(&self, question: impl FnOnce(&mut Core) -> T) -> T {
        question(&mut self.lock())
    }

    /// The peer's address on the network, on this path.
    pub(crate) fn remote(&self, path: PathId) -> Option<SocketAddr> {
        self.backend.remote(path)
    }

    /// Waits until `check` has something, which it is asked each time that there is news of `topic`.
    ///
    /// Cancel safe if whatever `check` takes it returns: a future that is dropped has taken nothing.
    pub(crate) async fn wait<T>(
        self: &Arc<Self>,
        topic: Topic,
        mut check: impl FnMut(&mut Core, Time) -> Option<T>,
    ) -> T {
        let mut queued = Queued { shared: self, topic, id: None };
        poll_fn(|cx| {
            self.with_core(|core, now| match check(core, now) {
                Some(found) => {
                    if let Some(id) = queued.id.take() {
                        core.waiters.forget(topic, id);
                    }
                    Poll::Ready(found)
                }
                None => {
                    let id = *queued.id.get_or_insert_with(|| core.waiters.new_id());
                    core.waiters.register(topic, id, cx.waker());
                    Poll::Pending
                }
            })
        })
        .await
    }

    /// The core has no state that a panic in the middle of an input could make unsafe, and users should see the
    /// panic itself, not a hundred others that follow from it. Where a panic is caught, the session ends:
    /// [`fail_path`](Self::fail_path).
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<T>(&self, input: impl FnOnce(&mut Core, Time) -> T) -> (T, Outputs) {
        let now = self.backend.now();
        let mut outputs = Outputs::default();
        let result = {
            let mut core = self.lock();
            let result = input(&mut core, now);
            core.session.check_memory(now);
            core.drain(&mut outputs);
            result
        };
        (result, outputs)
    }

    /// Returns whether `own` was named as a path that has something to transmit.
    fn pass_on(self: &Arc<Self>, outputs: Outputs, own: Option<PathId>) -> bool {
        let mut named = false;
        for action in outputs.actions {
            match action {
                Action::Transmit { path } if own == Some(path) => named = true,
                Action::Transmit { path } => self.backend.transmit(path),
                Action::Dial { path, address } => self.dial(path, address),
                Action::ClosePath { path, code, reason } => self.backend.close_path(path, code, reason),
            }
        }
        if let Some(at) = outputs.deadline {
            self.backend.deadline(at);
        }
        outputs.woken.into_iter().for_each(Waker::wake);
        if outputs.over {
            self.backend.over();
        }
        named
    }

    /// Another thread may have passed on the end of this path already, which the backend could not make sense
    /// of: so that is said again.
    fn dial(self: &Arc<Self>, path: PathId, address: PathAddress) {
        self.backend.dial(self, path, address);
        if self.read(|core| core.session.path_info(path).is_none()) {
            self.backend.close_path(path, 0, Bytes::new());
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The session itself may be locked, perhaps by the caller of this.
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Core {
    /// Why the session has ended, if it has.
    pub(crate) fn end(&self) -> Option<SessionError> {
        match self.session.close_state() {
            CloseState::Closed(error) => Some(error),
            CloseState::Open | CloseState::Flushing => None,
        }
    }

    /// The one rule of [`crate::proto::session`]: after any input, every output is taken.
    fn drain(&mut self, outputs: &mut Outputs) {
        while let Some(event) = self.session.poll_event() {
            self.on_event(event, &mut outputs.woken);
        }
        while let Some(action) = self.session.poll_action() {
            outputs.actions.push(action);
        }
        if !self.over && self.session.is_over() {
            self.over = true;
            outputs.over = true;
            self.waiters.wake(Topic::Over, &mut outputs.woken);
        }
        if let Some(at) = self.session.poll_timeout()
            && self.armed.is_none_or(|armed| at < armed)
        {
            self.armed = Some(at);
            outputs.deadline = Some(at);
        }
    }

    fn on_event(&mut self, event: Event, woken: &mut Vec<Waker>) {
        match event {
            Event::Opened => {
                trace::opened(&self.session);
                self.waiters.wake(Topic::Opened, woken);
            }
            Event::Incoming(dir) => self.waiters.wake(Topic::Accept(dir), woken),
            Event::Available(dir) => self.waiters.wake(Topic::Open(dir), woken),
            Event::Readable(stream) => self.waiters.wake(Topic::Read(stream), woken),
            Event::Writable(stream) => self.waiters.wake(Topic::Write(stream), woken),
            Event::SendDone(stream) => self.waiters.wake(Topic::Delivered(stream), woken),
            Event::Datagram => self.waiters.wake(Topic::Datagram, woken),
            Event::Pong(path, token, rtt) => {
                self.pongs.answer(path, token, rtt);
                self.waiters.wake(Topic::Path(path), woken);
            }
            Event::Session(event) => self.on_session_event(event, woken),
            Event::Closed => {
                trace::closed(&self.session);
                self.waiters.wake_all(woken);
            }
        }
    }

    fn on_session_event(&mut self, event: SessionEvent, woken: &mut Vec<Waker>) {
        trace::event(&self.session, &event);
        match &event {
            SessionEvent::PathAdded(path) => {
                self.openings.answer(*path, (), ());
                self.waiters.wake(Topic::Path(*path), woken);
            }
            SessionEvent::PathLost(path, loss) => {
                self.openings.lose(*path, loss);
                self.pongs.lose(*path, loss);
                self.waiters.wake(Topic::Path(*path), woken);
            }
            _ => {}
        }
        self.subscribers.push(event);
        self.waiters.wake(Topic::Events, woken);
    }
}

/// A future that waits; it leaves nothing behind.
struct Queued<'a> {
    shared: &'a Shared,
    topic: Topic,
    id: Option<WaiterId>,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.read(|core| core.waiters.forget(self.topic, id));
        }
    }
}

/// What all handles of a session have in common: when the last of them is dropped, the session is closed with
/// code 0, gracefully.
#[derive(Debug)]
pub(crate) struct SessionRef(Arc<Shared>);

impl SessionRef {
    /// The first handle's. There should be only one for each session.
    pub(crate) fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self(shared))
    }
}

impl Deref for SessionRef {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for SessionRef {
    fn drop(&mut self) {
        self.0.with(|session, now| session.close(now, AppCode::new(0), Bytes::new()));
    }
}
