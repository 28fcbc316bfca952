//! Paths over networks that reorder and that go away for a moment: what QUIC's own detectors would make of them.

use bytes::Bytes;

use super::quic::{Pair, ms};
use crate::proto::carrier::Carrier as _;
use crate::proto::wire::id::{Dir, LaneId};

/// Writes whatever the client's end of the path takes, for so many milliseconds; how much that was.
fn fill(pair: &mut Pair, lane: LaneId, millis: u64) -> usize {
    let mut written = 0;
    for _ in 0..millis {
        let capacity = pair.client.carrier().capacity();
        if capacity > 0 {
            pair.client.carrier().write(lane, Bytes::from(vec![7; capacity])).unwrap();
            written += capacity;
        }
        pair.run(ms(1));
    }
    written
}

fn arrived(pair: &Pair, lane: LaneId) -> usize {
    pair.server.received.get(&lane.0).map_or(0, Vec::len)
}

/// The peer has said something on a lane: from then on losses count.
fn hear(pair: &mut Pair) {
    let lane = pair.server.carrier().open_lane(Dir::Uni).unwrap();
    pair.server.carrier().write(lane, Bytes::from_static(b"hello")).unwrap();
    pair.run(ms(50));
}

/// The round trip is 20 ms, and acknowledgements may be late as well. With QUIC's own thresholds (three packets, an
/// eighth of a round trip) every late packet counts as lost.
#[test]
fn packets_that_come_a_fifth_of_a_round_trip_late_are_not_lost() {
    let mut pair = Pair::as_paths_are();
    hear(&mut pair);
    pair.fifth_is_late_by = ms(4);
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    let window = pair.client.carrier().connection().congestion_state().window();
    // Not for long: with much more under way, gaps would be more than one acknowledgement can tell of.
    let written = fill(&mut pair, lane, 60);
    pair.run(ms(200));
    assert_eq!(arrived(&pair, lane), written);
    let stats = pair.client.carrier().connection().stats();
    assert_eq!((stats.path.lost_packets, stats.path.congestion_events), (0, 0));
    assert!(stats.path.cwnd > window, "it grows as on any path");
}

#[test]
fn packets_that_do_not_come_at_all_are_sent_again() {
    let mut pair = Pair::as_paths_are();
    hear(&mut pair);
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    let mut written = fill(&mut pair, lane, 100);
    pair.is_cut = true;
    written += fill(&mut pair, lane, 3);
    pair.is_cut = false;
    written += fill(&mut pair, lane, 40);
    pair.run(ms(400));
    assert_eq!(arrived(&pair, lane), written);
    let connection = pair.client.carrier().connection();
    assert!(connection.stats().path.lost_packets > 0);
    let threshold = connection.congestion_state().metrics().ssthresh;
    assert!(threshold.is_some_and(|bytes| bytes < u64::MAX), "it is taken for congestion");
}

/// QUIC's own probes go out some 60 and 180 ms after the last answer, and then at 420 ms.
#[test]
fn a_path_that_was_away_for_a_moment_is_used_again_soon_and_with_its_window() {
    let mut pair = Pair::as_paths_are();
    hear(&mut pair);
    let lane = pair.client.carrier().open_lane(Dir::Uni).unwrap();
    fill(&mut pair, lane, 60);
    let window = pair.client.carrier().connection().congestion_state().window();
    pair.is_cut = true;
    fill(&mut pair, lane, 200);
    let before = arrived(&pair, lane);
    pair.is_cut = false;
    fill(&mut pair, lane, 120);
    assert!(arrived(&pair, lane) > before, "it was asked soon, has answered, and has got what was lost");
    let after = pair.client.carrier().connection().congestion_state().window();
    assert!(after >= window / 2, "{after} of {window}");
}

/// While nothing is under way there is nothing to ask for.
#[test]
fn a_silent_path_with_nothing_under_way_is_left_alone() {
    let mut pair = Pair::as_paths_are();
    hear(&mut pair);
    pair.run(ms(300));
    let before = pair.client.carrier().connection().stats().udp_tx.datagrams;
    pair.is_cut = true;
    pair.run(ms(2_000));
    let after = pair.client.carrier().connection().stats().udp_tx.datagrams;
    assert!(after - before <= 2, "{} packets", after - before);
}
