//! Conversion between quinn-proto's `Instant` and the core's `Time`.

use std::time::Instant;

use crate::proto::time::Time;

/// Translates between the two; what is before its epoch counts as the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    /// A clock whose time zero is `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { epoch }
    }

    /// The core's name of a moment.
    pub(crate) fn time(self, at: Instant) -> Time {
        Time::from_epoch(at.saturating_duration_since(self.epoch))
    }

    /// The moment that the core means. One that no platform's clock can express is as good as the epoch's: a
    /// timer that fires too early is set again.
    pub(crate) fn instant(self, at: Time) -> Instant {
        self.epoch.checked_add(at.since_epoch()).unwrap_or(self.epoch)
    }
}
