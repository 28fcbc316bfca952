//! Families of situations in which paths die, recover, stall, and are added.

use std::time::Duration;

use kwik::proto::config::SessionConfig;
use kwik::proto::error::SessionError;
use kwik::proto::scheduler::SchedulerKind;
use kwik::proto::wire::id::{PathId, Side};

use crate::app::Plan;
use crate::carrier::Model;
use crate::link::Link;
use crate::rng::SimRng;
use crate::seeds::{every_seed, pair, pair_with, some_link, some_links};
use crate::world::{SIDES, World, address};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Some hundred kilobytes up to two megabytes, each way or both.
fn bulk(world: &mut World, rng: &mut SimRng) {
    let bytes = rng.magnitude(100_000..2_000_000);
    match rng.within(0..3) {
        0 => world.open(Side::Client, Plan::uni(bytes)),
        1 => world.open(Side::Server, Plan::uni(bytes)),
        _ => world.open(Side::Client, Plan::bi(bytes / 2, bytes / 2)),
    }
}

fn suffer(world: &mut World, rng: &mut SimRng, link: usize) {
    match rng.within(0..4) {
        0 => world.cut(link),
        1 => world.network.links[link].wire(Side::Client).silent = true,
        2 => world.network.links[link].wire(Side::Server).silent = true,
        _ => world.silence(link, true),
    }
}

#[test]
fn nothing_goes_wrong_and_everything_arrives() {
    every_seed("nothing_goes_wrong", 1.0, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        bulk(&mut world, &mut rng);
        world.finish();
    });
}

#[test]
fn a_path_dies_at_any_moment_and_nothing_is_lost() {
    every_seed("a_path_dies_at_any_moment", 1.0, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        bulk(&mut world, &mut rng);
        let victim = rng.within(0..world.network.links.len() as u64) as usize;
        let mut fate = SimRng::new(seed ^ 0xfade);
        world.at(rng.ms(10..2_000), move |world| suffer(world, &mut fate, victim));
        world.finish();
    });
}

#[test]
fn a_path_that_flaps_costs_time_and_no_bytes() {
    every_seed("a_path_that_flaps", 0.5, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 2));
        world.network.dial_hangs = rng.coin();
        bulk(&mut world, &mut rng);
        let mut at = rng.ms(10..500);
        for turn in 0..12 {
            world.at(at, move |world| world.silence(0, turn % 2 == 0));
            at += rng.ms(20..1_500);
        }
        world.finish();
    });
}

#[test]
fn a_path_fifty_times_slower_and_twenty_times_farther_away_does_no_harm() {
    every_seed("a_path_fifty_times_slower", 0.5, |seed| {
        let mut rng = SimRng::new(!seed);
        let fast = Link::new(rng.within(20..100) as f64, rng.within(3..15));
        let slow = Link::new(fast.mbit_per_s() / 50.0, fast.rtt().as_millis() as u64 * 10);
        let links = if rng.coin() { vec![fast, slow] } else { vec![slow, fast] };
        let mut world = pair(seed, links);
        bulk(&mut world, &mut rng);
        world.finish();
    });
}

#[test]
fn a_path_that_stalls_without_dying_loses_nothing() {
    every_seed("a_path_that_stalls", 1.0, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        bulk(&mut world, &mut rng);
        for _ in 0..rng.within(1..4) {
            let victim = rng.within(0..world.network.links.len() as u64) as usize;
            let long = rng.ms(50..2_500);
            world.at(rng.ms(10..1_500), move |world| {
                let until = world.now() + long;
                world.network.links[victim].stall(until);
            });
        }
        world.finish();
    });
}

#[test]
fn all_paths_die_and_come_back_in_time_and_the_session_goes_on() {
    every_seed("all_paths_die_and_come_back", 1.0, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        world.network.dial_hangs = rng.coin();
        let links = world.network.links.len();
        world.run_until_all_paths_are_there();
        bulk(&mut world, &mut rng);
        let (down, back) = (rng.ms(10..1_000), rng.ms(1..12_000));
        let is_told = rng.coin();
        let down = world.elapsed() + down;
        world.at(down, move |world| {
            for link in 0..links {
                world.silence(link, true);
                if is_told {
                    world.cut(link);
                }
            }
        });
        let left_out = rng.coin().then(|| rng.within(0..links as u64) as usize);
        world.at(down + back, move |world| {
            (0..links)
                .filter(|link| links == 1 || Some(*link) != left_out)
                .for_each(|link| world.silence(link, false));
        });
        world.finish();
    });
}

#[test]
fn all_paths_stay_away_for_too_long_and_both_ends_say_so() {
    every_seed("all_paths_stay_away", 0.5, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut config = SessionConfig::default();
        config.resume_timeout = rng.ms(500..5_000);
        let after = config.resume_timeout;
        let mut world = pair_with(seed, some_links(&mut rng, 3), config, Model::Quic);
        world.network.dial_hangs = rng.coin();
        world.open(Side::Client, Plan::bi(20_000_000, 20_000_000));
        let links = world.network.links.len();
        world.at(rng.ms(10..500), move |world| (0..links).for_each(|link| world.silence(link, true)));
        world.run_until(|world| SIDES.iter().all(|side| world.session(*side).is_over()));
        for side in SIDES {
            let after = ms(after.as_millis() as u64);
            match world.error(side) {
                Some(SessionError::ResumeTimeout { after: said }) => {
                    assert_eq!(ms(said.as_millis() as u64), after)
                }
                other => panic!("{side:?} ends with {other:?}"),
            }
            assert_eq!(world.session(side).stats().retained_bytes, 0);
        }
    });
}

#[test]
fn a_server_that_has_forgotten_the_session_ends_it() {
    every_seed("a_server_that_has_forgotten", 0.1, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, vec![some_link(&mut rng)]);
        world.open(Side::Client, Plan::uni(20_000_000));
        world.at(rng.ms(10..500), |world| {
            world.server_forgets = true;
            world.cut(0);
        });
        world.run_until(|world| world.session(Side::Client).is_over());
        assert!(matches!(world.error(Side::Client), Some(SessionError::Rejected { .. })));
    });
}

#[test]
fn a_path_added_in_the_middle_of_a_transfer_helps() {
    every_seed("a_path_added", 0.5, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, vec![some_link(&mut rng)]);
        world.network.links.push(some_link(&mut rng));
        bulk(&mut world, &mut rng);
        world.at(rng.ms(0..500), |world| world.add_path(1));
        if rng.coin() {
            world.at(rng.ms(500..1_000), |world| {
                // The path may be on its way out already.
                let _ = world.with(Side::Client, |session, now| session.remove_path(now, PathId(0)));
            });
        }
        world.finish();
    });
}

#[test]
fn a_standby_path_takes_over_when_the_others_are_gone() {
    every_seed("a_standby_path", 0.5, |seed| {
        let mut rng = SimRng::new(!seed);
        let links = vec![Link::new(20.0, 10), Link::new(20.0, rng.within(5..30)), Link::new(10.0, 20)];
        let mut world = pair(seed, links);
        world.run_until_all_paths_are_there();
        world.with(Side::Client, |session, _| session.set_standby(PathId(2), true)).unwrap().unwrap();
        let both = rng.coin();
        world.open(Side::Client, Plan::uni(rng.within(2_000_000..3_000_000)));
        world.at(rng.ms(150..300), |world| world.silence(0, true));
        if both {
            world.at(rng.ms(150..400), |world| world.silence(1, true));
        }
        world.run();
        let standby = world.session(Side::Client).path_info(PathId(2)).unwrap();
        assert_eq!(both, standby.sent_bytes > 0, "{standby:?}");
        world.finish();
    });
}

#[test]
fn the_primary_path_is_no_better_than_any_other() {
    every_seed("the_primary_path", 0.5, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        world.run_until_all_paths_are_there();
        world.silence(0, true);
        bulk(&mut world, &mut rng);
        world.finish();
    });
}

#[test]
fn under_every_scheduler_a_path_dies_and_nothing_is_lost() {
    for name in SchedulerKind::NAMES {
        every_seed("under_every_scheduler", 0.3, |seed| {
            let mut rng = SimRng::new(!seed);
            let mut config = SessionConfig::default();
            config.scheduler = name.parse().unwrap();
            let mut world = pair_with(seed, some_links(&mut rng, 3), config, Model::Quic);
            bulk(&mut world, &mut rng);
            let victim = rng.within(0..world.network.links.len() as u64) as usize;
            let mut fate = SimRng::new(seed ^ 0xfade);
            world.at(rng.ms(10..1_000), move |world| suffer(world, &mut fate, victim));
            world.finish();
        });
    }
}

#[test]
fn carriers_that_tell_nothing_lose_nothing_either() {
    every_seed("carriers_that_tell_nothing", 1.0, |seed| {
        let mut rng = SimRng::new(!seed);
        let model = if rng.coin() { Model::Browser } else { Model::OneLane };
        let mut world = pair_with(seed, some_links(&mut rng, 3), SessionConfig::default(), model);
        bulk(&mut world, &mut rng);
        let victim = rng.within(0..world.network.links.len() as u64) as usize;
        let mut fate = SimRng::new(seed ^ 0xfade);
        world.at(rng.ms(10..1_000), move |world| suffer(world, &mut fate, victim));
        world.finish();
    });
}

#[test]
fn the_death_of_an_idle_path_whose_carrier_tells_nothing_is_noticed() {
    every_seed("the_death_of_an_idle_path", 0.3, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair_with(seed, some_links(&mut rng, 3), SessionConfig::default(), Model::Browser);
        world.run_until_all_paths_are_there();
        let links = world.network.links.len();
        world.at(world.elapsed() + rng.ms(1..20_000), move |world| {
            (0..links).for_each(|link| world.silence(link, true));
        });
        world.run_until(|world| world.session(Side::Client).paths().count() == 0);
        (0..links).for_each(|link| world.silence(link, false));
        bulk(&mut world, &mut rng);
        world.finish();
    });
}

#[test]
fn the_servers_advice_makes_the_client_multipath() {
    every_seed("the_servers_advice", 0.2, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, vec![some_link(&mut rng)]);
        world.network.links.push(some_link(&mut rng));
        bulk(&mut world, &mut rng);
        let advice = world
            .with(Side::Server, |session, now| session.advertise(now, address(1).authority, None, 0))
            .and_then(Result::ok);
        world.run_until(|world| world.session(Side::Client).paths().count() == 2);
        if rng.coin() {
            let advice = advice.unwrap();
            world.with(Side::Server, |session, now| session.withdraw(now, advice));
            world.run_until(|world| world.session(Side::Client).paths().count() == 1);
        }
        world.finish();
    });
}
