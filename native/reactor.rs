//! One socket and all paths that go over it, in one task.
//!
//! ```text
//! mail     what other tasks want: paths with something to send, dials, closings
//! recv     a batch: recvmmsg + GRO into pooled memory
//! demux    Endpoint::handle: the batch split by path
//! work     one turn for each path that is ready: first those with little to do, here and now; then, as long as it
//!          takes less than half a millisecond, those with much, one after another, or several at once fanned out over
//!          the worker pool and joined; and handshakes of clients that have just come
//! after    what the paths have for the endpoint, their deadlines, those that are gone
//! ```
//!
//! Whoever has had no turn has it in one of the next rounds, before those that have had theirs: so a path with little to
//! do waits for one long turn at most, however many paths have much. Packets of paths that wait are bounded: above that,
//! none are read, and what does not fit stays in the kernel. A path is worked on by one thread at a time, so the order of
//! its packets is kept without queues.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{
    ClientConfig, ConnectionHandle, DatagramEvent, Endpoint, EndpointEvent, Incoming, Transmit,
};
use tokio::time::Sleep;

use super::admission::{HalfOpenPermit, Lobby, Welcome};
use super::coalescing::Coalescing;
use super::dial_race::Attempt;
use super::engine::Engine;
use super::mailbox::{Mail, Mailbox};
use super::path_driver::{DriverKey, PathDriver, Stage, Turn, send};
use super::recv_batch::{Datagram, RecvBatch};
use super::registry::Registry;
use super::rotation::Rotation;
use super::send_batch::SendBatch;
use super::socket::UdpSocket;
use super::timers::Timers;
use super::worker_pool::WorkerPool;
use crate::carrier::Observations;
use crate::carrier::PathCarrier;

/// How many rounds, and after what time no other, before the runtime's other tasks get their turn: a stream's reader,
/// perhaps, that this task has just woken.
const ROUNDS_PER_POLL: usize = 16;
const POLL_TIME: Duration = Duration::from_millis(1);
/// After this time no other long turn begins in a round.
const LONG_TURNS_TIME: Duration = Duration::from_micros(500);
/// Long turns that are done at once on the worker pool.
const TURNS_AT_ONCE: usize = 8;
/// Packets of paths that wait for a turn, above which no more are read: as many as two batches may have.
const MAX_WAITING_PACKETS: usize = 1_024;

/// How other tasks reach a reactor.
#[derive(Debug)]
pub(crate) struct ReactorHandle {
    mailbox: Mailbox<DriverKey, Order>,
    local_addr: SocketAddr,
}

/// What a reactor is told to do.
pub(crate) enum Order {
    /// Open a connection.
    Connect(Box<Connect>),
    /// Close a path's connection, whatever its stage.
    Close { driver: DriverKey, code: u64, reason: Bytes },
    /// Close a path that still belongs to no session, and forget it at once: its room is another's.
    Evict(DriverKey),
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect(_) => "Connect",
            Self::Close { .. } => "Close",
            Self::Evict(_) => "Evict",
        })
    }
}

/// A connection to open.
pub(crate) struct Connect {
    pub(crate) driver: DriverKey,
    pub(crate) config: ClientConfig,
    /// What the congestion controller that `config` makes writes to.
    pub(crate) observations: Arc<Observations>,
    pub(crate) remote: SocketAddr,
    pub(crate) server_name: String,
    /// `host:port` for a path over HTTP/3.
    pub(crate) web_transport: Option<String>,
    pub(crate) attempt: Attempt,
}

impl ReactorHandle {
    /// The address of the socket.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The path has something to send.
    pub(crate) fn transmit(&self, driver: DriverKey) {
        self.mailbox.ready(driver);
    }

    /// Gives an order. It comes back if the reactor is gone.
    pub(crate) fn order(&self, order: Order) -> Result<(), Order> {
        self.mailbox.order(order)
    }
}

/// Keeps a reactor going. It ends when it has no paths and nobody holds a lease.
#[derive(Debug)]
pub(crate) struct ReactorLease(Arc<ReactorHandle>);

impl ReactorLease {
    pub(crate) fn handle(&self) -> &Arc<ReactorHandle> {
        &self.0
    }

    pub(crate) fn downgrade(&self) -> WeakLease {
        WeakLease(Arc::downgrade(&self.0))
    }
}

impl Clone for ReactorLease {
    fn clone(&self) -> Self {
        // A lease is held, so the reactor is there, unless its runtime has ended: then neither lease keeps anything.
        self.0.mailbox.hold();
        Self(Arc::clone(&self.0))
    }
}

impl Drop for ReactorLease {
    fn drop(&mut self) {
        self.0.mailbox.release();
    }
}

/// A lease that keeps nothing.
#[derive(Debug)]
pub(crate) struct WeakLease(Weak<ReactorHandle>);

impl WeakLease {
    /// A lease, if the reactor is there.
    pub(crate) fn upgrade(&self) -> Option<ReactorLease> {
        self.0.upgrade().filter(|handle| handle.mailbox.hold()).map(ReactorLease)
    }

    /// Whether the reactor is gone for good.
    pub(crate) fn is_dead(&self) -> bool {
        self.0.upgrade().is_none_or(|handle| handle.mailbox.is_closed())
    }
}

/// A path whose turn it is, and its slot.
type Job = (usize, Box<PathDriver>);

/// A client that has room for a half-open path, and no connection yet.
struct Newcomer {
    incoming: Incoming,
    key: DriverKey,
    registry: Arc<Registry>,
    permit: HalfOpenPermit,
}

/// The task.
pub(crate) struct Reactor {
    engine: Arc<Engine>,
    handle: Arc<ReactorHandle>,
    socket: UdpSocket,
    endpoint: Endpoint,
    /// Where clients go; without one the reactor only dials.
    registry: Option<Arc<Registry>>,
    batch: RecvBatch,
    datagrams: Vec<Datagram>,
    drivers: BTreeMap<usize, Box<PathDriver>>,
    slots: BTreeMap<DriverKey, usize>,
    ready: BTreeSet<usize>,
    /// Of those that are ready: what has arrived for them and waits longer than one round.
    waiting_packets: usize,
    rotation: Rotation,
    lobby: Lobby<Newcomer>,
    coalescing: Coalescing,
    /// It has let other tasks go first since it slept.
    has_stepped_back: bool,
    blocked: BTreeSet<usize>,
    /// Single packets of the paths that have had their turn.
    send_batch: Mutex<SendBatch>,
    /// Tasks to wake.
    woken: Vec<Waker>,
    timers: Timers,
    sleep: Pin<Box<Sleep>>,
    /// For the endpoint's own packets.
    scratch: Vec<u8>,
}

impl Reactor {
    /// Starts a reactor for `socket` as a task of the current runtime.
    pub(crate) fn spawn(
        engine: Arc<Engine>,
        socket: UdpSocket,
        registry: Option<Arc<Registry>>,
    ) -> std::io::Result<ReactorLease> {
        let local_addr = socket.local_addr()?;
        let handle = Arc::new(ReactorHandle { mailbox: Mailbox::new(), local_addr });
        let lease = ReactorLease(Arc::clone(&handle));
        let server = registry.as_ref().map(|registry| registry.server_config());
        let config = registry.as_ref().map(|registry| registry.endpoint_config(local_addr));
        let config = Arc::new(config.unwrap_or_default());
        let endpoint = Endpoint::new(config, server, !socket.may_fragment(), None);
        let reactor = Self {
            batch: RecvBatch::new(&engine.buffers),
            engine,
            handle,
            datagrams: Vec::new(),
            socket,
            endpoint,
            registry,
            drivers: BTreeMap::new(),
            slots: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting_packets: 0,
            rotation: Rotation::default(),
            lobby: Lobby::default(),
            coalescing: Coalescing::default(),
            has_stepped_back: false,
            blocked: BTreeSet::new(),
            send_batch: Mutex::default(),
            woken: Vec::new(),
            timers: Timers::default(),
            sleep: Box::pin(tokio::time::sleep_until(Instant::now().into())),
            scratch: Vec::new(),
        };
        tokio::spawn(reactor);
        Ok(lease)
    }

    /// One round. `None`: there was nothing to do. `Some(false)`: the reactor has come to its end.
    fn round(&mut self, cx: &mut Context<'_>) -> Option<bool> {
        let now = Instant::now();
        let mail = self.take_mail(cx, now);
        let received = self.receive(cx, now);
        self.expire(cx);
        self.unblock(cx);
        if self.ready.is_empty() && self.lobby.is_empty() {
            return match (mail || received, self.is_needed()) {
                (_, false) => Some(false),
                (true, true) => Some(true),
                (false, true) => None,
            };
        }
        self.work(Instant::now());
        Some(true)
    }

    /// Whether other tasks, that want something as well, go first now.
    fn steps_back(&mut self) -> bool {
        let steps = !self.has_stepped_back && self.coalescing.is_expected() && self.handle.mailbox.has_mail();
        self.has_stepped_back |= steps;
        steps
    }

    // ---- mail ----

    fn take_mail(&mut self, cx: &Context<'_>, now: Instant) -> bool {
        let mail = self.handle.mailbox.take(cx.waker());
        let Some(Mail { ready, notices, orders }) = mail else { return false };
        self.coalescing.on_mail(notices, self.has_stepped_back);
        for order in orders {
            match order {
                Order::Connect(connect) => self.connect(*connect, now),
                Order::Close { driver, code, reason } => {
                    if let Some((slot, driver)) = self.driver(driver) {
                        driver.close = Some((code, reason));
                        self.ready.insert(slot);
                    }
                }
                Order::Evict(driver) => {
                    if let Some(newcomer) = self.lobby.remove(driver) {
                        self.endpoint.ignore(newcomer.incoming);
                    } else if let Some((slot, driver)) = self.driver(driver) {
                        driver.is_evicted = true;
                        self.ready.insert(slot);
                    }
                }
            }
        }
        // A path that is gone meanwhile has nothing to send.
        self.ready.extend(ready.iter().filter_map(|key| self.slots.get(key)));
        true
    }

    fn driver(&mut self, key: DriverKey) -> Option<(usize, &mut PathDriver)> {
        let slot = *self.slots.get(&key)?;
        Some((slot, self.drivers.get_mut(&slot)?))
    }

    fn connect(&mut self, connect: Connect, now: Instant) {
        let Connect { driver, config, observations, remote, server_name, web_transport, attempt } = connect;
        match self.endpoint.connect(now, config, remote, &server_name) {
            Ok((handle, connection)) => {
                let carrier = match web_transport {
                    Some(authority) => PathCarrier::web_transport(connection, observations, authority),
                    None => PathCarrier::bare(connection, observations),
                };
                self.insert(handle, PathDriver::new(driver, carrier, Stage::Dialling(attempt)));
            }
            Err(error) => attempt.impossible(error),
        }
    }

    fn insert(&mut self, handle: ConnectionHandle, driver: PathDriver) {
        self.slots.insert(driver.key, handle.0);
        self.drivers.insert(handle.0, Box::new(driver));
        self.ready.insert(handle.0);
    }

    // ---- packets ----

    fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        if self.waiting_packets > MAX_WAITING_PACKETS {
            return false;
        }
        match self.socket.poll_recv(cx, &mut self.batch) {
            Poll::Pending => false,
            Poll::Ready(Ok(_)) => {
                let mut datagrams = std::mem::take(&mut self.datagrams);
                datagrams.extend(self.batch.drain());
                datagrams.drain(..).for_each(|datagram| self.demux(now, datagram));
                self.datagrams = datagrams;
                true
            }
            Poll::Ready(Err(error)) => {
                tracing::warn!(%error, local = %self.handle.local_addr, "cannot receive");
                true
            }
        }
    }

    fn demux(&mut self, now: Instant, datagram: Datagram) {
        let Datagram { remote, local_ip, ecn, payload } = datagram;
        self.scratch.clear();
        match self.endpoint.handle(now, remote, local_ip, ecn, payload, &mut self.scratch) {
            None => {}
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(driver) = self.drivers.get_mut(&handle.0) {
                    driver.inbox.push_back(event);
                    self.ready.insert(handle.0);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.on_incoming(now, incoming),
            Some(DatagramEvent::Response(transmit)) => self.respond(&transmit),
        }
    }

    /// A client's first packet.
    fn on_incoming(&mut self, now: Instant, incoming: Incoming) {
        self.scratch.clear();
        let Some(registry) = self.registry.clone() else {
            self.endpoint.ignore(incoming);
            return;
        };
        let remote = incoming.remote_address();
        match registry.admission().knock(remote, incoming.remote_address_validated(), now) {
            Welcome::Accept => self.admit(now, incoming, registry),
            // Only when its address is true will the client get this and come again.
            Welcome::Retry => {
                if let Ok(transmit) = self.endpoint.retry(incoming, &mut self.scratch) {
                    self.respond(&transmit);
                }
            }
            Welcome::Ignore => self.endpoint.ignore(incoming),
        }
    }

    fn admit(&mut self, now: Instant, incoming: Incoming, registry: Arc<Registry>) {
        let remote = incoming.remote_address();
        let key = DriverKey::new();
        match registry.admission().enter(remote, &self.handle, key, now) {
            Some(permit) => {
                self.lobby.push(remote.ip(), key, Newcomer { incoming, key, registry, permit });
            }
            None => self.endpoint.ignore(incoming),
        }
    }

    /// Sends a packet of the endpoint's own, now or never: whoever waits for it will ask again.
    fn respond(&mut self, transmit: &Transmit) {
        let _ = send(&self.socket, transmit, &self.scratch);
    }

    // ---- time ----

    fn expire(&mut self, cx: &mut Context<'_>) {
        while let Some(next) = self.timers.next() {
            // It is moved forward only: one that fires too early costs less than moving it with every batch.
            if next < self.sleep.deadline().into_std() || self.sleep.is_elapsed() {
                self.sleep.as_mut().reset(next.into());
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return;
            }
            let now = Instant::now();
            while let Some(slot) = self.timers.pop_due(now) {
                self.ready.insert(slot);
            }
        }
    }

    /// The kernel may have room again.
    fn unblock(&mut self, cx: &mut Context<'_>) {
        let waits = !self.blocked.is_empty() || self.batch().is_blocked();
        if waits && self.socket.poll_writable(cx).is_ready() {
            self.flush();
            self.ready.append(&mut self.blocked);
        }
    }

    /// Sends the single packets of the paths that have had their turn.
    fn flush(&mut self) {
        let socket = &self.socket;
        let batch = self.send_batch.get_mut().unwrap_or_else(PoisonError::into_inner);
        batch.flush(|transmit, contents| send(socket, transmit, contents));
    }

    fn batch(&mut self) -> &mut SendBatch {
        self.send_batch.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- work ----

    fn work(&mut self, now: Instant) {
        let ready = std::mem::take(&mut self.ready);
        let is_long = |slot: &usize| self.drivers.get(slot).is_some_and(|driver| driver.is_long());
        let (long, short): (BTreeSet<_>, BTreeSet<_>) = ready.into_iter().partition(is_long);
        self.take_turns(now, short);
        self.finish_turns();
        let began = Instant::now();
        let is_time = || began.elapsed() < LONG_TURNS_TIME;
        self.take_long_turns(long, is_time);
        self.begin_handshakes(is_time);
    }

    /// One turn at least, of whoever had none for longest.
    fn take_long_turns(&mut self, long: BTreeSet<usize>, is_time: impl Fn() -> bool) {
        let mut order = self.rotation.order(long);
        while !order.is_empty() {
            let is_heavy = |slot: &&usize| self.drivers.get(slot).is_some_and(|driver| driver.is_heavy());
            let is_wide = order.iter().take(TURNS_AT_ONCE).filter(is_heavy).count() > 1;
            let count = if is_wide { TURNS_AT_ONCE } else { 1 };
            let slots = self.rotation.take(&mut order, count);
            self.take_turns(Instant::now(), slots);
            self.finish_turns();
            if !is_time() {
                break;
            }
        }
        let waiting = order.iter().filter_map(|slot| self.drivers.get(slot));
        self.waiting_packets = waiting.map(|driver| driver.inbox.len()).sum();
        self.ready.extend(order);
    }

    fn take_turns(&mut self, now: Instant, slots: impl IntoIterator<Item = usize>) {
        let mut jobs: Vec<Job> =
            slots.into_iter().filter_map(|slot| Some((slot, self.drivers.remove(&slot)?))).collect();
        if jobs.is_empty() {
            return;
        }
        let turn = Turn {
            now,
            socket: &self.socket,
            buffers: &self.engine.buffers,
            batch: &self.send_batch,
            reactor: &self.handle,
        };
        let dead = turn_each(&self.engine.workers, &turn, &mut jobs);
        for (index, (slot, mut driver)) in jobs.into_iter().enumerate() {
            self.woken.append(&mut driver.woken);
            if dead.contains(&index) {
                self.remove(slot, driver.key);
                self.endpoint.handle_event(ConnectionHandle(slot), EndpointEvent::drained());
            } else {
                self.after_turn(slot, driver);
            }
        }
    }

    /// Sends what the last turns have left, and wakes those for whom they had something, all at once: one after another, each would rouse another thread
    /// of the runtime, which finds one short task to do.
    fn finish_turns(&mut self) {
        self.flush();
        self.coalescing.on_woken(self.woken.len());
        self.woken.drain(..).for_each(Waker::wake);
    }

    /// At least one, if anybody waits for it.
    fn begin_handshakes(&mut self, is_time: impl Fn() -> bool) {
        while let Some(newcomer) = self.lobby.pop() {
            self.begin_handshake(Instant::now(), newcomer);
            if !is_time() {
                return;
            }
        }
    }

    fn begin_handshake(&mut self, now: Instant, newcomer: Newcomer) {
        let Newcomer { incoming, key, registry, permit } = newcomer;
        let (config, observations) = registry.connection_config(incoming.remote_address().ip());
        self.scratch.clear();
        match self.endpoint.accept(incoming, now, &mut self.scratch, Some(config)) {
            Ok((handle, connection)) => {
                let carrier = PathCarrier::accepted(connection, observations, registry.origin_policy());
                self.insert(handle, PathDriver::accepted(key, carrier, registry, permit, now));
            }
            Err(error) => {
                tracing::debug!(cause = %error.cause, "a handshake failed at its first packet");
                if let Some(transmit) = error.response {
                    self.respond(&transmit);
                }
            }
        }
    }

    /// After a turn: what the path has for the endpoint, and when it wants its next one.
    fn after_turn(&mut self, slot: usize, mut driver: Box<PathDriver>) {
        for event in driver.outbox.drain(..) {
            let is_drained = event.is_drained();
            if let Some(answer) = self.endpoint.handle_event(ConnectionHandle(slot), event) {
                driver.inbox.push_back(answer);
            }
            if is_drained {
                self.remove(slot, driver.key);
                return;
            }
        }
        if driver.is_evicted {
            self.remove(slot, driver.key);
            self.endpoint.handle_event(ConnectionHandle(slot), EndpointEvent::drained());
            return;
        }
        if !driver.inbox.is_empty() || driver.wants_turn {
            self.ready.insert(slot);
        }
        if driver.is_blocked() {
            self.blocked.insert(slot);
        }
        self.timers.set(slot, driver.deadline);
        self.drivers.insert(slot, driver);
    }

    fn remove(&mut self, slot: usize, key: DriverKey) {
        self.slots.remove(&key);
        self.timers.set(slot, None);
        self.ready.remove(&slot);
        self.blocked.remove(&slot);
    }

    /// Whether there is a path, or anybody who may want one. If not, nobody gets an order in any more.
    fn is_needed(&self) -> bool {
        !self.drivers.is_empty() || !self.handle.mailbox.close_if_unused()
    }
}

/// One turn for each job. A path whose turn panics is closed with INTERNAL; the indices of those that could not even be
/// closed come back.
///
/// A turn may run on a worker: nothing that it reaches may need a runtime around it. In unit tests no turn has one.
fn turn_each(workers: &WorkerPool, turn: &Turn<'_>, jobs: &mut [Job]) -> Vec<usize> {
    if cfg!(test) {
        let apart = std::thread::scope(|scope| scope.spawn(|| turn_each_here(workers, turn, jobs)).join());
        return apart.unwrap_or_default();
    }
    turn_each_here(workers, turn, jobs)
}

fn turn_each_here(workers: &WorkerPool, turn: &Turn<'_>, jobs: &mut [Job]) -> Vec<usize> {
    let work = |(_, driver): &mut Job| driver.work(turn);
    let is_wide = jobs.iter().filter(|(_, driver)| driver.is_heavy()).count() > 1;
    let mut panicked: Vec<(usize, String)> = Vec::new();
    if is_wide {
        if let Err(error) = workers.scope_each(jobs, work) {
            panicked.extend(error.items.into_iter().map(|index| (index, error.message.clone())));
        }
    } else {
        for (index, job) in jobs.iter_mut().enumerate() {
            if let Err(error) = workers.scope_each(std::slice::from_mut(job), work) {
                panicked.push((index, error.message));
            }
        }
    }
    panicked.retain(|(index, message)| {
        let Some(job) = jobs.get_mut(*index) else { return false };
        let fail = |(_, driver): &mut Job| driver.fail(turn, message);
        workers.scope_each(std::slice::from_mut(job), fail).is_err()
    });
    panicked.into_iter().map(|(index, _)| index).collect()
}

impl Future for Reactor {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let began = Instant::now();
        if self.steps_back() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        for _ in 0..ROUNDS_PER_POLL {
            match self.round(cx) {
                // Those whom this round has woken write before the next.
                Some(true) if self.coalescing.is_expected() || began.elapsed() >= POLL_TIME => break,
                Some(true) => {}
                Some(false) => return Poll::Ready(()),
                None => {
                    self.has_stepped_back = false;
                    return Poll::Pending;
                }
            }
        }
        self.has_stepped_back = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Reactor {
    /// Also when the runtime ends: what comes too late is handed back.
    fn drop(&mut self) {
        while let Some(newcomer) = self.lobby.pop() {
            self.endpoint.ignore(newcomer.incoming);
        }
        let losses = self.socket.send_losses();
        tracing::debug!(local = %self.handle.local_addr, ?losses, "a socket is closed");
        let orders = self.handle.mailbox.close();
        // There are some only when the runtime has ended before its sessions.
        for driver in self.drivers.values_mut() {
            driver.abandon("the runtime in which it was opened has ended");
        }
        // Dropped without the lock: an attempt that is dropped tells whoever waits for it.
        drop(orders);
    }
}
