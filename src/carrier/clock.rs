//! Between quinn-proto's time and the core's.

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moment_comes_back_as_it_was() {
        let epoch = Instant::now();
        let clock = Clock::new(epoch);
        for after in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1_000_000)] {
            assert_eq!(clock.instant(clock.time(epoch + after)), epoch + after);
            assert_eq!(clock.time(epoch + after).since_epoch(), after);
        }
        assert_eq!(clock.time(epoch - Duration::from_millis(1)), Time::ZERO);
    }
}
