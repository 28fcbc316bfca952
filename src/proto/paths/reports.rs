//! Timing of PATH_REPORT, which tells the peer how much of what it sent on a path has arrived.

use std::time::Duration;

use crate::proto::control::{BULK_ACK_INTERVAL, Occasion};
use crate::proto::time::Time;

/// A report is due after so many bytes, if not before; see [`BULK_ACK_INTERVAL`].
pub(super) const REPORT_BYTES: u64 = 64 * 1024;

/// PATH_REPORT: what has arrived at the peer, and how long ago the newest of it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) received_bytes: u64,
    pub(crate) delay: Duration,
}

/// What has arrived on a path, and what the peer was told of it.
#[derive(Debug)]
pub(crate) struct Reports {
    received_bytes: u64,
    unreported_bytes: u64,
    received_at: Time,
    due_at: Option<Time>,
    /// From when on the report goes with whatever goes out anyway.
    rides_at: Option<Time>,
    reported_at: Option<Time>,
}

impl Reports {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            received_bytes: 0,
            unreported_bytes: 0,
            received_at: now,
            due_at: None,
            rides_at: None,
            reported_at: None,
        }
    }

    /// Stream bytes arrived; the peer hears of them within `max_delay`.
    pub(crate) fn on_received(&mut self, now: Time, bytes: u64, max_delay: Duration) {
        self.received_bytes += bytes;
        self.unreported_bytes += bytes;
        self.received_at = now;
        let due = if self.unreported_bytes >= REPORT_BYTES {
            self.reported_at.map_or(now, |at| now.max(at + BULK_ACK_INTERVAL))
        } else {
            now + max_delay
        };
        self.due_at = Some(self.due_at.map_or(due, |at| at.min(due)));
        self.rides_at.get_or_insert(now + max_delay / 2);
    }

    /// The peer hears of what has arrived within `max_delay` from now on.
    pub(crate) fn hasten(&mut self, now: Time, max_delay: Duration) {
        self.due_at = self.due_at.map(|at| at.min(now + max_delay));
        self.rides_at = self.rides_at.map(|at| at.min(now + max_delay / 2));
    }

    /// The report to send now, if one is due, or has waited for some time and something goes out anyway.
    pub(crate) fn take(&mut self, now: Time, occasion: Occasion) -> Option<Report> {
        let rides = occasion == Occasion::Data && self.rides_at.is_some_and(|at| at <= now);
        self.due_at.take_if(|at| rides || *at <= now)?;
        self.rides_at = None;
        self.unreported_bytes = 0;
        self.reported_at = Some(now);
        Some(Report { received_bytes: self.received_bytes, delay: now - self.received_at })
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.due_at
    }

    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(25);

    fn at(ms: u64) -> Time {
        Time::from_epoch(Duration::from_millis(ms))
    }

    #[test]
    fn a_report_is_due_within_the_delay_or_at_once_after_64_kib() {
        let mut reports = Reports::new(at(0));
        reports.on_received(at(0), 1_000, DELAY);
        assert_eq!(reports.deadline(), Some(at(25)));
        reports.on_received(at(5), 64 * 1024, DELAY);
        let report = Report { received_bytes: 1_000 + 64 * 1024, delay: Duration::from_millis(2) };
        assert_eq!(reports.take(at(7), Occasion::None), Some(report));
        assert_eq!((reports.take(at(99), Occasion::None), reports.deadline()), (None, None));
    }

    #[test]
    fn reports_on_a_fast_path_keep_their_distance() {
        let mut reports = Reports::new(at(0));
        reports.on_received(at(5), 64 * 1024, DELAY);
        assert!(reports.take(at(5), Occasion::None).is_some());
        reports.on_received(at(6), 64 * 1024, DELAY);
        assert_eq!(reports.deadline(), Some(at(5) + BULK_ACK_INTERVAL));
    }

    #[test]
    fn a_report_that_has_waited_goes_with_data_and_is_hastened_when_there_is_less_time() {
        let mut reports = Reports::new(at(0));
        reports.on_received(at(0), 100, Duration::from_millis(200));
        assert_eq!(reports.take(at(99), Occasion::Data), None);
        assert!(reports.take(at(100), Occasion::Data).is_some());
        reports.on_received(at(100), 100, Duration::from_millis(200));
        reports.hasten(at(110), DELAY);
        assert_eq!(reports.deadline(), Some(at(135)));
    }
}
