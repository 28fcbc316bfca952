//! Each rule of each scheduler as a situation.

use std::time::Duration;

use super::*;
use crate::proto::time::Time;
use crate::proto::wire::id::PathId;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// An idle path: bytes per second, and the round trip in milliseconds.
fn path(id: u64, rate: u64, rtt_ms: u64) -> PathView {
    PathView {
        id: PathId(id),
        rtt: ms(rtt_ms),
        is_measured: true,
        min_rtt: ms(rtt_ms),
        rate_bytes_per_s: rate,
        is_growing: false,
        queued: Duration::ZERO,
        committed_bytes: 0,
        window_bytes: rate * rtt_ms / 1_000,
        cost: 0,
        weight: 1,
    }
}

fn full(path: PathView) -> PathView {
    PathView { committed_bytes: path.window_bytes, ..path }
}

fn work(backlog_bytes: u64) -> Work {
    Work { chunk_bytes: backlog_bytes.min(65_536) as usize, backlog_bytes, credit_bytes: 1 << 30 }
}

/// Which of the paths take the chunk when each is asked in turn.
fn takers(scheduler: &mut dyn Scheduler, paths: &[PathView], work: &Work) -> Vec<u64> {
    let takes = |ready: PathId, scheduler: &mut dyn Scheduler| {
        matches!(scheduler.decide(Time::ZERO, ready, paths, work), Verdict::Send { .. })
    };
    paths.iter().filter(|path| takes(path.id, scheduler)).map(|path| path.id.0).collect()
}

fn earliest(paths: &[PathView], work: &Work) -> Vec<u64> {
    takers(&mut EarliestCompletion, paths, work)
}

const MB: u64 = 1_000_000;

#[test]
fn a_delivery_takes_half_a_round_trip_the_queue_and_the_bytes_themselves() {
    let path = PathView { queued: ms(30), ..path(0, MB, 100) };
    assert_eq!(path.delivery_time(10_000), ms(50 + 30 + 10));
    let slower_than_at_its_best = PathView { rtt: ms(150), ..path };
    assert_eq!(slower_than_at_its_best.delivery_time(0), ms(50 + 50));
}

#[test]
fn a_long_transfer_uses_both_paths() {
    assert_eq!(earliest(&[path(0, 6 * MB, 20), path(1, 3 * MB, 60)], &work(4 * MB)), [0, 1]);
}

#[test]
fn a_slow_path_declines_what_the_fast_one_delivers_sooner_all_in_all() {
    let paths = [path(0, 6 * MB, 20), path(1, MB, 200)];
    assert_eq!(earliest(&paths, &work(100_000)), [0]);
    assert_eq!(earliest(&paths, &work(4 * MB)), [0, 1]);
}

#[test]
fn a_busy_path_is_not_the_sooner_one_however_short_it_is() {
    let busy = PathView { queued: ms(500), ..path(0, MB, 2) };
    assert_eq!(earliest(&[busy, path(1, MB, 100)], &work(10_000)), [1]);
}

#[test]
fn a_late_chunk_must_not_hold_the_credit_that_the_fast_path_needs() {
    let paths = [path(0, 10 * MB, 10), path(1, MB, 200)];
    let scarce = Work { credit_bytes: 200_000, ..work(8 * MB) };
    assert_eq!(earliest(&paths, &scarce), [0]);
    assert_eq!(earliest(&paths, &work(8 * MB)), [0, 1]);
}

#[test]
fn equal_paths_never_decline_for_one_another() {
    for backlog in [1, 1_000, MB] {
        let takers = earliest(&[path(0, MB, 20), path(1, MB, 20)], &work(backlog));
        assert!(takers.contains(&0), "{takers:?} take {backlog} bytes");
    }
}

#[test]
fn a_far_path_waits_until_the_near_one_has_shown_what_it_can_do() {
    let near = PathView { is_growing: true, ..path(0, MB, 20) };
    assert_eq!(earliest(&[near, path(1, MB, 200)], &work(4 * MB)), [0]);
    assert_eq!(earliest(&[near, path(1, MB, 25)], &work(4 * MB)), [0, 1]);
}

#[test]
fn a_path_that_adds_next_to_nothing_is_left_alone_but_one_that_was_never_tried_is_tried() {
    let tiny = path(1, MB, 30);
    assert_eq!(earliest(&[path(0, 20 * MB, 20), tiny], &work(100 * MB)), [0]);
    let untried = PathView { rate_bytes_per_s: 0, ..tiny };
    assert_eq!(earliest(&[path(0, 20 * MB, 20), untried], &work(100 * MB)), [0, 1]);
}

#[test]
fn an_unknown_path_waits_while_another_is_known() {
    let unknown = PathView { is_measured: false, rate_bytes_per_s: 0, ..path(1, MB, 1) };
    assert_eq!(earliest(&[path(0, MB, 300), unknown], &work(MB)), [0]);
    assert_eq!(earliest(&[PathView { is_measured: false, ..path(0, MB, 300) }, unknown], &work(1)), [0, 1]);
}

#[test]
fn some_path_always_takes_the_chunk() {
    let mut number = 1_u64;
    let mut draw = |most: u64| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (number >> 33) % most
    };
    for _ in 0..10_000 {
        let mut one = |id| {
            let (queued, is_growing) = (ms(draw(300)), draw(2) == 0);
            PathView { queued, is_growing, ..path(id, draw(20) * MB, 1 + draw(300)) }
        };
        let paths = [one(0), one(1), one(2)];
        let work = Work { credit_bytes: draw(4 * MB), ..work(1 + draw(4 * MB)) };
        for kind in [SchedulerKind::EarliestCompletion, SchedulerKind::MinRtt, SchedulerKind::PrimaryBackup] {
            let takers = takers(&mut *kind.build(), &paths, &work);
            assert!(!takers.is_empty(), "{kind:?}: nobody takes it: {paths:?} {work:?}");
        }
    }
}

#[test]
fn min_rtt_takes_the_shortest_path_with_room() {
    let (near, far) = (path(1, MB, 10), path(0, MB, 50));
    assert_eq!(takers(&mut MinRtt, &[far, near], &work(MB)), [1]);
    assert_eq!(takers(&mut MinRtt, &[far, full(near)], &work(MB)), [0]);
    assert_eq!(
        takers(&mut MinRtt, &[full(far), full(near)], &work(MB)),
        [0, 1],
        "a path that asks has room after all"
    );
}

#[test]
fn round_robin_takes_paths_in_turn_and_skips_those_without_room() {
    let mut turns = RoundRobin::default();
    let paths = [path(0, MB, 10), path(1, MB, 50), path(2, MB, 20)];
    for expected in [0, 1, 2, 0] {
        assert_eq!(takers(&mut turns, &paths, &work(MB)), [expected]);
        turns.on_sent(PathId(expected), 1_000);
    }
    let paths = [path(0, MB, 10), full(path(1, MB, 50)), path(2, MB, 20)];
    assert_eq!(takers(&mut turns, &paths, &work(MB)), [2]);
}

#[test]
fn weights_share_the_bytes() {
    let mut weighted = Weighted::default();
    let paths = [path(0, MB, 10), PathView { weight: 3, ..path(1, MB, 10) }];
    let mut sent = [0_u64; 2];
    for _ in 0..400 {
        let taker = takers(&mut weighted, &paths, &work(MB))[0];
        weighted.on_sent(PathId(taker), 1_000);
        sent[taker as usize] += 1;
    }
    assert!((95..=105).contains(&sent[0]), "{sent:?}");
}

#[test]
fn a_path_that_joins_late_does_not_make_up_for_its_absence() {
    let mut weighted = Weighted::default();
    weighted.decide(Time::ZERO, PathId(0), &[path(0, MB, 10), path(1, MB, 10)], &work(MB));
    (0..100).for_each(|turn| weighted.on_sent(PathId(turn % 2), 1_000));
    let paths = [path(0, MB, 10), path(1, MB, 10), path(2, MB, 10)];
    let mut sent = [0; 3];
    for _ in 0..30 {
        let taker = takers(&mut weighted, &paths, &work(MB))[0];
        weighted.on_sent(PathId(taker), 1_000);
        sent[taker as usize] += 1;
    }
    assert!(sent.iter().all(|turns| (8..=12).contains(turns)), "{sent:?}");
}

#[test]
fn weights_of_any_size_may_change_at_any_time() {
    let mut weighted = Weighted::default();
    let light = [PathView { weight: 0, ..path(0, MB, 10) }];
    weighted.decide(Time::ZERO, PathId(0), &light, &work(MB));
    weighted.on_sent(PathId(0), usize::MAX);
    let heavy = [light[0], PathView { weight: u32::MAX, ..path(1, MB, 10) }];
    let taker = takers(&mut weighted, &heavy, &work(MB))[0];
    weighted.on_sent(PathId(taker), usize::MAX);
    assert_eq!(takers(&mut weighted, &heavy, &work(MB)).len(), 1);
}

#[test]
fn primary_and_backup_use_the_first_path_alone() {
    assert_eq!(takers(&mut PrimaryBackup, &[full(path(0, MB, 99)), path(1, MB, 1)], &work(MB)), [0]);
}

#[test]
fn redundant_takes_everything_everywhere() {
    assert_eq!(takers(&mut Redundant, &[path(0, MB, 99), path(1, MB, 1)], &work(MB)), [0, 1]);
    assert_eq!(Redundant.copies(), Copies::Everywhere);
}

#[test]
fn every_name_makes_the_scheduler_of_that_name() {
    for name in SchedulerKind::NAMES {
        assert_eq!(name.parse::<SchedulerKind>().map(|kind| format!("{kind:?}")), Ok((*name).to_owned()));
    }
    assert!("fastest".parse::<SchedulerKind>().is_err());
}
