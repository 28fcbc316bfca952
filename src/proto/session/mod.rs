//! The session: routes every input to the mechanism that it concerns, and collects what comes of it.
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
//! The mechanisms (reassembly, retention, flow control, path life, schedulers) live in files of their own and
//! know nothing of the session. What is here is divided by where inputs come from: `app` (the application),
//! `paths` (carriers coming and going), `input` (bytes that arrive), `transmit` (a path that can take more: `speak`
//! says what has to be said on it, `choose` which chunk it carries, `wake` which path gets to ask).

mod app;
mod choose;
mod input;
mod paths;
mod speak;
pub(super) mod transmit;
mod wake;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

pub use app::CloseState;
pub use paths::PathInfo;

use crate::proto::config::SessionConfig;
use crate::proto::control::PendingControl;
use crate::proto::datagrams::{DatagramQueue, DedupWindow};
use crate::proto::error::{AppCode, SessionError};
use crate::proto::event::{Action, Event, PathAddress, PathLoss, SessionEvent};
use crate::proto::futile::FutileWork;
use crate::proto::memory::{MemoryBudget, MemoryShare, Pressure};
use crate::proto::paths::dialing::Destinations;
pub use crate::proto::paths::dialing::advice::AdviceNotFollowed;
use crate::proto::paths::path::Path;
use crate::proto::paths::used_ids::UsedPathIds;
use crate::proto::scheduler::budget::ReinjectionBudget;
use crate::proto::scheduler::{PathView, Scheduler};
use crate::proto::streams::assembler::Held;
use crate::proto::streams::flow::{RecvWindow, SendCredit};
use crate::proto::streams::ids::StreamIds;
use crate::proto::streams::recv::{RecvStream, Violation};
use crate::proto::streams::send::SendStream;
use crate::proto::time::Time;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::frame::{Accept, AddPath, Credentials, Hello, Intent, Parameters};
use crate::proto::wire::id::{Dir, PathId, SessionId, Side, StreamId};
use crate::proto::wire::limits::VERSION;

/// Copies may be this many bytes whatever the share that the configuration allows, so that short transfers
/// have a tail reinjection, too.
const REINJECTION_FLOOR_BYTES: u64 = 64 * 1024;

/// Datagrams that may wait in each direction, however short they are.
const MAX_WAITING_DATAGRAMS: usize = 4_096;

/// How a datagram that waits is to travel.
#[derive(Clone, Copy, Debug)]
struct DatagramTag {
    policy: crate::proto::config::PathPolicy,
    sequence: u64,
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
    /// Over; CLOSE is being said on the paths that are left.
    Closed {
        error: SessionError,
        said: Option<crate::proto::wire::frame::Close>,
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
    /// Stream bytes sent again without need, within the cap.
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
    config: SessionConfig,
    state: State,
    id: Option<SessionId>,
    credentials: Option<Credentials>,
    rng: ChaCha8Rng,
    peer_parameters: Option<Parameters>,
    stats: SessionStats,

    paths: BTreeMap<PathId, Path>,
    next_path: u64,
    destinations: Destinations,
    used_path_ids: UsedPathIds,
    suspended_since: Option<Time>,
    advice: BTreeMap<u64, Advice>,
    next_advice: u64,

    send: BTreeMap<StreamId, SendStream>,
    recv: BTreeMap<StreamId, RecvStream>,
    ids: StreamIds,
    ready: BTreeMap<std::cmp::Reverse<i32>, VecDeque<StreamId>>,
    /// Streams with bytes under way that are not acknowledged.
    outstanding: BTreeSet<StreamId>,
    /// Streams that every path is to carry.
    redundant: BTreeSet<StreamId>,
    /// Streams whose application waits for room.
    writers: BTreeSet<StreamId>,
    retained_bytes: u64,
    unsent_bytes: u64,
    /// Let go of since the session began, because the peer has them.
    acknowledged_bytes: u64,
    recv_window: RecvWindow,
    credit: SendCredit,
    /// What all receiving streams keep.
    held: Held,
    /// This session's part of what its server may hold, if there is a bound to that.
    memory: Option<MemoryShare>,
    pressure: Pressure,
    /// What the peer has sent that was of no use.
    futile: FutileWork,
    /// Frames, records and datagrams that have been worked on.
    items: u64,
    /// When to look for streams whose last acknowledgement is overdue.
    overdue_at: Option<Time>,
    draining: Draining,

    pending: PendingControl,
    datagrams_out: DatagramQueue<DatagramTag>,
    datagrams_in: DatagramQueue,
    datagrams_seen: DedupWindow,
    next_datagram: u64,

    scheduler: Box<dyn Scheduler>,
    views: Vec<PathView>,
    budget: ReinjectionBudget,
    scratch: BytesMut,
    control_scratch: BytesMut,

    actions: VecDeque<Action>,
    events: VecDeque<Event>,
}

/// An address that the server advertises.
#[derive(Debug)]
enum Advice {
    Add(AddPath),
    Withdrawn,
}

/// Who wants no new streams.
#[derive(Clone, Copy, Debug, Default)]
struct Draining {
    own: bool,
    peer: bool,
}

impl Session {
    /// A client's session, which dials `address` for its first path. `seed` must come from a cryptographic
    /// source; with the same seed and the same inputs a session does the same.
    pub fn client(now: Time, config: SessionConfig, seed: [u8; 32], address: PathAddress) -> Self {
        let mut session = Self::new(Side::Client, State::Opening, config, seed);
        session.destinations = Destinations::new(now, Some(address));
        session.dial_due(now);
        session
    }

    /// The server's end of the session that `hello` asks for. The caller has checked that it asks for a new
    /// one; its path is attached with [`attach`](Self::attach).
    pub fn server(config: SessionConfig, seed: [u8; 32], hello: &Hello) -> Self {
        let mut session = Self::new(Side::Server, State::Open, config, seed);
        let (mut id, mut resume_key, mut nonce) = ([0; 16], [0; 32], [0; 16]);
        session.rng.fill_bytes(&mut id);
        session.rng.fill_bytes(&mut resume_key);
        session.rng.fill_bytes(&mut nonce);
        session.id = Some(SessionId(id));
        session.credentials = Some(Credentials { resume_key, nonce });
        session.apply_parameters(&hello.parameters);
        session.events.push_back(Event::Opened);
        session
    }

    fn new(side: Side, state: State, config: SessionConfig, seed: [u8; 32]) -> Self {
        let window = config.session_receive_window;
        Self {
            side,
            state,
            id: None,
            credentials: None,
            rng: ChaCha8Rng::from_seed(seed),
            peer_parameters: None,
            stats: SessionStats::default(),
            paths: BTreeMap::new(),
            next_path: 0,
            destinations: Destinations::new(Time::ZERO, None),
            used_path_ids: UsedPathIds::default(),
            suspended_since: None,
            advice: BTreeMap::new(),
            next_advice: 0,
            send: BTreeMap::new(),
            recv: BTreeMap::new(),
            ids: StreamIds::new(side, config.max_streams_bidi, config.max_streams_uni),
            ready: BTreeMap::new(),
            outstanding: BTreeSet::new(),
            redundant: BTreeSet::new(),
            writers: BTreeSet::new(),
            retained_bytes: 0,
            unsent_bytes: 0,
            acknowledged_bytes: 0,
            recv_window: RecvWindow::new(window.initial_bytes, window.max_bytes),
            credit: SendCredit::new(0),
            held: Held::default(),
            memory: None,
            pressure: Pressure::default(),
            futile: FutileWork::default(),
            items: 0,
            overdue_at: None,
            draining: Draining::default(),
            pending: PendingControl::default(),
            datagrams_out: DatagramQueue::new(config.datagram_buffer_bytes, MAX_WAITING_DATAGRAMS),
            datagrams_in: DatagramQueue::new(config.datagram_buffer_bytes, MAX_WAITING_DATAGRAMS),
            datagrams_seen: DedupWindow::new(),
            next_datagram: 0,
            scheduler: config.scheduler.build(),
            views: Vec::new(),
            budget: ReinjectionBudget::new(config.reinjection_permille * 1000, REINJECTION_FLOOR_BYTES),
            scratch: BytesMut::new(),
            control_scratch: BytesMut::new(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            config,
        }
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The session's name; a client learns it when the session opens.
    pub fn id(&self) -> Option<SessionId> {
        self.id
    }

    /// The configuration that it was made with.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Counts so far.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            retained_bytes: self.retained_bytes,
            buffered_bytes: self.recv.values().map(RecvStream::buffered_bytes).sum(),
            open_streams: self.send.keys().chain(self.recv.keys()).collect::<BTreeSet<_>>().len() as u64,
            reinjected_bytes: self.budget.spent(),
            dropped_datagrams: self.stats.dropped_datagrams
                + self.datagrams_out.dropped()
                + self.datagrams_in.dropped(),
            advice_not_followed: self.destinations.not_followed(),
            ..self.stats
        }
    }

    /// Frames, records and datagrams of the peer's that have been worked on so far: a measure of the time that took.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// How much the peer may have on its way at one time, in bytes of streams.
    pub fn receive_window_bytes(&self) -> u64 {
        self.recv_window.window()
    }

    /// What the session holds for its peer and its application, in bytes of memory: what was written and is not
    /// acknowledged, what has arrived and was not read, datagrams.
    pub fn memory_bytes(&self) -> u64 {
        let datagrams = self.datagrams_in.waiting_bytes() + self.datagrams_out.waiting_bytes();
        self.retained_bytes + self.held.memory_bytes() + datagrams as u64
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
        let held_bytes = if self.is_closed() { self.held.memory_bytes() } else { self.memory_bytes() };
        let Some(share) = &mut self.memory else { return };
        let before = std::mem::replace(&mut self.pressure, share.update(held_bytes));
        match (before, self.pressure) {
            (_, Pressure::Exceeded) if !self.is_closed() => {
                let reason =
                    format!("the server is out of memory, and this session holds {held_bytes} bytes");
                let close = crate::proto::wire::frame::Close {
                    application: false,
                    code: TransportCode::LimitExceeded.as_u64(),
                    reason: Bytes::copy_from_slice(reason.as_bytes()),
                };
                let code = TransportCode::LimitExceeded;
                self.end(now, SessionError::Protocol { code, reason }, Some(close));
            }
            (Pressure::High, Pressure::None) => self.notify_writers(),
            _ => {}
        }
    }

    /// The next thing for the backend to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing that the application may want to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let ack_delay = self.peer_ack_delay();
        let path_timeout = self.config.path_timeout;
        let paths = self.paths.values().flat_map(|path| {
            let opening = self.opening_deadline(path);
            // A path that has been told to transmit says what is due as soon as it does.
            let report = path.report_deadline().filter(|_| path.is_healthy() && !path.wake_queued);
            [opening, report, path.health_deadline(ack_delay, path_timeout)]
        });
        let speaker = self.control_path().and_then(|path| self.paths.get(&path));
        let acks = speaker.filter(|path| !path.wake_queued).and_then(|_| self.pending.ack_deadline());
        let own = [acks, self.life_deadline(), self.stream_deadline(), self.overdue_at];
        paths.chain(own).flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.check_paths(now);
        self.check_life(now);
        self.dial_due(now);
        self.check_deadline_streams(now);
        self.ask_overdue(now);
        self.wake_for_control(now);
    }

    /// When the session itself has something to decide: to dial, to give up, to end a graceful close.
    fn life_deadline(&self) -> Option<Time> {
        let dial = match self.state {
            State::Closed { .. } => None,
            _ => self.destinations.deadline().filter(|_| self.may_dial()),
        };
        let suspended = self.suspended_since.map(|since| since + self.resume_timeout());
        let flush = match self.state {
            State::Flushing { until, .. } => Some(until),
            _ => None,
        };
        [dial, suspended.filter(|_| !self.is_closed()), flush].into_iter().flatten().min()
    }

    fn check_life(&mut self, now: Time) {
        if let Some(since) = self.suspended_since
            && now >= since + self.resume_timeout()
            && !self.is_closed()
        {
            self.end(now, SessionError::ResumeTimeout { after: self.resume_timeout() }, None);
        }
        if let State::Flushing { until, .. } = self.state
            && (now >= until || self.is_flushed())
        {
            self.end_flush(now);
        }
    }

    /// The shorter of both ends' wishes: neither waits for an end that is gone.
    fn resume_timeout(&self) -> std::time::Duration {
        let own = self.config.resume_timeout;
        let peer = self.peer_parameters.as_ref().map(|peer| peer.resume_timeout_ms);
        peer.map_or(own, |peer| own.min(std::time::Duration::from_millis(peer)))
    }

    fn peer_ack_delay(&self) -> std::time::Duration {
        // No honest peer needs a second; a larger value would switch failure detection off.
        let stated = self.peer_parameters.as_ref().map_or(25, |peer| peer.max_ack_delay_ms.min(1_000));
        std::time::Duration::from_millis(stated.max(25))
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
        self.credit.raise(peer.initial_max_data_bytes);
        self.ids.raise_limit(Dir::Bi, peer.initial_max_streams_bidi);
        self.ids.raise_limit(Dir::Uni, peer.initial_max_streams_uni);
        self.peer_parameters = Some(peer.clone());
        // Streams that the peer opened may have overtaken its word on limits.
        let ids: Vec<_> = self.send.keys().copied().collect();
        for id in ids {
            if let Some(stream) = self.send.get_mut(&id) {
                stream.credit.raise(peer.initial_max_stream_data_bytes);
            }
            self.enqueue(id);
        }
    }

    fn hello(&self, path: PathId) -> Hello {
        let intent = match (self.id, &self.credentials) {
            (Some(session), Some(credentials)) => {
                Intent::Join { session, proof: crate::proto::wire::token::proof(credentials, session, path) }
            }
            _ => Intent::New,
        };
        Hello { versions: vec![VERSION], path, intent, parameters: self.config.parameters() }
    }

    fn accept_frame(&self, path: PathId) -> Option<Accept> {
        let is_first = path == PathId::PRIMARY;
        Some(Accept {
            version: VERSION,
            session: self.id?,
            credentials: if is_first { self.credentials.clone() } else { None },
            parameters: self.config.parameters(),
        })
    }

    fn notify(&mut self, event: SessionEvent) {
        self.events.push_back(Event::Session(event));
    }

    /// The peer broke a rule on `path`: the session ends. A path that has not been accepted yet is not part of
    /// it, and goes alone.
    fn violation(&mut self, now: Time, path: PathId, violation: Violation) {
        let Violation { code, reason } = violation;
        if let Some(entry) = self.paths.get_mut(&path).filter(|path| !path.is_accepted()) {
            entry.close_code = Some(code.as_u64());
            self.lose_path(now, path, PathLoss::Failed(reason));
            return;
        }
        let close = crate::proto::wire::frame::Close {
            application: false,
            code: code.as_u64(),
            reason: Bytes::copy_from_slice(reason.as_bytes()),
        };
        self.end(now, SessionError::Protocol { code, reason }, Some(close));
    }
}
