//! The session: input routed to the part that it concerns, and the effects collected.
//!
//! # The one rule
//!
//! After any input (a call that takes `&mut self` and is not a `poll_`), drain the outputs: `poll_action`,
//! `poll_event`, then look at `poll_timeout`; and call `transmit` for every path that an
//! [`Action::Transmit`] names, or that has just received something or got room. A driver in five lines:
//!
//! ```text
//! session.on_lane_data(now, path, lane, dir, bytes);          // or any other input
//! while let Some(action) = session.poll_action() { .. }       // dial, close, or mark a path as ready
//! for path in ready { session.transmit(now, path, carrier) }  // fills the carrier's lanes
//! while let Some(event) = session.poll_event() { .. }         // wakes the application
//! sleep_until(session.poll_timeout()); session.handle_timeout(now);
//! ```
//!
//! The rooms beside this one (`streams`, `paths`, `control`, `datagrams`, `scheduler`) hold the state and know nothing of
//! the session; what a change in one of them asks of the others comes back as `Effects`, which are carried out here.
//! What is here is divided by where inputs come from: `api` (the application), `paths` (carriers coming and going),
//! `recv` (bytes that arrive), `transmit` (a path that can take more; `control` writes its control lane).

mod api;
mod control;
mod path_health;
mod paths;
mod recv;
mod transmit;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

pub use super::paths::dialing::advice::AdviceNotFollowed;
pub use super::paths::path::PathInfo;

use super::config::{SessionConfig, ValidConfig};
use super::datagrams::Datagrams;
use super::effects::Effects;
use super::error::SessionError;
use super::event::{Action, Event, PathAddress, PathLoss};
use super::futile::WorkAccount;
use super::memory::{MemoryBudget, MemoryShare, Pressure};
use super::paths::Paths;
use super::paths::advertised::Advertised;
use super::paths::dialing::Destinations;
use super::scheduler::select::Selector;
use super::streams::Streams;
use super::streams::recv::Violation;
use super::time::Time;
use super::wire::code::{AppCode, TransportCode};
use super::wire::frame::{Accept, Close, Credentials, Hello, Intent, Parameters};
use super::wire::id::{PathId, SessionId, Side};
use super::wire::limits::VERSION;
use super::wire::token;

/// What the peer may have on its way on the lanes of a path beyond the session's window: copies, frames and the heads of
/// records.
const LANE_MARGIN_BYTES: u64 = 1024 * 1024;

/// How far the end of a session has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseState {
    /// Not closed.
    Open,
    /// A graceful close waits for the peer to acknowledge what was written.
    Flushing,
    /// Over, and why. The backend may still be telling the peer.
    Closed(SessionError),
}

/// Where a session is in its life.
#[derive(Debug)]
enum State {
    /// Client: no path has been accepted yet.
    Opening,
    Open,
    /// Graceful close: what was written is still being delivered.
    Flushing {
        code: AppCode,
        reason: Bytes,
        until: Time,
    },
    /// Over; CLOSE, if there is one, goes out on the paths that are left.
    Closed {
        error: SessionError,
        close: Option<Close>,
    },
}

/// Counts over a session's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// Paths that turned suspect or broke.
    pub path_failures: u64,
    /// How often the session was without a path and went on.
    pub resumes: u64,
    /// Stream bytes sent for the first time.
    pub sent_bytes: u64,
    /// Stream bytes handed to the application.
    pub delivered_bytes: u64,
    /// Stream bytes sent again while nothing was lost: copies within the cap, and all those that a scheduler or a policy
    /// wants on every path.
    pub reinjected_bytes: u64,
    /// Stream bytes sent again because a path was silent or gone.
    pub retransmitted_bytes: u64,
    /// Bytes written and kept until the peer acknowledges them.
    pub retained_bytes: u64,
    /// Bytes that arrived and wait for the application.
    pub buffered_bytes: u64,
    /// Streams that exist at the moment, both kinds and both ends' together.
    pub open_streams: u64,
    /// Datagrams dropped for want of room or time, in both directions.
    pub dropped_datagrams: u64,
    /// Client: advice of the server that was not followed, by reason.
    pub advice_not_followed: AdviceNotFollowed,
}

/// One end of a session.
#[derive(Debug)]
pub struct Session {
    side: Side,
    config: ValidConfig,
    life: Life,
    identity: Identity,
    peer_parameters: Option<Parameters>,
    stats: SessionStats,
    paths: Paths,
    dialing: Destinations,
    advertised: Advertised,
    streams: Streams,
    datagrams: Datagrams,
    selector: Selector,
    /// This session's part of what its server may hold, if there is a bound to that.
    memory: Option<MemoryShare>,
    work: WorkAccount,
    effects: Effects,
}

/// Where a session is in its life, with and without paths.
#[derive(Debug)]
struct Life {
    state: State,
    suspended_since: Option<Time>,
    draining: Draining,
}

/// Which ends want no new streams.
#[derive(Clone, Copy, Debug, Default)]
struct Draining {
    own: bool,
    peer: bool,
}

/// The session's name, once it has one, and its secrets.
#[derive(Debug)]
struct Identity {
    id: Option<SessionId>,
    credentials: Option<Credentials>,
    rng: ChaCha8Rng,
}

impl Session {
    /// A client's session, which dials `address` for its first path. `seed` must come from a cryptographic
    /// source; with the same seed and the same inputs a session does the same.
    pub fn client(now: Time, config: ValidConfig, seed: [u8; 32], address: PathAddress) -> Self {
        let mut session = Self::new(Side::Client, State::Opening, config, seed);
        session.dialing = Destinations::new(now, Some(address));
        session.dial_due(now);
        session
    }

    /// The server's end of the session that `hello` asks for. The caller has checked that it asks for a new
    /// one; its path is attached with [`attach`](Self::attach).
    pub fn server(config: ValidConfig, seed: [u8; 32], hello: &Hello) -> Self {
        let mut session = Self::new(Side::Server, State::Open, config, seed);
        let (mut id, mut resume_key, mut nonce) = ([0; 16], [0; 32], [0; 16]);
        session.identity.rng.fill_bytes(&mut id);
        session.identity.rng.fill_bytes(&mut resume_key);
        session.identity.rng.fill_bytes(&mut nonce);
        session.identity.id = Some(SessionId(id));
        session.identity.credentials = Some(Credentials { resume_key, nonce });
        session.apply_parameters(&hello.parameters);
        session.effects.events.push_back(Event::Opened);
        session
    }

    fn new(side: Side, state: State, config: ValidConfig, seed: [u8; 32]) -> Self {
        Self {
            side,
            life: Life { state, suspended_since: None, draining: Draining::default() },
            identity: Identity { id: None, credentials: None, rng: ChaCha8Rng::from_seed(seed) },
            peer_parameters: None,
            stats: SessionStats::default(),
            paths: Paths::default(),
            dialing: Destinations::new(Time::ZERO, None),
            advertised: Advertised::default(),
            streams: Streams::new(side, &config),
            datagrams: Datagrams::new(config.max_datagram_bytes, config.datagram_buffer_bytes),
            selector: Selector::new(config.scheduler.build(), config.reinjection_permille),
            memory: None,
            work: WorkAccount::default(),
            effects: Effects::default(),
            config,
        }
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The session's name; a client learns it when the session opens.
    pub fn id(&self) -> Option<SessionId> {
        self.identity.id
    }

    /// The configuration that it was made with.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Counts so far.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            delivered_bytes: self.streams.totals().delivered,
            retained_bytes: self.streams.totals().retained,
            buffered_bytes: self.streams.held().buffered_bytes,
            open_streams: self.streams.len(),
            dropped_datagrams: self.datagrams.dropped(),
            advice_not_followed: self.dialing.not_followed(),
            ..self.stats
        }
    }

    /// Frames, records and datagrams of the peer's that have been worked on so far: a measure of the time that took.
    pub fn items(&self) -> u64 {
        self.work.items()
    }

    /// How much the peer may have on its way at one time on the lanes of a path, in bytes: what the session's window
    /// allows, and a margin for copies, frames and the heads of records.
    pub fn lane_window_bytes(&self) -> u64 {
        self.streams.receive_window().saturating_add(LANE_MARGIN_BYTES)
    }

    /// What the session holds for its peer and its application, in bytes of memory: what was written and is not
    /// acknowledged, what has arrived and was not read, on streams and on lanes, datagrams.
    pub fn memory_bytes(&self) -> u64 {
        self.streams.totals().retained + self.arrived_bytes() + self.datagrams.waiting_bytes()
    }

    /// What has arrived and was not read, on streams and on lanes, in bytes of memory.
    fn arrived_bytes(&self) -> u64 {
        self.streams.held().memory_bytes() + self.paths.held_bytes()
    }

    /// The session is one of those that share `budget`.
    pub fn share_memory(&mut self, budget: &Arc<MemoryBudget>) {
        self.memory = Some(MemoryShare::new(Arc::clone(budget)));
    }

    /// Tells what the session holds to those that it shares memory with; it ends when that is too much. To be called
    /// after a batch of inputs.
    pub fn check_memory(&mut self, now: Time) {
        if self.memory.is_none() {
            return;
        }
        let held_bytes = if self.is_closed() { self.arrived_bytes() } else { self.memory_bytes() };
        let Some(share) = &mut self.memory else { return };
        let pressure = share.update(held_bytes);
        match (self.streams.set_pressure(pressure), pressure) {
            (_, Pressure::Exceeded) if !self.is_closed() => {
                let reason =
                    format!("the server is out of memory, and this session holds {held_bytes} bytes");
                self.end_for(now, Violation::new(TransportCode::LimitExceeded, reason));
            }
            (Pressure::High, Pressure::None) => self.streams.notify_writers(&mut self.effects),
            _ => {}
        }
    }

    /// The next thing for the backend to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.effects.actions.pop_front()
    }

    /// The next thing that the application may want to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.effects.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let ack_delay = self.peer_ack_delay();
        let path_timeout = self.config.path_timeout;
        let paths = self.paths.iter().flat_map(|path| {
            let opening = self.opening_deadline(path);
            // A path that has been told to transmit says what is due as soon as it does.
            let report = path.report_deadline().filter(|_| path.is_healthy() && !path.is_wake_queued());
            [opening, report, path.health_deadline(ack_delay, path_timeout)]
        });
        let speaker = self.paths.control_path().and_then(|path| self.paths.get(path));
        let acks =
            speaker.filter(|path| !path.is_wake_queued()).and_then(|_| self.effects.control.ack_deadline());
        let own = [acks, self.life_deadline(), self.streams.policy_deadline(), self.streams.overdue_at()];
        paths.chain(own).flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.check_paths(now);
        self.check_life(now);
        self.dial_due(now);
        self.check_policy_deadlines(now);
        self.ask_overdue(now);
        self.wake_for_control(now);
    }

    /// When the session itself has something to decide: to dial, to give up, to end a graceful close.
    fn life_deadline(&self) -> Option<Time> {
        let dial = match self.life.state {
            State::Closed { .. } => None,
            _ => self.dialing.deadline().filter(|_| self.may_dial()),
        };
        let suspended = self.life.suspended_since.map(|since| since + self.resume_timeout());
        let flush = match self.life.state {
            State::Flushing { until, .. } => Some(until),
            _ => None,
        };
        [dial, suspended.filter(|_| !self.is_closed()), flush].into_iter().flatten().min()
    }

    fn check_life(&mut self, now: Time) {
        if let Some(since) = self.life.suspended_since
            && now >= since + self.resume_timeout()
            && !self.is_closed()
        {
            self.end(now, SessionError::ResumeTimeout { after: self.resume_timeout() }, None);
        }
        if let State::Flushing { until, .. } = self.life.state
            && (now >= until || self.is_flushed())
        {
            self.end_flush(now);
        }
    }

    /// The shorter of both ends' wishes: neither waits for an end that is gone.
    fn resume_timeout(&self) -> Duration {
        let own = self.config.resume_timeout;
        let peer = self.peer_parameters.as_ref().map(|peer| peer.resume_timeout_ms);
        peer.map_or(own, |peer| own.min(Duration::from_millis(peer)))
    }

    fn peer_ack_delay(&self) -> Duration {
        // No honest peer needs a second; a larger value would switch failure detection off.
        let stated = self.peer_parameters.as_ref().map_or(25, |peer| peer.max_ack_delay_ms.min(1_000));
        Duration::from_millis(stated.max(25))
    }

    /// How many paths both ends allow.
    fn max_paths(&self) -> usize {
        let peer = self.peer_parameters.as_ref().map_or(u64::MAX, |peer| peer.max_paths.max(1));
        self.config.max_paths.min(usize::try_from(peer).unwrap_or(usize::MAX))
    }

    fn apply_parameters(&mut self, peer: &Parameters) {
        if self.peer_parameters.is_some() {
            return;
        }
        self.streams.on_peer_parameters(peer);
        self.peer_parameters = Some(peer.clone());
    }

    fn hello(&self, path: PathId) -> Hello {
        let intent = match (self.identity.id, &self.identity.credentials) {
            (Some(session), Some(credentials)) => {
                Intent::Join { session, proof: token::proof(credentials, session, path) }
            }
            _ => Intent::New,
        };
        Hello { versions: vec![VERSION], path, intent, parameters: self.config.parameters() }
    }

    fn accept_frame(&self, path: PathId) -> Option<Accept> {
        let is_first = path == PathId::PRIMARY;
        Some(Accept {
            version: VERSION,
            session: self.identity.id?,
            credentials: if is_first { self.identity.credentials.clone() } else { None },
            parameters: self.config.parameters(),
        })
    }

    /// The peer broke a rule on `path`: the session ends. A path that has not been accepted yet is not part of
    /// it, and goes alone.
    fn violation(&mut self, now: Time, path: PathId, violation: Violation) {
        let Violation { code, reason } = violation;
        if let Some(entry) = self.paths.get_mut(path).filter(|path| !path.is_accepted()) {
            entry.set_close_code(code.as_u64());
            self.lose_path(now, path, PathLoss::Failed(reason));
            return;
        }
        self.end_for(now, Violation { code, reason });
    }

    /// The session ends for what the peer has done, or for what serving it takes, and tells the peer why.
    fn end_for(&mut self, now: Time, violation: Violation) {
        let Violation { code, reason } = violation;
        let close = Close {
            application: false,
            code: code.as_u64(),
            reason: Bytes::copy_from_slice(reason.as_bytes()),
        };
        self.end(now, SessionError::Protocol { code, reason }, Some(close));
    }
}
