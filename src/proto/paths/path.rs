//! One path of a session: its phase, lanes, estimates and liveness.
//!
//! Fields are private: the phase changes in `Phase::after` alone, and each part keeps its own account.

use std::time::Duration;

use super::estimator::{Estimator, TooManyBytes};
pub use super::info::{PathInfo, PathState};
use super::lanes::PathLanes;
use super::liveness::Liveness;
pub(crate) use super::phase::{Phase, PhaseEvent};
use super::reports::{Report, Reports};
use crate::proto::carrier::Carrier;
use crate::proto::control::Occasion;
use crate::proto::event::PathAddress;
use crate::proto::futile::Use;
use crate::proto::scheduler::PathView;
use crate::proto::time::Time;
use crate::proto::wire::id::PathId;
use crate::proto::wire::limits::MAX_FRAME_DATA_BYTES;

/// What one end wants of a path, as stated in PATH_STATUS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathPreference {
    pub(crate) sequence: u64,
    pub(crate) standby: bool,
    pub(crate) cost: u64,
}

/// Counts that applications see.
#[derive(Clone, Copy, Debug, Default)]
struct PathCounts {
    reinjected_bytes: u64,
    datagrams_sent: u64,
    datagrams_received: u64,
}

/// How a path came to the end of what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// Its carrier wants no more.
    Full,
    /// There is more, and another path does it better.
    Declined,
    /// There is nothing more for it.
    Drained,
}

/// One path.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) id: PathId,
    pub(crate) lanes: PathLanes,
    pub(crate) liveness: Liveness,
    phase: Phase,
    address: Option<PathAddress>,
    opened_at: Time,
    /// Added by a call of the application, which wants to know if it fails.
    opened_by_application: bool,
    own: PathPreference,
    peer: PathPreference,
    /// Of the newest PATH_STATUS: the first one counts, whatever its sequence is.
    peer_sequence: Option<u64>,
    weight: u32,
    estimator: Estimator,
    reports: Reports,
    counts: PathCounts,
    /// The last time the path had capacity left and nothing to carry.
    app_limited: bool,
    /// When it was asked and took nothing, if nothing but time has changed since.
    idle_polled_at: Option<Time>,
    /// The backend was told to let it transmit and has not come yet.
    wake_queued: bool,
    close_written: bool,
    /// What the carrier is to be closed with.
    close_code: Option<u64>,
    max_datagram_bytes: usize,
    /// What the carrier holds to put lanes in order.
    held_bytes: u64,
}

impl Path {
    fn new(id: PathId, phase: Phase, now: Time) -> Self {
        Self {
            id,
            lanes: PathLanes::default(),
            liveness: Liveness::new(now),
            phase,
            address: None,
            opened_at: now,
            opened_by_application: false,
            own: PathPreference::default(),
            peer: PathPreference::default(),
            peer_sequence: None,
            weight: 1,
            estimator: Estimator::new(now),
            reports: Reports::new(now),
            counts: PathCounts::default(),
            app_limited: false,
            idle_polled_at: None,
            wake_queued: false,
            close_written: false,
            close_code: None,
            max_datagram_bytes: 0,
            held_bytes: 0,
        }
    }

    /// Client: a path that is being dialled.
    pub(crate) fn dialled(id: PathId, address: PathAddress, now: Time) -> Self {
        Self { address: Some(address), ..Self::new(id, Phase::Dialling, now) }
    }

    /// Server: a path that has said what it wants, on these lanes.
    pub(crate) fn accepted(id: PathId, lanes: PathLanes, now: Time) -> Self {
        Self { lanes, ..Self::new(id, Phase::Accepting, now) }
    }

    // ---- life ----

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Moves on. Whether that changed anything.
    pub(crate) fn on(&mut self, event: PhaseEvent) -> bool {
        let Some(next) = self.phase.after(event) else { return false };
        self.phase = next;
        true
    }

    /// ACCEPT went out, or came in, which tells how long the greeting took.
    pub(crate) fn on_accepted(&mut self, now: Time) {
        if let Phase::Greeting { hello_sent: Some(sent) } = self.phase {
            self.estimator.on_round_trip(now - sent);
        }
        self.on(PhaseEvent::Accepted);
        if self.measured_rtt().is_none() && !self.estimator.metrics().knows_acks {
            self.liveness.ping();
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

    /// Whether HELLO is on its way, or about to be.
    pub(crate) fn is_greeting(&self) -> bool {
        matches!(self.phase, Phase::Greeting { .. })
    }

    /// Whether it is on its way into the session or in it.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.phase, Phase::Closing { .. })
    }

    pub(crate) fn opened_at(&self) -> Time {
        self.opened_at
    }

    pub(crate) fn set_opened_by_application(&mut self) {
        self.opened_by_application = true;
    }

    pub(crate) fn is_opened_by_application(&self) -> bool {
        self.opened_by_application
    }

    /// What the carrier is to be closed with.
    pub(crate) fn set_close_code(&mut self, code: u64) {
        self.close_code = Some(code);
    }

    pub(crate) fn close_code(&self) -> Option<u64> {
        self.close_code
    }

    /// Whether its last frame is still to be written; from here on it is not.
    pub(crate) fn take_close(&mut self) -> bool {
        !std::mem::replace(&mut self.close_written, true)
    }

    // ---- preferences ----

    /// Either end may put a path on standby.
    pub(crate) fn is_standby(&self) -> bool {
        self.own.standby || self.peer.standby
    }

    fn cost(&self) -> u64 {
        self.own.cost.max(self.peer.cost)
    }

    /// What this end wants of the path; a change gets the next sequence number.
    pub(crate) fn prefer(&mut self, preference: PathPreference) {
        self.own = PathPreference { sequence: self.own.sequence + 1, ..preference };
    }

    pub(crate) fn preference(&self) -> PathPreference {
        self.own
    }

    /// Whether this end has ever stated a preference.
    pub(crate) fn has_preference(&self) -> bool {
        self.own.sequence > 0
    }

    /// PATH_STATUS of the peer. Whether it is news: not one that a newer one has overtaken.
    pub(crate) fn on_peer_preference(&mut self, preference: PathPreference) -> bool {
        let is_news = self.peer_sequence.is_none_or(|newest| preference.sequence > newest);
        if is_news {
            self.peer_sequence = Some(preference.sequence);
            self.peer = preference;
        }
        is_news
    }

    pub(crate) fn set_weight(&mut self, weight: u32) {
        self.weight = weight;
    }

    // ---- speed ----

    /// Takes over what the carrier knows.
    pub(crate) fn learn(&mut self, carrier: &mut dyn Carrier) {
        self.estimator.learn(carrier.metrics());
        // A datagram's sequence number takes up to eight bytes; a control lane carries any length.
        let room = carrier.max_datagram_bytes().map(|max| max.saturating_sub(8));
        self.max_datagram_bytes = room.unwrap_or(MAX_FRAME_DATA_BYTES);
    }

    pub(crate) fn max_datagram_bytes(&self) -> usize {
        self.max_datagram_bytes
    }

    pub(crate) fn rtt(&self) -> Duration {
        self.estimator.rtt()
    }

    pub(crate) fn measured_rtt(&self) -> Option<Duration> {
        self.estimator.measured_rtt()
    }

    /// Whether the carrier tells how much may be under way.
    pub(crate) fn knows_window(&self) -> bool {
        self.estimator.metrics().congestion_window_bytes.is_some()
    }

    /// What the scheduler sees.
    pub(crate) fn view(&self, now: Time) -> PathView {
        let speed = self.estimator.speed();
        PathView {
            id: self.id,
            rtt: self.rtt(),
            is_measured: self.measured_rtt().is_some(),
            min_rtt: self.estimator.min_rtt(),
            rate_bytes_per_s: speed.rate_bytes_per_s,
            is_growing: speed.is_growing,
            queued: self.estimator.queued(now, speed),
            committed_bytes: self.estimator.committed_bytes(),
            window_bytes: speed.window_bytes,
            cost: self.cost(),
            weight: self.weight,
        }
    }

    pub(crate) fn info(&self) -> PathInfo {
        let metrics = self.estimator.metrics();
        PathInfo {
            id: self.id,
            state: self.state(),
            address: self.address.clone(),
            remote: None,
            rtt: self.measured_rtt(),
            rate_bytes_per_s: self.estimator.speed().rate_bytes_per_s,
            in_flight_bytes: self.estimator.committed_bytes(),
            sent_bytes: self.estimator.sent_bytes(),
            received_bytes: self.reports.received_bytes(),
            reinjected_bytes: self.counts.reinjected_bytes,
            lost_packets: metrics.lost_packets,
            sent_packets: metrics.sent_packets,
            cost: self.cost(),
        }
    }

    // ---- sending ----

    /// Stream bytes went out.
    pub(crate) fn on_sent(&mut self, now: Time, bytes: u64) {
        self.estimator.on_sent(now, bytes);
        self.liveness.on_sent(now);
    }

    /// Of the bytes that went out, these are under way elsewhere, too.
    pub(crate) fn on_reinjected(&mut self, bytes: u64) {
        self.counts.reinjected_bytes += bytes;
    }

    pub(crate) fn on_datagrams_sent(&mut self, now: Time, count: u64) {
        self.counts.datagrams_sent += count;
        self.liveness.on_sent(now);
    }

    /// The path was asked for as much as it takes.
    pub(crate) fn on_filled(&mut self, now: Time, filled: Filled, chunks: u64) {
        self.app_limited = filled != Filled::Full;
        self.idle_polled_at = (self.app_limited && chunks == 0).then_some(now);
        if filled == Filled::Drained {
            self.estimator.on_app_limited();
        }
    }

    /// Something but time has changed.
    pub(crate) fn on_change(&mut self) {
        self.idle_polled_at = None;
    }

    /// Whether it had room left when it was last asked.
    pub(crate) fn is_app_limited(&self) -> bool {
        self.app_limited
    }

    /// Whether it was asked at this time, took nothing, and nothing has changed since.
    pub(crate) fn is_idle_at(&self, now: Time) -> bool {
        self.idle_polled_at == Some(now)
    }

    /// The backend is to let it transmit. Whether it has to be told so: it may have been already.
    pub(crate) fn queue_wake(&mut self) -> bool {
        !std::mem::replace(&mut self.wake_queued, true)
    }

    /// The backend has come.
    pub(crate) fn on_transmit(&mut self) {
        self.wake_queued = false;
    }

    pub(crate) fn is_wake_queued(&self) -> bool {
        self.wake_queued
    }

    // ---- receiving ----

    /// Stream bytes arrived.
    pub(crate) fn on_received(&mut self, now: Time, bytes: u64, max_delay: Duration) {
        self.reports.on_received(now, bytes, max_delay);
    }

    /// The carrier holds so many bytes of memory to put lanes in order.
    pub(crate) fn on_lanes_held(&mut self, bytes: u64) {
        self.held_bytes = bytes;
    }

    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    pub(crate) fn on_datagram_received(&mut self) {
        self.counts.datagrams_received += 1;
    }

    /// PATH_REPORT.
    pub(crate) fn on_report(&mut self, now: Time, report: Report) -> Result<Use, TooManyBytes> {
        self.estimator.on_report(now, report)
    }

    /// PONG: how long the round trip took, if it was awaited.
    pub(crate) fn on_pong(&mut self, now: Time, token: u64) -> Option<Duration> {
        let rtt = self.liveness.on_pong(now, token)?;
        self.estimator.on_round_trip(rtt);
        Some(rtt)
    }

    /// The report to send now, if one is due.
    pub(crate) fn take_report(&mut self, now: Time, occasion: Occasion) -> Option<Report> {
        self.reports.take(now, occasion)
    }

    /// The peer hears of what has arrived within `max_delay` from now on.
    pub(crate) fn hasten_report(&mut self, now: Time, max_delay: Duration) {
        self.reports.hasten(now, max_delay);
    }

    pub(crate) fn report_deadline(&self) -> Option<Time> {
        self.reports.deadline()
    }

    pub(crate) fn has_due_report(&self, now: Time) -> bool {
        self.is_healthy() && self.report_deadline().is_some_and(|at| at <= now)
    }

    // ---- health ----

    /// Since when an answer is due, as far as this end can know.
    pub(crate) fn silent_since(&self) -> Option<Time> {
        self.liveness.silent_since(&self.estimator)
    }

    /// When the core has to look at this path's health again without further input.
    pub(crate) fn health_deadline(&self, peer_ack_delay: Duration, path_timeout: Duration) -> Option<Time> {
        match self.phase {
            Phase::Established => self.liveness.deadline(&self.estimator, peer_ack_delay),
            Phase::Suspect { since } => Some(self.give_up_at(since, path_timeout)),
            Phase::Closing { until } => Some(until),
            Phase::Dialling | Phase::Greeting { .. } | Phase::Accepting => None,
        }
    }

    /// When a path that is suspect since then is given up.
    pub(crate) fn give_up_at(&self, since: Time, path_timeout: Duration) -> Time {
        self.liveness.give_up_at(&self.estimator, since, path_timeout)
    }

    /// Whether the path was silent for too long by now.
    pub(crate) fn is_too_silent(&self, now: Time, peer_ack_delay: Duration) -> bool {
        let probe_timeout = self.liveness.probe_timeout(&self.estimator, peer_ack_delay);
        self.silent_since().is_some_and(|since| now >= since + probe_timeout)
    }

    /// Whether the carrier cannot tell and it is time to ask the peer.
    pub(crate) fn wants_probe(&self, now: Time, peer_ack_delay: Duration) -> bool {
        self.liveness.probe_at(&self.estimator, peer_ack_delay).is_some_and(|at| now >= at)
    }
}

#[cfg(test)]
mod tests;
