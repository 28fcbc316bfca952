//! A peer that keeps every rule of the wire and tries to be a burden: what it makes an end hold, and how long it may go
//! on with what is of no use.

use bytes::{Bytes, BytesMut};
use kwik::proto::config::SessionConfig;
use kwik::proto::error::SessionError;
use kwik::proto::memory::MemoryBudget;
use kwik::proto::session::CloseState;
use kwik::proto::wire::code::TransportCode;
use kwik::proto::wire::frame::{Ack, Frame, PathStatus};
use kwik::proto::wire::id::{Dir, LaneId, PathId, Side, StreamId};
use kwik::proto::wire::lane::{put_record_header, put_stream_header};

use crate::hostile::{CONTROL, Victim, bytes_of, records};

const UNI: StreamId = StreamId(2);

fn uni(index: u64) -> StreamId {
    StreamId::new(Side::Client, Dir::Uni, index)
}

fn lane(index: u64) -> LaneId {
    LaneId(index << 2 | 2)
}

fn roomy() -> SessionConfig {
    let mut config = SessionConfig::default();
    config.max_streams_uni = 200;
    config
}

#[test]
fn single_bytes_with_gaps_on_many_streams_cost_no_more_than_four_windows() {
    let config = roomy();
    let bound = 4 * config.session_receive_window.initial_bytes;
    let mut victim = Victim::server_with(config, &[]);
    for stream in 0..200 {
        let pieces: Vec<_> = (0..4_000).map(|piece| (1 + piece * 2, 1, false)).collect();
        victim.lane(lane(stream), records(uni(stream), &pieces));
        assert!(victim.session.memory_bytes() <= bound, "{} bytes", victim.session.memory_bytes());
    }
    victim.blames(TransportCode::LimitExceeded);
}

#[test]
fn lanes_that_wait_in_the_carriers_of_all_paths_count_for_the_session_and_end_it_beyond_three_windows() {
    let mut victim = Victim::server();
    let before = victim.session.memory_bytes();
    let window = victim.session.lane_window_bytes();
    victim.session.on_lanes_held(victim.now, PathId::PRIMARY, 3 * window);
    assert_eq!(victim.session.memory_bytes(), before + 3 * window);
    victim.session.on_lanes_held(victim.now, PathId::PRIMARY, 0);
    assert_eq!(victim.session.memory_bytes(), before);
    assert_eq!(victim.session.close_state(), CloseState::Open);
    victim.session.on_lanes_held(victim.now, PathId::PRIMARY, 3 * window + 1);
    victim.blames(TransportCode::LimitExceeded);
}

/// A slab as a socket receives into, with `payload` somewhere in it.
fn in_a_slab(payload: &[u8]) -> (Bytes, Bytes) {
    let mut slab = vec![0; 64 * 1024];
    slab[1_000..1_000 + payload.len()].copy_from_slice(payload);
    let slab = Bytes::from(slab);
    (slab.slice(1_000..1_000 + payload.len()), slab)
}

#[test]
fn datagrams_that_nobody_reads_keep_no_slab_alive() {
    let mut victim = Victim::server();
    for sequence in 0..100 {
        // Its sequence in two bytes, and a payload of one.
        let (datagram, slab) = in_a_slab(&[0x40, sequence, b'x']);
        victim.session.on_datagram(victim.now, PathId::PRIMARY, datagram);
        assert!(slab.is_unique());
    }
}

#[test]
fn what_nobody_reads_keeps_64_slabs_alive_and_what_waits_for_other_bytes_none() {
    for (first_offset, most_kept) in [(0, 64), (1, 0)] {
        let mut victim = Victim::server_with(roomy(), &[]);
        let mut slabs = Vec::new();
        for stream in 0..200 {
            let mut lane_bytes = BytesMut::new();
            put_stream_header(&mut lane_bytes, uni(stream));
            put_record_header(&mut lane_bytes, first_offset, 600, false);
            lane_bytes.resize(lane_bytes.len() + 600, 7);
            let (bytes, slab) = in_a_slab(&lane_bytes);
            victim.lane(lane(stream), bytes);
            slabs.push(slab);
        }
        let kept = slabs.into_iter().filter(|slab| !slab.is_unique()).count();
        assert_eq!(kept, most_kept);
        victim.assert_unharmed();
    }
}

/// What a peer may say without end, as bytes of a control lane.
fn without_use() -> Vec<(&'static str, Bytes)> {
    let done = uni(1);
    let status = PathStatus { path: PathId(77), sequence: 1, standby: false, cost: 0 };
    let frames = [
        (
            "RESET_STREAM of a stream that is done",
            Frame::ResetStream { stream: done, code: 0, final_size: 0 },
        ),
        ("STOP_SENDING again", Frame::StopSending { stream: StreamId(0), code: 0 }),
        (
            "ACK of nothing",
            Frame::Ack(Ack { stream: StreamId(0), complete: false, contiguous: 0, ranges: Vec::new() }),
        ),
        ("PATH_STATUS of no path", Frame::PathStatus(status)),
        ("PATH_CLOSE of no path", Frame::PathClose { path: PathId(77), code: 0, reason: Bytes::new() }),
        ("MAX_DATA that says nothing new", Frame::MaxData { max_bytes: 1 }),
        ("an empty STREAM", Frame::Stream { stream: UNI, offset: 0, fin: false, data: Bytes::new() }),
        (
            "a STREAM again and again",
            Frame::Stream { stream: UNI, offset: 0, fin: false, data: Bytes::from_static(b"again") },
        ),
    ];
    let mut kinds: Vec<_> = frames.into_iter().map(|(name, frame)| (name, bytes_of(&[frame]))).collect();
    kinds.push(("an empty frame of no known type", Bytes::from_static(&[0x40, 0x5f, 0x00])));
    kinds
}

#[test]
fn a_peer_that_says_little_of_use_is_cut_off() {
    for (name, bytes) in without_use() {
        let mut victim = Victim::server();
        victim.say(Frame::ResetStream { stream: uni(1), code: 0, final_size: 0 });
        let burst = Bytes::from(bytes.repeat(1_000));
        let bursts = (0..40).take_while(|_| {
            victim.lane(CONTROL, burst.clone());
            victim.session.close_state() == CloseState::Open
        });
        assert!(bursts.count() < 40, "{name}: never cut off");
        victim.blames(TransportCode::LimitExceeded);
    }
}

#[test]
fn empty_records_on_a_lane_are_of_no_use_either() {
    let mut victim = Victim::server();
    victim.lane(LaneId(2), records(UNI, &[(0, 1, false)]));
    victim.lane(LaneId(2), Bytes::from(vec![0; 2 * 40_000]));
    victim.blames(TransportCode::LimitExceeded);
}

#[test]
fn a_peer_that_repeats_itself_between_things_of_use_is_borne() {
    let mut victim = Victim::server_with(roomy(), &[]);
    let nothing = bytes_of(&[Frame::MaxData { max_bytes: 1 }]);
    for offset in 0..20_000 {
        let data = Bytes::from_static(b"x");
        victim.say(Frame::Stream { stream: UNI, offset, fin: false, data });
        victim.lane(CONTROL, Bytes::from(nothing.repeat(8)));
        if offset % 100 == 0 {
            while let Ok(kwik::proto::streams::recv::Read::Data(_)) =
                victim.session.read(victim.now, UNI, usize::MAX)
            {}
        }
    }
    victim.assert_unharmed();
}

#[test]
fn a_peer_that_never_acknowledges_gets_eight_mebibytes_to_be_kept_for_it_and_one_that_does_gets_more() {
    let mut victim = Victim::server_with(roomy(), &[]);
    let streams: Vec<_> = (0..10).map(|_| victim.session.open(Dir::Uni).unwrap().unwrap()).collect();
    let write_all = |victim: &mut Victim| {
        for stream in &streams {
            // The peer takes little; what is written and not sent is bounded for each stream.
            let mut data = Bytes::from(vec![1; 1 << 20]);
            let _ = victim.session.write(*stream, &mut data).unwrap();
        }
        victim.settle();
        victim.session.stats().retained_bytes
    };
    assert_eq!(write_all(&mut victim), 8 << 20);
    let sent = 100_000;
    victim.say(Frame::Ack(Ack { stream: streams[0], complete: false, contiguous: sent, ranges: Vec::new() }));
    assert_eq!(write_all(&mut victim), (8 << 20) + sent, "as much more as has arrived");
}

#[test]
fn of_those_who_share_a_memory_that_is_full_the_largest_goes() {
    let budget = MemoryBudget::new(1 << 20);
    let [mut small, mut large] = [(); 2].map(|()| Victim::server_with(roomy(), &[]));
    for (victim, bytes) in [(&mut small, 100_000), (&mut large, 900_000)] {
        victim.session.share_memory(&budget);
        victim.lane(LaneId(2), records(UNI, &[(0, bytes, false)]));
        victim.session.check_memory(victim.now);
    }
    assert_eq!(budget.used_bytes(), small.session.memory_bytes() + large.session.memory_bytes());
    small.lane(LaneId(2), records(UNI, &[]).slice(..0));
    small.lane(LaneId(6), records(uni(1), &[(0, 200_000, false)]));
    small.session.check_memory(small.now);
    assert_eq!(small.session.close_state(), CloseState::Open, "it holds less than its share");
    large.session.check_memory(large.now);
    assert!(matches!(
        large.session.close_state(),
        CloseState::Closed(SessionError::Protocol { code: TransportCode::LimitExceeded, .. })
    ));
    drop(large);
    assert_eq!(budget.used_bytes(), small.session.memory_bytes());
    small.assert_unharmed();
}
