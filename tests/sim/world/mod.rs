//! The simulated world: a network in virtual time, and one session at each end of it with its application.

mod kernel;
mod network;
mod sessions;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kwik::proto::config::SessionConfig;
use kwik::proto::error::SessionError;
use kwik::proto::event::{PathAddress, PathLoss, Scheme};
use kwik::proto::paths::path::PathState;
use kwik::proto::session::{CloseState, Session};
use kwik::proto::time::Time;
use kwik::proto::wire::code::AppCode;
use kwik::proto::wire::code::TransportCode;
use kwik::proto::wire::id::{PathId, Side};

use crate::app::{App, Plan, Plans};
use crate::carrier::Model;
use crate::courses;
use crate::link::{Link, index};
use kernel::{Event, Kernel};
use network::Network;

/// The longest run, in virtual time.
const LIMIT: Duration = Duration::from_secs(600);
/// More turns than this without time passing are an endless loop.
const SPIN: u32 = 20_000;

pub(crate) const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// One end of the session.
pub(crate) struct Peer {
    pub(crate) session: Option<Session>,
    pub(crate) app: App,
    pub(crate) config: SessionConfig,
    /// The connection of each path.
    conns: BTreeMap<PathId, usize>,
    timer: Option<Time>,
}

pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) peers: [Peer; 2],
    pub(crate) plans: Plans,
    /// The server has lost its state, or has given the session up.
    pub(crate) server_forgets: bool,
    kernel: Kernel,
    checks: u32,
}

impl World {
    pub(crate) fn new(seed: u64, links: Vec<Link>, mut config: [SessionConfig; 2], model: Model) -> Self {
        if matches!(model, Model::Browser | Model::OneLane) {
            config.iter_mut().for_each(|config| config.lone_path_ack_delay = Duration::ZERO);
        }
        let [client, server] = config;
        let peer = |side, config| Peer {
            session: None,
            app: App::new(side),
            config,
            conns: BTreeMap::new(),
            timer: None,
        };
        Self {
            network: Network::new(links, model),
            peers: [peer(Side::Client, client), peer(Side::Server, server)],
            plans: Plans::new(),
            server_forgets: false,
            kernel: Kernel::new(seed),
            checks: 0,
        }
    }

    // ---- what tests do ----

    /// Dials the first link, and adds a path over each further one as soon as the session is open.
    pub(crate) fn dial(&mut self) {
        let seed = self.kernel.rng.seed();
        let config = self.peers[0].config.clone().validate().unwrap();
        self.peers[0].session = Some(Session::client(self.now(), config, seed, address(0)));
        self.settle(Side::Client);
    }

    pub(crate) fn add_path(&mut self, link: usize) {
        let now = self.now();
        if let Some(session) = &mut self.peers[0].session {
            // Refused once the session has ended, and that is what the test is about then.
            let _ = session.add_path(now, address(link));
        }
        self.settle(Side::Client);
    }

    pub(crate) fn at(&mut self, after: Duration, call: impl FnOnce(&mut World) + 'static) {
        self.kernel.schedule(Kernel::start() + after, Event::Call(Box::new(call)));
    }

    pub(crate) fn now(&self) -> Time {
        self.kernel.now
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now() - Kernel::start()
    }

    /// Lets a side's application use its session.
    pub(crate) fn with<R>(&mut self, side: Side, call: impl FnOnce(&mut Session, Time) -> R) -> Option<R> {
        let now = self.now();
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
            peer.app.open_wanted(self.kernel.now, session, &mut self.plans);
        }
        self.settle(side);
    }

    pub(crate) fn silence(&mut self, link: usize, silent: bool) {
        self.network.silence(link, silent);
    }

    /// The connections over this link break, and both ends are told.
    pub(crate) fn cut(&mut self, link: usize) {
        for conn in self.network.conns() {
            if self.network.is_over(conn, link) {
                for side in SIDES {
                    self.lose(conn, side, PathLoss::Failed("reset".into()));
                }
            }
        }
    }

    pub(crate) fn read_slowly(&mut self, side: Side, little: u64) {
        self.peers[index(side)].app.reads_slowly = Some(little);
        self.kernel.schedule(self.now(), Event::ReadALittle { side });
    }

    /// The application reads the rest of the streams at which it had paused.
    pub(crate) fn read_on(&mut self, side: Side) {
        let now = self.now();
        let peer = &mut self.peers[index(side)];
        if let Some(session) = &mut peer.session {
            peer.app.read_on(now, session);
        }
        self.settle(side);
    }

    pub(crate) fn session(&self, side: Side) -> &Session {
        self.peers[index(side)].session.as_ref().expect("the session has begun")
    }

    pub(crate) fn app(&self, side: Side) -> &App {
        &self.peers[index(side)].app
    }

    /// A hash that tells one course of events from another.
    pub(crate) fn log(&self) -> u64 {
        self.kernel.log()
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
            assert!(self.now() - Time::ZERO < LIMIT, "no end in sight: {}", self.state());
            let Some(event) = self.kernel.next() else {
                panic!("nothing will ever happen again: {}", self.state());
            };
            assert!(self.kernel.spins() < SPIN, "time stands still: {}", self.state());
            self.happen(event);
        }
    }

    /// Runs until there is a path over every link, and both ends know.
    pub(crate) fn run_until_all_paths_are_there(&mut self) {
        let links = self.network.links.len();
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
        self.with(Side::Client, |session, now| {
            session.close(now, AppCode::new(5), Bytes::from_static(b"done"))
        });
        self.run_until(|world| SIDES.iter().all(|side| world.session(*side).is_over()));
        let closed = SessionError::LocallyClosed { code: AppCode::new(5), undelivered_bytes: 0 };
        assert_eq!(self.error(Side::Client), Some(closed));
        self.expect_closed_by_peer(Side::Server, AppCode::new(5), "done");
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
            Some(SessionError::ResumeTimeout { .. }) if !self.network.was_always_up() => {}
            other => panic!("the {side:?}'s session ends with {other:?}: {}", self.state()),
        }
    }

    /// For the message of a failure.
    fn state(&self) -> String {
        let mut text = format!("at {:?}", self.now());
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

    /// What the configuration promises about memory.
    fn check_bounds(&self) {
        for peer in &self.peers {
            let Some(session) = &peer.session else { continue };
            let (stats, config) = (session.stats(), session.config());
            assert!(stats.retained_bytes <= config.session_send_buffer_bytes as u64, "{stats:?}");
            assert!(stats.buffered_bytes <= config.session_receive_window.max_bytes, "{stats:?}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        courses::note(self.log());
    }
}

pub(crate) fn address(link: usize) -> PathAddress {
    PathAddress { scheme: Scheme::Kwik, authority: format!("link:{link}"), pins: Vec::new(), local: None }
}
