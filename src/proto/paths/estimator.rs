//! Estimator of a path's speed: round-trip time, delivery rate, bytes under way.
//!
//! Where the carrier tells, its word counts; where it does not (a browser), the peer's reports and PONGs do.

use std::time::Duration;

use super::rate::DeliveryRate;
use super::reports::{REPORT_BYTES, Report};
use super::rtt::RttEstimator;
use crate::proto::carrier::CarrierMetrics;
use crate::proto::control::BULK_ACK_INTERVAL;
use crate::proto::futile::Use;
use crate::proto::time::Time;

/// Assumed until there is a measurement (RFC 9002 section 6.2.2 says 333 ms; a wrong low guess costs a probe).
pub(super) const INITIAL_RTT: Duration = Duration::from_millis(100);
/// What may be under way on a path whose carrier tells nothing, before anything is measured.
const INITIAL_WINDOW_BYTES: u64 = 128 * 1024;
/// The same once something is measured: enough to see whether the path takes more.
const MIN_WINDOW_BYTES: u64 = 32 * 1024;

/// Expected rate, and how much may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speed {
    /// 0 while unknown.
    pub(crate) rate_bytes_per_s: u64,
    pub(crate) window_bytes: u64,
    /// Whether the rate still grows from one round trip to the next.
    pub(crate) is_growing: bool,
}

/// The estimates for one path.
#[derive(Debug)]
pub(crate) struct Estimator {
    pub(super) metrics: CarrierMetrics,
    rtt: RttEstimator,
    rate: DeliveryRate,
    sent_bytes: u64,
    reported_bytes: u64,
    /// When all that was given to the path will have left, at the rate that it is thought to have.
    free_at: Time,
    /// Least smoothed round trip that the carrier told, or least that was measured.
    min_rtt: Option<Duration>,
}

impl Estimator {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            metrics: CarrierMetrics::default(),
            rtt: RttEstimator::new(),
            rate: DeliveryRate::new(),
            sent_bytes: 0,
            reported_bytes: 0,
            free_at: now,
            min_rtt: None,
        }
    }

    /// Takes over what the carrier knows.
    pub(crate) fn learn(&mut self, metrics: CarrierMetrics) {
        self.metrics = metrics;
        let rtt = metrics.rtt.or(self.rtt.min());
        self.min_rtt = self.min_rtt.into_iter().chain(rtt).min();
    }

    pub(crate) fn metrics(&self) -> &CarrierMetrics {
        &self.metrics
    }

    /// A round trip was measured.
    pub(crate) fn on_round_trip(&mut self, rtt: Duration) {
        self.rtt.update(rtt, Duration::ZERO);
    }

    /// There was room and nothing to send: a low rate from now on says nothing about the path.
    pub(crate) fn on_app_limited(&mut self) {
        self.rate.on_app_limited();
    }

    pub(crate) fn on_sent(&mut self, now: Time, bytes: u64) {
        self.sent_bytes += bytes;
        self.rate.on_sent(now, self.sent_bytes);
        self.free_at = self.free_at.max(now) + time_for(bytes, self.speed().rate_bytes_per_s);
    }

    /// PATH_REPORT. One that a newer one has overtaken is of no use; one of more than was sent is the peer's error.
    pub(crate) fn on_report(&mut self, now: Time, report: Report) -> Result<Use, TooManyBytes> {
        if report.received_bytes > self.sent_bytes {
            return Err(TooManyBytes);
        }
        if report.received_bytes <= self.reported_bytes {
            return Ok(Use::None);
        }
        self.reported_bytes = report.received_bytes;
        if let Some(sample) = self.rate.on_report(now, report.received_bytes, report.delay) {
            self.rtt.update(sample.rtt, sample.delay);
        }
        Ok(Use::Some)
    }

    pub(crate) fn rtt(&self) -> Duration {
        self.measured_rtt().unwrap_or(INITIAL_RTT)
    }

    pub(crate) fn measured_rtt(&self) -> Option<Duration> {
        self.metrics.rtt.or_else(|| self.rtt.min().map(|_| self.rtt.smoothed()))
    }

    pub(crate) fn min_rtt(&self) -> Duration {
        let rtt = self.rtt();
        self.min_rtt.unwrap_or(rtt).min(rtt)
    }

    /// Probe timeout without the peer's acknowledgement delay.
    pub(crate) fn pto(&self) -> Duration {
        self.metrics.pto.unwrap_or_else(|| self.rtt.pto(Duration::ZERO))
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Bytes given to the path that the peer has not reported as arrived.
    pub(crate) fn committed_bytes(&self) -> u64 {
        self.sent_bytes.saturating_sub(self.reported_bytes)
    }

    /// How long the path is busy with what it was given, at this speed.
    pub(crate) fn queued(&self, now: Time, speed: Speed) -> Duration {
        time_for(self.committed_bytes(), speed.rate_bytes_per_s).min(self.free_at - now)
    }

    pub(crate) fn speed(&self) -> Speed {
        let measured = self.rate.rate();
        let is_growing = self.rate.is_growing();
        if let Some(window_bytes) = self.metrics.congestion_window_bytes {
            let by_window = window_bytes as f64 / self.rtt().as_secs_f64().max(1e-6);
            let rate_bytes_per_s = measured.unwrap_or(0).max(by_window as u64);
            return Speed { rate_bytes_per_s, window_bytes, is_growing };
        }
        let Some(rate) = measured else {
            return Speed { rate_bytes_per_s: 0, window_bytes: INITIAL_WINDOW_BYTES, is_growing };
        };
        if is_growing {
            // A rate can only grow as far as it is let: until it is known, the carrier's own limits have to do, and
            // the next round trip brings about twice of what the last one did.
            return Speed { rate_bytes_per_s: rate.saturating_mul(2), window_bytes: u64::MAX, is_growing };
        }
        // 1.5 x what is under way in a round trip, and as much as waits to be reported.
        let product = (rate as f64 * self.rtt.min().unwrap_or(INITIAL_RTT).as_secs_f64() * 1.5) as u64;
        let in_interval = (rate as f64 * BULK_ACK_INTERVAL.as_secs_f64()) as u64;
        let unreported = 2 * REPORT_BYTES.max(in_interval).min(rate / 50);
        let window_bytes = (product + unreported).max(MIN_WINDOW_BYTES);
        Speed { rate_bytes_per_s: rate, window_bytes, is_growing }
    }
}

/// A report claims more bytes than were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyBytes;

/// How long `bytes` take at a rate; no time while the rate is unknown.
fn time_for(bytes: u64, bytes_per_s: u64) -> Duration {
    match bytes_per_s {
        0 => Duration::ZERO,
        rate => Duration::from_secs_f64(bytes as f64 / rate as f64),
    }
}
