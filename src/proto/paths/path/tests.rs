use super::super::estimator::INITIAL_RTT;
use super::super::liveness::MIN_SUSPICION;
use super::*;
use crate::proto::carrier::CarrierMetrics;

const ACK_DELAY: Duration = Duration::from_millis(25);
const PATH_TIMEOUT: Duration = Duration::from_secs(3);

fn at(ms: u64) -> Time {
    Time::from_epoch(Duration::from_millis(ms))
}

fn path() -> Path {
    Path::new(PathId(0), Phase::Established, at(0))
}

fn probe_timeout(path: &Path) -> Duration {
    path.liveness.probe_timeout(&path.estimator, ACK_DELAY)
}

fn probe_at(path: &Path) -> Option<Time> {
    path.liveness.probe_at(&path.estimator, ACK_DELAY)
}

fn ask(path: &mut Path, now: Time) {
    path.liveness.ping();
    path.liveness.take_pings(now);
}

fn report(received_bytes: u64) -> Report {
    Report { received_bytes, delay: Duration::ZERO }
}

/// A path whose carrier tells what it knows.
fn knowing(rtt_ms: u64, window: u64) -> Path {
    let mut path = path();
    path.estimator.metrics = CarrierMetrics {
        rtt: Some(Duration::from_millis(rtt_ms)),
        pto: Some(Duration::from_millis(rtt_ms * 2)),
        congestion_window_bytes: Some(window),
        knows_acks: true,
        ..CarrierMetrics::default()
    };
    path
}

#[test]
fn standby_is_a_wish_of_either_end_and_only_for_healthy_paths() {
    let mut path = path();
    assert_eq!(path.state(), PathState::Active);
    path.peer.standby = true;
    assert_eq!(path.state(), PathState::Standby);
    path.phase = Phase::Suspect { since: at(0) };
    assert_eq!(path.state(), PathState::Suspect);
}

#[test]
fn a_knowing_carrier_is_suspected_when_its_acknowledgements_are_late() {
    let mut path = knowing(50, 10_000);
    assert_eq!(path.health_deadline(ACK_DELAY, PATH_TIMEOUT), None, "it waits for nothing");
    path.estimator.metrics.awaiting_since = Some(at(1_000));
    let probe_timeout = probe_timeout(&path);
    assert_eq!(probe_timeout, Duration::from_millis(100 + 50 + 25));
    assert_eq!(path.health_deadline(ACK_DELAY, PATH_TIMEOUT), Some(at(1_175)));
    assert!(!path.is_too_silent(at(1_174), ACK_DELAY) && path.is_too_silent(at(1_175), ACK_DELAY));
}

#[test]
fn no_path_is_suspected_for_a_silence_that_scheduling_explains() {
    assert_eq!(probe_timeout(&knowing(1, 10_000)), MIN_SUSPICION);
}

#[test]
fn a_carrier_that_tells_nothing_is_asked_first_and_suspected_when_it_does_not_answer() {
    let mut path = path();
    path.liveness.on_sent(at(1_000));
    let probe_timeout = probe_timeout(&path);
    assert!(!path.wants_probe(at(1_000), ACK_DELAY));
    assert!(path.wants_probe(at(1_000) + probe_timeout, ACK_DELAY));
    assert!(!path.is_too_silent(at(9_000), ACK_DELAY), "nobody has asked it");
    ask(&mut path, at(9_000));
    assert!(!path.wants_probe(at(99_000), ACK_DELAY));
    assert!(path.is_too_silent(at(9_000) + probe_timeout, ACK_DELAY));
    assert_eq!(path.on_pong(at(9_050), 1), Some(Duration::from_millis(50)));
    assert!(!path.is_too_silent(at(99_000), ACK_DELAY));
}

#[test]
fn what_is_heard_answers_for_what_was_said() {
    let mut path = path();
    path.liveness.on_sent(at(0));
    path.liveness.on_received(at(60));
    assert!(!path.wants_probe(at(5_059), ACK_DELAY));
}

#[test]
fn an_idle_path_is_asked_when_its_carrier_would_not_tell() {
    let mut path = path();
    path.liveness.on_received(at(100));
    assert_eq!(probe_at(&path), Some(at(5_100)));
    assert!(path.wants_probe(at(5_100), ACK_DELAY));
    ask(&mut path, at(5_100));
    assert!(path.is_too_silent(at(5_100) + probe_timeout(&path), ACK_DELAY));
    assert_eq!(probe_at(&knowing(20, 10_000)), None, "its keep-alive tells");
}

#[test]
fn a_path_that_owes_an_answer_and_still_delivers_is_not_given_up_where_nobody_can_tell() {
    let mut path = path();
    path.phase = Phase::Suspect { since: at(1_000) };
    assert_eq!(path.health_deadline(ACK_DELAY, PATH_TIMEOUT), Some(at(4_000)));
    path.liveness.on_received(at(3_900));
    assert_eq!(path.health_deadline(ACK_DELAY, PATH_TIMEOUT), Some(at(6_900)));
    path.estimator.metrics.knows_acks = true;
    assert_eq!(path.health_deadline(ACK_DELAY, PATH_TIMEOUT), Some(at(4_000)), "this one's carrier knows");
}

#[test]
fn several_pings_are_told_apart_and_the_newest_answers_for_all_before() {
    let mut path = path();
    (1..=3).for_each(|ms| ask(&mut path, at(ms)));
    assert_eq!(path.on_pong(at(12), 2), Some(Duration::from_millis(10)));
    assert_eq!(path.on_pong(at(12), 1), None);
    assert_eq!(path.on_pong(at(13), 3), Some(Duration::from_millis(10)));
    assert_eq!(path.on_pong(at(13), 9), None, "nobody asked");
}

#[test]
fn reports_tell_what_is_under_way_and_cannot_claim_more_than_was_sent() {
    let mut path = path();
    path.on_sent(at(0), 10_000);
    assert_eq!(path.on_report(at(20), report(4_000)), Ok(Use::Some));
    assert_eq!(path.estimator.committed_bytes(), 6_000);
    assert_eq!(path.on_report(at(30), report(3_000)), Ok(Use::None));
    assert_eq!(path.estimator.committed_bytes(), 6_000);
    assert_eq!(path.on_report(at(40), report(10_001)), Err(TooManyBytes));
}

#[test]
fn what_was_given_to_a_path_keeps_it_busy_until_it_has_left() {
    let mut path = knowing(100, 100_000);
    path.on_sent(at(0), 50_000);
    assert_eq!(path.view(at(0)).queued, Duration::from_millis(50), "at a million bytes per second");
    assert_eq!(path.view(at(20)).queued, Duration::from_millis(30));
    path.on_report(at(40), report(45_000)).unwrap();
    assert!(path.view(at(40)).queued <= Duration::from_millis(5), "hardly anything is left");
}

#[test]
fn a_path_of_which_nothing_is_known_says_so() {
    let view = path().view(at(0));
    assert_eq!((view.is_measured, view.rate_bytes_per_s, view.rtt), (false, 0, INITIAL_RTT));
    assert!(knowing(10, 1_000).view(at(0)).is_measured);
}

#[test]
fn a_suspect_path_gets_six_round_trips_at_least() {
    assert_eq!(knowing(10, 1_000).give_up_at(at(0), PATH_TIMEOUT), at(3_000));
    assert_eq!(knowing(1_000, 1_000).give_up_at(at(0), PATH_TIMEOUT), at(6_000));
}
