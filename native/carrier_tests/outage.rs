//! When a silent path is asked, and how it begins again.

use std::time::{Duration, Instant};

use crate::carrier::outage::{Probes, Restart};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_silent_peer_is_asked_again_before_the_silence_is_an_eighth_longer() {
    let start = Instant::now();
    let mut probes = Probes::default();
    let mut asked = Vec::new();
    for _ in 0..30 {
        let at = probes.next(start, 100 * MS, 20 * MS);
        asked.push(at.duration_since(start));
        probes.on_asked(at);
    }
    assert_eq!(asked[..3], [100 * MS, 140 * MS, 180 * MS]);
    assert!(asked.windows(2).all(|two| two[1] - two[0] <= (two[0] / 8).max(40 * MS)), "{asked:?}");
    assert!(asked[29] > 3_000 * MS, "{asked:?}");
    // Another silence is another matter.
    let later = start + 60_000 * MS;
    assert_eq!(probes.next(later, 100 * MS, 20 * MS), later + 100 * MS);
}

#[test]
fn on_a_far_path_no_more_than_two_probes_are_under_way() {
    let start = Instant::now();
    let mut probes = Probes::default();
    probes.on_asked(start + 900 * MS);
    assert_eq!(probes.next(start, 900 * MS, 300 * MS), start + 1_050 * MS);
}

#[test]
fn what_an_outage_has_lost_halves_the_window_once_and_it_grows_back_with_what_arrives() {
    let start = Instant::now();
    let mut restart = Restart::default();
    assert!(!restart.explains_loss(start, 100_000, 12_000), "there was no outage");
    restart.on_outage_ended(start + 300 * MS);
    assert!(restart.explains_loss(start + 100 * MS, 100_000, 12_000));
    assert!(restart.explains_loss(start + 200 * MS, 100_000, 12_000));
    assert_eq!(restart.limit(100_000), 50_000);
    assert!(!restart.explains_loss(start + 301 * MS, 100_000, 12_000), "it was over by then");
    restart.on_ack(20_000, 100_000);
    assert_eq!(restart.limit(100_000), 70_000);
    restart.on_ack(30_000, 100_000);
    assert_eq!(restart.limit(100_000), 100_000);
    restart.on_ack(1, 100_000);
    assert_eq!(restart.limit(200_000), 200_000, "it is forgotten");
}

#[test]
fn outages_that_follow_one_another_do_not_take_the_window_below_its_least() {
    let start = Instant::now();
    let mut restart = Restart::default();
    for n in 1..10 {
        restart.on_outage_ended(start + 100 * n * MS);
        assert!(restart.explains_loss(start, 100_000, 12_000));
        assert_eq!(restart.limit(100_000), (100_000 >> n).max(12_000));
    }
}
