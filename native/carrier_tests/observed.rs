//! What is told, by what was heard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_proto::congestion::{Controller, ControllerFactory, NewRenoConfig};

use crate::carrier::{Clock, Observations, ObservedFactory};
use crate::proto::time::Time;

/// A controller as quinn-proto has it, and what it tells.
fn observed(start: Instant) -> (Box<dyn Controller>, Arc<Observations>) {
    let seen = Observations::new(Clock::new(start));
    let factory = ObservedFactory::new(Arc::new(NewRenoConfig::default()), Arc::clone(&seen));
    (factory.build(start, 1_200), seen)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn waiting_begins_with_the_first_packet_begins_anew_with_each_answer_and_ends_with_the_last() {
    let start = Instant::now();
    let (mut controller, seen) = observed(start);
    assert_eq!(seen.awaiting_since(), None);
    seen.on_sent(start + ms(1), 1_000);
    seen.on_sent(start + ms(2), 1_000);
    assert_eq!(seen.awaiting_since(), Some(Time::from_epoch(ms(1))), "the first of the two");
    controller.on_end_acks(start + ms(5), 1_000, false, None);
    assert_eq!(seen.awaiting_since(), Some(Time::from_epoch(ms(5))), "half of it has arrived");
    controller.on_end_acks(start + ms(9), 0, false, None);
    assert_eq!((seen.awaiting_since(), seen.in_flight_bytes()), (None, 0));
}

#[test]
fn what_is_lost_is_not_awaited() {
    let start = Instant::now();
    let (mut controller, seen) = observed(start);
    seen.on_sent(start, 3_000);
    controller.on_end_acks(start + ms(1), 2_000, false, None);
    controller.on_congestion_event(start + ms(1), start, false, 2_000);
    assert_eq!((seen.awaiting_since(), seen.in_flight_bytes(), seen.lost_bytes()), (None, 0, 2_000));
}

#[test]
fn a_probe_of_the_mtu_that_never_arrives_makes_nobody_wait() {
    let start = Instant::now();
    let (mut controller, seen) = observed(start);
    seen.on_probe_sent(1_452);
    assert_eq!(seen.awaiting_since(), None);
    seen.on_sent(start + ms(1), 1_000);
    assert_eq!(seen.awaiting_since(), Some(Time::from_epoch(ms(1))));
    controller.on_end_acks(start + ms(2), 1_452, false, None);
    assert_eq!(seen.awaiting_since(), None, "only the probe is left");
    seen.on_probe_lost();
    assert_eq!(seen.in_flight_bytes(), 0);
}
