#![expect(clippy::single_range_in_vec_init, reason = "a list of one range is what is meant")]

use super::*;
use crate::proto::streams::send_lanes::Header;

const A: PathId = PathId(0);
const B: PathId = PathId(1);

fn at(ms: u64) -> Time {
    Time::from_epoch(Duration::from_millis(ms))
}

fn lane(path: PathId, lane: u64) -> PathLane {
    PathLane { path, lane: LaneId(lane) }
}

/// A stream with `len` bytes written and a lane on each of two paths.
fn stream(len: usize) -> SendStream {
    let mut stream = SendStream::new(StreamId(0), 1_000);
    stream.write(Bytes::from(vec![1; len]));
    stream.add_lane(lane(A, 0));
    stream.add_lane(lane(B, 0));
    stream
}

fn sent(stream: &mut SendStream, path: PathId, range: Range<u64>) -> u64 {
    let expected = Expected { arrival: at(20), overdue_at: at(40) };
    stream.on_sent(at(0), lane(path, 0), range, expected)
}

fn ack(contiguous: u64, ranges: &[Range<u64>]) -> Ack {
    Ack { stream: StreamId(0), complete: false, contiguous, ranges: ranges.to_vec() }
}

fn next(stream: &SendStream) -> Option<Piece> {
    stream.next_piece(100, 1_000, None)
}

#[test]
fn the_end_goes_with_the_last_bytes_and_alone_when_it_comes_later() {
    let mut stream = stream(10);
    assert_eq!(next(&stream), Some(Piece::New(0..10)));
    sent(&mut stream, A, 0..10);
    assert_eq!(next(&stream), None);
    stream.finish();
    assert_eq!(next(&stream), Some(Piece::New(10..11)));
    assert_eq!(stream.payload(&(10..11)), Payload { offset: 10, len: 0, fin: true });
    assert_eq!(stream.payload(&(5..11)), Payload { offset: 5, len: 5, fin: true });
    assert_eq!(stream.payload(&(5..10)), Payload { offset: 5, len: 5, fin: false });
}

#[test]
fn a_piece_is_cut_to_what_is_wanted_and_the_end_costs_nothing() {
    let mut stream = stream(10);
    stream.finish();
    assert_eq!(stream.cut(0..11, 4), 0..4);
    assert_eq!(stream.cut(0..11, 10), 0..11);
    assert_eq!(stream.cut(10..11, 1), 10..11);
}

#[test]
fn new_bytes_keep_to_the_credit_of_stream_and_session() {
    let mut stream = SendStream::new(StreamId(0), 6);
    stream.write(Bytes::from(vec![1; 10]));
    stream.finish();
    assert_eq!(stream.next_piece(100, 1_000, None), Some(Piece::New(0..6)));
    assert_eq!(stream.next_piece(100, 4, None), Some(Piece::New(0..4)));
    assert_eq!(stream.next_piece(100, 0, None), None);
    assert!(stream.has_work(1) && !stream.has_work(0));
    stream.credit.raise(10);
    assert_eq!(stream.next_piece(100, 1_000, None), Some(Piece::New(0..11)));
}

#[test]
fn only_what_is_new_counts_against_the_credit() {
    let mut stream = stream(10);
    assert_eq!(sent(&mut stream, A, 0..6), 6);
    assert_eq!(sent(&mut stream, B, 2..10), 4);
    assert_eq!(sent(&mut stream, B, 0..2), 0);
    assert_eq!(stream.credit.available(), 990);
}

#[test]
fn a_silent_path_gives_up_what_no_healthy_path_carries_and_is_not_acknowledged() {
    let mut stream = stream(10);
    sent(&mut stream, A, 0..8);
    sent(&mut stream, B, 6..10);
    stream.on_ack(at(1), &ack(2, &[4..5]));
    stream.on_path_silent(A, |path| path == B);
    assert_eq!(next(&stream), Some(Piece::Again(2..4)));
    sent(&mut stream, B, 2..4);
    assert_eq!(next(&stream), Some(Piece::Again(5..6)));
    sent(&mut stream, B, 5..6);
    assert_eq!(next(&stream), None);
}

#[test]
fn a_path_that_answers_again_keeps_its_bytes() {
    let mut stream = stream(10);
    sent(&mut stream, A, 0..10);
    stream.on_path_silent(A, |_| false);
    assert_eq!(next(&stream), Some(Piece::Again(0..10)));
    stream.on_path_recovered(A);
    assert_eq!(next(&stream), None);
}

#[test]
fn a_suspect_path_is_not_given_again_what_it_has() {
    let mut stream = stream(10);
    sent(&mut stream, A, 0..6);
    sent(&mut stream, B, 6..10);
    stream.on_path_silent(A, |_| false);
    stream.on_path_silent(B, |_| false);
    assert_eq!(stream.next_piece(100, 0, Some(A)), Some(Piece::Again(6..10)));
    assert_eq!(stream.next_piece(100, 0, Some(B)), Some(Piece::Again(0..6)));
}

#[test]
fn a_closed_path_takes_its_lanes_and_pins_with_it() {
    let mut stream = stream(10);
    stream.policy = PathPolicy::Pin(A);
    sent(&mut stream, A, 0..10);
    stream.on_path_closed(A, |_| true);
    assert_eq!(stream.policy, PathPolicy::Any);
    assert_eq!((stream.open_lane(A), stream.open_lane(B)), (None, Some(LaneId(0))));
    assert_eq!(next(&stream), Some(Piece::Again(0..10)));
}

#[test]
fn a_lane_that_is_lost_is_sent_again_and_replaced() {
    let mut stream = stream(10);
    sent(&mut stream, A, 0..10);
    stream.on_ack(at(1), &ack(4, &[]));
    stream.on_lane_lost(lane(A, 0));
    assert_eq!(stream.open_lane(A), None);
    assert_eq!(next(&stream), Some(Piece::Again(4..10)));
}

#[test]
fn the_end_is_kept_until_the_peer_has_everything() {
    let mut stream = stream(10);
    stream.finish();
    sent(&mut stream, A, 0..11);
    stream.on_ack(at(1), &ack(10, &[]));
    assert_eq!((stream.retained_bytes(), stream.has_outstanding()), (0, true));
    stream.on_path_closed(A, |_| true);
    assert_eq!(next(&stream), Some(Piece::Again(10..11)));
    stream.on_complete();
    assert_eq!((next(&stream), stream.state), (None, SendState::Done));
}

#[test]
fn when_any_path_fails_the_peer_is_asked_whether_it_has_the_end() {
    let mut stream = stream(10);
    sent(&mut stream, A, 0..10);
    stream.ask_again();
    assert_eq!(next(&stream), None, "there is no end yet");
    stream.finish();
    sent(&mut stream, A, 10..11);
    stream.ask_again();
    assert_eq!(next(&stream), Some(Piece::Again(10..11)));
}

#[test]
fn an_end_without_an_answer_is_overdue_after_a_while_and_later_each_time() {
    let mut stream = stream(10);
    stream.finish();
    assert!(!stream.awaits_completion());
    sent(&mut stream, A, 0..11);
    assert!(stream.awaits_completion());
    assert!(!stream.is_overdue(at(999)));
    assert!(stream.is_overdue(at(1_000)));
    assert!(!stream.is_overdue(at(2_999)));
    assert!(stream.is_overdue(at(3_000)));
}

#[test]
fn what_others_carry_can_be_copied_and_what_is_acknowledged_or_own_cannot() {
    let mut stream = stream(10);
    sent(&mut stream, A, 0..4);
    sent(&mut stream, B, 4..6);
    sent(&mut stream, A, 6..8);
    assert_eq!(stream.copy_for(B, 100), Some(0..4));
    assert_eq!(stream.copy_for(B, 2), Some(0..2));
    stream.on_ack(at(1), &ack(4, &[]));
    assert_eq!(stream.copy_for(B, 100), Some(6..8));
    assert_eq!(stream.copy_for(A, 100), Some(4..6));
}

#[test]
fn only_what_arrives_later_elsewhere_or_should_be_here_already_is_late() {
    let mut stream = stream(10);
    sent(&mut stream, A, 0..10);
    assert_eq!(stream.late_for(B, at(0), at(20), 100), None, "it arrives no later");
    assert_eq!(stream.late_for(B, at(0), at(19), 100), Some(0..10));
    assert_eq!(stream.late_for(A, at(0), at(19), 100), None, "the path carries it itself");
    assert_eq!(stream.late_for(B, at(40), at(60), 4), Some(0..4), "it is overdue");
    stream.on_ack(at(41), &ack(7, &[]));
    assert_eq!(stream.late_for(B, at(41), at(60), 100), Some(7..10));
    sent(&mut stream, B, 7..10);
    assert_eq!(stream.late_for(B, at(41), at(60), 100), None);
}

#[test]
fn an_acknowledgement_of_what_was_not_sent_is_not_plausible() {
    let mut stream = stream(10);
    stream.finish();
    sent(&mut stream, A, 0..6);
    assert!(stream.is_ack_plausible(&ack(6, &[])));
    assert!(!stream.is_ack_plausible(&ack(7, &[])));
    assert!(!stream.is_ack_plausible(&ack(0, &[5..7])));
    let complete = Ack { complete: true, ..ack(6, &[]) };
    assert!(!stream.is_ack_plausible(&complete));
    sent(&mut stream, A, 6..11);
    assert!(stream.is_ack_plausible(&complete));
}

#[test]
fn a_reset_lets_everything_go_and_states_what_was_sent() {
    let mut stream = stream(10);
    sent(&mut stream, A, 0..6);
    assert_eq!(stream.reset(AppCode::new(1)), [lane(A, 0), lane(B, 0)]);
    assert_eq!((stream.final_size(), stream.retained_bytes(), next(&stream)), (6, 0, None));
}

#[test]
fn the_opener_of_a_bidirectional_stream_opens_one_lane_per_path_for_both_directions() {
    let mut stream = SendStream::new(StreamId(0), 0);
    assert_eq!(stream.next_lane_dir(A, Side::Client), Dir::Bi);
    assert_eq!(stream.next_lane_dir(A, Side::Server), Dir::Uni);
    stream.add_lane(lane(A, 4));
    assert_eq!(stream.next_lane_dir(A, Side::Client), Dir::Uni);
    assert_eq!(stream.next_lane_dir(B, Side::Client), Dir::Bi);
    assert_eq!(stream.lane_to_write(A), Some(LaneToWrite { lane: LaneId(4), header: Header::Due }));
    assert_eq!(stream.lane_to_write(A), Some(LaneToWrite { lane: LaneId(4), header: Header::Written }));
    assert!(stream.finish_lane(lane(A, 4)) && !stream.finish_lane(lane(A, 4)));
    assert_eq!(stream.lane_to_write(A), None);
}

/// PROTOCOL 5.3: A sender MUST NOT have more than 4,096 chunks of one stream unacknowledged; chunks that follow one
/// another on one lane count as one, and so does a chunk that is on its way on several paths.
#[test]
fn a_stream_in_more_chunks_than_the_peer_has_to_bear_waits_for_acknowledgements() {
    let mut stream = SendStream::new(StreamId(0), 100_000);
    stream.write(Bytes::from(vec![1; 100_000]));
    stream.add_lane(lane(A, 0));
    stream.add_lane(lane(B, 0));
    for byte in 0..4_096 {
        assert_eq!(stream.next_piece(1, 100_000, None), Some(Piece::New(byte..byte + 1)));
        // Each between two that go another way.
        sent(&mut stream, if byte % 2 == 0 { A } else { B }, byte..byte + 1);
    }
    assert_eq!(stream.next_piece(1, 100_000, None), None);
    stream.on_ack(at(10), &ack(1, &[]));
    assert_eq!(stream.next_piece(1, 100_000, None), Some(Piece::New(4_096..4_097)));
}
