//! Regression tests for the faults of the first system of this name.

use kwik::proto::wire::id::{PathId, Side};

use crate::app::Plan;
use crate::link::Link;
use crate::seeds::pair;
use crate::world::SIDES;

fn two_paths() -> Vec<Link> {
    vec![Link::new(20.0, 10), Link::new(20.0, 35)]
}

/// Its global pool gave single packets to any worker, which mixed up the order between paths.
#[test]
fn chunks_of_one_stream_that_arrive_over_paths_of_different_length_are_read_in_order() {
    for seed in 0..20 {
        let mut world = pair(seed, two_paths());
        world.open(Side::Client, Plan::uni(1_500_000));
        world.finish();
        let used = world.plans.len();
        assert_eq!((used, world.app(Side::Server).received_bytes), (1, 1_500_000));
    }
}

/// Transfers stopped after 9 of 15 chunks, because acknowledgements were cleared when they were sent.
#[test]
fn a_transfer_of_fifteen_chunks_survives_the_loss_of_any_of_its_acknowledgements() {
    for at_ms in 0..200 {
        let mut world = pair(at_ms, two_paths());
        world.run_until_all_paths_are_there();
        let begin = world.elapsed();
        for path in 0..2 {
            let from = begin + std::time::Duration::from_millis(at_ms);
            // What the server says is lost with the path that it says it on.
            world.at(from, move |world| {
                if at_ms % 2 == path {
                    world.network.links[path as usize].wire(Side::Server).silent = true;
                }
            });
        }
        let mut plan = Plan::uni(15 * 40_000);
        plan.write_bytes = 40_000;
        world.open(Side::Client, plan);
        world.finish();
        assert_eq!(world.app(Side::Server).received_bytes, 15 * 40_000);
    }
}

/// Its framing leaked into what the application read.
#[test]
fn what_is_read_is_what_was_written_and_nothing_else() {
    for write_bytes in [1, 2, 7, 63, 64, 511, 512, 513, 16_383, 16_384] {
        let mut world = pair(write_bytes, two_paths());
        let mut plan = Plan::bi(write_bytes * 50, write_bytes * 49);
        plan.write_bytes = write_bytes;
        world.open(Side::Client, plan);
        world.finish();
        assert_eq!(world.app(Side::Server).received_bytes, write_bytes * 50);
        assert_eq!(world.app(Side::Client).received_bytes, write_bytes * 49);
    }
}

/// The client wrote on the primary path only.
#[test]
fn both_ends_write_on_every_path() {
    let mut world = pair(1, vec![Link::new(20.0, 20), Link::new(20.0, 20), Link::new(20.0, 20)]);
    world.run_until_all_paths_are_there();
    world.open(Side::Client, Plan::bi(3_000_000, 3_000_000));
    world.run();
    for side in SIDES {
        for path in 0..3 {
            let info = world.session(side).path_info(PathId(path)).expect("all paths are there");
            assert!(info.sent_bytes > 300_000, "{side:?} sent {} bytes on path {path}", info.sent_bytes);
        }
    }
}

/// Its reassembly map had no bound.
#[test]
fn what_waits_for_a_late_path_is_bounded_by_the_window() {
    let mut world = pair(1, vec![Link::new(100.0, 5), Link::new(1.0, 300)]);
    world.run_until_all_paths_are_there();
    world.open(Side::Client, Plan::uni(10_000_000));
    let most = world.session(Side::Server).config().session_receive_window.max_bytes;
    world.run_until(|world| {
        let waiting = world.session(Side::Server).stats().buffered_bytes;
        assert!(waiting <= most, "{waiting} bytes wait");
        world.app(Side::Server).received_bytes == 10_000_000
    });
    world.finish();
}
