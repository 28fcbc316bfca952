//! Moments there and back.

use std::time::{Duration, Instant};

use crate::carrier::Clock;
use crate::proto::time::Time;

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
