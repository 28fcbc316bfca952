//! A QUIC connection as a carrier: its streams are the lanes, its datagrams the datagrams.
//!
//! Promises: what the core hands over leaves soon. quinn-proto would buffer as much as it is given, and the
//! scheduler would have decided long before the bytes leave: so the carrier keeps account of what was written
//! and not sent yet, and [`capacity`](Carrier::capacity) keeps that to about one burst.
//!
//! What arrives does not wait in quinn-proto, where its cost is not counted: it is taken out as it comes, and what
//! is not handed on yet is [counted](QuicCarrier::held_bytes). QUIC's flow control then bounds only what arrives between
//! two turns. The session's own bounds what an honest peer sends, and the count is for the others.
//!
//! The driver of the connection calls, in this order, after anything has happened to it: [`poll`] until it
//! gives nothing, [`receive`], the core's `transmit`, and [`poll_transmit`] until that gives nothing.
//!
//! [`poll`]: QuicCarrier::poll
//! [`receive`]: QuicCarrier::receive
//! [`poll_transmit`]: QuicCarrier::poll_transmit

pub(crate) mod receive;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{
    Connection, ConnectionError, ConnectionEvent, EndpointEvent, Event, FrameStats, StreamEvent, StreamId,
    Transmit, VarInt, WriteError,
};

use super::ack_hold::AckHold;
use super::observed::Observations;
use super::outage::{self, Probes};
use super::reassembly::{Frames, Reassembly};
use super::unsent::{Transmission, UnsentBytes};
use crate::proto::carrier::{Carrier, CarrierMetrics, LaneClosed};
use crate::proto::config::SessionConfig;
use crate::proto::wire::id::{Dir, LaneId};

/// Most bytes handed over and not sent yet: one burst of the kernel's largest size.
pub(crate) const MAX_SLACK_BYTES: u64 = 64 * 1024;
/// Unacknowledged bytes that quinn-proto may hold beyond two congestion windows.
const SEND_WINDOW_MARGIN_BYTES: u64 = 128 * 1024;

/// Lanes beyond the session's streams: the control lane, and a few that end late.
const SPARE_LANES_BIDI: u64 = 8;
/// A stream whose first path is gone goes on over unidirectional lanes: of each path for a while two.
const SPARE_LANES_UNI: u64 = 64;

/// Something that has happened to the connection as a whole.
#[derive(Debug)]
pub(crate) enum Change {
    /// The handshake is done.
    Connected,
    /// The connection is gone; nothing more comes.
    Lost(ConnectionError),
}

/// What quinn-proto did not take at once. It is bounded as [`Carrier`] says.
#[derive(Debug, Default)]
struct HeldBack {
    chunks: VecDeque<Bytes>,
    finish: bool,
}

/// A QUIC connection as a carrier.
pub(crate) struct QuicCarrier {
    connection: Connection,
    observations: Arc<Observations>,
    /// Streams that may have something to read, and how many frames came for each since it was last read: one or more
    /// with the first, and then as many as there were events.
    readable: BTreeMap<StreamId, Frames>,
    reassembly: Reassembly,
    stopped: Vec<LaneId>,
    held_back: BTreeMap<LaneId, HeldBack>,
    datagrams_wait: bool,
    /// What the peer was allowed by `allow_bytes`.
    receive_window_bytes: u64,
    unsent: UnsentBytes,
    ack_hold: AckHold,
    probes: Probes,
    is_probe_due: bool,
    lost_probes_seen: u64,
    send_window_bytes: u64,
    /// With what lanes are reset and stopped.
    lane_code: VarInt,
}

impl QuicCarrier {
    /// Takes over a connection whose congestion controller writes to `observations`.
    pub(crate) fn new(connection: Connection, observations: Arc<Observations>) -> Self {
        Self {
            connection,
            observations,
            readable: BTreeMap::new(),
            reassembly: Reassembly::default(),
            stopped: Vec::new(),
            held_back: BTreeMap::new(),
            datagrams_wait: false,
            receive_window_bytes: 0,
            unsent: UnsentBytes::default(),
            ack_hold: AckHold::default(),
            probes: Probes::default(),
            is_probe_due: false,
            lost_probes_seen: 0,
            send_window_bytes: 0,
            lane_code: VarInt::from_u32(0),
        }
    }

    /// The protocol that the ends have agreed on (RFC 7301), once they have.
    pub(crate) fn protocol(&self) -> Option<Vec<u8>> {
        let data = self.connection.crypto_session().handshake_data()?;
        data.downcast::<quinn_proto::crypto::rustls::HandshakeData>().ok()?.protocol
    }

    /// Lanes are reset and stopped with this code instead of 0.
    pub(crate) fn use_lane_code(&mut self, code: u64) {
        self.lane_code = varint(code);
    }

    /// The connection itself.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sets how many lanes the peer may open, which depends on what the session allows. To be called when the
    /// handshake is done; before that quinn-proto reserves memory for every one of them.
    pub(crate) fn allow_lanes(&mut self, config: &SessionConfig) {
        let bidi = config.max_streams_bidi.saturating_add(SPARE_LANES_BIDI);
        let uni =
            config.max_streams_uni.saturating_add(config.max_streams_bidi).saturating_add(SPARE_LANES_UNI);
        for (dir, count) in [(quinn_proto::Dir::Bi, bidi), (quinn_proto::Dir::Uni, uni)] {
            let count = VarInt::from_u64(count).unwrap_or(VarInt::MAX);
            self.connection.set_max_concurrent_streams(dir, count);
        }
    }

    // ---- what comes in ----

    /// A packet, or news from the endpoint.
    pub(crate) fn handle_event(&mut self, event: ConnectionEvent) {
        self.ack_hold.on_received();
        self.connection.handle_event(event);
    }

    /// A time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.ack_hold.release();
        if self.probe_at().is_some_and(|at| at <= now) {
            self.is_probe_due = true;
            self.probes.on_asked(now);
            self.connection.ping();
        }
        self.connection.handle_timeout(now);
    }

    /// When something is to be done even if nothing happens.
    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        let own = [self.ack_hold.deadline(), self.probe_at()];
        own.into_iter().chain([self.connection.poll_timeout()]).flatten().min()
    }

    /// When the peer, which has been silent, is to be asked once more.
    fn probe_at(&self) -> Option<Instant> {
        if self.connection.is_closed() {
            return None;
        }
        let (silent_since, pto) = (self.observations.silent_since()?, self.observations.pto()?);
        let rtt = self.connection.rtt();
        Some(self.probes.next(silent_since, outage::patience(pto, rtt), rtt))
    }

    /// What the endpoint has to be told.
    pub(crate) fn poll_endpoint_events(&mut self) -> Option<EndpointEvent> {
        self.connection.poll_endpoint_events()
    }

    /// Takes in what has happened; tells what concerns the connection as a whole.
    pub(crate) fn poll(&mut self) -> Option<Change> {
        while let Some(event) = self.connection.poll() {
            match event {
                Event::HandshakeDataReady | Event::DatagramsUnblocked => {}
                Event::Connected => return Some(Change::Connected),
                Event::ConnectionLost { reason } => return Some(Change::Lost(reason)),
                Event::DatagramReceived => self.datagrams_wait = true,
                Event::Stream(event) => self.on_stream_event(event),
            }
        }
        None
    }

    fn on_stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Opened { dir } => {
                while let Some(id) = self.connection.streams().accept(dir) {
                    *self.readable.entry(id).or_default() += 1;
                }
            }
            StreamEvent::Readable { id } => *self.readable.entry(id).or_default() += 1,
            StreamEvent::Writable { id } => self.flush(lane_of(id)),
            StreamEvent::Stopped { id, .. } => {
                self.held_back.remove(&lane_of(id));
                self.stopped.push(lane_of(id));
            }
            StreamEvent::Finished { .. } | StreamEvent::Available { .. } => {}
        }
    }

    // ---- what goes out ----

    /// The next packets to send, in `buffer`, which is given empty, as one transmission of at most
    /// `max_datagrams`.
    pub(crate) fn poll_transmit(
        &mut self,
        now: Instant,
        max_datagrams: usize,
        buffer: &mut Vec<u8>,
    ) -> Option<Transmit> {
        self.update_account();
        let is_probe_due = std::mem::take(&mut self.is_probe_due);
        if !is_probe_due && self.may_hold_acks() && self.ack_hold.holds(now) {
            return None;
        }
        let before = self.connection.stats();
        self.observations.let_probe_out(is_probe_due);
        let transmit = self.connection.poll_transmit(now, max_datagrams, buffer);
        self.observations.let_probe_out(false);
        let after = self.connection.stats();
        if after.path.lost_plpmtud_probes != self.lost_probes_seen {
            self.lost_probes_seen = after.path.lost_plpmtud_probes;
            self.observations.on_probe_lost();
        }
        self.unsent.on_asked();
        let Some(transmit) = transmit else {
            self.ack_hold.on_nothing_to_send();
            if self.observations.in_flight_bytes() == 0 {
                self.unsent.clear();
            }
            return None;
        };
        self.ack_hold.on_sent();
        let size = transmit.size as u64;
        if after.path.sent_plpmtud_probes > before.path.sent_plpmtud_probes {
            self.observations.on_probe_sent(size);
        } else if ack_eliciting(&after.frame_tx) > ack_eliciting(&before.frame_tx) {
            self.observations.on_sent(now, size);
        }
        self.unsent.on_sent(Transmission {
            bytes: size,
            packets: after.udp_tx.datagrams - before.udp_tx.datagrams,
            stream_frames: after.frame_tx.stream - before.frame_tx.stream,
        });
        Some(transmit)
    }

    /// How many packets can be filled with what was written and not sent yet, by the account.
    pub(crate) fn whole_packets(&self) -> usize {
        self.unsent.whole_packets(self.connection.current_mtu())
    }

    /// Gives this end's half of a lane up, with a code of the carrier's.
    pub(crate) fn reset_with(&mut self, lane: LaneId, code: u64) {
        self.held_back.remove(&lane);
        if let Some(id) = self.sendable(lane)
            && self.connection.send_stream(id).reset(varint(code)).is_ok()
        {
            self.ack_hold.release();
            // What of the account was this lane's is not known.
            self.unsent.clear();
        }
    }

    /// Asks the peer to send no more on a lane, with a code of the carrier's.
    pub(crate) fn stop(&mut self, lane: LaneId, code: u64) {
        let Some(id) = stream_of(lane) else { return };
        if id.dir() == quinn_proto::Dir::Bi || id.initiator() != self.connection.side() {
            // Stopped or read to its end already: there is nothing more to stop.
            let _ = self.connection.recv_stream(id).stop(varint(code));
            self.reassembly.forget(id);
            self.ack_hold.release();
        }
    }

    /// Closes the connection; [`poll_transmit`](Self::poll_transmit) then says so to the peer.
    pub(crate) fn close(&mut self, now: Instant, code: u64, reason: Bytes) {
        self.connection.close(now, varint(code), reason);
        self.ack_hold.release();
        self.held_back.clear();
    }

    /// Whether quinn-proto has nothing but acknowledgements, as far as is known from outside.
    fn may_hold_acks(&self) -> bool {
        if self.unsent.get() > 0 || self.connection.is_handshaking() || self.connection.is_closed() {
            return false;
        }
        // With a full window, more may be left than the account says.
        let packet = u64::from(self.connection.current_mtu());
        self.observations.in_flight_bytes() + packet <= self.connection.congestion_state().window()
    }

    /// Takes into account what was heard since the last time.
    fn update_account(&mut self) {
        self.unsent.on_lost(self.observations.lost_bytes());
        if self.observations.take_ran_dry() {
            self.unsent.on_ran_dry();
        }
    }

    fn slack_bytes(&self, window: u64) -> u64 {
        let least = 4 * u64::from(self.connection.current_mtu());
        (window / 4).clamp(least.min(MAX_SLACK_BYTES), MAX_SLACK_BYTES)
    }

    /// Lets quinn-proto hold what the congestion window needs and not much more.
    fn adapt_send_window(&mut self, window: u64) {
        let wanted = window.saturating_mul(2).saturating_add(SEND_WINDOW_MARGIN_BYTES);
        if wanted.abs_diff(self.send_window_bytes) > self.send_window_bytes / 4 {
            self.send_window_bytes = wanted;
            self.connection.set_send_window(wanted);
        }
    }

    /// Hands over what was held back of a lane, as far as there is room.
    fn flush(&mut self, lane: LaneId) {
        let Some(mut held) = self.held_back.remove(&lane) else { return };
        while let Some(chunk) = held.chunks.pop_front() {
            match self.hand_over(lane, chunk) {
                Ok(rest) if rest.is_empty() => {}
                Ok(rest) => {
                    held.chunks.push_front(rest);
                    self.held_back.insert(lane, held);
                    return;
                }
                // Stopped or reset: the event that says so follows.
                Err(LaneClosed) => return,
            }
        }
        if held.finish {
            self.finish_now(lane);
        }
    }

    /// Gives a chunk to quinn-proto and returns what it did not take.
    fn hand_over(&mut self, lane: LaneId, data: Bytes) -> Result<Bytes, LaneClosed> {
        let Some(id) = self.sendable(lane) else { return Err(LaneClosed) };
        let mut chunks = [data];
        // Asked until it refuses: only then will it say when there is room again.
        while !chunks[0].is_empty() {
            let written = match self.connection.send_stream(id).write_chunks(&mut chunks) {
                Ok(written) => written.bytes as u64,
                Err(WriteError::Blocked) => break,
                Err(WriteError::Stopped(_) | WriteError::ClosedStream) => return Err(LaneClosed),
            };
            self.unsent.on_written(written);
            self.ack_hold.release();
        }
        let [rest] = chunks;
        Ok(rest)
    }

    fn finish_now(&mut self, lane: LaneId) {
        if let Some(id) = self.sendable(lane) {
            // Finished or stopped already: either way there is nothing to finish.
            let _ = self.connection.send_stream(id).finish();
            self.ack_hold.release();
        }
    }

    /// The stream of a lane, if this end may send on it and the connection lives.
    fn sendable(&self, lane: LaneId) -> Option<StreamId> {
        let id = stream_of(lane)?;
        let own = id.initiator() == self.connection.side();
        ((own || id.dir() == quinn_proto::Dir::Bi) && !self.connection.is_closed()).then_some(id)
    }
}

impl Carrier for QuicCarrier {
    fn capacity(&mut self) -> usize {
        if !self.held_back.is_empty() || self.connection.is_closed() {
            return 0;
        }
        self.update_account();
        let window = self.connection.congestion_state().window();
        self.adapt_send_window(window);
        let left = self.slack_bytes(window).saturating_sub(self.unsent.get());
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    fn open_lane(&mut self, dir: Dir) -> Option<LaneId> {
        let dir = match dir {
            Dir::Bi => quinn_proto::Dir::Bi,
            Dir::Uni => quinn_proto::Dir::Uni,
        };
        self.connection.streams().open(dir).map(lane_of)
    }

    fn write(&mut self, lane: LaneId, data: Bytes) -> Result<(), LaneClosed> {
        if let Some(held) = self.held_back.get_mut(&lane) {
            held.chunks.push_back(data);
            return Ok(());
        }
        let rest = self.hand_over(lane, data)?;
        if !rest.is_empty() {
            self.held_back.entry(lane).or_default().chunks.push_back(rest);
        }
        Ok(())
    }

    fn finish(&mut self, lane: LaneId) {
        match self.held_back.get_mut(&lane) {
            Some(held) => held.finish = true,
            None => self.finish_now(lane),
        }
    }

    fn reset(&mut self, lane: LaneId) {
        self.reset_with(lane, self.lane_code.into_inner());
    }

    fn send_datagram(&mut self, data: Bytes) -> bool {
        self.ack_hold.release();
        self.connection.datagrams().send(data, true).is_ok()
    }

    fn max_datagram_bytes(&mut self) -> Option<usize> {
        self.connection.datagrams().max_size()
    }

    fn metrics(&self) -> CarrierMetrics {
        let stats = self.connection.stats();
        // Before the first measurement quinn-proto's figure is a guess.
        let pto = self.observations.pto();
        CarrierMetrics {
            rtt: pto.is_some().then_some(stats.path.rtt),
            pto,
            congestion_window_bytes: Some(stats.path.cwnd),
            in_flight_bytes: Some(self.observations.in_flight_bytes()),
            awaiting_since: self.observations.awaiting_since(),
            knows_acks: true,
            lost_packets: stats.path.lost_packets,
            sent_packets: stats.path.sent_packets,
        }
    }
}

/// Codes that are too large are the largest.
fn varint(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

fn lane_of(id: StreamId) -> LaneId {
    LaneId(VarInt::from(id).into_inner())
}

fn stream_of(lane: LaneId) -> Option<StreamId> {
    VarInt::from_u64(lane.0).ok().map(StreamId::from)
}

fn dir_of(id: StreamId) -> Dir {
    match id.dir() {
        quinn_proto::Dir::Bi => Dir::Bi,
        quinn_proto::Dir::Uni => Dir::Uni,
    }
}

/// How many frames were sent that the peer has to acknowledge (RFC 9000 section 13.2).
fn ack_eliciting(frames: &FrameStats) -> u64 {
    frames.stream
        + frames.datagram
        + frames.ping
        + frames.crypto
        + u64::from(frames.handshake_done)
        + frames.max_data
        + frames.max_stream_data
        + frames.max_streams_bidi
        + frames.max_streams_uni
        + frames.reset_stream
        + frames.stop_sending
        + frames.data_blocked
        + frames.stream_data_blocked
        + frames.streams_blocked_bidi
        + frames.streams_blocked_uni
        + frames.new_connection_id
        + frames.retire_connection_id
        + frames.new_token
        + frames.path_challenge
        + frames.path_response
        + frames.ack_frequency
        + frames.immediate_ack
}
