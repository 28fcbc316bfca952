//! One path of a session: its state, what it carries, and whether it can be trusted.
//!
//! ```text
//!            accepted           silent for its probe timeout
//!  Opening ----------> Active <------------------------------> Suspect
//!     |                 |  ^      answers again                   |
//!     |          status |  | status                               | silent for `path_timeout`
//!     |                 v  |                                      |
//!     |               Standby                                     |
//!     |   refused         |  removed                              |
//!     +------------> Closing ----------> Closed <-----------------+
//! ```
//!
//! Standby is a preference that active paths are used first, and says nothing of health: it is kept beside the state.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::rate::DeliveryRate;
use super::rtt::RttEstimator;
use crate::proto::carrier::{Carrier, CarrierMetrics, LaneCommand, Lanes};
use crate::proto::control::BULK_ACK_INTERVAL;
use crate::proto::event::PathAddress;
use crate::proto::scheduler::PathView;
use crate::proto::streams::recv::Violation;
use crate::proto::time::Time;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::id::{Dir, LaneId, PathId, StreamId};
use crate::proto::wire::lane::LaneReader;

/// No path is suspected before it was silent for this long: shorter silences are scheduling noise.
const MIN_SUSPICION: Duration = Duration::from_millis(100);
/// Assumed until there is a measurement (RFC 9002 section 6.2.2 says 333 ms; a wrong low guess costs a probe).
const INITIAL_RTT: Duration = Duration::from_millis(100);
/// A path whose carrier tells nothing is asked after so long a silence even when nothing is due, so that the death of
/// an idle one is noticed: what its keep-alive does for a carrier that tells.
const IDLE_PROBE: Duration = Duration::from_secs(5);
/// What may be under way on a path whose carrier tells nothing, before anything is measured.
const INITIAL_WINDOW_BYTES: u64 = 128 * 1024;
/// The same once something is measured: enough to see whether the path takes more.
const MIN_WINDOW_BYTES: u64 = 32 * 1024;
/// A report is due after so many bytes, if not before; see [`BULK_ACK_INTERVAL`].
const REPORT_BYTES: u64 = 64 * 1024;
/// Pings that may wait for their answers to be written; of more, the newest are answered (docs/PROTOCOL.md section 4.2).
const MAX_PONGS: usize = 64;
/// Pings that may be under way and are remembered.
const MAX_PINGS: usize = 64;
/// Most bytes of other lanes that wait for the path to be accepted, when they have overtaken ACCEPT.
const MAX_EARLY_BYTES: usize = 1 << 20;

/// Where a path is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PathState {
    /// Being dialled, or waiting for the server's word.
    Opening,
    /// In use.
    Active,
    /// Used when no active path is left.
    Standby,
    /// Silent; what it carried is being sent on other paths.
    Suspect,
    /// Being removed: it carries nothing new.
    Closing,
    /// Gone.
    Closed,
}

impl std::fmt::Display for PathState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opening => "opening",
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Suspect => "suspect",
            Self::Closing => "closing",
            Self::Closed => "closed",
        })
    }
}

/// What a session knows of one of its paths.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PathInfo {
    /// The path.
    pub id: PathId,
    /// Where it is in its life.
    pub state: PathState,
    /// Where it leads, on the client.
    pub address: Option<PathAddress>,
    /// The peer's address on the network, once the carrier knows it. Filled in by the backend.
    pub remote: Option<SocketAddr>,
    /// Smoothed round-trip time, once measured.
    pub rtt: Option<Duration>,
    /// Expected rate in bytes per second; 0 while unknown.
    pub rate_bytes_per_s: u64,
    /// Bytes given to the path that the peer has not reported as arrived.
    pub in_flight_bytes: u64,
    /// Stream bytes sent, copies included.
    pub sent_bytes: u64,
    /// Stream bytes received, copies included.
    pub received_bytes: u64,
    /// Of the bytes sent, those that were copies of bytes on other paths.
    pub reinjected_bytes: u64,
    /// Packets that the carrier found lost, where it can tell.
    pub lost_packets: u64,
    /// Packets that the carrier sent, where it can tell.
    pub sent_packets: u64,
    /// What a byte costs; only comparisons matter.
    pub cost: u64,
}

/// What one end wants of a path, as stated in PATH_STATUS.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PathPreference {
    pub(crate) sequence: u64,
    pub(crate) standby: bool,
    pub(crate) cost: u64,
}

/// The stage of a path on its way to `Active`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The backend dials (client only).
    Dialling,
    /// The carrier is there; HELLO is to be sent, or has been, and ACCEPT is awaited.
    Greeting {
        hello_sent: Option<Time>,
    },
    /// Server: ACCEPT is to be sent.
    Accepting,
    Established,
    Suspect {
        since: Time,
    },
    Closing {
        until: Time,
    },
}

/// Counts that applications see.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PathCounts {
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    pub(crate) reinjected_bytes: u64,
    pub(crate) datagrams_sent: u64,
    pub(crate) datagrams_received: u64,
}

/// What happened on a lane before the path was accepted, to be read afterwards.
#[derive(Debug)]
pub(crate) enum Early {
    Data(LaneId, Dir, Bytes),
    Finished(LaneId),
}

#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) id: PathId,
    pub(crate) phase: Phase,
    pub(crate) address: Option<PathAddress>,
    pub(crate) control: Option<LaneId>,
    pub(crate) lanes: BTreeMap<LaneId, LaneReader>,
    pub(crate) metrics: CarrierMetrics,
    pub(crate) kind: Lanes,
    pub(crate) own: PathPreference,
    peer: PathPreference,
    /// Of the newest PATH_STATUS: the first one counts, whatever its sequence is.
    peer_sequence: Option<u64>,
    pub(crate) weight: u32,
    pub(crate) counts: PathCounts,
    /// Tokens of pings to answer.
    pub(crate) pongs: VecDeque<u64>,
    /// Tokens of pings that the application, or suspicion, wants sent.
    pub(crate) pings: Vec<u64>,
    /// Pings that are under way, oldest first, and since when.
    pinged: VecDeque<(u64, Time)>,
    /// The last time the path had capacity left and nothing to carry.
    pub(crate) app_limited: bool,
    /// When it was asked and took nothing, if nothing but time has changed since.
    pub(crate) idle_polled_at: Option<Time>,
    pub(crate) opened_at: Time,
    /// Bidirectional lanes that this end opened for its streams, until the peer has ended its half.
    pub(crate) own_lanes: BTreeMap<LaneId, StreamId>,
    /// What has overtaken ACCEPT.
    early: Vec<Early>,
    /// What to do to lanes when the carrier is next at hand.
    pub(crate) lane_commands: Vec<LaneCommand>,
    /// The backend was told to transmit and has not come yet.
    pub(crate) wake_queued: bool,
    pub(crate) close_written: bool,
    /// What the carrier is to be closed with.
    pub(crate) close_code: Option<u64>,
    /// Added by a call of the application, which wants to know if it fails.
    pub(crate) opened_by_application: bool,
    pub(crate) max_datagram_bytes: usize,
    next_token: u64,
    rtt: RttEstimator,
    rate: DeliveryRate,
    reported_bytes: u64,
    unreported_bytes: u64,
    received_at: Time,
    report_at: Option<Time>,
    reported_at: Option<Time>,
    /// Without the carrier's help: when something was sent that has not been answered in any way.
    unanswered_since: Option<Time>,
    /// When anything last arrived.
    last_received_at: Time,
    /// When all that was given to the path will have left, at the rate that it is thought to have.
    free_at: Time,
    /// Least smoothed round trip that the carrier told, or least that was measured.
    min_rtt: Option<Duration>,
}

impl Path {
    pub(crate) fn new(id: PathId, phase: Phase, now: Time) -> Self {
        Self {
            id,
            phase,
            address: None,
            control: None,
            lanes: BTreeMap::new(),
            metrics: CarrierMetrics::default(),
            kind: Lanes::Many,
            own: PathPreference::default(),
            peer: PathPreference::default(),
            peer_sequence: None,
            weight: 1,
            counts: PathCounts::default(),
            pongs: VecDeque::new(),
            pings: Vec::new(),
            pinged: VecDeque::new(),
            app_limited: false,
            idle_polled_at: None,
            opened_at: now,
            own_lanes: BTreeMap::new(),
            early: Vec::new(),
            lane_commands: Vec::new(),
            wake_queued: false,
            close_written: false,
            close_code: None,
            opened_by_application: false,
            max_datagram_bytes: 0,
            next_token: 0,
            rtt: RttEstimator::new(),
            rate: DeliveryRate::new(),
            reported_bytes: 0,
            unreported_bytes: 0,
            received_at: now,
            report_at: None,
            reported_at: None,
            unanswered_since: None,
            last_received_at: now,
            free_at: now,
            min_rtt: None,
        }
    }

    pub(crate) fn state(&self) -> PathState {
        match self.phase {
            Phase::Dialling | Phase::Greeting { .. } | Phase::Accepting => PathState::Opening,
            Phase::Established if self.is_standby() => PathState::Standby,
            Phase::Established => PathState::Active,
            Phase::Suspect { .. } => PathState::Suspect,
            Phase::Closing { .. } => PathState::Closing,
        }
    }

    /// Either end may put a path on standby.
    pub(crate) fn is_standby(&self) -> bool {
        self.own.standby || self.peer.standby
    }

    /// Whether it is part of the session and answers.
    pub(crate) fn is_healthy(&self) -> bool {
        self.phase == Phase::Established
    }

    /// Whether it is part of the session, answering or not.
    pub(crate) fn is_attached(&self) -> bool {
        matches!(self.phase, Phase::Established | Phase::Suspect { .. })
    }

    /// Whether the server has accepted it.
    pub(crate) fn is_accepted(&self) -> bool {
        !matches!(self.phase, Phase::Dialling | Phase::Greeting { .. } | Phase::Accepting)
    }

    /// Whether it is on its way into the session or in it.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.phase, Phase::Closing { .. })
    }

    pub(crate) fn rtt(&self) -> Duration {
        match (self.metrics.rtt, self.rtt.min()) {
            (Some(rtt), _) => rtt,
            (None, Some(_)) => self.rtt.smoothed(),
            (None, None) => INITIAL_RTT,
        }
    }

    pub(crate) fn measured_rtt(&self) -> Option<Duration> {
        self.metrics.rtt.or_else(|| self.rtt.min().map(|_| self.rtt.smoothed()))
    }

    pub(crate) fn committed_bytes(&self) -> u64 {
        self.counts.sent_bytes.saturating_sub(self.reported_bytes)
    }

    /// Takes over what the carrier knows.
    pub(crate) fn learn(&mut self, carrier: &mut dyn Carrier) {
        self.metrics = carrier.metrics();
        let rtt = self.metrics.rtt.or(self.rtt.min());
        self.min_rtt = self.min_rtt.into_iter().chain(rtt).min();
        self.kind = carrier.lanes();
        // A datagram's sequence number takes up to eight bytes; a control lane carries any length.
        let room = carrier.max_datagram_bytes().map(|max| max.saturating_sub(8));
        self.max_datagram_bytes = room.unwrap_or(crate::proto::wire::limits::MAX_FRAME_DATA_BYTES);
    }

    /// There was room and nothing to send: a low rate from now on says nothing about the path.
    pub(crate) fn on_app_limited(&mut self) {
        self.rate.on_app_limited();
    }

    pub(crate) fn info(&self) -> PathInfo {
        let (rate_bytes_per_s, _) = self.rate_and_window();
        PathInfo {
            id: self.id,
            state: self.state(),
            address: self.address.clone(),
            remote: None,
            rtt: self.measured_rtt(),
            rate_bytes_per_s,
            in_flight_bytes: self.committed_bytes(),
            sent_bytes: self.counts.sent_bytes,
            received_bytes: self.counts.received_bytes,
            reinjected_bytes: self.counts.reinjected_bytes,
            lost_packets: self.metrics.lost_packets,
            sent_packets: self.metrics.sent_packets,
            cost: self.cost(),
        }
    }

    fn cost(&self) -> u64 {
        self.own.cost.max(self.peer.cost)
    }

    pub(crate) fn next_ping(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    /// Client: lanes overtake one another; what comes before ACCEPT waits for it.
    pub(crate) fn defer(&mut self, early: Early) -> Result<(), Violation> {
        let bytes = |early: &Early| if let Early::Data(_, _, data) = early { data.len() } else { 0 };
        if self.early.iter().map(bytes).sum::<usize>() + bytes(&early) > MAX_EARLY_BYTES {
            return Err(Violation::new(TransportCode::LimitExceeded, "too much arrives before ACCEPT"));
        }
        self.early.push(early);
        Ok(())
    }

    /// What `defer` has put off.
    pub(crate) fn take_early(&mut self) -> Vec<Early> {
        std::mem::take(&mut self.early)
    }

    /// PING: the answer goes out with the next transmission.
    pub(crate) fn queue_pong(&mut self, token: u64) {
        if self.pongs.len() >= MAX_PONGS {
            self.pongs.pop_front();
        }
        self.pongs.push_back(token);
    }

    /// PATH_STATUS of the peer. Returns whether it is news: not one that a newer one has overtaken.
    pub(crate) fn on_peer_preference(&mut self, preference: PathPreference) -> bool {
        let is_news = self.peer_sequence.is_none_or(|newest| preference.sequence > newest);
        if is_news {
            self.peer_sequence = Some(preference.sequence);
            self.peer = preference;
        }
        is_news
    }

    /// What the scheduler sees.
    pub(crate) fn view(&self, now: Time) -> PathView {
        let rtt = self.rtt();
        let (rate_bytes_per_s, window_bytes) = self.rate_and_window();
        let committed_bytes = self.committed_bytes();
        PathView {
            id: self.id,
            rtt,
            is_measured: self.measured_rtt().is_some(),
            min_rtt: self.min_rtt.unwrap_or(rtt).min(rtt),
            rate_bytes_per_s,
            is_growing: self.rate.is_growing(),
            queued: time_for(committed_bytes, rate_bytes_per_s).min(self.free_at - now),
            committed_bytes,
            window_bytes,
            cost: self.cost(),
            weight: self.weight,
        }
    }

    /// Expected bytes per second, and bytes that may be under way.
    fn rate_and_window(&self) -> (u64, u64) {
        let measured = self.rate.rate();
        if let Some(window) = self.metrics.congestion_window_bytes {
            let by_window = window as f64 / self.rtt().as_secs_f64().max(1e-6);
            return (measured.unwrap_or(0).max(by_window as u64), window);
        }
        let Some(rate) = measured else { return (0, INITIAL_WINDOW_BYTES) };
        if self.rate.is_growing() {
            // A rate can only grow as far as it is let: until it is known, the carrier's own limits have to do, and
            // the next round trip brings about twice of what the last one did.
            return (rate.saturating_mul(2), u64::MAX);
        }
        // 1.5 x what is under way in a round trip, and as much as waits to be reported.
        let product = (rate as f64 * self.rtt.min().unwrap_or(INITIAL_RTT).as_secs_f64() * 1.5) as u64;
        let in_interval = (rate as f64 * BULK_ACK_INTERVAL.as_secs_f64()) as u64;
        let unreported = 2 * REPORT_BYTES.max(in_interval).min(rate / 50);
        (rate, (product + unreported).max(MIN_WINDOW_BYTES))
    }

    // ---- sending ----

    pub(crate) fn on_sent(&mut self, now: Time, bytes: u64) {
        self.counts.sent_bytes += bytes;
        self.rate.on_sent(now, self.counts.sent_bytes);
        let (rate, _) = self.rate_and_window();
        self.free_at = self.free_at.max(now) + time_for(bytes, rate);
        self.on_spoke(now);
    }

    /// Something went out that the peer answers, sooner or later.
    pub(crate) fn on_spoke(&mut self, now: Time) {
        self.unanswered_since.get_or_insert(now);
    }

    /// PATH_REPORT. A report of more than was sent is the peer's error.
    pub(crate) fn on_report(&mut self, now: Time, received_bytes: u64, delay: Duration) -> bool {
        if received_bytes > self.counts.sent_bytes {
            return false;
        }
        if received_bytes > self.reported_bytes {
            self.reported_bytes = received_bytes;
            if let Some(sample) = self.rate.on_report(now, received_bytes, delay) {
                self.rtt.update(sample.rtt, sample.delay);
            }
        }
        true
    }

    /// How much the peer has reported.
    pub(crate) fn reported_bytes(&self) -> u64 {
        self.reported_bytes
    }

    /// How long the greeting took.
    pub(crate) fn on_accepted(&mut self, now: Time) {
        if let Phase::Greeting { hello_sent: Some(sent) } = self.phase {
            self.rtt.update(now - sent, Duration::ZERO);
        }
    }

    /// A PING goes out.
    pub(crate) fn on_pinged(&mut self, now: Time, token: u64) {
        if self.pinged.len() >= MAX_PINGS {
            self.pinged.pop_front();
        }
        self.pinged.push_back((token, now));
    }

    /// PONG: how long the round trip took, if it was awaited. The peer may answer only the newest of several.
    pub(crate) fn on_pong(&mut self, now: Time, token: u64) -> Option<Duration> {
        let index = self.pinged.iter().position(|(awaited, _)| *awaited == token)?;
        let (_, sent) = self.pinged.drain(..=index).next_back()?;
        self.rtt.update(now - sent, Duration::ZERO);
        Some(now - sent)
    }

    // ---- receiving ----

    /// Anything at all arrived on the path.
    pub(crate) fn on_activity(&mut self, now: Time) {
        self.unanswered_since = None;
        self.last_received_at = now;
    }

    pub(crate) fn on_received(&mut self, now: Time, bytes: u64, max_delay: Duration) {
        self.counts.received_bytes += bytes;
        self.unreported_bytes += bytes;
        self.received_at = now;
        let due = if self.unreported_bytes >= REPORT_BYTES {
            self.reported_at.map_or(now, |at| now.max(at + BULK_ACK_INTERVAL))
        } else {
            now + max_delay
        };
        self.report_at = Some(self.report_at.map_or(due, |at| at.min(due)));
    }

    /// The report to send now, if one is due: bytes received and how long ago the newest of them came.
    pub(crate) fn take_report(&mut self, now: Time) -> Option<(u64, Duration)> {
        self.report_at.take_if(|at| *at <= now)?;
        self.unreported_bytes = 0;
        self.reported_at = Some(now);
        Some((self.counts.received_bytes, now - self.received_at))
    }

    // ---- health ----

    /// How long the path may stay silent while an answer is due.
    pub(crate) fn probe_timeout(&self, peer_ack_delay: Duration) -> Duration {
        let pto = self.metrics.pto.unwrap_or_else(|| self.rtt.pto(Duration::ZERO));
        (pto + self.rtt() + peer_ack_delay).max(MIN_SUSPICION)
    }

    /// Since when an answer is due, as far as anyone knows.
    pub(crate) fn silent_since(&self) -> Option<Time> {
        if self.metrics.knows_acks {
            self.metrics.awaiting_since
        } else {
            self.pinged.front().map(|(_, at)| *at)
        }
    }

    /// When the core has to look at this path's health again without further input.
    pub(crate) fn health_deadline(&self, peer_ack_delay: Duration, path_timeout: Duration) -> Option<Time> {
        match self.phase {
            Phase::Established => {
                let probe_timeout = self.probe_timeout(peer_ack_delay);
                self.silent_since().map(|since| since + probe_timeout).or(self.probe_at(peer_ack_delay))
            }
            Phase::Suspect { since } => Some(self.give_up_at(since, path_timeout)),
            Phase::Closing { until } => Some(until),
            Phase::Dialling | Phase::Greeting { .. } | Phase::Accepting => None,
        }
    }

    /// When a path that is suspect since then is given up: after time for a few probes on a slow path. Where the
    /// carrier cannot tell, one that still delivers stays: its answer may be held up by no more than a busy machine,
    /// and a peer that hears nothing soon delivers nothing, either.
    pub(crate) fn give_up_at(&self, since: Time, path_timeout: Duration) -> Time {
        let silent_since = if self.metrics.knows_acks { since } else { since.max(self.last_received_at) };
        silent_since + path_timeout.max(self.rtt() * 6)
    }

    /// Whether the path was silent for too long by now.
    pub(crate) fn is_too_silent(&self, now: Time, peer_ack_delay: Duration) -> bool {
        self.silent_since().is_some_and(|since| now >= since + self.probe_timeout(peer_ack_delay))
    }

    /// Whether the carrier cannot tell and it is time to ask the peer.
    pub(crate) fn wants_probe(&self, now: Time, peer_ack_delay: Duration) -> bool {
        self.probe_at(peer_ack_delay).is_some_and(|at| now >= at)
    }

    /// When the peer has to be asked, if nothing is heard until then.
    fn probe_at(&self, peer_ack_delay: Duration) -> Option<Time> {
        let is_asked = !self.pinged.is_empty() || !self.pings.is_empty();
        if self.metrics.knows_acks || is_asked {
            return None;
        }
        let unanswered = self.unanswered_since.map(|since| since + self.probe_timeout(peer_ack_delay));
        Some(unanswered.unwrap_or(self.last_received_at + IDLE_PROBE))
    }

    pub(crate) fn report_deadline(&self) -> Option<Time> {
        self.report_at
    }

    pub(crate) fn has_due_report(&self, now: Time) -> bool {
        self.is_healthy() && self.report_at.is_some_and(|at| at <= now)
    }
}

/// How long `bytes` take at a rate; no time while the rate is unknown.
fn time_for(bytes: u64, bytes_per_s: u64) -> Duration {
    match bytes_per_s {
        0 => Duration::ZERO,
        rate => Duration::from_secs_f64(bytes as f64 / rate as f64),
    }
}

#[cfg(test)]
mod tests;
