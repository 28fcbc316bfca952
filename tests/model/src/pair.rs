//! The pair of sessions under test, their connections, and the steps that are possible next.

use std::time::Duration;

use bytes::Bytes;
use kwik::proto::acceptor::{self, Accepted, Acceptor};
use kwik::proto::carrier::{Carrier, Lanes};
use kwik::proto::config::{SessionConfig, ValidConfig, Window};
use kwik::proto::error::SessionError;
use kwik::proto::event::{Action, PathAddress, PathLoss};
use kwik::proto::session::{CloseState, Session};
use kwik::proto::time::Time;
use kwik::proto::wire::code::AppCode;
use kwik::proto::wire::code::TransportCode;
use kwik::proto::wire::frame::Intent;
use kwik::proto::wire::id::{Dir, LaneId, PathId, Side};

use crate::app::{Accounts, App, Call};
use crate::wire::{Piece, Wire, dir_of};

/// Everything that is under way arrives in fewer steps than this, or never.
const PATIENCE: usize = 20_000;
/// After so many polls without an end the outputs are a loop.
const SPIN: usize = 10_000;

/// One thing that can happen next. A step that does not apply to the present state has no effect.
#[expect(missing_docs, reason = "`conn` is the nth connection that was dialled, `from` and `at` are ends")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The dial succeeds.
    Connect { conn: usize },
    /// The dial fails.
    Refuse { conn: usize },
    /// The next piece of the `lane`th lane with something under way arrives.
    Deliver { conn: usize, from: Side, lane: usize },
    /// The next datagram arrives.
    DeliverDatagram { conn: usize, from: Side },
    /// The next datagram is lost.
    LoseDatagram { conn: usize, from: Side },
    /// What the closing end said last arrives; what is still under way from it does not.
    DeliverFarewell { conn: usize, from: Side },
    /// The carrier gives the connection up at this end; what is under way to it is lost.
    Break { conn: usize, at: Side },
    /// An attacker replays this connection's first bytes to the server.
    Replay { conn: usize },
    /// Nothing arrives until a timer fires.
    Wait,
}

/// One connection.
#[derive(Debug)]
struct Conn {
    path: PathId,
    is_dialled: bool,
    /// What each end sends.
    wires: [Wire; 2],
    /// Whether each end still has it.
    is_held: [bool; 2],
    /// What each end has closed it with, until the other one hears of it.
    farewells: [Option<u64>; 2],
    acceptor: Option<Acceptor>,
    /// What the client said first.
    hello: Option<Bytes>,
}

/// A client, a server, and what is between them.
#[derive(Debug)]
pub struct Pair {
    now: Time,
    setting: Setting,
    sessions: [Option<Session>; 2],
    apps: [App; 2],
    accounts: Accounts,
    conns: Vec<Conn>,
    is_closed: bool,
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Server)
}

const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// What the two sessions have to live with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting {
    /// Windows, buffers and numbers of streams that are soon used up.
    pub is_narrow: bool,
    /// Connections of one lane, without datagrams.
    pub has_one_lane: bool,
}

impl Setting {
    fn config(self) -> ValidConfig {
        let mut config = SessionConfig::default();
        config.max_paths = 3;
        config.resume_timeout = Duration::from_secs(20);
        if self.is_narrow {
            config.stream_receive_window = Window { initial_bytes: 3_000, max_bytes: 10_000 };
            config.session_receive_window = Window { initial_bytes: 8_000, max_bytes: 20_000 };
            config.stream_send_buffer_bytes = 20_000;
            config.session_send_buffer_bytes = 50_000;
            config.max_streams_bidi = 2;
            config.max_streams_uni = 2;
        }
        config.validate().expect("all numbers are in their ranges")
    }

    fn lanes(self) -> Lanes {
        if self.has_one_lane { Lanes::One } else { Lanes::Many }
    }
}

impl Pair {
    /// A client that is about to dial.
    pub fn new(setting: Setting) -> Self {
        let now = Time::from_epoch(Duration::from_secs(1));
        let client = Session::client(now, setting.config(), [1; 32], PathAddress::default());
        let mut pair = Self {
            now,
            setting,
            sessions: [Some(client), None],
            apps: SIDES.map(App::new),
            accounts: Accounts::new(),
            conns: Vec::new(),
            is_closed: false,
        };
        pair.settle(Side::Client);
        pair
    }

    // ---- choices ----

    /// All that can happen next, without what an application may want.
    pub fn choices(&self) -> Vec<Step> {
        let mut choices = Vec::new();
        for (conn, one) in self.conns.iter().enumerate() {
            if !one.is_dialled {
                if one.is_held[0] {
                    choices.extend([Step::Connect { conn }, Step::Refuse { conn }]);
                }
                continue;
            }
            for from in SIDES {
                let wire = &one.wires[index(from)];
                choices.extend((0..wire.lanes.len()).map(|lane| Step::Deliver { conn, from, lane }));
                if !wire.datagrams.is_empty() {
                    choices.extend([Step::DeliverDatagram { conn, from }, Step::LoseDatagram { conn, from }]);
                }
                if one.farewells[index(from)].is_some() {
                    choices.push(Step::DeliverFarewell { conn, from });
                }
                if one.is_held[index(from)] {
                    choices.push(Step::Break { conn, at: from });
                }
            }
            if one.hello.is_some() {
                choices.push(Step::Replay { conn });
            }
        }
        if self.next_timeout().is_some() {
            choices.push(Step::Wait);
        }
        choices
    }

    /// Lets it happen.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Connect { conn } => self.connect(conn),
            Step::Refuse { conn } => self.refuse(conn),
            Step::Deliver { conn, from, lane } => self.deliver(conn, from, lane),
            Step::DeliverDatagram { conn, from } => self.deliver_datagram(conn, from),
            Step::LoseDatagram { conn, from } => {
                if let Some(one) = self.conns.get_mut(conn) {
                    one.wires[index(from)].datagrams.pop_front();
                }
            }
            Step::DeliverFarewell { conn, from } => {
                if let Some(one) = self.conns.get_mut(conn)
                    && let Some(code) = one.farewells[index(from)].take()
                {
                    self.lose(
                        conn,
                        from.peer(),
                        PathLoss::ClosedByPeer(AppCode::try_from(code).expect("it was on the wire")),
                    );
                }
            }
            Step::Break { conn, at } => self.lose(conn, at, PathLoss::TimedOut),
            Step::Replay { conn } => self.replay(conn),
            Step::Wait => self.wait(),
        }
    }

    /// Has an application make a call.
    pub fn call(&mut self, side: Side, call: Call) {
        if let Some(session) = &mut self.sessions[index(side)] {
            self.is_closed |= matches!(call, Call::Close | Call::Abort);
            self.apps[index(side)].call(self.now, session, &mut self.accounts, call);
        }
        self.settle(side);
    }

    /// Whether both ends know of each other.
    pub fn is_open(&self) -> bool {
        self.sessions.iter().all(|session| session.as_ref().is_some_and(|session| session.id().is_some()))
    }

    /// Dials another path.
    pub fn add_path(&mut self) {
        if let Some(session) = &mut self.sessions[0] {
            // Refused when there are as many as may be, or the session is over.
            let _ = session.add_path(self.now, PathAddress::default());
        }
        self.settle(Side::Client);
    }

    // ---- the end ----

    /// From here on nothing is lost: everything arrives and is read, every dial succeeds, every timer fires. Checks that
    /// both ends then have all that they are owed, or both know that the session is over.
    pub fn come_to_rest(&mut self) {
        for side in SIDES {
            self.call(side, Call::Read { on: true });
        }
        for _ in 0..PATIENCE {
            if self.is_at_rest() {
                return;
            }
            match self.next_without_loss() {
                Some(step) => self.step(step),
                None => panic!("a dead end: {self:#?}"),
            }
        }
        panic!("no end in sight: {self:#?}");
    }

    fn is_at_rest(&self) -> bool {
        let [client, server] = &self.sessions;
        if client.as_ref().is_some_and(Session::is_over) {
            return server.as_ref().is_none_or(Session::is_over);
        }
        let (Some(client), Some(server)) = (client, server) else { return false };
        let nothing_left =
            |session: &Session| session.stats().retained_bytes == 0 && session.stats().buffered_bytes == 0;
        !self.is_closed
            && self.is_open()
            && nothing_left(client)
            && nothing_left(server)
            && self.accounts.values().all(|account| account.is_settled())
    }

    fn next_without_loss(&self) -> Option<Step> {
        let choices = self.choices();
        let arrives = |step: &&Step| {
            matches!(step, Step::Connect { .. } | Step::Deliver { .. } | Step::DeliverDatagram { .. })
        };
        let farewell = |step: &&Step| matches!(step, Step::DeliverFarewell { .. });
        // An end that is alone with a connection hears of it from its carrier, sooner or later.
        let is_alone = |step: &&Step| match **step {
            Step::Break { conn, at } => !self.conns[conn].is_held[index(at.peer())],
            _ => false,
        };
        let wait = |step: &&Step| **step == Step::Wait;
        let mut found = choices.iter().find(arrives);
        found = found.or_else(|| choices.iter().find(farewell));
        found = found.or_else(|| choices.iter().find(is_alone));
        found.or_else(|| choices.iter().find(wait)).copied()
    }

    // ---- what happens ----

    fn connect(&mut self, conn: usize) {
        let Some(one) = self.conns.get_mut(conn).filter(|one| !one.is_dialled && one.is_held[0]) else {
            return;
        };
        one.is_dialled = true;
        one.is_held[1] = true;
        let path = one.path;
        self.with(Side::Client, |session, now| session.path_connected(now, path));
    }

    fn refuse(&mut self, conn: usize) {
        let Some(one) = self.conns.get_mut(conn).filter(|one| !one.is_dialled && one.is_held[0]) else {
            return;
        };
        one.is_held[0] = false;
        let path = one.path;
        self.with(Side::Client, |session, now| session.path_failed(now, path, "unreachable".into()));
    }

    fn deliver(&mut self, conn: usize, from: Side, lane: usize) {
        let Some(one) = self.conns.get_mut(conn) else { return };
        let path = one.path;
        let wire = &mut one.wires[index(from)];
        let lanes = wire.lanes.len().max(1);
        let Some(lane) = wire.lanes.keys().nth(lane % lanes).copied() else { return };
        let Some(piece) = wire.take(lane) else { return };
        let to = from.peer();
        if one.is_held[index(to)] {
            match (one.acceptor.take(), piece) {
                (Some(acceptor), Piece::Data(data)) if to == Side::Server => {
                    self.greet(conn, acceptor, lane, data);
                }
                (Some(acceptor), _) if to == Side::Server => self.conns[conn].acceptor = Some(acceptor),
                (acceptor, piece) => {
                    self.conns[conn].acceptor = acceptor;
                    self.with(to, |session, now| match piece {
                        Piece::Data(data) => session.on_lane_data(now, path, lane, dir_of(lane), data),
                        Piece::Finished => session.on_lane_finished(now, path, lane),
                        Piece::Reset => session.on_lane_reset(now, path, lane),
                    });
                }
            }
        }
        for side in SIDES {
            self.transmit(side, path, conn);
            self.settle(side);
        }
    }

    fn deliver_datagram(&mut self, conn: usize, from: Side) {
        let Some(one) = self.conns.get_mut(conn) else { return };
        let (path, to) = (one.path, from.peer());
        let Some(data) = one.wires[index(from)].datagrams.pop_front() else { return };
        if one.is_held[index(to)] && (to == Side::Client || one.acceptor.is_none()) {
            self.with(to, |session, now| session.on_datagram(now, path, data));
        }
    }

    /// The server's first look at a connection.
    fn greet(&mut self, conn: usize, acceptor: Acceptor, lane: LaneId, data: Bytes) {
        self.conns[conn].hello.get_or_insert_with(|| data.clone());
        match acceptor.on_lane_data(lane, Dir::Bi, data) {
            Ok(Ok(accepted)) => {
                if let Err(code) = self.admit(accepted) {
                    self.reject(conn, lane, code);
                }
            }
            Ok(Err(unfinished)) => self.conns[conn].acceptor = Some(unfinished),
            Err(code) => panic!("the server does not understand its client: {code}"),
        }
    }

    fn admit(&mut self, accepted: Accepted) -> Result<(), TransportCode> {
        let server = &mut self.sessions[1];
        match &accepted.hello.intent {
            Intent::New => {
                assert!(server.is_none(), "the client opens a second session");
                *server = Some(Session::server(self.setting.config(), [2; 32], &accepted.hello));
            }
            intent @ Intent::Join { session: name, .. } => {
                let known =
                    server.as_mut().filter(|session| session.id() == Some(*name) && !session.is_over());
                known.ok_or(TransportCode::UnknownSession)?.check_join(accepted.hello.path, intent)?;
            }
        }
        self.with(Side::Server, |session, now| session.attach(now, accepted));
        Ok(())
    }

    fn reject(&mut self, conn: usize, lane: LaneId, code: TransportCode) {
        let one = &mut self.conns[conn];
        // The lane is new, so the client cannot have stopped it yet.
        let _ = one.wires[1].write(lane, acceptor::reject(code, "no"));
        one.wires[1].finish(lane);
        one.is_held[1] = false;
        one.farewells[1] = Some(code.as_u64());
    }

    /// The server must not let a path in by a HELLO that it has seen before.
    fn replay(&mut self, conn: usize) {
        let Some(hello) = self.conns.get(conn).and_then(|one| one.hello.clone()) else { return };
        let Ok(Ok(accepted)) = Acceptor::new().on_lane_data(LaneId(0), Dir::Bi, hello) else {
            panic!("the server understood it before");
        };
        if accepted.hello.intent == Intent::New {
            return; // another session, of which this one knows nothing
        }
        assert!(self.admit(accepted).is_err(), "a path is let in twice by one HELLO");
        self.settle(Side::Server);
    }

    /// This end has lost the connection.
    fn lose(&mut self, conn: usize, at: Side, loss: PathLoss) {
        let Some(one) = self.conns.get_mut(conn).filter(|one| one.is_dialled) else { return };
        one.wires[index(at.peer())].clear();
        one.farewells[index(at.peer())] = None;
        if std::mem::take(&mut one.is_held[index(at)]) && (at == Side::Client || one.acceptor.is_none()) {
            let path = one.path;
            self.with(at, |session, now| session.path_closed(now, path, loss));
        }
    }

    fn next_timeout(&self) -> Option<Time> {
        self.sessions.iter().flatten().filter_map(Session::poll_timeout).min()
    }

    fn wait(&mut self) {
        let Some(at) = self.next_timeout() else { return };
        self.now = self.now.max(at);
        for side in SIDES {
            if self.sessions[index(side)].as_ref().and_then(Session::poll_timeout) <= Some(self.now) {
                self.with(side, |session, now| session.handle_timeout(now));
            }
        }
    }

    // ---- the one rule ----

    fn with(&mut self, side: Side, input: impl FnOnce(&mut Session, Time)) {
        if let Some(session) = &mut self.sessions[index(side)] {
            input(session, self.now);
        }
        self.settle(side);
    }

    /// After any input, drain the outputs.
    fn settle(&mut self, side: Side) {
        for _ in 0..SPIN {
            let Some(session) = &mut self.sessions[index(side)] else { return };
            let action = session.poll_action();
            let is_news = std::iter::from_fn(|| session.poll_event()).count() > 0;
            self.apps[index(side)].read_all(self.now, session, &mut self.accounts);
            match action {
                Some(action) => self.act(side, action),
                None if is_news => {}
                None => return self.check(side),
            }
        }
        panic!("the outputs of the {side:?} never end: {self:#?}");
    }

    fn act(&mut self, side: Side, action: Action) {
        let held = |one: &Conn, path: PathId| one.path == path && one.is_held[index(side)];
        match action {
            Action::Dial { path, .. } => self.conns.push(Conn {
                path,
                is_dialled: false,
                wires: SIDES.map(|side| Wire::new(side, self.setting.lanes())),
                is_held: [true, false],
                farewells: [None; 2],
                acceptor: Some(Acceptor::new()),
                hello: None,
            }),
            Action::ClosePath { path, code, .. } => {
                for one in self.conns.iter_mut().filter(|one| held(one, path)) {
                    one.is_held[index(side)] = false;
                    one.farewells[index(side)] = one.is_held[index(side.peer())].then_some(code);
                }
            }
            Action::Transmit { path } => {
                for conn in 0..self.conns.len() {
                    self.transmit(side, path, conn);
                }
            }
        }
    }

    fn transmit(&mut self, side: Side, path: PathId, conn: usize) {
        let one = &mut self.conns[conn];
        let is_attached = side == Side::Client || one.acceptor.is_none();
        if one.path == path
            && one.is_dialled
            && one.is_held[index(side)]
            && is_attached
            && let Some(session) = &mut self.sessions[index(side)]
        {
            session.transmit(self.now, path, &mut one.wires[index(side)]);
        }
    }

    /// What holds at all times.
    fn check(&self, side: Side) {
        let [client, server] = &self.apps;
        client.check_datagrams(server);
        server.check_datagrams(client);
        let Some(session) = &self.sessions[index(side)] else { return };
        let CloseState::Closed(error) = session.close_state() else { return };
        match error {
            SessionError::LocallyClosed { .. } | SessionError::ClosedByPeer { .. } if self.is_closed => {}
            SessionError::ResumeTimeout { .. } | SessionError::DialFailed { .. } => {}
            SessionError::PeerError { code: TransportCode::SessionClosed, .. }
            | SessionError::Rejected { code: TransportCode::UnknownSession, .. } => {}
            error => panic!("the {side:?} ends with {error}: {self:#?}"),
        }
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new(Setting::default())
    }
}
