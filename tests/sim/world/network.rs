//! The network between client and server: links, the connections over them, and packets in flight.

use std::time::Duration;

use kwik::proto::acceptor::{self, Acceptor};
use kwik::proto::carrier::Carrier as _;
use kwik::proto::time::Time;
use kwik::proto::wire::code::TransportCode;
use kwik::proto::wire::id::{LaneId, PathId, Side};

use super::SIDES;
use super::kernel::{Event, Kernel};
use crate::carrier::{Arrival, Half, Model, Packet};
use crate::link::{Link, index};

/// A connection on which nothing is heard for so long is given up by its carrier.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The interval at which a connection checks that its peer is heard, and pings it if not.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// One dialled connection.
struct Conn {
    link: usize,
    path: PathId,
    halves: [Option<Half>; 2],
    acceptor: Option<Acceptor>,
    heard_at: [Time; 2],
    /// The code with which each end has closed it.
    closed_with: [Option<u64>; 2],
}

/// The state of a connection as one end's keep-alive check finds it.
pub(super) enum Liveness {
    /// The connection is closed at this end.
    Closed,
    TimedOut,
    /// The peer was silent for a while; a ping is ready to be sent.
    Pinged,
    Heard,
}

pub(crate) struct Network {
    pub(crate) links: Vec<Link>,
    model: Model,
    pub(crate) max_lanes: u64,
    /// Whether dialling over a link that is down never completes; otherwise it fails after a moment.
    pub(crate) dial_hangs: bool,
    /// Whether any link was ever silent both ways.
    went_down: bool,
    conns: Vec<Conn>,
}

impl Network {
    pub(super) fn new(links: Vec<Link>, model: Model) -> Self {
        Self { links, model, max_lanes: 100, dial_hangs: false, went_down: false, conns: Vec::new() }
    }

    pub(super) fn silence(&mut self, link: usize, silent: bool) {
        self.went_down |= silent;
        self.links[link].set_silent(silent);
    }

    /// Whether every link has been up all the time.
    pub(super) fn was_always_up(&self) -> bool {
        !self.went_down && self.links.iter().all(Link::is_up)
    }

    /// All connections there ever were, by their indices.
    pub(super) fn conns(&self) -> std::ops::Range<usize> {
        0..self.conns.len()
    }

    pub(super) fn is_over(&self, conn: usize, link: usize) -> bool {
        self.conns[conn].link == link
    }

    pub(super) fn path(&self, conn: usize) -> PathId {
        self.conns[conn].path
    }

    pub(super) fn half(&mut self, conn: usize, side: Side) -> Option<&mut Half> {
        self.conns[conn].halves[index(side)].as_mut()
    }

    /// The server's acceptor of a connection, until it has seen enough.
    pub(super) fn acceptor(&mut self, conn: usize) -> &mut Option<Acceptor> {
        &mut self.conns[conn].acceptor
    }

    // ---- opening ----

    /// Begins to dial over a link, and returns the connection that this will be.
    pub(super) fn dial(&mut self, kernel: &mut Kernel, link: usize, path: PathId) -> usize {
        kernel.note(1, path.0);
        let conn = self.conns.len();
        self.conns.push(Conn {
            link,
            path,
            halves: [None, None],
            acceptor: Some(Acceptor::new()),
            heard_at: [kernel.now; 2],
            closed_with: [None; 2],
        });
        if self.links[link].is_up() {
            let rtt = self.links[link].rtt();
            kernel.schedule(kernel.now + rtt, Event::Dialled { conn });
        } else {
            self.fail_dial(kernel, path);
        }
        conn
    }

    /// Fails a dial over a link that is down, unless such dials hang.
    fn fail_dial(&self, kernel: &mut Kernel, path: PathId) {
        if !self.dial_hangs {
            kernel.schedule(kernel.now + Duration::from_millis(20), Event::DialFailed { path });
        }
    }

    /// Establishes a connection, if its link is still up. Returns whether it is.
    pub(super) fn establish(&mut self, kernel: &mut Kernel, conn: usize) -> bool {
        let Conn { link, path, .. } = self.conns[conn];
        if !self.links[link].is_up() {
            self.fail_dial(kernel, path);
            return false;
        }
        let product = self.links[link].product_bytes();
        let half = |side| Some(Half::new(side, self.model, kernel.now, product, self.max_lanes));
        self.conns[conn].halves = [half(Side::Client), half(Side::Server)];
        self.conns[conn].heard_at = [kernel.now; 2];
        for side in SIDES {
            kernel.schedule(kernel.now + KEEP_ALIVE, Event::KeepAlive { conn, side });
        }
        true
    }

    // ---- packets ----

    /// Puts on the wire what the window allows.
    pub(super) fn pump(&mut self, kernel: &mut Kernel, conn: usize, side: Side) {
        while let Some(half) = self.half(conn, side)
            && let Some(packet) = half.next_packet(kernel.now)
        {
            self.send(kernel, conn, side, packet);
        }
        self.set_carrier_timer(kernel, conn, side);
    }

    fn send(&mut self, kernel: &mut Kernel, conn: usize, side: Side, packet: Packet) {
        let link = self.conns[conn].link;
        let arrival = self.links[link].wire(side).send(kernel.now, packet.bytes, &mut kernel.rng);
        if let Some(at) = arrival {
            kernel.schedule(at, Event::Packet { conn, to: side.peer(), packet });
        }
    }

    fn set_carrier_timer(&mut self, kernel: &mut Kernel, conn: usize, side: Side) {
        if let Some(half) = self.half(conn, side)
            && let Some(deadline) = half.deadline()
            && half.timer.is_none_or(|set| deadline < set)
        {
            half.timer = Some(deadline);
            kernel.schedule(deadline, Event::CarrierTimer { conn, side });
        }
    }

    pub(super) fn on_carrier_timer(&mut self, kernel: &mut Kernel, conn: usize, side: Side) {
        let now = kernel.now;
        let Some(half) = self.half(conn, side) else { return };
        half.timer = None;
        if half.deadline().is_some_and(|at| at <= now)
            && let Some(packet) = half.probe(now)
        {
            self.send(kernel, conn, side, packet);
        }
        self.set_carrier_timer(kernel, conn, side);
    }

    /// Checks whether the peer was heard of late, and prepares a ping if not.
    pub(super) fn check_liveness(&mut self, now: Time, conn: usize, side: Side) -> Liveness {
        let silent_for = now - self.conns[conn].heard_at[index(side)];
        let Some(half) = self.half(conn, side) else { return Liveness::Closed };
        if silent_for >= IDLE_TIMEOUT {
            return Liveness::TimedOut;
        }
        if silent_for >= KEEP_ALIVE {
            half.ping();
            return Liveness::Pinged;
        }
        Liveness::Heard
    }

    /// Whether the link of a connection carries what `from` sends.
    pub(super) fn is_link_up(&mut self, conn: usize, from: Side) -> bool {
        let link = self.conns[conn].link;
        !self.links[link].wire(from).silent
    }

    /// Takes a packet in, and returns what it brings; `None` if this end has no connection to take it.
    pub(super) fn receive(
        &mut self,
        kernel: &mut Kernel,
        conn: usize,
        to: Side,
        packet: Packet,
    ) -> Option<Vec<Arrival>> {
        if !self.is_link_up(conn, to.peer()) {
            return None;
        }
        kernel.note(2 + index(to) as u64, packet.number << 16 | packet.bytes);
        self.conns[conn].heard_at[index(to)] = kernel.now;
        if let Some(code) = self.conns[conn].closed_with[index(to)] {
            self.say_closed(kernel, conn, to, code);
            return None;
        }
        Some(self.half(conn, to)?.on_packet(packet))
    }

    pub(super) fn acknowledge(&mut self, kernel: &mut Kernel, conn: usize, side: Side) {
        let link = self.conns[conn].link;
        let at = self.links[link].wire(side).send_small(kernel.now);
        if let Some(half) = self.half(conn, side)
            && let Some(at) = at
        {
            let numbers = std::mem::take(&mut half.to_acknowledge);
            kernel.schedule(at, Event::Ack { conn, to: side.peer(), numbers });
        }
    }

    /// Takes an acknowledgement in. Returns whether it arrived at a connection.
    pub(super) fn on_ack(&mut self, now: Time, conn: usize, to: Side, mut numbers: Vec<u64>) -> bool {
        if !self.is_link_up(conn, to.peer()) {
            // Acknowledgements are cumulative: a later one tells of these packets, too.
            if let Some(half) = self.half(conn, to.peer()) {
                half.to_acknowledge.append(&mut numbers);
            }
            return false;
        }
        self.conns[conn].heard_at[index(to)] = now;
        let Some(half) = self.half(conn, to) else { return false };
        half.on_ack(now, &numbers);
        true
    }

    // ---- closing ----

    /// The server refuses a connection: says so on `lane`, and closes it a little later.
    pub(super) fn reject(&mut self, kernel: &mut Kernel, conn: usize, lane: LaneId, code: TransportCode) {
        kernel.note(4, code.as_u64());
        if let Some(half) = self.half(conn, Side::Server) {
            // The lane is new, so the client cannot have stopped it yet.
            let _ = half.write(lane, acceptor::reject(code, "no"));
            half.finish(lane);
        }
        self.pump(kernel, conn, Side::Server);
        let link = self.conns[conn].link;
        let later = kernel.now + self.links[link].rtt() * 3;
        kernel.schedule(later, Event::Rejected { conn, code });
    }

    /// This end closes the connection; the other one is told, if the link carries it.
    pub(super) fn close(&mut self, kernel: &mut Kernel, conn: usize, side: Side, code: u64) {
        kernel.note(5, code);
        if self.forget(conn, side) {
            self.conns[conn].closed_with[index(side)] = Some(code);
            self.say_closed(kernel, conn, side, code);
        }
    }

    fn say_closed(&mut self, kernel: &mut Kernel, conn: usize, side: Side, code: u64) {
        let link = self.conns[conn].link;
        if let Some(at) = self.links[link].wire(side).send(kernel.now, 100, &mut kernel.rng) {
            kernel.schedule(at, Event::Close { conn, to: side.peer(), code });
        }
    }

    /// Drops this end's half without a word. Returns whether there was one.
    pub(super) fn forget(&mut self, conn: usize, side: Side) -> bool {
        self.conns[conn].halves[index(side)].take().is_some()
    }
}
