//! One path's turn: what has arrived goes into the session, what the session has goes out.
//!
//! ```text
//!   packets --> quinn-proto --> [ the session's lock: lanes in, lanes out ] --> quinn-proto --> socket
//! ```
//!
//! A driver is worked on by one thread at a time, whichever; it never waits. Whoever works on it takes the session's
//! lock once for all that has arrived, and again only when the session may have more than one burst to send.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_proto::{ConnectionError, ConnectionEvent, EndpointEvent, Transmit};

use super::admission::HalfOpenPermit;
use super::backend::NativeBackend;
use super::buffer_pool::{BufferPool, SendSlab};
use super::dial_race::Attempt;
use super::reactor::ReactorHandle;
use super::registry::Registry;
use super::send_batch::SendBatch;
use super::socket::{SendOutcome, UdpSocket};
use crate::api::shared::Shared;
use crate::carrier::h3::{Ended, H3Code};
use crate::carrier::quic::receive::Arrival;
use crate::carrier::{Allowance, Change, PathCarrier};
use crate::proto::acceptor::{Accepted, Acceptor, reject};
use crate::proto::carrier::Carrier;
use crate::proto::event::PathLoss;
use crate::proto::session::Session;
use crate::proto::time::Time;
use crate::proto::wire::code::{AppCode, TransportCode};
use crate::proto::wire::id::{LaneId, PathId};

/// Bursts that one turn may send before other paths of the same socket get theirs.
const BURSTS_PER_TURN: usize = 16;
/// Frames, records and other items that one turn may take in before other paths of the same socket get theirs: what bulk
/// data makes of one batch of packets, and half a millisecond's work when the items are as small as they can be.
const ITEMS_PER_TURN: u64 = 512;
/// Packets that QUIC is handed before the session takes over what is in them. QUIC keeps, for as long as a connection
/// lives, the room that a stream's unread pieces have once taken: 56 bytes for each.
const PACKETS_AT_ONCE: usize = 64;
/// Packets for which an inbox keeps room when a burst is over.
const QUIET_INBOX: usize = 32;
/// What the carrier of a path that belongs to no session may hold for lanes that nobody reads: more than a HELLO, and all
/// that HTTP/3 says before it.
const UNBOUND_HELD_BYTES: u64 = 128 * 1024;
/// How long a peer may take to hear why it was refused, or that the path is closed.
const FAREWELL: Duration = Duration::from_secs(1);
/// A turn with more packets than this is worth another thread's wake-up (40 to 50 µs measured, 1.3 µs a packet).
const HEAVY_PACKETS: usize = 32;
/// A turn with no more items than this is short: some 50 µs.
const SHORT_ITEMS: u64 = 64;

/// The name of a path's driver, never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DriverKey(u64);

impl DriverKey {
    /// A name that nobody has had.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Whom a path belongs to.
pub(crate) enum Stage {
    /// Client: the handshake is under way.
    Dialling(Attempt),
    /// Server: it has not said yet which session it wants.
    Greeting { registry: Arc<Registry>, acceptor: Acceptor, until: Instant },
    /// It is part of a session.
    Bound(SessionBinding),
    /// Server: it was refused, and is being told why.
    Refused { code: TransportCode, until: Instant },
    /// Server, over HTTP/3: it belongs to nobody; the client knows as well, and has some time to close it.
    Leaving { code: u64, reason: Bytes, until: Instant },
    /// It belongs to nobody; the peer is being told that it is closed.
    Closing { until: Instant },
    /// It belongs to nobody; the connection is being closed.
    Done,
}

/// The tie between a path and its session.
#[derive(Clone)]
pub(crate) struct SessionBinding {
    pub(crate) shared: Arc<Shared>,
    pub(crate) backend: Arc<NativeBackend>,
    pub(crate) path: PathId,
}

/// What a turn needs of the reactor.
pub(crate) struct Turn<'a> {
    pub(crate) now: Instant,
    pub(crate) socket: &'a UdpSocket,
    pub(crate) buffers: &'a BufferPool,
    /// For single packets.
    pub(crate) batch: &'a Mutex<SendBatch>,
    pub(crate) reactor: &'a Arc<ReactorHandle>,
}

impl Turn<'_> {
    /// Sends what a path has, a single packet together with other paths' at the end of the round. Returns false when the
    /// kernel has no room.
    fn send(&self, transmit: &Transmit, contents: &[u8]) -> bool {
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        let send = |transmit: &Transmit, contents: &[u8]| send(self.socket, transmit, contents);
        if transmit.segment_size.is_none() {
            let max_segments = self.socket.max_gso_segments(u16::try_from(transmit.size).unwrap_or(u16::MAX));
            return batch.push(transmit, contents, max_segments, send);
        }
        // What was sent before goes first.
        batch.flush(send);
        let is_blocked = batch.is_blocked();
        drop(batch);
        !is_blocked && send(transmit, contents) != SendOutcome::Blocked
    }
}

/// A path's connection and what it is for.
pub(crate) struct PathDriver {
    pub(crate) key: DriverKey,
    /// Packets and news for the next turn.
    pub(crate) inbox: VecDeque<ConnectionEvent>,
    /// What the endpoint has to be told after the turn.
    pub(crate) outbox: Vec<EndpointEvent>,
    /// Tasks that its turns have given something to do, to be woken.
    pub(crate) woken: Vec<Waker>,
    /// When the next turn is due even if nothing happens.
    pub(crate) deadline: Option<Instant>,
    /// There is more to send than one turn may.
    pub(crate) wants_turn: bool,
    /// The connection is to be closed with this code.
    pub(crate) close: Option<(u64, Bytes)>,
    /// It has to make way for another client's path, if it still belongs to no session: the peer is told, and the
    /// connection is forgotten after the turn. (What still comes for it gets a stateless reset, RFC 9000 section 10.2.)
    pub(crate) is_evicted: bool,
    /// Server: its room, as long as it has none in a session.
    half_open: Option<HalfOpenPermit>,
    carrier: PathCarrier,
    stage: Stage,
    /// What the kernel had no room for.
    unsent: Option<(Transmit, SendSlab)>,
    packets_sent_last_turn: usize,
    /// What this turn may still work on.
    allowance: Allowance,
}

impl PathDriver {
    /// A driver for a connection that has just begun.
    pub(crate) fn new(key: DriverKey, carrier: PathCarrier, stage: Stage) -> Self {
        Self {
            key,
            inbox: VecDeque::new(),
            outbox: Vec::new(),
            woken: Vec::new(),
            deadline: None,
            wants_turn: false,
            close: None,
            is_evicted: false,
            half_open: None,
            carrier,
            stage,
            unsent: None,
            packets_sent_last_turn: 0,
            allowance: Allowance::new(ITEMS_PER_TURN),
        }
    }

    /// A server's, for a client that has just sent its first packet.
    pub(crate) fn accepted(
        key: DriverKey,
        carrier: PathCarrier,
        registry: Arc<Registry>,
        permit: HalfOpenPermit,
        now: Instant,
    ) -> Self {
        let until = now + registry.admission().half_open_timeout();
        let stage = Stage::Greeting { registry, acceptor: Acceptor::new(), until };
        Self { half_open: Some(permit), ..Self::new(key, carrier, stage) }
    }

    /// Whether the kernel had no room for what it wanted to send.
    pub(crate) fn is_blocked(&self) -> bool {
        self.unsent.is_some()
    }

    /// Whether the next turn will probably be long.
    pub(crate) fn is_heavy(&self) -> bool {
        self.inbox.len() + self.packets_sent_last_turn > HEAVY_PACKETS
    }

    /// Whether the next turn will probably be so long that others should not have to wait for it: because much has
    /// arrived or is left, the last one was, or there is a handshake to compute.
    pub(crate) fn is_long(&self) -> bool {
        let is_bound = matches!(self.stage, Stage::Bound(_));
        !is_bound || self.wants_turn || self.is_heavy() || self.allowance.spent() > SHORT_ITEMS
    }

    fn remote(&self) -> SocketAddr {
        self.carrier.connection().remote_address()
    }

    /// Does what there is to do.
    pub(crate) fn work(&mut self, turn: &Turn<'_>) {
        self.allowance = Allowance::new(ITEMS_PER_TURN);
        self.take_packets(turn);
        if self.deadline.is_some_and(|at| at <= turn.now) {
            self.carrier.handle_timeout(turn.now);
        }
        if let Some((code, reason)) = self.close.take() {
            self.leave(turn.now, code, reason);
        }
        if self.is_evicted {
            self.make_way(turn.now);
        }
        self.take_changes(turn);
        self.bound_lanes(turn.now);
        self.exchange(turn);
        // The rest of what has arrived waits until the other paths have had their turn.
        self.wants_turn |= matches!(self.stage, Stage::Bound(_)) && self.carrier.has_arrivals();
        self.conclude();
    }

    /// Hands QUIC the packets that have arrived, and the session what was in them, but for the last few: these it gets
    /// when it is asked what there is to send.
    fn take_packets(&mut self, turn: &Turn<'_>) {
        let count = self.inbox.len();
        while !self.inbox.is_empty() {
            let few = self.inbox.len().min(PACKETS_AT_ONCE);
            for event in self.inbox.drain(..few) {
                self.carrier.handle_event(event);
            }
            if !self.inbox.is_empty() && matches!(self.stage, Stage::Bound(_)) {
                self.take_changes(turn);
                self.receive_lanes(turn.now);
            }
        }
        // A path that was busy once does not keep what that took, some 100 KB.
        if count < self.inbox.capacity() / 8 {
            self.inbox.shrink_to(QUIET_INBOX.max(2 * count));
        }
    }

    fn take_changes(&mut self, turn: &Turn<'_>) {
        while let Some(change) = self.carrier.poll() {
            self.on_change(turn, change);
        }
    }

    /// Gives up a path that belongs to no session when its lanes hold too much. (A session sees to its own.)
    fn bound_lanes(&mut self, now: Instant) {
        let limit = UNBOUND_HELD_BYTES.saturating_add(self.carrier.allowed_bytes().saturating_mul(2));
        if self.carrier.held_bytes() <= limit {
            return;
        }
        match self.stage {
            Stage::Bound(_) | Stage::Done => {}
            Stage::Dialling(_) => {
                let what = "it sends more than may wait before there is a session";
                self.on_ended(now, &Ended::Violation { code: H3Code::ExcessiveLoad, what });
            }
            _ => {
                tracing::debug!(remote = %self.remote(), "the lanes of a path without a session hold too much");
                self.stage = Stage::Done;
                self.carrier.abort(now, TransportCode::LimitExceeded);
            }
        }
    }

    /// What the reactor has to know after a turn.
    fn conclude(&mut self) {
        while let Some(event) = self.carrier.poll_endpoint_events() {
            self.outbox.push(event);
        }
        let own = match self.stage {
            Stage::Greeting { until, .. }
            | Stage::Refused { until, .. }
            | Stage::Leaving { until, .. }
            | Stage::Closing { until } => Some(until),
            _ => None,
        };
        self.deadline = [self.carrier.poll_timeout(), own].into_iter().flatten().min();
    }

    /// A turn of this path has panicked, so that its state is not known. The peer hears at once that the connection is
    /// over with INTERNAL. The session goes on without the path, unless the panic was in the session itself.
    pub(crate) fn fail(&mut self, turn: &Turn<'_>, message: &str) {
        self.inbox.clear();
        self.unsent = None;
        self.close = None;
        if let Stage::Bound(SessionBinding { shared, backend, path }) =
            std::mem::replace(&mut self.stage, Stage::Done)
        {
            backend.forget(path);
            let reason = format!("work on it panicked: {message}");
            shared.fail_path(path, reason);
        }
        self.carrier.abort(turn.now, TransportCode::Internal);
        self.exchange(turn);
        self.conclude();
    }

    /// Nobody will work on the path any more, nor on others: its session ends.
    pub(crate) fn abandon(&mut self, reason: &str) {
        if let Stage::Bound(SessionBinding { shared, .. }) = std::mem::replace(&mut self.stage, Stage::Done) {
            shared.fail(reason.to_owned());
        }
    }

    fn on_change(&mut self, turn: &Turn<'_>, change: Change) {
        match change {
            Change::Connected => {
                if let Stage::Dialling(_) = self.stage {
                    self.on_dialled(turn);
                }
            }
            Change::Lost(reason) => {
                tracing::debug!(remote = %self.remote(), %reason, "a path's connection is gone");
                match std::mem::replace(&mut self.stage, Stage::Done) {
                    Stage::Dialling(attempt) => attempt.failed(reason),
                    stage => {
                        self.stage = stage;
                        let loss = self.loss(reason);
                        self.lose(loss);
                    }
                }
            }
            Change::Ended(ended) => self.on_ended(turn.now, &ended),
        }
    }

    /// Over HTTP/3: the session is over, or refused, though the connection is there.
    fn on_ended(&mut self, now: Instant, ended: &Ended) {
        tracing::debug!(remote = %self.remote(), reason = %ended, "a path's session over HTTP/3 is gone");
        let loss = match ended {
            Ended::Closed { code } => PathLoss::ClosedByPeer(AppCode::new(*code)),
            ended => PathLoss::Failed(ended.to_string()),
        };
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Dialling(attempt) => attempt.refused(ended),
            stage => {
                self.stage = stage;
                self.lose(loss);
            }
        }
        self.stage = Stage::Done;
        self.carrier.cut(now, ended.code());
    }

    /// Closes the connection, which the session has done with.
    ///
    /// A browser closes it by itself when the session has said the same to it, and should: Chromium 156 crashes, the
    /// page with it, when a server closes while streams have ended and their last bytes are not acknowledged.
    fn leave(&mut self, now: Instant, code: u64, reason: Bytes) {
        if self.carrier.take_leave() {
            self.stage = Stage::Leaving { code, reason, until: now + FAREWELL };
        } else {
            self.end(now, code, reason);
        }
    }

    /// Closes the connection of a path whose room is another's.
    fn make_way(&mut self, now: Instant) {
        // The HELLO may have come while the order was under way.
        self.is_evicted = self.half_open.is_some();
        if self.is_evicted && !matches!(self.stage, Stage::Done) {
            tracing::debug!(remote = %self.remote(), "a half-open path makes way");
            self.stage = Stage::Done;
            self.carrier.abort(now, TransportCode::Busy);
        }
    }

    /// Closes the connection, once the peer knows why if it has to be told before.
    fn end(&mut self, now: Instant, code: u64, reason: Bytes) {
        let is_all = self.carrier.close(now, code, reason);
        self.stage = if is_all { Stage::Done } else { Stage::Closing { until: now + FAREWELL } };
    }

    /// The path is gone: its session is told, if it has one.
    fn lose(&mut self, loss: PathLoss) {
        if let Stage::Bound(SessionBinding { shared, backend, path }) =
            std::mem::replace(&mut self.stage, Stage::Done)
        {
            backend.forget(path);
            shared.with(|session, now| session.path_closed(now, path, loss));
        }
    }

    fn loss(&self, reason: ConnectionError) -> PathLoss {
        match reason {
            ConnectionError::ApplicationClosed(close) => {
                let code = self.carrier.close_code(close.error_code.into_inner());
                PathLoss::ClosedByPeer(AppCode::from_wire(code))
            }
            ConnectionError::TimedOut => PathLoss::TimedOut,
            ConnectionError::LocallyClosed => PathLoss::Removed,
            reason => PathLoss::Failed(reason.to_string()),
        }
    }

    fn on_dialled(&mut self, turn: &Turn<'_>) {
        let Stage::Dialling(attempt) = std::mem::replace(&mut self.stage, Stage::Done) else { return };
        let remote = self.remote();
        let Some(binding) = attempt.succeeded(turn.reactor, self.key, remote) else {
            // Another address was faster, or nobody wants the path any more.
            self.end(turn.now, TransportCode::NoError.as_u64(), Bytes::new());
            return;
        };
        let SessionBinding { shared, path, .. } = &binding;
        let carrier = &mut self.carrier;
        shared.collect_on_path(*path, &mut self.woken, |session, now| {
            carrier.allow_lanes(session.config());
            session.path_remote(*path, remote.ip());
            session.path_connected(now, *path);
        });
        self.stage = Stage::Bound(binding);
    }

    // ---- in and out ----

    /// Fills the connection, sends a burst, and so on. As long as the session has more, the connection is never emptied:
    /// each emptying would end with a packet that is not full.
    fn exchange(&mut self, turn: &Turn<'_>) {
        self.wants_turn = false;
        self.packets_sent_last_turn = 0;
        let mut now = turn.now;
        let mut has_more = self.exchange_lanes(turn, now);
        if !self.send_unsent(turn) {
            return;
        }
        let mut slab = turn.buffers.send_slab();
        for _ in 0..BURSTS_PER_TURN {
            slab.clear();
            match self.carrier.poll_transmit(now, self.max_segments(turn, has_more), &mut slab) {
                Some(transmit) => {
                    self.packets_sent_last_turn +=
                        transmit.segment_size.map_or(1, |size| transmit.size.div_ceil(size));
                    if !turn.send(&transmit, &slab) {
                        self.unsent = Some((transmit, slab));
                        return;
                    }
                }
                // All is sent, or the congestion window is full: the next acknowledgement goes on with it.
                None if !has_more || self.carrier.capacity() == 0 => return,
                None => {}
            }
            if has_more {
                now = Instant::now();
                has_more = self.exchange_lanes(turn, now);
            }
        }
        self.wants_turn = true;
    }

    fn max_segments(&self, turn: &Turn<'_>, has_more: bool) -> usize {
        let most = turn.socket.max_gso_segments(self.carrier.connection().current_mtu());
        if has_more { self.carrier.whole_packets().clamp(1, most) } else { most }
    }

    /// Sends the burst that the kernel had no room for before, if there is one. Returns whether it has room now.
    fn send_unsent(&mut self, turn: &Turn<'_>) -> bool {
        let Some((transmit, slab)) = self.unsent.take() else { return true };
        let has_room = turn.send(&transmit, &slab);
        if !has_room {
            self.unsent = Some((transmit, slab));
        }
        has_room
    }

    /// Lanes in, lanes out. Returns whether there is more to send than the carrier wanted.
    fn exchange_lanes(&mut self, turn: &Turn<'_>, now: Instant) -> bool {
        match &mut self.stage {
            Stage::Bound(binding) => {
                let carrier = &mut self.carrier;
                let (path, allowance) = (binding.path, &self.allowance);
                let (outcome, named) =
                    binding.shared.collect_on_path(path, &mut self.woken, |session, now| {
                        receive(carrier, allowance, session, now, path)?;
                        session.transmit(now, path, carrier);
                        carrier.allow_bytes(session.lane_window_bytes());
                        Ok(())
                    });
                if let Err(ended) = outcome {
                    self.on_ended(now, &ended);
                    return false;
                }
                named || self.carrier.capacity() == 0
            }
            Stage::Greeting { until, .. } if *until <= now => {
                self.end(now, TransportCode::HandshakeTimeout.as_u64(), Bytes::new());
                false
            }
            Stage::Greeting { .. } => self.greet(turn, now),
            Stage::Refused { code, until } if *until <= now => {
                let code = code.as_u64();
                self.end(now, code, Bytes::new());
                false
            }
            Stage::Refused { .. } => {
                if let Err(ended) = self.carrier.receive_early(drop) {
                    self.on_ended(now, &ended);
                }
                false
            }
            Stage::Leaving { code, reason, until } => {
                if let Err(ended) = self.carrier.receive(&Allowance::unlimited(), drop) {
                    self.on_ended(now, &ended);
                } else if *until <= now {
                    let (code, reason) = (*code, std::mem::take(reason));
                    self.end(now, code, reason);
                }
                false
            }
            Stage::Closing { until } => {
                if *until <= now {
                    self.stage = Stage::Done;
                    self.carrier.cut(now, H3Code::NoError);
                } else if let Err(ended) = self.carrier.receive(&Allowance::unlimited(), drop) {
                    self.on_ended(now, &ended);
                }
                false
            }
            Stage::Dialling(_) | Stage::Done => false,
        }
    }

    /// Lanes in, of a path that belongs to a session.
    fn receive_lanes(&mut self, now: Instant) {
        let Stage::Bound(SessionBinding { shared, path, .. }) = &self.stage else { return };
        let (path, carrier, allowance) = (*path, &mut self.carrier, &self.allowance);
        // Whatever the path has to send, it is asked for before the turn is over.
        let (outcome, _) = shared.collect_on_path(path, &mut self.woken, |session, now| {
            receive(carrier, allowance, session, now, path)
        });
        if let Err(ended) = outcome {
            self.on_ended(now, &ended);
        }
    }

    /// Reads the first lane, and what HTTP/3 has to know, until the client has said which session it wants.
    fn greet(&mut self, turn: &Turn<'_>, now: Instant) -> bool {
        if !self.carrier.has_arrivals() {
            return false;
        }
        let mut pieces = Vec::new();
        if let Err(ended) = self.carrier.receive_early(|arrival| pieces.push(arrival)) {
            self.on_ended(now, &ended);
            return false;
        }
        let mut pieces = pieces.into_iter();
        for piece in pieces.by_ref() {
            let Stage::Greeting { registry, acceptor, .. } = &mut self.stage else { return false };
            let (lane, dir, data) = match piece {
                Arrival::Data { lane, dir, data } => (lane, dir, data),
                Arrival::Finished(lane) | Arrival::Reset(lane) | Arrival::Stopped(lane) => {
                    self.refuse(now, lane, TransportCode::ProtocolViolation);
                    return false;
                }
                Arrival::Datagram(_) | Arrival::DatagramsDropped(_) => continue,
            };
            match std::mem::take(acceptor).on_lane_data(lane, dir, data) {
                Ok(Err(unsated)) => *acceptor = unsated,
                Ok(Ok(accepted)) => {
                    let registry = Arc::clone(registry);
                    self.admit(turn, now, &registry, accepted);
                    break;
                }
                Err(code) => {
                    self.refuse(now, lane, code);
                    return false;
                }
            }
        }
        let Stage::Bound(SessionBinding { shared, path, .. }) = &self.stage else { return false };
        // What followed the HELLO at once; the rest of the lanes is read as usual from now on.
        shared.collect_on_path(*path, &mut self.woken, |session, now| {
            pieces.for_each(|arrival| take_in(session, now, *path, arrival));
        });
        self.exchange_lanes(turn, now)
    }

    fn admit(&mut self, turn: &Turn<'_>, now: Instant, registry: &Arc<Registry>, accepted: Accepted) {
        let control = accepted.control;
        match registry.admit(accepted, turn.reactor, self.key, self.remote()) {
            Ok(binding) => {
                binding.shared.read(|core| self.carrier.allow_lanes(core.session.config()));
                self.stage = Stage::Bound(binding);
                self.half_open = None;
            }
            Err(code) => self.refuse(now, control, code),
        }
    }

    fn refuse(&mut self, now: Instant, control: LaneId, code: TransportCode) {
        tracing::debug!(remote = %self.remote(), %code, "a path was refused");
        metrics::counter!("kwik_paths_refused_total").increment(1);
        // The client may have stopped listening, which leaves it with the code of the closing.
        let _ = self.carrier.write(control, reject(code, &code.to_string()));
        self.carrier.finish(control);
        self.stage = Stage::Refused { code, until: now + FAREWELL };
    }
}

/// Sends a transmission of quinn-proto, whose bytes are the first of `contents`.
pub(crate) fn send(socket: &UdpSocket, transmit: &Transmit, contents: &[u8]) -> SendOutcome {
    socket.try_send(&quinn_udp::Transmit {
        destination: transmit.destination,
        ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
        contents: contents.get(..transmit.size).unwrap_or(contents),
        segment_size: transmit.segment_size,
        src_ip: transmit.src_ip,
    })
}

/// Hands the session what has arrived on the lanes, as far as the allowance goes.
fn receive(
    carrier: &mut PathCarrier,
    allowance: &Allowance,
    session: &mut Session,
    now: Time,
    path: PathId,
) -> Result<(), Ended> {
    carrier.receive(allowance, |arrival| {
        let before = session.items();
        take_in(session, now, path, arrival);
        allowance.spend((session.items() - before).max(1));
    })?;
    session.on_lanes_held(now, path, carrier.held_bytes());
    Ok(())
}

fn take_in(session: &mut Session, now: Time, path: PathId, arrival: Arrival) {
    match arrival {
        Arrival::Data { lane, dir, data } => session.on_lane_data(now, path, lane, dir, data),
        Arrival::Finished(lane) => session.on_lane_finished(now, path, lane),
        Arrival::Reset(lane) => session.on_lane_reset(now, path, lane),
        Arrival::Stopped(lane) => session.on_lane_stopped(now, path, lane),
        Arrival::Datagram(data) => session.on_datagram(now, path, data),
        Arrival::DatagramsDropped(count) => session.on_datagrams_dropped(count),
    }
}
