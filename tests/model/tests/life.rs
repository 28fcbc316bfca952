//! A session's life as docs/PROTOCOL.md has it (sections 3, 5.2 to 5.4 and 6), in every course that a few paths,
//! chunks and faults allow.
//!
//! The client sends some chunks. Everything under way on a path may overtake everything else on it, arrives when its
//! path is held for dead already, or is lost with the path. Faults are counted, so every course comes to an end, and
//! where nothing can go on but by another fault or call has to be a good end: that is how "no dead end" is checked.
//!
//! [`Broken`] has versions of the protocol with one rule left out. Each of them has to be caught, or the checker
//! would see nothing.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Property};

/// Which rule is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// 5.2: "The sender MUST keep every byte until an ACK covers it, whatever the carrier says".
    KeepUntilAck,
    /// 5.2: "SHOULD do so for chunks whose path is Suspect or Closed".
    SendAgain,
    /// 5.1: "Chunks MAY arrive [...] more than once".
    DropCopies,
    /// 6.3 and 5.3: an ACK that may be lost is made again.
    AcknowledgeAgain,
    /// 3.3: "The path id was not used before, else REJECT(PATH_ID_USED)".
    PathIdOnce,
    /// 3.4: "After it the session ends with RESUME_TIMEOUT".
    ResumeTimeout,
    /// 6.2: "A carrier that is closed or lost without PATH_CLOSE closes its path all the same".
    LossClosesPath,
}

#[derive(Clone, Debug)]
struct Protocol {
    chunks: usize,
    /// Path ids that there are.
    paths: usize,
    breaks: u8,
    suspicions: u8,
    may_close: bool,
    broken: Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Side {
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Session {
    /// Not open yet.
    Opening,
    Open,
    Ended,
}

/// A path as one end sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum View {
    /// Client: HELLO is sent. Server: it has not come.
    Opening,
    Active,
    Suspect,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Message {
    Hello,
    Accept,
    RejectUnknownSession,
    RejectPathIdUsed,
    Chunk(usize),
    /// Which chunks have arrived.
    Ack(Chunks),
    Close,
}

/// One bit for each chunk.
type Chunks = u8;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Path {
    client: View,
    server: View,
    /// Whether the carrier works.
    works: bool,
    /// How often the server has let it in.
    accepted: u8,
    /// Chunks that the client has sent on it and that are not acknowledged.
    carries: Chunks,
    /// The server has acknowledged on it.
    carries_ack: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Life {
    client: Session,
    server: Session,
    paths: Vec<Path>,
    under_way: BTreeSet<(usize, Side, Message)>,
    to_send: Chunks,
    acknowledged: Chunks,
    received: Chunks,
    /// How often each chunk was handed to the application.
    delivered: Vec<u8>,
    ack_due: bool,
    breaks: u8,
    suspicions: u8,
    may_close: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Dial,
    Deliver(usize, Side, Message),
    SendChunk(usize, usize),
    SendAck(usize),
    /// Nothing was heard for a probe timeout.
    Suspect(Side, usize),
    /// A suspect path is closed.
    GiveUp(Side, usize),
    /// The carrier breaks; neither end knows yet.
    Break(usize),
    /// An end learns that its carrier is gone.
    Learn(Side, usize),
    ResumeTimeout(Side),
    /// An attacker replays a HELLO to the server, and is let in.
    Replay(usize),
    Close,
    /// The client has waited long enough for the server to close the carriers.
    StopSayingClose(usize),
}

impl Action {
    /// Whether this happens by itself; the rest are faults, and calls of the application. A further path is dialled by
    /// a call, too; the first one belongs to opening the session.
    fn is_progress(self, life: &Life) -> bool {
        match self {
            Self::Dial => life.client == Session::Opening,
            Self::Suspect(..) | Self::Break(_) | Self::Replay(_) | Self::Close => false,
            _ => true,
        }
    }
}

impl Path {
    fn view(&self, side: Side) -> View {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }

    fn view_mut(&mut self, side: Side) -> &mut View {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

impl Life {
    fn session(&self, side: Side) -> Session {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }

    fn is_attached(&self, side: Side, path: usize) -> bool {
        matches!(self.paths[path].view(side), View::Active | View::Suspect)
    }

    /// Whether new things may be sent there: on a suspect path only for want of a better one.
    fn is_usable(&self, side: Side, path: usize) -> bool {
        match self.paths[path].view(side) {
            View::Active => true,
            View::Suspect => !self.paths.iter().any(|other| other.view(side) == View::Active),
            View::Opening | View::Closed => false,
        }
    }

    fn is_suspended(&self, side: Side) -> bool {
        self.session(side) == Session::Open && !(0..self.paths.len()).any(|path| self.is_attached(side, path))
    }

    fn send(&mut self, path: usize, to: Side, message: Message) {
        if self.paths[path].works {
            self.under_way.insert((path, to, message));
        }
    }

    fn break_carrier(&mut self, path: usize) {
        self.paths[path].works = false;
        self.under_way.retain(|(on, ..)| *on != path);
    }

    /// Both ends are where they should be.
    fn is_good_end(&self, all: Chunks) -> bool {
        let delivered = self.received == all && self.acknowledged == all;
        match (self.client, self.server) {
            (Session::Open, Session::Open) => delivered,
            // The server never heard of the client.
            (Session::Ended, server) => server != Session::Open,
            _ => false,
        }
    }
}

impl Protocol {
    fn new() -> Self {
        Self { chunks: 2, paths: 3, breaks: 2, suspicions: 1, may_close: true, broken: Broken::Nothing }
    }

    fn all(&self) -> Chunks {
        (1 << self.chunks) - 1
    }

    /// What the path carried and may not have arrived is made again, on another.
    fn make_again(&self, life: &mut Life, side: Side, path: usize, gone: bool) {
        match side {
            Side::Client if self.broken != Broken::SendAgain => {
                life.to_send |= life.paths[path].carries & !life.acknowledged;
            }
            Side::Server if self.broken != Broken::AcknowledgeAgain => {
                life.ack_due |= life.paths[path].carries_ack;
            }
            _ => {}
        }
        if gone {
            match side {
                Side::Client => life.paths[path].carries = 0,
                Side::Server => life.paths[path].carries_ack = false,
            }
        }
    }

    fn close_path(&self, life: &mut Life, side: Side, path: usize) {
        *life.paths[path].view_mut(side) = View::Closed;
        life.break_carrier(path);
        self.make_again(life, side, path, true);
        if side == Side::Client && life.client == Session::Opening {
            life.client = Session::Ended; // the first path could not be opened
        }
    }

    fn end(&self, life: &mut Life, side: Side) {
        match side {
            Side::Client => life.client = Session::Ended,
            Side::Server => life.server = Session::Ended,
        }
        for path in 0..life.paths.len() {
            if life.paths[path].view(side) != View::Closed {
                self.close_path(life, side, path);
            }
        }
    }

    fn lets_in(&self, life: &Life, path: usize) -> bool {
        life.paths[path].accepted == 0 || self.broken == Broken::PathIdOnce
    }

    fn on_hello(&self, life: &mut Life, path: usize) {
        let answer = match life.server {
            Session::Ended => Message::RejectUnknownSession,
            Session::Opening | Session::Open if !self.lets_in(life, path) => Message::RejectPathIdUsed,
            Session::Opening | Session::Open => {
                life.server = Session::Open;
                life.paths[path].accepted += 1;
                life.paths[path].server = View::Active;
                // After a suspension every control frame is sent again.
                life.ack_due |= life.received != 0 && self.broken != Broken::AcknowledgeAgain;
                Message::Accept
            }
        };
        life.send(path, Side::Client, answer);
    }

    fn on_message(&self, life: &mut Life, path: usize, to: Side, message: Message) {
        if life.session(to) == Session::Ended && message != Message::Hello {
            return;
        }
        // Anything that arrives proves that the path is not dead.
        let view = life.paths[path].view_mut(to);
        if *view == View::Suspect {
            *view = View::Active;
        }
        match message {
            Message::Hello => self.on_hello(life, path),
            Message::Accept => {
                if life.paths[path].client == View::Opening {
                    life.paths[path].client = View::Active;
                    life.client = Session::Open;
                }
            }
            Message::RejectUnknownSession => self.end(life, Side::Client),
            Message::RejectPathIdUsed => self.close_path(life, Side::Client, path),
            Message::Chunk(chunk) => {
                let bit = 1 << chunk;
                let is_copy = life.received & bit != 0;
                if !is_copy || self.broken == Broken::DropCopies {
                    life.delivered[chunk] += 1;
                }
                life.received |= bit;
                life.ack_due |= !is_copy || self.broken != Broken::AcknowledgeAgain;
            }
            Message::Ack(chunks) => {
                life.acknowledged |= chunks;
                life.to_send &= !chunks;
                life.paths.iter_mut().for_each(|path| path.carries &= !chunks);
            }
            Message::Close => self.end(life, to),
        }
    }
}

impl Model for Protocol {
    type State = Life;
    type Action = Action;

    fn init_states(&self) -> Vec<Life> {
        vec![Life {
            client: Session::Opening,
            server: Session::Opening,
            paths: Vec::new(),
            under_way: BTreeSet::new(),
            to_send: self.all(),
            acknowledged: 0,
            received: 0,
            delivered: vec![0; self.chunks],
            ack_due: false,
            breaks: self.breaks,
            suspicions: self.suspicions,
            may_close: self.may_close,
        }]
    }

    fn actions(&self, life: &Life, actions: &mut Vec<Action>) {
        actions
            .extend(life.under_way.iter().map(|(path, to, message)| Action::Deliver(*path, *to, *message)));
        let may_dial = match life.client {
            Session::Opening => life.paths.is_empty(),
            Session::Open => life.paths.iter().filter(|path| path.client != View::Closed).count() < 2,
            Session::Ended => false,
        };
        if may_dial && life.paths.len() < self.paths {
            actions.push(Action::Dial);
        }
        for path in 0..life.paths.len() {
            if life.client == Session::Open && life.is_usable(Side::Client, path) {
                let waits = |chunk: &usize| life.to_send & 1 << chunk != 0;
                actions.extend((0..self.chunks).filter(waits).map(|chunk| Action::SendChunk(chunk, path)));
            }
            if life.server == Session::Open && life.ack_due && life.is_usable(Side::Server, path) {
                actions.push(Action::SendAck(path));
            }
            for side in [Side::Client, Side::Server] {
                let view = life.paths[path].view(side);
                let is_alive = life.session(side) != Session::Ended;
                if view == View::Active && life.suspicions > 0 && is_alive {
                    actions.push(Action::Suspect(side, path));
                }
                if view == View::Suspect && is_alive {
                    actions.push(Action::GiveUp(side, path));
                }
                let is_held = view != View::Closed && (side == Side::Client || view != View::Opening);
                if is_held && !life.paths[path].works && self.broken != Broken::LossClosesPath {
                    actions.push(Action::Learn(side, path));
                }
            }
            if life.paths[path].works && life.breaks > 0 {
                actions.push(Action::Break(path));
            }
            if life.server == Session::Open && self.lets_in(life, path) && life.paths[path].accepted == 1 {
                actions.push(Action::Replay(path));
            }
            if life.client == Session::Ended && life.is_attached(Side::Client, path) {
                actions.push(Action::StopSayingClose(path));
            }
        }
        for side in [Side::Client, Side::Server] {
            if life.is_suspended(side) && self.broken != Broken::ResumeTimeout {
                actions.push(Action::ResumeTimeout(side));
            }
        }
        if life.client == Session::Open && life.may_close {
            actions.push(Action::Close);
        }
    }

    fn next_state(&self, last: &Life, action: Action) -> Option<Life> {
        let mut life = last.clone();
        match action {
            Action::Dial => {
                life.paths.push(Path {
                    client: View::Opening,
                    server: View::Opening,
                    works: true,
                    accepted: 0,
                    carries: 0,
                    carries_ack: false,
                });
                life.send(life.paths.len() - 1, Side::Server, Message::Hello);
            }
            Action::Deliver(path, to, message) => {
                life.under_way.remove(&(path, to, message));
                self.on_message(&mut life, path, to, message);
            }
            Action::SendChunk(chunk, path) => {
                life.to_send &= !(1 << chunk);
                life.paths[path].carries |= 1 << chunk;
                if self.broken == Broken::KeepUntilAck {
                    life.acknowledged |= 1 << chunk;
                }
                life.send(path, Side::Server, Message::Chunk(chunk));
            }
            Action::SendAck(path) => {
                life.ack_due = false;
                life.paths[path].carries_ack = true;
                life.send(path, Side::Client, Message::Ack(life.received));
            }
            Action::Suspect(side, path) => {
                life.suspicions -= 1;
                *life.paths[path].view_mut(side) = View::Suspect;
                self.make_again(&mut life, side, path, false);
            }
            Action::GiveUp(side, path) | Action::Learn(side, path) => self.close_path(&mut life, side, path),
            Action::Break(path) => {
                life.breaks -= 1;
                life.break_carrier(path);
            }
            Action::ResumeTimeout(side) => self.end(&mut life, side),
            Action::Replay(path) => life.paths[path].accepted += 1,
            Action::Close => {
                life.may_close = false;
                life.client = Session::Ended;
                for path in 0..life.paths.len() {
                    if life.is_attached(Side::Client, path) {
                        life.send(path, Side::Server, Message::Close);
                    } else if life.paths[path].client == View::Opening {
                        self.close_path(&mut life, Side::Client, path);
                    }
                }
            }
            Action::StopSayingClose(path) => self.close_path(&mut life, Side::Client, path),
        }
        Some(life)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what is acknowledged has arrived", |_: &Self, life: &Life| {
                life.acknowledged & !life.received == 0
            }),
            Property::always(
                "what is not acknowledged waits or is under way",
                |protocol: &Self, life: &Life| {
                    let alive = life.paths.iter().filter(|path| path.client != View::Closed);
                    let carried = alive.fold(0, |sum, path| sum | path.carries);
                    life.client == Session::Ended
                        || (life.acknowledged | life.to_send | carried) == protocol.all()
                },
            ),
            Property::always("no chunk is delivered twice", |_: &Self, life: &Life| {
                life.delivered.iter().all(|times| *times <= 1)
            }),
            Property::always("no path is let in twice", |_: &Self, life: &Life| {
                life.paths.iter().all(|path| path.accepted <= 1)
            }),
            Property::always("where nothing goes on any more all is well", |protocol: &Self, life: &Life| {
                let mut actions = Vec::new();
                protocol.actions(life, &mut actions);
                actions.into_iter().any(|action| action.is_progress(life)) || life.is_good_end(protocol.all())
            }),
            Property::sometimes("all chunks arrive on the first path", |protocol: &Self, life: &Life| {
                life.paths.len() == 1 && life.acknowledged == protocol.all()
            }),
            Property::sometimes(
                "all chunks arrive after the loss of two paths",
                |protocol: &Self, life: &Life| life.breaks == 0 && life.acknowledged == protocol.all(),
            ),
            Property::sometimes("a suspended session is resumed", |protocol: &Self, life: &Life| {
                life.paths.len() > 1
                    && life.paths[0].client == View::Closed
                    && life.client == Session::Open
                    && life.acknowledged == protocol.all()
            }),
        ]
    }
}

#[test]
fn every_course_of_a_session_delivers_each_chunk_once_or_ends_at_both_ends() {
    let checker = Protocol::new().checker().threads(2).spawn_bfs().join();
    println!("{} situations", checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn a_protocol_with_one_rule_left_out_is_caught() {
    for (broken, caught_by) in [
        (Broken::KeepUntilAck, "what is acknowledged has arrived"),
        (Broken::SendAgain, "what is not acknowledged waits or is under way"),
        (Broken::DropCopies, "no chunk is delivered twice"),
        (Broken::AcknowledgeAgain, "where nothing goes on any more all is well"),
        (Broken::PathIdOnce, "no path is let in twice"),
        (Broken::ResumeTimeout, "where nothing goes on any more all is well"),
        (Broken::LossClosesPath, "where nothing goes on any more all is well"),
    ] {
        let protocol = Protocol { broken, ..Protocol::new() };
        let caught = HasDiscoveries::AnyOf(BTreeSet::from([caught_by]));
        let checker = protocol.checker().threads(2).finish_when(caught).spawn_bfs().join();
        assert!(checker.discovery(caught_by).is_some(), "{broken:?} goes unnoticed");
    }
}
