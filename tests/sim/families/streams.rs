//! Families of situations with many streams, streams that are given up, tiny windows, policies, datagrams, and the end of
//! sessions.

use bytes::Bytes;
use kwik::proto::config::{PathPolicy, SessionConfig, Window};
use kwik::proto::error::SessionError;
use kwik::proto::event::SessionEvent;
use kwik::proto::wire::code::AppCode;
use kwik::proto::wire::id::{Dir, PathId, Side};

use crate::app::{End, Plan};
use crate::carrier::Model;
use crate::rng::SimRng;
use crate::seeds::{every_seed, pair, pair_with, some_links};
use crate::world::{SIDES, World};

fn some_stream(rng: &mut SimRng, bytes: u64) -> (Side, Plan) {
    let side = rng.pick(&SIDES);
    let there = rng.magnitude(1..bytes) - 1;
    let mut plan = if rng.coin() { Plan::uni(there) } else { Plan::bi(there, rng.magnitude(1..bytes) - 1) };
    plan.write_bytes = rng.magnitude(1..60_000).max(there / 200);
    plan.priority = rng.pick(&[0, 0, 0, 5, -5]);
    (side, plan)
}

fn one_path_may_die(world: &mut World, rng: &mut SimRng) {
    if rng.coin() {
        let victim = rng.within(0..world.network.links.len() as u64) as usize;
        world.at(rng.ms(10..1_000), move |world| world.silence(victim, true));
    }
}

fn some_policy(rng: &mut SimRng) -> PathPolicy {
    let path = PathId(rng.within(0..3));
    match rng.within(0..6) {
        0 => PathPolicy::Any,
        1 => PathPolicy::Prefer(path),
        2 => PathPolicy::Pin(path),
        3 => PathPolicy::AvoidCostly,
        4 => PathPolicy::Redundant,
        _ => PathPolicy::Deadline(rng.ms(5..500)),
    }
}

#[test]
fn hundreds_of_streams_of_all_sizes_do_not_mix() {
    every_seed("hundreds_of_streams", 0.3, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        world.network.max_lanes = rng.pick(&[4, 30, 100]);
        for _ in 0..rng.within(50..400) {
            let (side, plan) = some_stream(&mut rng, 20_000);
            world.open(side, plan);
        }
        one_path_may_die(&mut world, &mut rng);
        world.finish();
    });
}

#[test]
fn streams_are_reset_and_stopped_at_any_moment() {
    every_seed("streams_are_reset_and_stopped", 1.0, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        for _ in 0..rng.within(5..40) {
            let (side, mut plan) = some_stream(&mut rng, 200_000);
            match rng.within(0..4) {
                0 => plan.reset_after = Some(rng.within(0..plan.there + 1)),
                1 => plan.stop_after = Some(rng.within(0..plan.there + 1)),
                2 => (plan.reset_after, plan.stop_after) = (Some(plan.there / 2), Some(plan.there / 3)),
                _ => {}
            }
            world.open(side, plan);
        }
        one_path_may_die(&mut world, &mut rng);
        world.finish();
        for side in SIDES {
            assert!(world.app(side).received.values().all(|end| *end != End::Session));
        }
    });
}

#[test]
fn tiny_windows_and_buffers_only_cost_time() {
    every_seed("tiny_windows", 0.5, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut config = SessionConfig::default();
        let mut window = |most| Window { initial_bytes: rng.magnitude(1_000..most), max_bytes: most };
        config.stream_receive_window = window(16_000);
        config.session_receive_window = window(32_000);
        config.stream_send_buffer_bytes = rng.magnitude(1_000..50_000) as usize;
        config.stream_unsent_bytes = rng.magnitude(1_000..50_000) as usize;
        config.session_send_buffer_bytes = rng.magnitude(1_000..100_000) as usize;
        config.max_streams_bidi = rng.within(1..4);
        config.max_streams_uni = rng.within(1..4);
        let mut world = pair_with(seed, some_links(&mut rng, 3), config, Model::Quic);
        for _ in 0..rng.within(1..10) {
            let (side, plan) = some_stream(&mut rng, 60_000);
            world.open(side, plan);
        }
        if rng.coin() {
            world.read_slowly(Side::Client, 4_000);
            world.read_slowly(Side::Server, 4_000);
        }
        one_path_may_die(&mut world, &mut rng);
        world.finish();
    });
}

#[test]
fn a_slow_reader_holds_its_peer_back_and_holds_no_more_than_the_window() {
    every_seed("a_slow_reader", 0.2, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        world.read_slowly(Side::Server, rng.magnitude(10_000..60_000));
        for _ in 0..rng.within(1..4) {
            world.open(Side::Client, Plan::uni(rng.magnitude(100_000..2_000_000)));
        }
        world.finish();
    });
}

#[test]
fn a_stream_that_is_read_fast_and_then_no_more_leaves_the_others_their_credit() {
    every_seed("a_stream_that_is_read_no_more", 1.0, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut config = SessionConfig::default();
        // The windows of the defaults, in small: a stream may be granted far more than the session's first window.
        config.stream_receive_window = Window { initial_bytes: 16_000, max_bytes: 256_000 };
        config.session_receive_window =
            Window { initial_bytes: 64_000, max_bytes: rng.within(256_000..512_000) };
        let mut world = pair_with(seed, some_links(&mut rng, 3), config, Model::Quic);
        let mut held = Plan::uni(rng.within(1_500_000..2_000_000));
        held.pause_after = Some(rng.magnitude(1_000..1_000_000));
        world.open(Side::Client, held);
        let others = rng.within(1..10);
        for _ in 0..others {
            let mut other = Plan::uni(rng.magnitude(1..600_000));
            other.priority = rng.pick(&[0, 0, 5, -5]);
            world.open(Side::Client, other);
        }
        world.run_until(|world| world.app(Side::Server).received.len() as u64 == others);
        world.read_on(Side::Server);
        world.finish();
    });
}

#[test]
fn lanes_that_the_peer_stops_at_any_moment_are_nothing_to_their_streams() {
    every_seed("lanes_that_the_peer_stops", 0.5, |seed| {
        let mut rng = SimRng::new(!seed);
        let model = rng.pick(&[Model::Quic, Model::Browser]);
        let mut world = pair_with(seed, some_links(&mut rng, 3), SessionConfig::default(), model);
        for _ in 0..rng.within(1..10) {
            let (side, plan) = some_stream(&mut rng, 300_000);
            world.open(side, plan);
        }
        for _ in 0..rng.within(1..10) {
            let side = rng.pick(&SIDES);
            world.at(rng.ms(50..1_000), move |world| world.stop_lanes(side));
        }
        one_path_may_die(&mut world, &mut rng);
        world.finish();
    });
}

#[test]
fn any_policies_on_any_paths_deliver_everything() {
    every_seed("any_policies", 1.0, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        let links = world.network.links.len() as u64;
        for path in 0..links {
            let (cost, standby) = (rng.within(0..3) as u32, rng.happens(200_000));
            world.at(rng.ms(100..600), move |world| {
                // The path may be gone, or not be there yet.
                let _ = world.with(Side::Client, |session, _| session.set_cost(PathId(path), cost));
                let _ = world.with(Side::Client, |session, _| session.set_standby(PathId(path), standby));
            });
        }
        for _ in 0..rng.within(1..10) {
            let (side, mut plan) = some_stream(&mut rng, 300_000);
            plan.policy = some_policy(&mut rng);
            world.at(rng.ms(50..500), move |world| world.open(side, plan));
        }
        one_path_may_die(&mut world, &mut rng);
        world.run_until(|world| world.now().since_epoch().as_millis() > 1_600);
        world.finish();
    });
}

#[test]
fn a_datagram_is_delivered_at_most_once_whatever_way_it_takes() {
    every_seed("a_datagram", 0.5, |seed| {
        let mut rng = SimRng::new(!seed);
        let model = rng.pick(&[Model::Quic, Model::Browser, Model::OneLane]);
        let mut world = pair_with(seed, some_links(&mut rng, 3), SessionConfig::default(), model);
        for number in 0..100_u64 {
            let side = rng.pick(&SIDES);
            let policy = if rng.coin() { PathPolicy::Redundant } else { some_policy(&mut rng) };
            let mut data = number.to_be_bytes().to_vec();
            data.resize(rng.within(8..1_000) as usize, 0);
            world.at(rng.ms(10..1_000), move |world| {
                let data = Bytes::from(data);
                let sent = world.with(side, |session, now| session.send_datagram(now, data, policy));
                assert_eq!(sent, Some(Ok(())));
            });
        }
        one_path_may_die(&mut world, &mut rng);
        world.run_until(|world| world.now().since_epoch().as_millis() > 3_000);
        let arrived = SIDES.iter().map(|side| world.app(*side).datagrams.len()).sum::<usize>();
        assert!(arrived > 20, "{arrived} of 100 datagrams arrived");
        world.finish();
    });
}

#[test]
fn a_graceful_close_delivers_everything_that_was_written() {
    every_seed("a_graceful_close", 1.0, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        for _ in 0..rng.within(1..5) {
            let bytes = rng.magnitude(1..400_000);
            world.open(Side::Client, Plan::uni(bytes));
        }
        one_path_may_die(&mut world, &mut rng);
        world.close();
        let server = world.app(Side::Server);
        assert!(server.received.values().all(|end| *end == End::Complete), "{:?}", server.received);
        assert!(world.app(Side::Client).sent.values().all(|end| *end == End::Complete));
    });
}

#[test]
fn an_abort_ends_both_ends_at_once_with_the_code() {
    every_seed("an_abort", 0.2, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        world.open(Side::Client, Plan::bi(5_000_000, 5_000_000));
        let side = rng.pick(&SIDES);
        world.at(rng.ms(10..500), move |world| {
            world.with(side, |session, now| session.abort(now, AppCode::new(9), Bytes::new()));
        });
        world.run_until(|world| {
            world.peers.iter().all(|peer| peer.session.as_ref().is_some_and(|s| s.is_over()))
        });
        assert!(
            matches!(world.error(side), Some(SessionError::LocallyClosed { code, .. }) if code == AppCode::new(9))
        );
        world.expect_closed_by_peer(side.peer(), AppCode::new(9), "");
    });
}

#[test]
fn a_draining_session_finishes_what_is_open_and_opens_nothing_new() {
    every_seed("a_draining_session", 0.1, |seed| {
        let mut rng = SimRng::new(!seed);
        let mut world = pair(seed, some_links(&mut rng, 3));
        world.open(Side::Client, Plan::bi(200_000, 200_000));
        world.at(rng.ms(0..100), |world| {
            world.with(Side::Server, |session, now| session.drain(now));
        });
        world.run();
        let drains = |world: &World| world.app(Side::Client).session_events.contains(&SessionEvent::Draining);
        world.run_until(drains);
        let refused = world.with(Side::Client, |session, _| session.open(Dir::Uni));
        assert!(matches!(refused, Some(Err(_))), "{refused:?}");
        world.finish();
    });
}

#[test]
fn the_same_seed_takes_the_same_course() {
    every_seed("the_same_seed", 0.02, |seed| {
        let course = || {
            let mut rng = SimRng::new(!seed);
            let mut world = pair(seed, some_links(&mut rng, 3));
            for _ in 0..10 {
                let (side, plan) = some_stream(&mut rng, 200_000);
                world.open(side, plan);
            }
            one_path_may_die(&mut world, &mut rng);
            world.finish();
            world.log()
        };
        assert_eq!(course(), course());
    });
}
