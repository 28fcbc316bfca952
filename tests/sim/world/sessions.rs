//! The two sessions at work: events of the network become their inputs, and their outputs become events.

use std::time::Duration;

use bytes::Bytes;
use kwik::proto::event::{Action, PathAddress, PathLoss};
use kwik::proto::session::Session;
use kwik::proto::wire::code::AppCode;
use kwik::proto::wire::code::TransportCode;
use kwik::proto::wire::frame::Intent;
use kwik::proto::wire::id::{Dir, LaneId, PathId, Side};

use super::kernel::Event;
use super::network::{KEEP_ALIVE, Liveness};
use super::{SPIN, World};
use crate::carrier::{Arrival, Half, Packet, lane_dir};
use crate::link::index;

impl World {
    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Packet { conn, to, packet } => self.on_packet(conn, to, packet),
            Event::Ack { conn, to, numbers } => {
                if self.network.on_ack(self.kernel.now, conn, to, numbers) {
                    self.drive(conn, to);
                }
            }
            Event::Close { conn, to, code } => {
                if self.network.is_link_up(conn, to.peer()) {
                    self.lose(conn, to, PathLoss::ClosedByPeer(AppCode::try_from(code).unwrap()));
                }
            }
            Event::CarrierTimer { conn, side } => self.network.on_carrier_timer(&mut self.kernel, conn, side),
            Event::KeepAlive { conn, side } => self.keep_alive(conn, side),
            Event::SessionTimer { side } => self.on_session_timer(side),
            Event::Dialled { conn } => self.on_dialled(conn),
            Event::DialFailed { path } => {
                self.with(Side::Client, |session, now| session.path_failed(now, path, "unreachable".into()));
            }
            Event::Rejected { conn, code } => {
                self.network.close(&mut self.kernel, conn, Side::Server, code.as_u64());
            }
            Event::ReadALittle { side } => self.read_a_little(side),
            Event::Call(call) => call(self),
        }
    }

    // ---- outputs ----

    /// The one rule: after any input, drain the outputs.
    pub(super) fn settle(&mut self, side: Side) {
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
                peer.app.on_event(self.kernel.now, &mut session, &mut self.plans, event);
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
            self.kernel.schedule(at, Event::SessionTimer { side });
        }
        self.checks += 1;
        if self.checks.is_multiple_of(256) {
            self.check_bounds();
        }
    }

    fn act(&mut self, side: Side, session: &mut Session, action: Action) {
        self.kernel.note(6 + index(side) as u64, action_number(&action));
        match action {
            Action::Dial { path, address } => self.dial_path(path, &address),
            Action::ClosePath { path, code, .. } => {
                if let Some(conn) = self.peers[index(side)].conns.remove(&path) {
                    self.network.close(&mut self.kernel, conn, side, code);
                }
            }
            Action::Transmit { path } => self.transmit(side, session, path),
        }
    }

    fn dial_path(&mut self, path: PathId, address: &PathAddress) {
        let link = address.authority.strip_prefix("link:").and_then(|link| link.parse::<usize>().ok());
        let link = link.expect("an address of the simulator");
        let conn = self.network.dial(&mut self.kernel, link, path);
        self.peers[0].conns.insert(path, conn);
    }

    fn transmit(&mut self, side: Side, session: &mut Session, path: PathId) {
        let Some(&conn) = self.peers[index(side)].conns.get(&path) else { return };
        if let Some(half) = self.network.half(conn, side) {
            session.transmit(self.kernel.now, path, half);
            self.network.pump(&mut self.kernel, conn, side);
        }
    }

    /// Lets a connection send after something has happened to it: the session first, if the path is part of it.
    fn drive(&mut self, conn: usize, side: Side) {
        let path = self.network.path(conn);
        let peer = &mut self.peers[index(side)];
        if peer.conns.get(&path) == Some(&conn)
            && let Some(mut session) = peer.session.take()
        {
            self.transmit(side, &mut session, path);
            self.peers[index(side)].session = Some(session);
            self.settle(side);
        } else {
            self.network.pump(&mut self.kernel, conn, side);
        }
    }

    // ---- inputs ----

    fn on_dialled(&mut self, conn: usize) {
        let path = self.network.path(conn);
        if self.peers[0].conns.get(&path) == Some(&conn) && self.network.establish(&mut self.kernel, conn) {
            self.with(Side::Client, |session, now| session.path_connected(now, path));
        }
    }

    fn keep_alive(&mut self, conn: usize, side: Side) {
        match self.network.check_liveness(self.kernel.now, conn, side) {
            Liveness::Closed => return,
            Liveness::TimedOut => return self.lose(conn, side, PathLoss::TimedOut),
            Liveness::Pinged => self.drive(conn, side),
            Liveness::Heard => {}
        }
        self.kernel.schedule(self.kernel.now + KEEP_ALIVE, Event::KeepAlive { conn, side });
    }

    fn on_packet(&mut self, conn: usize, to: Side, packet: Packet) {
        let Some(arrivals) = self.network.receive(&mut self.kernel, conn, to, packet) else { return };
        for arrival in arrivals {
            self.deliver(conn, to, arrival);
        }
        self.network.acknowledge(&mut self.kernel, conn, to);
        self.drive(conn, to);
    }

    /// Stops all lanes that this end reads, as a peer may do at any time.
    pub(crate) fn stop_lanes(&mut self, side: Side) {
        for conn in self.network.conns() {
            for lane in self.network.half(conn, side).map(Half::stop_lanes).unwrap_or_default() {
                self.deliver(conn, side, Arrival::Reset(lane));
            }
            self.drive(conn, side);
        }
    }

    fn deliver(&mut self, conn: usize, to: Side, arrival: Arrival) {
        self.kernel.note_arrival(to, &arrival);
        let path = self.network.path(conn);
        if to == Side::Server && self.network.acceptor(conn).is_some() {
            if let Arrival::Data(lane, data) = arrival {
                self.accept(conn, lane, data);
            }
            return;
        }
        let peer = &mut self.peers[index(to)];
        if peer.conns.get(&path) != Some(&conn) {
            return;
        }
        let now = self.kernel.now;
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

    /// The first bytes of a connection, before the server has accepted it as a path of a session.
    fn accept(&mut self, conn: usize, lane: LaneId, data: Bytes) {
        let Some(acceptor) = self.network.acceptor(conn).take() else { return };
        let accepted = match acceptor.on_lane_data(lane, Dir::Bi, data) {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(unfinished)) => return *self.network.acceptor(conn) = Some(unfinished),
            Err(code) => return self.network.reject(&mut self.kernel, conn, lane, code),
        };
        let path = accepted.hello.path;
        let seed = self.kernel.rng.seed();
        let peer = &mut self.peers[1];
        match &accepted.hello.intent {
            Intent::New => {
                assert!(peer.session.is_none(), "the client opens a second session");
                peer.session =
                    Some(Session::server(peer.config.clone().validate().unwrap(), seed, &accepted.hello));
            }
            intent @ Intent::Join { session: name, .. } => {
                let known = peer.session.as_mut().filter(|session| session.id() == Some(*name));
                let Some(session) = known.filter(|_| !self.server_forgets) else {
                    let code = TransportCode::UnknownSession;
                    return self.network.reject(&mut self.kernel, conn, lane, code);
                };
                if let Err(code) = session.check_join(path, intent) {
                    return self.network.reject(&mut self.kernel, conn, lane, code);
                }
            }
        }
        peer.conns.insert(path, conn);
        if let Some(session) = &mut peer.session {
            session.attach(self.kernel.now, accepted);
        }
        self.settle(Side::Server);
    }

    /// The connection is gone, as far as this end can tell.
    pub(super) fn lose(&mut self, conn: usize, side: Side, loss: PathLoss) {
        if !self.network.forget(conn, side) {
            return;
        }
        let path = self.network.path(conn);
        let peer = &mut self.peers[index(side)];
        if peer.conns.get(&path) == Some(&conn) {
            peer.conns.remove(&path);
            self.with(side, |session, now| session.path_closed(now, path, loss));
        }
    }

    fn on_session_timer(&mut self, side: Side) {
        let now = self.kernel.now;
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
            peer.app.read_a_little(self.kernel.now, session);
        }
        self.settle(side);
        self.kernel.schedule(self.kernel.now + Duration::from_millis(5), Event::ReadALittle { side });
    }
}

fn action_number(action: &Action) -> u64 {
    match action {
        Action::Dial { path, .. } => path.0 << 2,
        Action::ClosePath { path, .. } => path.0 << 2 | 1,
        Action::Transmit { path } => path.0 << 2 | 2,
    }
}
