//! When acknowledgements wait.

use std::time::Instant;

use crate::carrier::ack_hold::{AckHold, MAX_HOLD};

fn after(packets: usize) -> AckHold {
    let mut hold = AckHold::default();
    (0..packets).for_each(|_| hold.on_received());
    hold
}

#[test]
fn a_few_packets_wait_for_a_millisecond_and_no_longer() {
    let start = Instant::now();
    let mut hold = after(2);
    assert!(hold.holds(start));
    hold.on_received();
    let late = start + MAX_HOLD / 2;
    assert!(hold.holds(late), "the first of them counts");
    assert_eq!(hold.deadline(), Some(start + MAX_HOLD));
    assert!(!hold.holds(start + MAX_HOLD));
    hold.release();
    assert_eq!(hold.deadline(), None, "it is not to be named again if the socket has no room just then");
    assert!(!hold.holds(start + MAX_HOLD));
}

#[test]
fn one_packet_or_many_do_not_wait() {
    let now = Instant::now();
    assert!(!after(1).holds(now), "quinn-proto has a timer for one");
    assert!(after(9).holds(now));
    assert!(!after(10).holds(now));
}

#[test]
fn single_packets_add_up_until_something_is_sent() {
    let now = Instant::now();
    let mut hold = after(1);
    hold.on_nothing_to_send();
    hold.on_received();
    assert!(hold.holds(now), "quinn-proto would send for two");
    hold.on_sent();
    hold.on_received();
    assert!(!hold.holds(now));
}

#[test]
fn what_else_there_is_to_send_ends_the_wait_until_all_of_it_is_sent() {
    let now = Instant::now();
    let mut hold = after(3);
    assert!(hold.holds(now));
    hold.release();
    assert!(!hold.holds(now));
    hold.on_sent();
    (0..3).for_each(|_| hold.on_received());
    assert!(!hold.holds(now), "there may be another burst");
    hold.on_nothing_to_send();
    (0..3).for_each(|_| hold.on_received());
    assert!(hold.holds(now));
}

#[test]
fn packets_that_want_no_acknowledgement_are_asked_about_once() {
    let start = Instant::now();
    let mut hold = after(4);
    assert!(hold.holds(start));
    assert!(!hold.holds(start + MAX_HOLD));
    hold.on_nothing_to_send();
    assert_eq!(hold.deadline(), None);
    assert!(!hold.holds(start + MAX_HOLD), "nothing is left to wait for");
}
