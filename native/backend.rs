//! The world of one session: which driver each of its paths has, who dials, and its timer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::admission::SessionPermit;
use super::dial_race;
use super::dialler::Dialler;
use super::engine::Engine;
use super::meter::{Counted, Meter};
use super::path_driver::DriverKey;
use super::reactor::{Order, ReactorHandle, ReactorLease};
use super::registry::Registry;
use super::session_timers::{Timed, TimerKey};
use crate::api::shared::{Backend, Shared};
use crate::proto::event::PathAddress;
use crate::proto::time::Time;
use crate::proto::wire::id::{PathId, SessionId, Side};

/// Implements [`Backend`] with sockets and tasks.
pub(crate) struct NativeBackend {
    /// Itself, for the tasks that it starts.
    me: Weak<Self>,
    engine: Arc<Engine>,
    runtime: tokio::runtime::Handle,
    role: Role,
    routes: Mutex<BTreeMap<PathId, Route>>,
    timer: TimerKey,
}

/// What differs between the two ends.
pub(crate) enum Role {
    /// It dials.
    Client(Dialler),
    /// It is one of a listener's sessions.
    Server {
        /// The session.
        id: SessionId,
        /// Where it is known.
        registry: Weak<Registry>,
        /// Its room, until it is over. Locked with the routes or alone, so that it knows whether there are any.
        permit: Mutex<Option<SessionPermit>>,
        /// The listener's sockets, on which the client may come back, until the session is over.
        sockets: Mutex<Option<Arc<Vec<ReactorLease>>>>,
    },
}

/// Where a path's driver is.
enum Route {
    /// Client: being dialled.
    Dialling {
        /// Dropped to call the attempts off.
        _cancel: oneshot::Sender<()>,
        socket_index: usize,
    },
    Open {
        route: OpenRoute,
        _counted: Counted,
    },
}

/// Where the driver of a path with a connection is.
pub(crate) struct OpenRoute {
    pub(crate) reactor: Arc<ReactorHandle>,
    pub(crate) driver: DriverKey,
    pub(crate) remote: SocketAddr,
    /// Client: what keeps the socket, and which of the session's sockets it is.
    pub(crate) lease: Option<(ReactorLease, usize)>,
}

/// What a session's timer calls, and what reports the session's figures from time to time.
struct SessionClock {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    meter: Mutex<Meter>,
}

impl SessionClock {
    fn report(&self, meter: &mut Meter) {
        meter.report(self.engine.time(), self.shared.read(|core| core.session.stats()));
    }

    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timed for SessionClock {
    fn on_deadline(&self) {
        if let Err(panic) = self.engine.workers.catch(|| self.shared.on_timeout()) {
            self.shared.fail(format!("work on its deadlines panicked: {}", panic.message));
        }
        let mut meter = self.meter();
        if meter.is_due(self.engine.time()) {
            self.report(&mut meter);
        }
    }
}

impl Drop for SessionClock {
    /// The session is over.
    fn drop(&mut self) {
        self.report(&mut self.meter());
    }
}

impl NativeBackend {
    /// A backend whose tasks run on `runtime`. It is passed in, since sessions are made on workers too, which have none.
    pub(crate) fn new(engine: Arc<Engine>, runtime: tokio::runtime::Handle, role: Role) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            timer: engine.timers.add(),
            engine,
            runtime,
            role,
            routes: Mutex::default(),
        })
    }

    /// Client: what dials.
    pub(crate) fn dialler(&self) -> Option<&Dialler> {
        match &self.role {
            Role::Client(dialler) => Some(dialler),
            Role::Server { .. } => None,
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Client: the first attempt for this path that succeeds gets it. Not if nobody wants the path any more.
    pub(crate) fn win(&self, path: PathId, open: OpenRoute) -> bool {
        let mut routes = self.routes();
        match routes.get_mut(&path) {
            Some(route @ Route::Dialling { .. }) => {
                *route = Route::Open { route: open, _counted: Counted::path(Side::Client) };
                true
            }
            Some(Route::Open { .. }) | None => false,
        }
    }

    /// Client: whether the path has no connection yet and is still wanted.
    pub(crate) fn is_dialling(&self, path: PathId) -> bool {
        matches!(self.routes().get(&path), Some(Route::Dialling { .. }))
    }

    /// Whether this driver carries the path.
    pub(crate) fn has_driver(&self, path: PathId, driver: DriverKey) -> bool {
        matches!(self.routes().get(&path), Some(Route::Open { route: open, .. }) if open.driver == driver)
    }

    /// Server: a path has come.
    pub(crate) fn open(&self, path: PathId, open: OpenRoute) {
        let route = Route::Open { route: open, _counted: Counted::path(Side::Server) };
        let mut routes = self.routes();
        routes.insert(path, route);
        self.with_permit(SessionPermit::resume);
    }

    /// The path's connection is gone.
    pub(crate) fn forget(&self, path: PathId) {
        // Without the lock: its socket may go with it.
        drop(self.take_route(path));
    }

    /// Takes a path out. When it was a server's last one, the session's room may be another's from now on.
    fn take_route(&self, path: PathId) -> Option<Route> {
        let (route, evicted) = {
            let mut routes = self.routes();
            let route = routes.remove(&path);
            let evicted = if routes.is_empty() { self.with_permit(SessionPermit::suspend) } else { None };
            (route, evicted.flatten())
        };
        self.evict(evicted);
        route
    }

    /// Server: ends a session whose room is another's now, perhaps this one.
    fn evict(&self, evicted: Option<SessionId>) {
        if let (Some(id), Role::Server { registry, .. }) = (evicted, &self.role)
            && let Some(registry) = registry.upgrade()
        {
            registry.evict(id);
        }
    }

    /// Server: changes how its room is counted, while it has any.
    fn with_permit<T>(&self, change: impl FnOnce(&mut SessionPermit) -> T) -> Option<T> {
        let Role::Server { permit, .. } = &self.role else { return None };
        permit.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(change)
    }

    fn side(&self) -> Side {
        match self.role {
            Role::Client(_) => Side::Client,
            Role::Server { .. } => Side::Server,
        }
    }

    /// From now on, until it is over, the session's timeouts are called, which keeps it; and its figures are reported.
    pub(crate) fn start_clock(&self, shared: Arc<Shared>) {
        let engine = Arc::clone(&self.engine);
        let meter = Mutex::new(Meter::new(self.side(), engine.time()));
        self.engine.timers.attach(self.timer, Arc::new(SessionClock { engine, shared, meter }));
    }

    /// The lowest number that no other path of this session has: two paths with different numbers use different
    /// sockets, even if they lead to the same address.
    fn free_socket_index(routes: &BTreeMap<PathId, Route>) -> usize {
        let taken = |socket_index: usize| {
            routes.values().any(|route| match route {
                Route::Dialling { socket_index: taken, .. } => *taken == socket_index,
                Route::Open { route: open, .. } => {
                    open.lease.as_ref().is_some_and(|(_, taken)| *taken == socket_index)
                }
            })
        };
        (0..).find(|socket_index| !taken(*socket_index)).unwrap_or(0)
    }

    fn routes(&self) -> MutexGuard<'_, BTreeMap<PathId, Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NativeBackend {
    fn drop(&mut self) {
        self.engine.timers.remove(self.timer);
    }
}

impl Backend for NativeBackend {
    fn now(&self) -> Time {
        self.engine.time()
    }

    fn transmit(&self, path: PathId) {
        let routes = self.routes();
        if let Some(Route::Open { route: open, .. }) = routes.get(&path) {
            open.reactor.transmit(open.driver);
        }
    }

    fn dial(&self, shared: &Arc<Shared>, path: PathId, address: PathAddress) {
        // The session that calls has it.
        let Some(me) = self.me.upgrade() else { return };
        let (cancel, cancelled) = oneshot::channel();
        let socket_index = {
            let mut routes = self.routes();
            let socket_index = Self::free_socket_index(&routes);
            routes.insert(path, Route::Dialling { _cancel: cancel, socket_index });
            socket_index
        };
        let race = dial_race::run(me, Arc::clone(shared), path, address, socket_index, cancelled);
        self.runtime.spawn(race);
    }

    fn close_path(&self, path: PathId, code: u64, reason: Bytes) {
        let route = self.take_route(path);
        if let Some(Route::Open { route: open, .. }) = &route {
            // A reactor that is gone has closed it already.
            let _ = open.reactor.order(Order::Close { driver: open.driver, code, reason });
        }
    }

    fn deadline(&self, at: Time) {
        self.engine.timers.set(self.timer, self.engine.clock.instant(at));
    }

    fn over(&self) {
        if let Role::Server { id, registry, permit, sockets } = &self.role {
            // If it keeps its room at all, then as one that makes way for others.
            let evicted = self.with_permit(SessionPermit::suspend).flatten();
            let permit = permit.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(registry) = registry.upgrade() {
                registry.remove(*id, permit);
            }
            self.evict(evicted);
            let sockets = sockets.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(sockets);
        }
        let routes = std::mem::take(&mut *self.routes());
        drop(routes);
        self.engine.timers.detach(self.timer);
    }

    fn remote(&self, path: PathId) -> Option<SocketAddr> {
        match self.routes().get(&path) {
            Some(Route::Open { route: open, .. }) => Some(open.remote),
            _ => None,
        }
    }
}
