//! Two ends of a session in memory, with a clock that moves only when nothing else can.
//!
//! A future is polled again only after its waker was called, so a wake-up that gets lost shows: the clock runs
//! out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;

use crate::api::Session;
use crate::api::shared::{Backend, SessionRef, Shared};
use crate::proto::acceptor::Acceptor;
use crate::proto::carrier::{Carrier, CarrierMetrics, LaneClosed};
use crate::proto::config::SessionConfig;
use crate::proto::event::{PathAddress, PathLoss};
use crate::proto::session::Session as Core;
use crate::proto::time::Time;
use crate::proto::wire::code::AppCode;
use crate::proto::wire::frame::Intent;
use crate::proto::wire::id::{Dir, LaneId, PathId, Side};

/// Virtual time after which a test has failed.
const PATIENCE: Duration = Duration::from_secs(300);
const CAPACITY: usize = 64 * 1024;

/// What a backend was asked to do.
#[derive(Default)]
struct Orders {
    ready: BTreeSet<PathId>,
    dials: Vec<(PathId, PathAddress)>,
    closes: Vec<(PathId, u64)>,
    deadline: Option<Time>,
    over: u32,
}

struct Memory {
    clock: Arc<Mutex<Time>>,
    orders: Mutex<Orders>,
}

impl Memory {
    fn orders<T>(&self, change: impl FnOnce(&mut Orders) -> T) -> T {
        change(&mut self.orders.lock().unwrap())
    }
}

impl Backend for Memory {
    fn now(&self) -> Time {
        *self.clock.lock().unwrap()
    }

    fn transmit(&self, path: PathId) {
        self.orders(|orders| orders.ready.insert(path));
    }

    fn dial(&self, _: &Arc<Shared>, path: PathId, address: PathAddress) {
        self.orders(|orders| orders.dials.push((path, address)));
    }

    fn close_path(&self, path: PathId, code: u64, _: Bytes) {
        self.orders(|orders| orders.closes.push((path, code)));
    }

    fn deadline(&self, at: Time) {
        self.orders(|orders| orders.deadline = Some(orders.deadline.map_or(at, |old| old.min(at))));
    }

    fn over(&self) {
        self.orders(|orders| orders.over += 1);
    }
}

/// What arrives at an end.
enum Arrival {
    Data(LaneId, Bytes),
    Finish(LaneId),
    Reset(LaneId),
    Datagram(Bytes),
    Closed(u64),
}

fn dir(lane: LaneId) -> Dir {
    if lane.0 & 2 == 0 { Dir::Bi } else { Dir::Uni }
}

struct MemoryCarrier<'a> {
    side: Side,
    path: PathId,
    room: usize,
    lanes: &'a mut u64,
    peer: &'a mut VecDeque<(PathId, Arrival)>,
}

impl MemoryCarrier<'_> {
    fn say(&mut self, arrival: Arrival) {
        self.peer.push_back((self.path, arrival));
    }
}

impl Carrier for MemoryCarrier<'_> {
    fn capacity(&mut self) -> usize {
        self.room
    }

    fn open_lane(&mut self, dir: Dir) -> Option<LaneId> {
        *self.lanes += 1;
        let kind = if dir == Dir::Bi { 0 } else { 2 };
        Some(LaneId(*self.lanes << 2 | kind | u64::from(self.side == Side::Server)))
    }

    fn write(&mut self, lane: LaneId, data: Bytes) -> Result<(), LaneClosed> {
        self.room = self.room.saturating_sub(data.len());
        self.say(Arrival::Data(lane, data));
        Ok(())
    }

    fn finish(&mut self, lane: LaneId) {
        self.say(Arrival::Finish(lane));
    }

    fn reset(&mut self, lane: LaneId) {
        self.say(Arrival::Reset(lane));
    }

    fn send_datagram(&mut self, data: Bytes) -> bool {
        self.say(Arrival::Datagram(data));
        true
    }

    fn max_datagram_bytes(&mut self) -> Option<usize> {
        Some(1_200)
    }

    fn metrics(&self) -> CarrierMetrics {
        CarrierMetrics { rtt: Some(Duration::from_millis(10)), ..CarrierMetrics::default() }
    }
}

struct End {
    side: Side,
    shared: Option<Arc<Shared>>,
    backend: Arc<Memory>,
    /// Paths that are connected, with how many lanes this end has opened on each.
    lanes: BTreeMap<PathId, u64>,
    inbox: VecDeque<(PathId, Arrival)>,
}

impl End {
    fn new(side: Side, clock: &Arc<Mutex<Time>>) -> Self {
        let backend = Arc::new(Memory { clock: clock.clone(), orders: Mutex::default() });
        Self { side, shared: None, backend, lanes: BTreeMap::new(), inbox: VecDeque::new() }
    }

    /// Passes what arrived to the session. Returns whether there was anything.
    fn receive(&mut self) -> bool {
        let (Some(shared), false) = (self.shared.clone(), self.inbox.is_empty()) else { return false };
        for (path, arrival) in self.inbox.drain(..) {
            shared.with(|session, now| match arrival {
                Arrival::Data(lane, data) => session.on_lane_data(now, path, lane, dir(lane), data),
                Arrival::Finish(lane) => session.on_lane_finished(now, path, lane),
                Arrival::Reset(lane) => session.on_lane_reset(now, path, lane),
                Arrival::Datagram(data) => session.on_datagram(now, path, data),
                Arrival::Closed(code) => {
                    session.path_closed(now, path, PathLoss::ClosedByPeer(AppCode::from_wire(code)))
                }
            });
            // By the one rule: what has received something may have something to say.
            self.backend.transmit(path);
        }
        true
    }

    /// Closes and fills paths. Returns whether there was anything to do.
    fn send(&mut self, peer: &mut End) -> bool {
        let Some(shared) = self.shared.clone() else { return false };
        let (ready, closes) = self
            .backend
            .orders(|orders| (std::mem::take(&mut orders.ready), std::mem::take(&mut orders.closes)));
        let busy = !ready.is_empty() || !closes.is_empty();
        for path in ready {
            let Some(lanes) = self.lanes.get_mut(&path) else { continue };
            let mut carrier =
                MemoryCarrier { side: self.side, path, room: CAPACITY, lanes, peer: &mut peer.inbox };
            while shared.with_on_path(path, |session, now| session.transmit(now, path, &mut carrier)).1 {
                carrier.room = CAPACITY;
            }
            if carrier.room < CAPACITY {
                // It has sent, and has room again: a driver looks whether there is more.
                self.backend.transmit(path);
            }
        }
        for (path, code) in closes {
            if self.lanes.remove(&path).is_some() && peer.lanes.contains_key(&path) {
                peer.inbox.push_back((path, Arrival::Closed(code)));
            }
        }
        busy
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two ends and what is between them.
pub(super) struct Net {
    clock: Arc<Mutex<Time>>,
    client: End,
    server: End,
    greeters: BTreeMap<PathId, Acceptor>,
    server_config: SessionConfig,
    accepted: Option<Arc<SessionRef>>,
}

impl Net {
    /// A client that dials, and nothing else.
    pub(super) fn dialling(config: SessionConfig, address: &str) -> (Self, Arc<SessionRef>) {
        let clock = Arc::new(Mutex::new(Time::from_epoch(Duration::from_secs(1))));
        let (mut client, server) = (End::new(Side::Client, &clock), End::new(Side::Server, &clock));
        let session = Core::client(
            client.backend.now(),
            config.clone().validate().unwrap(),
            [1; 32],
            address.parse().unwrap(),
        );
        let shared = Shared::new(session, client.backend.clone());
        client.shared = Some(shared.clone());
        let greeters = BTreeMap::new();
        let net = Self { clock, client, server, greeters, server_config: config, accepted: None };
        (net, SessionRef::new(shared))
    }

    /// An open session, both ends.
    pub(super) fn pair(config: SessionConfig) -> (Self, Session, Session) {
        let (mut net, session_ref) = Self::dialling(config, "server:1");
        let client = net.block_on(Session::opened(session_ref)).unwrap();
        let server = net.accepted.take().unwrap();
        let server = net.block_on(Session::opened(server)).unwrap();
        (net, client, server)
    }

    /// Runs `future`, and the network as far as it takes for that.
    pub(super) fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let give_up = *self.clock.lock().unwrap() + PATIENCE;
        loop {
            if flag.0.swap(false, Ordering::Relaxed)
                && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return output;
            }
            if !self.step() && !flag.0.load(Ordering::Relaxed) {
                self.let_time_pass(give_up);
            }
        }
    }

    /// Runs the network until `done`, whatever time that takes.
    pub(super) fn run_until(&mut self, mut done: impl FnMut() -> bool) {
        let give_up = self.now() + PATIENCE;
        loop {
            self.settle();
            if done() {
                return;
            }
            self.let_time_pass(give_up);
        }
    }

    /// The clock moves on; what is due is not done yet.
    pub(super) fn pass(&mut self, time: Duration) {
        let mut clock = self.clock.lock().unwrap();
        *clock += time;
    }

    pub(super) fn now(&self) -> Time {
        *self.clock.lock().unwrap()
    }

    /// Runs the network until it has nothing more to do without time passing.
    pub(super) fn settle(&mut self) {
        while self.step() {}
    }

    /// The path breaks without a word to either end's peer.
    pub(super) fn cut(&mut self, path: PathId) {
        for end in [&mut self.client, &mut self.server] {
            if end.lanes.remove(&path).is_some()
                && let Some(shared) = &end.shared
            {
                shared.with(|session, now| session.path_closed(now, path, PathLoss::Failed("cut".into())));
            }
        }
    }

    /// How often the backends were told that the session is over.
    pub(super) fn over(&self) -> [u32; 2] {
        [&self.client, &self.server].map(|end| end.backend.orders(|orders| orders.over))
    }

    pub(super) fn client(&self) -> &Arc<Shared> {
        self.client.shared.as_ref().unwrap()
    }

    fn step(&mut self) -> bool {
        let mut busy = self.dial();
        self.greet();
        busy |= self.client.receive() | self.server.receive();
        busy |= self.client.send(&mut self.server);
        busy |= self.server.send(&mut self.client);
        busy
    }

    fn dial(&mut self) -> bool {
        let dials = self.client.backend.orders(|orders| std::mem::take(&mut orders.dials));
        let busy = !dials.is_empty();
        for (path, address) in dials {
            let shared = self.client().clone();
            if address.authority.starts_with("nowhere") {
                shared.with(|session, now| session.path_failed(now, path, "no route".into()));
                continue;
            }
            self.client.lanes.insert(path, 0);
            self.server.lanes.insert(path, 0);
            self.greeters.insert(path, Acceptor::new());
            shared.with(|session, now| session.path_connected(now, path));
        }
        busy
    }

    /// The server's first look at new paths.
    fn greet(&mut self) {
        let inbox = std::mem::take(&mut self.server.inbox);
        for (path, arrival) in inbox {
            let data = match (arrival, self.greeters.remove(&path)) {
                (Arrival::Data(lane, data), Some(acceptor)) => (acceptor, lane, data),
                (arrival, _) => {
                    self.server.inbox.push_back((path, arrival));
                    continue;
                }
            };
            let (acceptor, lane, data) = data;
            let accepted = acceptor.on_lane_data(lane, dir(lane), data).unwrap().unwrap();
            self.server.backend.transmit(path);
            if accepted.hello.intent == Intent::New {
                let session =
                    Core::server(self.server_config.clone().validate().unwrap(), [2; 32], &accepted.hello);
                let shared = Shared::new(session, self.server.backend.clone());
                self.server.shared = Some(shared.clone());
                self.accepted = Some(SessionRef::new(shared));
            }
            let shared = self.server.shared.clone().unwrap();
            shared.with(|session, now| {
                if accepted.hello.intent != Intent::New {
                    session.check_join(path, &accepted.hello.intent).unwrap();
                }
                session.attach(now, accepted);
            });
        }
    }

    fn let_time_pass(&mut self, give_up: Time) {
        let ends = [&self.client, &self.server];
        let at = ends.iter().filter_map(|end| end.backend.orders(|orders| orders.deadline)).min();
        let at = at.expect("nobody waits for anything: a wake-up was lost");
        let now = self.client.backend.now().max(at);
        assert!(now < give_up, "nothing happens: a wake-up was lost");
        *self.clock.lock().unwrap() = now;
        for end in ends {
            let due = end.backend.orders(|orders| orders.deadline.take_if(|at| *at <= now).is_some());
            if let (true, Some(shared)) = (due, &end.shared) {
                shared.on_timeout();
            }
        }
    }
}
