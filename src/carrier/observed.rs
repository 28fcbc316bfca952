//! A congestion controller around another, which records what quinn-proto tells only a controller.
//!
//! quinn-proto does not say how much is in flight or when an acknowledgement last came, which failure detection
//! and late binding rest on. Its congestion controller is told both: so a thin layer around the real one writes
//! them down where the carrier can read them. It also keeps from the real one what is no sign of congestion
//! (`outage.rs`), and lets a probe out whatever the window is.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory, ControllerMetrics};

use super::clock::Clock;
use super::outage::{Restart, patience};
use crate::proto::time::Time;

/// No time: later than any other.
const NEVER: u64 = u64::MAX;

/// The finest step of a timer (RFC 9002 section 6.1.2).
const GRANULARITY: Duration = Duration::from_millis(1);

/// What the congestion controller of one connection has heard. The connection and the carrier share it; only
/// the thread that works on the connection writes.
#[derive(Debug)]
pub(crate) struct Observations {
    clock: Clock,
    in_flight_bytes: AtomicU64,
    /// Length of the MTU probe that is under way, included in `in_flight_bytes`. Its loss is no news.
    probe_bytes: AtomicU64,
    /// Since when an acknowledgement is awaited, in nanoseconds after the epoch.
    awaiting_since: AtomicU64,
    pto_nanos: AtomicU64,
    lost_bytes: AtomicU64,
    /// The peer has sent something on a lane: it has the keys for what this end sends.
    is_heard: AtomicBool,
    /// One packet more may go out, whatever the window is.
    lets_probe_out: AtomicBool,
    /// An acknowledgement came at a time when nothing was left to send.
    ran_dry: AtomicBool,
}

impl Observations {
    /// Nothing has happened.
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            in_flight_bytes: AtomicU64::new(0),
            probe_bytes: AtomicU64::new(0),
            awaiting_since: AtomicU64::new(NEVER),
            pto_nanos: AtomicU64::new(0),
            lost_bytes: AtomicU64::new(0),
            is_heard: AtomicBool::new(false),
            lets_probe_out: AtomicBool::new(false),
            ran_dry: AtomicBool::new(false),
        })
    }

    /// Packets that want an acknowledgement went out.
    pub(crate) fn on_sent(&self, now: Instant, bytes: u64) {
        self.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.awaiting_since.load(Ordering::Relaxed) == NEVER {
            self.awaiting_since.store(self.nanos(now), Ordering::Relaxed);
        }
    }

    /// A probe of a larger MTU went out, on its own. Its acknowledgement is not waited for: it may not fit.
    pub(crate) fn on_probe_sent(&self, bytes: u64) {
        self.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.probe_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The probe was lost, which the congestion controller is not told.
    pub(crate) fn on_probe_lost(&self) {
        let probe = self.probe_bytes.swap(0, Ordering::Relaxed);
        let left = self.in_flight_bytes.load(Ordering::Relaxed).saturating_sub(probe);
        self.in_flight_bytes.store(left, Ordering::Relaxed);
        self.update_awaiting();
    }

    /// Bytes sent and neither acknowledged nor lost, as far as is known.
    pub(crate) fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes.load(Ordering::Relaxed)
    }

    /// Since when an acknowledgement has been awaited and none has come.
    pub(crate) fn awaiting_since(&self) -> Option<Time> {
        match self.awaiting_since.load(Ordering::Relaxed) {
            NEVER => None,
            nanos => Some(Time::from_epoch(Duration::from_nanos(nanos))),
        }
    }

    /// The same, for those who wait for it.
    pub(crate) fn silent_since(&self) -> Option<Instant> {
        self.awaiting_since().map(|at| self.clock.instant(at))
    }

    /// Something has arrived on a lane.
    pub(crate) fn on_heard(&self) {
        self.is_heard.store(true, Ordering::Relaxed);
    }

    /// Whether one packet more may go out than the window allows.
    pub(crate) fn let_probe_out(&self, may: bool) {
        self.lets_probe_out.store(may, Ordering::Relaxed);
    }

    /// Probe timeout without the peer's delay, once there is a measurement.
    pub(crate) fn pto(&self) -> Option<Duration> {
        match self.pto_nanos.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// Bytes found lost so far.
    pub(crate) fn lost_bytes(&self) -> u64 {
        self.lost_bytes.load(Ordering::Relaxed)
    }

    /// Whether, since this was last asked, an acknowledgement found that nothing had been left to send.
    pub(crate) fn take_ran_dry(&self) -> bool {
        self.ran_dry.swap(false, Ordering::Relaxed)
    }

    fn on_progress(&self, now: Instant, in_flight_bytes: u64) {
        self.in_flight_bytes.store(in_flight_bytes, Ordering::Relaxed);
        self.awaiting_since.store(self.nanos(now), Ordering::Relaxed);
        self.update_awaiting();
    }

    fn on_lost(&self, bytes: u64) {
        self.lost_bytes.fetch_add(bytes, Ordering::Relaxed);
        let left = self.in_flight_bytes.load(Ordering::Relaxed).saturating_sub(bytes);
        self.in_flight_bytes.store(left, Ordering::Relaxed);
        self.update_awaiting();
    }

    /// With nothing but a probe under way nothing is awaited.
    fn update_awaiting(&self) {
        if self.in_flight_bytes.load(Ordering::Relaxed) <= self.probe_bytes.load(Ordering::Relaxed) {
            self.awaiting_since.store(NEVER, Ordering::Relaxed);
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(self.clock.time(at).since_epoch().as_nanos()).unwrap_or(NEVER - 1)
    }
}

/// Makes the real controller and the layer around it. One for each connection.
pub(crate) struct ObservedFactory {
    inner: Arc<dyn ControllerFactory + Send + Sync>,
    observations: Arc<Observations>,
}

impl ObservedFactory {
    /// Controllers made by `inner` that write to `observations`.
    pub(crate) fn new(
        inner: Arc<dyn ControllerFactory + Send + Sync>,
        observations: Arc<Observations>,
    ) -> Arc<Self> {
        Arc::new(Self { inner, observations })
    }
}

impl ControllerFactory for ObservedFactory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Observed {
            inner: Arc::clone(&self.inner).build(now, current_mtu),
            observations: Arc::clone(&self.observations),
            mtu: current_mtu,
            rtt: None,
            sample: None,
            restart: Restart::default(),
            greeting_until: None,
        })
    }
}

/// The layer.
struct Observed {
    inner: Box<dyn Controller>,
    observations: Arc<Observations>,
    mtu: u16,
    /// Smoothed time and its variation, as in RFC 9002 section 5.3: quinn-proto keeps the latter to itself.
    rtt: Option<(Duration, Duration)>,
    /// Of the packets acknowledged together, the newest one's round trip.
    sample: Option<Duration>,
    restart: Restart,
    /// When the last packet went out before the peer was heard on a lane.
    greeting_until: Option<Instant>,
}

impl Observed {
    /// An answer comes: whether it ends an outage.
    fn look_for_outage(&mut self, now: Instant) {
        let (Some((rtt, _)), Some(pto)) = (self.rtt, self.observations.pto()) else { return };
        let silent_since = self.observations.silent_since();
        if silent_since.is_some_and(|since| now.saturating_duration_since(since) >= patience(pto, rtt)) {
            self.restart.on_outage_ended(now);
        }
    }

    fn take_sample(&mut self) {
        let Some(sample) = self.sample.take() else { return };
        let (smoothed, var) = match self.rtt {
            None => (sample, sample / 2),
            Some((smoothed, var)) => ((smoothed * 7 + sample) / 8, (var * 3 + smoothed.abs_diff(sample)) / 4),
        };
        self.rtt = Some((smoothed, var));
        let pto = smoothed + (var * 4).max(GRANULARITY);
        let nanos = u64::try_from(pto.as_nanos()).unwrap_or(NEVER);
        self.observations.pto_nanos.store(nanos, Ordering::Relaxed);
    }
}

impl Controller for Observed {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        if !self.observations.is_heard.load(Ordering::Relaxed) {
            self.greeting_until = Some(now);
        }
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        let sample = now.saturating_duration_since(sent);
        self.sample = Some(self.sample.map_or(sample, |least| least.min(sample)));
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
        self.restart.on_ack(bytes, self.inner.window());
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.look_for_outage(now);
        self.observations.on_progress(now, in_flight);
        if app_limited {
            self.observations.ran_dry.store(true, Ordering::Relaxed);
        }
        self.take_sample();
        self.inner.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.observations.on_lost(lost_bytes);
        // Packets that overtake the end of the handshake are dropped for want of keys, and their loss may be ignored
        // (RFC 9002 section 7.4): otherwise the path would have left slow start before it began.
        if self.greeting_until.is_some_and(|until| sent <= until) {
            return;
        }
        if self.restart.explains_loss(sent, self.inner.window(), self.inner.initial_window()) {
            return;
        }
        self.inner.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        // The probe has arrived. (Or the MTU has shrunk: then no probe is under way.)
        self.observations.probe_bytes.store(0, Ordering::Relaxed);
        self.mtu = new_mtu;
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        let window = self.restart.limit(self.inner.window());
        if self.observations.lets_probe_out.load(Ordering::Relaxed) {
            // quinn-proto wants room for more than one packet to send one.
            return window.max(self.observations.in_flight_bytes() + 2 * u64::from(self.mtu));
        }
        window
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self {
            inner: self.inner.clone_box(),
            observations: Arc::clone(&self.observations),
            mtu: self.mtu,
            rtt: self.rtt,
            sample: self.sample,
            restart: self.restart,
            greeting_until: self.greeting_until,
        })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.inner.into_any()
    }
}
