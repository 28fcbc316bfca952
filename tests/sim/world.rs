//! Virtual time, links, connections, and one session at each end of them.

use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use bytes::Bytes;
use kwik::proto::acceptor::{self, Acceptor};
use kwik::proto::config::SessionConfig;
use kwik::proto::error::{AppCode, SessionError};
use kwik::proto::event::{Action, PathAddress, PathLoss, Scheme};
use kwik::proto::paths::path::PathState;
use kwik::proto::session::{CloseState, Session};
use kwik::proto::time::Time;
use kwik::proto::wire::code::TransportCode;
use kwik::proto::wire::frame::Intent;
use kwik::proto::wire::id::{Dir, LaneId, PathId, Side};

use crate::app::{App, Plan, Plans};
use crate::carrier::{Arrival, Half, Model, Packet, lane_dir};
use crate::courses;
use crate::dice::Dice;
use crate::link::{Link, index};

/// No run takes longer than this in its own time.
const LIMIT: Duration = Duration::from_secs(600);
/// More turns than this without time passing are a spin.
const SPIN: u32 = 20_000;
/// A connection on which nothing is heard for so long is given up by its carrier.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// So often a connection makes sure that it is heard.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(crate) const SIDES: [Side; 2] = [Side::Client, Side::Server];

type Call = Box<dyn FnOnce(&mut World)>;

enum Happening {
    Packet { conn: usize, to: Side, packet: Packet },
    Ack { conn: usize, to: Side, numbers: Vec<u64> },
    Close { conn: usize, to: Side, code: u64 },
    CarrierTimer { conn: usize, side: Side },
    KeepAlive { conn: usize, side: Side },
    SessionTimer { side: Side },
    Dialled { conn: usize },
    DialFailed { path: PathId },
    Rejected { conn: usize, code: TransportCode },
    ReadALittle { side: Side },
    Call(Call),
}

struct Entry {
    at: Time,
    order: u64,
    happening: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// One dialled connection.
struct Conn {
    link: usize,
    path: PathId,
    halves: [Option<Half>; 2],
    acceptor: Option<Acceptor>,
    heard_at: [Time; 2],
    /// What each end has closed it with.
    closed_with: [Option<u64>; 2],
}

/// One end of the session.
pub(crate) struct Peer {
    pub(crate) session: Option<Session>,
    pub(crate) app: App,
    pub(crate) config: SessionConfig,
    conns: BTreeMap<PathId, usize>,
    timer: Option<Time>,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) dice: Dice,
    pub(crate) links: Vec<Link>,
    pub(crate) peers: [Peer; 2],
    pub(crate) plans: Plans,
    pub(crate) model: Model,
    pub(crate) max_lanes: u64,
    /// Whether dialling over a link that is down fails after a moment, or never tells.
    pub(crate) dial_hangs: bool,
    /// The server has lost its state, or has given the session up.
    pub(crate) server_forgets: bool,
    /// Whether any link was ever silent both ways.
    went_down: bool,
    queue: BinaryHeap<Entry>,
    order: u64,
    conns: Vec<Conn>,
    log: u64,
    checks: u32,
    spins: u32,
}

impl World {
    pub(crate) fn new(seed: u64, links: Vec<Link>, config: [SessionConfig; 2], model: Model) -> Self {
        let [client, server] = config;
        let peer = |side, config| Peer {
            session: None,
            app: App::new(side),
            config,
            conns: BTreeMap::new(),
            timer: None,
        };
        Self {
            now: Time::from_epoch(Duration::from_secs(1)),
            dice: Dice::new(seed),
            links,
            peers: [peer(Side::Client, client), peer(Side::Server, server)],
            plans: Plans::new(),
            model,
            max_lanes: 100,
            dial_hangs: false,
            server_forgets: false,
            went_down: false,
            queue: BinaryHeap::new(),
            order: 0,
            conns: Vec::new(),
            log: 0xcbf2_9ce4_8422_2325,
            checks: 0,
            spins: 0,
        }
    }

    // ---- what tests do ----

    /// Dials the first link, and adds a path over each further one as soon as the session is open.
    pub(crate) fn dial(&mut self) {
        let seed = self.dice.seed();
        let config = self.peers[0].config.clone();
        self.peers[0].session = Some(Session::client(self.now, config, seed, address(0)));
        self.settle(Side::Client);
    }

    pub(crate) fn add_path(&mut self, link: usize) {
        let now = self.now;
        if let Some(session) = &mut self.peers[0].session {
            // Refused once the session has ended, and that is what the test is about then.
            let _ = session.add_path(now, address(link));
        }
        self.settle(Side::Client);
    }

    pub(crate) fn at(&mut self, after: Duration, call: impl FnOnce(&mut World) + 'static) {
        self.schedule(Time::from_epoch(Duration::from_secs(1)) + after, Happening::Call(Box::new(call)));
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - Time::from_epoch(Duration::from_secs(1))
    }

    /// Lets a side's application use its session.
    pub(crate) fn with<R>(&mut self, side: Side, call: impl FnOnce(&mut Session, Time) -> R) -> Option<R> {
        let now = self.now;
        let result = self.peers[index(side)].session.as_mut().map(|session| call(session, now));
        self.settle(side);
        result
    }

    pub(crate) fn open(&mut self, side: Side, plan: Plan) {
        let peer = &mut self.peers[index(side)];
        peer.app.wants.push_back(plan);
        if let Some(session) = &mut peer.session
            && peer.app.opened
            && !peer.app.closed
        {
            peer.app.open_wanted(self.now, session, &mut self.plans);
        }
        self.settle(side);
    }

    pub(crate) fn silence(&mut self, link: usize, silent: bool) {
        self.went_down |= silent;
        self.links[link].set_silent(silent);
    }

    /// The connections over this link break, and both ends are told.
    pub(crate) fn cut(&mut self, link: usize) {
        for conn in 0..self.conns.len() {
            if self.conns[conn].link == link {
                for side in SIDES {
                    self.lose(conn, side, PathLoss::Failed("reset".into()));
                }
            }
        }
    }

    pub(crate) fn read_slowly(&mut self, side: Side, little: u64) {
        self.peers[index(side)].app.reads_slowly = Some(little);
        self.schedule(self.now, Happening::ReadALittle { side });
    }

    pub(crate) fn session(&self, side: Side) -> &Session {
        self.peers[index(side)].session.as_ref().expect("the session has begun")
    }

    pub(crate) fn app(&self, side: Side) -> &App {
        &self.peers[index(side)].app
    }

    /// A number that tells one course of events from another.
    pub(crate) fn log(&self) -> u64 {
        self.log
    }

    /// How a side's session ended.
    pub(crate) fn error(&self, side: Side) -> Option<SessionError> {
        match self.peers[index(side)].session.as_ref()?.close_state() {
            CloseState::Closed(error) => Some(error),
            _ => None,
        }
    }

    /// Runs until `done`, or until nothing can happen any more. Fails when that takes too long.
    pub(crate) fn run_until(&mut self, mut done: impl FnMut(&World) -> bool) {
        while !done(self) {
            assert!(self.now - Time::ZERO < LIMIT, "no end in sight: {}", self.state());
            let Some(entry) = self.queue.pop() else {
                panic!("nothing will ever happen again: {}", self.state());
            };
            self.spins = if entry.at > self.now { 0 } else { self.spins + 1 };
            assert!(self.spins < SPIN, "time stands still: {}", self.state());
            self.now = entry.at;
            self.happen(entry.happening);
        }
    }

    /// Runs until there is a path over every link, and both ends know.
    pub(crate) fn run_until_all_paths_are_there(&mut self) {
        let links = self.links.len();
        let is_active = |world: &World, side| {
            world.session(side).paths().filter(|path| path.state == PathState::Active).count() == links
        };
        self.run_until(|world| SIDES.iter().all(|side| is_active(world, *side)));
    }

    /// Runs until both applications have done all that they had to do.
    pub(crate) fn run(&mut self) {
        self.run_until(|world| {
            world.peers[0].app.opened && world.peers.iter().all(|peer| peer.app.is_done())
        });
        self.check_bounds();
    }

    /// Runs until both ends agree that nothing is open, then closes the session and sees it end.
    pub(crate) fn finish(&mut self) {
        self.run();
        self.run_until(|world| {
            SIDES.iter().all(|side| {
                let stats = world.session(*side).stats();
                stats.open_streams == 0 && stats.retained_bytes == 0 && stats.buffered_bytes == 0
            })
        });
        self.close();
    }

    /// Closes the session from the client's end and sees both ends agree.
    pub(crate) fn close(&mut self) {
        self.with(Side::Client, |session, now| session.close(now, AppCode(5), Bytes::from_static(b"done")));
        self.run_until(|world| SIDES.iter().all(|side| world.session(*side).is_over()));
        let closed = SessionError::LocallyClosed { code: AppCode(5), undelivered_bytes: 0 };
        assert_eq!(self.error(Side::Client), Some(closed));
        self.expect_closed_by_peer(Side::Server, AppCode(5), "done");
    }

    /// The other end has closed the session, and this one knows.
    pub(crate) fn expect_closed_by_peer(&self, side: Side, expected: AppCode, why: &str) {
        match self.error(side) {
            Some(SessionError::ClosedByPeer { code, reason }) => {
                assert_eq!((code, &reason[..]), (expected, why.as_bytes()))
            }
            // CLOSE was lost, and the carrier's own farewell was not.
            Some(SessionError::PeerError { code: TransportCode::SessionClosed, .. }) => {}
            // Both may be lost when links go down in this very moment.
            Some(SessionError::ResumeTimeout { .. })
                if self.went_down || !self.links.iter().all(Link::is_up) => {}
            other => panic!("the {side:?}'s session ends with {other:?}: {}", self.state()),
        }
    }

    /// For the message of a failure.
    fn state(&self) -> String {
        let mut text = format!("at {:?}", self.now);
        for peer in &self.peers {
            let side = peer.app.side;
            let Some(session) = &peer.session else {
                text += &format!("\n{side:?}: no session");
                continue;
            };
            text += &format!("\n{side:?} {:?} {:?}", session.close_state(), session.stats());
            for path in session.paths() {
                text += &format!("\n  {path:?}");
            }
            text += &format!("\n  {}\n  {:?}", peer.app.unfinished(), peer.app.session_events);
        }
        text
    }

    // ---- the machine ----

    fn schedule(&mut self, at: Time, happening: Happening) {
        self.order += 1;
        self.queue.push(Entry { at: at.max(self.now), order: self.order, happening });
    }

    fn note(&mut self, what: u64, detail: u64) {
        for word in [self.now.since_epoch().as_nanos() as u64, what, detail] {
            self.log = (self.log ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Frames and the heads of records begin what arrives on a lane; the rest is the application's.
    fn note_arrival(&mut self, to: Side, arrival: &Arrival) {
        let (what, lane, data) = match arrival {
            Arrival::Data(lane, data) => (10, lane.0, &data[..]),
            Arrival::Finished(lane) => (11, lane.0, &[][..]),
            Arrival::Reset(lane) => (12, lane.0, &[][..]),
            Arrival::Stopped(lane) => (13, lane.0, &[][..]),
            Arrival::Datagram(data) => (14, 0, &data[..]),
        };
        self.note(what + 10 * index(to) as u64, lane << 32 | data.len() as u64);
        for bytes in data[..data.len().min(64)].chunks(8) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            self.note(what, u64::from_le_bytes(word));
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Packet { conn, to, packet } => self.on_packet(conn, to, packet),
            Happening::Ack { conn, to, numbers } => self.on_ack(conn, to, numbers),
            Happening::Close { conn, to, code } => {
                if self.is_link_up(conn, to.peer()) {
                    self.lose(conn, to, PathLoss::ClosedByPeer(AppCode(code)));
                }
            }
            Happening::CarrierTimer { conn, side } => self.on_carrier_timer(conn, side),
            Happening::KeepAlive { conn, side } => self.keep_alive(conn, side),
            Happening::SessionTimer { side } => self.on_session_timer(side),
            Happening::Dialled { conn } => self.on_dialled(conn),
            Happening::DialFailed { path } => {
                self.with(Side::Client, |session, now| session.path_failed(now, path, "unreachable".into()));
            }
            Happening::Rejected { conn, code } => self.close_conn(conn, Side::Server, code.as_u64()),
            Happening::ReadALittle { side } => self.read_a_little(side),
            Happening::Call(call) => call(self),
        }
    }

    /// The one rule: after any input, drain the outputs.
    fn settle(&mut self, side: Side) {
        let peer = &mut self.peers[index(side)];
        let Some(mut session) = peer.session.take() else { return };
        let mut turns = 0;
        loop {
            let mut busy = false;
            while let Some(action) = session.poll_action() {
                busy = true;
                self.act(side, &mut session, action);
            }
            while let Some(event) = session.poll_event() {
                busy = true;
                let peer = &mut self.peers[index(side)];
                peer.app.on_event(self.now, &mut session, &mut self.plans, event);
            }
            if !busy {
                break;
            }
            turns += 1;
            assert!(turns < SPIN, "{side:?}: the outputs never end");
        }
        let timeout = session.poll_timeout();
        let peer = &mut self.peers[index(side)];
        peer.session = Some(session);
        if let Some(at) = timeout
            && peer.timer.is_none_or(|set| at < set)
        {
            peer.timer = Some(at);
            self.schedule(at, Happening::SessionTimer { side });
        }
        self.checks += 1;
        if self.checks.is_multiple_of(256) {
            self.check_bounds();
        }
    }

    /// What the configuration promises about memory.
    fn check_bounds(&self) {
        for peer in &self.peers {
            let Some(session) = &peer.session else { continue };
            let (stats, config) = (session.stats(), session.config());
            assert!(stats.retained_bytes <= config.session_send_buffer_bytes as u64, "{stats:?}");
            assert!(stats.buffered_bytes <= config.session_receive_window.max_bytes, "{stats:?}");
        }
    }

    fn act(&mut self, side: Side, session: &mut Session, action: Action) {
        self.note(6 + index(side) as u64, action_number(&action));
        match action {
            Action::Dial { path, address } => self.start_dialling(path, &address),
            Action::ClosePath { path, code, .. } => {
                if let Some(conn) = self.peers[index(side)].conns.remove(&path) {
                    self.close_conn(conn, side, code);
                }
            }
            Action::Transmit { path } => self.transmit(side, session, path),
        }
    }

    fn transmit(&mut self, side: Side, session: &mut Session, path: PathId) {
        let Some(&conn) = self.peers[index(side)].conns.get(&path) else { return };
        if let Some(half) = &mut self.conns[conn].halves[index(side)] {
            session.transmit(self.now, path, half);
            self.pump(conn, side);
        }
    }

    /// What has to follow when something happened to the carrier of a path.
    fn drive(&mut self, conn: usize, side: Side) {
        let path = self.conns[conn].path;
        let peer = &mut self.peers[index(side)];
        if peer.conns.get(&path) == Some(&conn)
            && let Some(mut session) = peer.session.take()
        {
            self.transmit(side, &mut session, path);
            self.peers[index(side)].session = Some(session);
            self.settle(side);
        } else {
            self.pump(conn, side);
        }
    }

    // ---- connections ----

    fn start_dialling(&mut self, path: PathId, address: &PathAddress) {
        let link = address.authority.strip_prefix("link:").and_then(|link| link.parse::<usize>().ok());
        let link = link.expect("an address of the simulator");
        self.note(1, path.0);
        let conn = self.conns.len();
        let heard_at = [self.now; 2];
        self.conns.push(Conn {
            link,
            path,
            halves: [None, None],
            acceptor: Some(Acceptor::new()),
            heard_at,
            closed_with: [None; 2],
        });
        self.peers[0].conns.insert(path, conn);
        if self.links[link].is_up() {
            let rtt = self.links[link].rtt();
            self.schedule(self.now + rtt, Happening::Dialled { conn });
        } else if !self.dial_hangs {
            self.schedule(self.now + Duration::from_millis(20), Happening::DialFailed { path });
        }
    }

    fn on_dialled(&mut self, conn: usize) {
        let Conn { link, path, .. } = self.conns[conn];
        if self.peers[0].conns.get(&path) != Some(&conn) {
            return;
        }
        if !self.links[link].is_up() {
            if !self.dial_hangs {
                self.schedule(self.now + Duration::from_millis(20), Happening::DialFailed { path });
            }
            return;
        }
        let product = self.links[link].product_bytes();
        let half = |side| Some(Half::new(side, self.model, self.now, product, self.max_lanes));
        self.conns[conn].halves = [half(Side::Client), half(Side::Server)];
        self.conns[conn].heard_at = [self.now; 2];
        for side in SIDES {
            self.schedule(self.now + KEEP_ALIVE, Happening::KeepAlive { conn, side });
        }
        self.with(Side::Client, |session, now| session.path_connected(now, path));
    }

    /// Puts on the wire what the window allows.
    fn pump(&mut self, conn: usize, side: Side) {
        let now = self.now;
        while let Some(half) = &mut self.conns[conn].halves[index(side)]
            && let Some(packet) = half.next_packet(now)
        {
            self.send(conn, side, packet);
        }
        self.set_carrier_timer(conn, side);
    }

    fn send(&mut self, conn: usize, side: Side, packet: Packet) {
        let link = self.conns[conn].link;
        let arrival = self.links[link].wire(side).send(self.now, packet.bytes, &mut self.dice);
        if let Some(at) = arrival {
            self.schedule(at, Happening::Packet { conn, to: side.peer(), packet });
        }
    }

    fn set_carrier_timer(&mut self, conn: usize, side: Side) {
        if let Some(half) = &mut self.conns[conn].halves[index(side)]
            && let Some(deadline) = half.deadline()
            && half.timer.is_none_or(|set| deadline < set)
        {
            half.timer = Some(deadline);
            self.schedule(deadline, Happening::CarrierTimer { conn, side });
        }
    }

    fn on_carrier_timer(&mut self, conn: usize, side: Side) {
        let now = self.now;
        let Some(half) = &mut self.conns[conn].halves[index(side)] else { return };
        half.timer = None;
        if half.deadline().is_some_and(|at| at <= now)
            && let Some(packet) = half.probe(now)
        {
            self.send(conn, side, packet);
        }
        self.set_carrier_timer(conn, side);
    }

    fn keep_alive(&mut self, conn: usize, side: Side) {
        let silent_for = self.now - self.conns[conn].heard_at[index(side)];
        let Some(half) = &mut self.conns[conn].halves[index(side)] else { return };
        if silent_for >= IDLE_TIMEOUT {
            return self.lose(conn, side, PathLoss::TimedOut);
        }
        if silent_for >= KEEP_ALIVE {
            half.ping();
            self.drive(conn, side);
        }
        self.schedule(self.now + KEEP_ALIVE, Happening::KeepAlive { conn, side });
    }

    fn is_link_up(&mut self, conn: usize, from: Side) -> bool {
        let link = self.conns[conn].link;
        !self.links[link].wire(from).silent
    }

    fn on_packet(&mut self, conn: usize, to: Side, packet: Packet) {
        if !self.is_link_up(conn, to.peer()) {
            return;
        }
        self.note(2 + index(to) as u64, packet.number << 16 | packet.bytes);
        self.conns[conn].heard_at[index(to)] = self.now;
        if let Some(code) = self.conns[conn].closed_with[index(to)] {
            return self.say_closed(conn, to, code);
        }
        let Some(half) = &mut self.conns[conn].halves[index(to)] else { return };
        let arrivals = half.on_packet(packet);
        for arrival in arrivals {
            self.deliver(conn, to, arrival);
        }
        self.acknowledge(conn, to);
        self.drive(conn, to);
    }

    /// A peer may stop any lane at any time: this end stops those that it reads.
    pub(crate) fn stop_lanes(&mut self, side: Side) {
        for conn in 0..self.conns.len() {
            let half = self.conns[conn].halves[index(side)].as_mut();
            for lane in half.map(Half::stop_lanes).unwrap_or_default() {
                self.deliver(conn, side, Arrival::Reset(lane));
            }
            self.drive(conn, side);
        }
    }

    fn acknowledge(&mut self, conn: usize, side: Side) {
        let link = self.conns[conn].link;
        let at = self.links[link].wire(side).send_small(self.now);
        if let Some(half) = &mut self.conns[conn].halves[index(side)]
            && let Some(at) = at
        {
            let numbers = std::mem::take(&mut half.to_acknowledge);
            self.schedule(at, Happening::Ack { conn, to: side.peer(), numbers });
        }
    }

    fn on_ack(&mut self, conn: usize, to: Side, mut numbers: Vec<u64>) {
        if !self.is_link_up(conn, to.peer()) {
            // Acknowledgements are cumulative: a later one tells of these packets, too.
            if let Some(half) = &mut self.conns[conn].halves[index(to.peer())] {
                half.to_acknowledge.append(&mut numbers);
            }
            return;
        }
        self.conns[conn].heard_at[index(to)] = self.now;
        let Some(half) = &mut self.conns[conn].halves[index(to)] else { return };
        half.on_ack(self.now, &numbers);
        self.drive(conn, to);
    }

    fn deliver(&mut self, conn: usize, to: Side, arrival: Arrival) {
        self.note_arrival(to, &arrival);
        let path = self.conns[conn].path;
        if to == Side::Server && self.conns[conn].acceptor.is_some() {
            if let Arrival::Data(lane, data) = arrival {
                self.greet(conn, lane, data);
            }
            return;
        }
        let peer = &mut self.peers[index(to)];
        if peer.conns.get(&path) != Some(&conn) {
            return;
        }
        let now = self.now;
        let Some(session) = &mut peer.session else { return };
        match arrival {
            Arrival::Data(lane, data) => session.on_lane_data(now, path, lane, lane_dir(lane), data),
            Arrival::Finished(lane) => session.on_lane_finished(now, path, lane),
            Arrival::Reset(lane) => session.on_lane_reset(now, path, lane),
            Arrival::Stopped(lane) => session.on_lane_stopped(now, path, lane),
            Arrival::Datagram(data) => session.on_datagram(now, path, data),
        }
        self.settle(to);
    }

    /// The server's first look at a connection.
    fn greet(&mut self, conn: usize, lane: LaneId, data: Bytes) {
        let Some(acceptor) = self.conns[conn].acceptor.take() else { return };
        let accepted = match acceptor.on_lane_data(lane, Dir::Bi, data) {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(unfinished)) => return self.conns[conn].acceptor = Some(unfinished),
            Err(code) => return self.reject(conn, lane, code),
        };
        let path = accepted.hello.path;
        let seed = self.dice.seed();
        let peer = &mut self.peers[1];
        match &accepted.hello.intent {
            Intent::New => {
                assert!(peer.session.is_none(), "the client opens a second session");
                peer.session = Some(Session::server(peer.config.clone(), seed, &accepted.hello));
            }
            intent @ Intent::Join { session: name, .. } => {
                let known = peer.session.as_mut().filter(|session| session.id() == Some(*name));
                let Some(session) = known.filter(|_| !self.server_forgets) else {
                    return self.reject(conn, lane, TransportCode::UnknownSession);
                };
                if let Err(code) = session.check_join(path, intent) {
                    return self.reject(conn, lane, code);
                }
            }
        }
        peer.conns.insert(path, conn);
        if let Some(session) = &mut peer.session {
            session.attach(self.now, accepted);
        }
        self.settle(Side::Server);
    }

    fn reject(&mut self, conn: usize, lane: LaneId, code: TransportCode) {
        use kwik::proto::carrier::Carrier;
        self.note(4, code.as_u64());
        if let Some(half) = &mut self.conns[conn].halves[1] {
            // The lane is new: nobody can have stopped it.
            let _ = half.write(lane, acceptor::reject(code, "no"));
            half.finish(lane);
        }
        self.pump(conn, Side::Server);
        let link = self.conns[conn].link;
        let later = self.now + self.links[link].rtt() * 3;
        self.schedule(later, Happening::Rejected { conn, code });
    }

    /// This end closes the connection; the other one is told, if the link carries it.
    fn close_conn(&mut self, conn: usize, side: Side, code: u64) {
        self.note(5, code);
        if self.conns[conn].halves[index(side)].take().is_some() {
            self.conns[conn].closed_with[index(side)] = Some(code);
            self.say_closed(conn, side, code);
        }
    }

    fn say_closed(&mut self, conn: usize, side: Side, code: u64) {
        let link = self.conns[conn].link;
        if let Some(at) = self.links[link].wire(side).send(self.now, 100, &mut self.dice) {
            self.schedule(at, Happening::Close { conn, to: side.peer(), code });
        }
    }

    /// The connection is gone, as far as this end can tell.
    fn lose(&mut self, conn: usize, side: Side, loss: PathLoss) {
        let path = self.conns[conn].path;
        if self.conns[conn].halves[index(side)].take().is_none() {
            return;
        }
        let peer = &mut self.peers[index(side)];
        if peer.conns.get(&path) == Some(&conn) {
            peer.conns.remove(&path);
            self.with(side, |session, now| session.path_closed(now, path, loss));
        }
    }

    fn on_session_timer(&mut self, side: Side) {
        let now = self.now;
        let peer = &mut self.peers[index(side)];
        peer.timer = None;
        if let Some(session) = &mut peer.session {
            if session.poll_timeout().is_some_and(|at| at <= now) {
                session.handle_timeout(now);
            }
            self.settle(side);
        }
    }

    fn read_a_little(&mut self, side: Side) {
        let peer = &mut self.peers[index(side)];
        if peer.app.closed {
            return;
        }
        if let Some(session) = &mut peer.session {
            peer.app.read_a_little(self.now, session);
        }
        self.settle(side);
        self.schedule(self.now + Duration::from_millis(5), Happening::ReadALittle { side });
    }
}

fn action_number(action: &Action) -> u64 {
    match action {
        Action::Dial { path, .. } => path.0 << 2,
        Action::ClosePath { path, .. } => path.0 << 2 | 1,
        Action::Transmit { path } => path.0 << 2 | 2,
    }
}

impl Drop for World {
    fn drop(&mut self) {
        courses::note(self.log);
    }
}

pub(crate) fn address(link: usize) -> PathAddress {
    PathAddress { scheme: Scheme::Kwik, authority: format!("link:{link}"), pins: Vec::new(), local: None }
}
