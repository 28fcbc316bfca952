//! Frames: every one comes back as it was sent, and a hostile one is an error, never a panic.

use super::*;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::frame::Parameters;
use crate::proto::wire::id::StreamId;
use crate::proto::wire::limits::{MAX_FRAME_DATA_BYTES, MAX_PARAMETERS};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = u64> {
    // All four lengths of a varint alike, and the ends of each.
    prop_oneof![
        0..=63u64,
        64..=16_383u64,
        16_384..=(1 << 30) - 1u64,
        (1 << 30)..=varint::MAX,
        Just(varint::MAX)
    ]
}

fn stream() -> impl Strategy<Value = StreamId> {
    number().prop_map(StreamId)
}

fn data(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=max).prop_map(Bytes::from)
}

fn parameters() -> impl Strategy<Value = Parameters> {
    (number(), number(), 0..=MAX_STREAMS, 0..=MAX_STREAMS, number(), number(), number(), number()).prop_map(
        |(data, stream_data, bidi, uni, datagram, paths, resume, ack_delay)| Parameters {
            initial_max_data_bytes: data,
            initial_max_stream_data_bytes: stream_data,
            initial_max_streams_bidi: bidi,
            initial_max_streams_uni: uni,
            max_datagram_bytes: datagram,
            max_paths: paths,
            resume_timeout_ms: resume,
            max_ack_delay_ms: ack_delay,
            lone_path_ack_delay_ms: ack_delay,
        },
    )
}

fn hello() -> impl Strategy<Value = Frame> {
    let intent = prop_oneof![
        Just(Intent::New),
        (any::<[u8; 16]>(), any::<[u8; 32]>())
            .prop_map(|(session, proof)| Intent::Join { session: SessionId(session), proof }),
    ];
    (vec(number(), 1..=MAX_VERSIONS), number(), intent, parameters()).prop_map(
        |(versions, path, intent, parameters)| {
            Frame::Hello(Hello { versions, path: PathId(path), intent, parameters })
        },
    )
}

fn accept() -> impl Strategy<Value = Frame> {
    let credentials = option::of(
        (any::<[u8; 32]>(), any::<[u8; 16]>())
            .prop_map(|(resume_key, nonce)| Credentials { resume_key, nonce }),
    );
    (number(), any::<[u8; 16]>(), credentials, parameters()).prop_map(
        |(version, session, credentials, parameters)| {
            Frame::Accept(Accept { version, session: SessionId(session), credentials, parameters })
        },
    )
}

fn ack() -> impl Strategy<Value = Frame> {
    let steps = vec((1..1_000_000u64, 1..1_000_000u64), 0..=MAX_ACK_RANGES);
    (stream(), any::<bool>(), 0..1u64 << 61, steps).prop_map(|(stream, complete, contiguous, steps)| {
        let mut end = contiguous;
        let ranges = steps
            .into_iter()
            .map(|(gap, length)| {
                let start = end + gap;
                end = start + length;
                start..end
            })
            .collect();
        Frame::Ack(Ack { stream, complete, contiguous, ranges })
    })
}

fn add_path() -> impl Strategy<Value = Frame> {
    (number(), number(), any::<bool>(), "\\PC{1,120}", option::of(any::<[u8; 32]>())).prop_map(
        |(advice, priority, relay, authority, certificate_hash)| {
            Frame::AddPath(AddPath { advice, priority, relay, authority, certificate_hash })
        },
    )
}

fn payload_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (stream(), 0..1u64 << 61, any::<bool>(), data(300))
            .prop_map(|(stream, offset, fin, data)| Frame::Stream { stream, offset, fin, data }),
        (number(), data(300)).prop_map(|(sequence, data)| Frame::Datagram { sequence, data }),
    ]
}

fn ending_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (number(), data(MAX_REASON_BYTES)).prop_map(|(code, reason)| Frame::Reject(Reject { code, reason })),
        (number(), number(), data(MAX_REASON_BYTES)).prop_map(|(path, code, reason)| Frame::PathClose {
            path: PathId(path),
            code,
            reason
        }),
        Just(Frame::GoAway),
        (any::<bool>(), number(), data(MAX_REASON_BYTES))
            .prop_map(|(application, code, reason)| Frame::Close(Close { application, code, reason })),
    ]
}

fn short_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (number(), number(), any::<bool>(), number()).prop_map(|(path, sequence, standby, cost)| {
            Frame::PathStatus(PathStatus { path: PathId(path), sequence, standby, cost })
        }),
        number().prop_map(|token| Frame::Ping { token }),
        number().prop_map(|token| Frame::Pong { token }),
        (number(), number()).prop_map(|(received_bytes, delay_us)| {
            Frame::PathReport(PathReport { received_bytes, delay_us })
        }),
        number().prop_map(|max_bytes| Frame::MaxData { max_bytes }),
        (stream(), number()).prop_map(|(stream, max_bytes)| Frame::MaxStreamData { stream, max_bytes }),
        (prop_oneof![Just(Dir::Bi), Just(Dir::Uni)], 0..=MAX_STREAMS)
            .prop_map(|(dir, max)| Frame::MaxStreams { dir, max }),
        (stream(), number(), number()).prop_map(|(stream, code, final_size)| Frame::ResetStream {
            stream,
            code,
            final_size
        }),
        (stream(), number()).prop_map(|(stream, code)| Frame::StopSending { stream, code }),
        number().prop_map(|advice| Frame::RemovePath { advice }),
    ]
}

/// Any frame that may be sent.
pub(in crate::proto) fn any_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        4 => short_frame(),
        1 => hello(),
        1 => accept(),
        2 => ack(),
        1 => add_path(),
        2 => payload_frame(),
        2 => ending_frame(),
    ]
}

fn encoded(frame: &Frame) -> Bytes {
    let mut buf = BytesMut::new();
    frame.encode(&mut buf);
    buf.freeze()
}

/// Type and body of an encoded frame.
fn parted(mut encoded: Bytes) -> (u64, Bytes) {
    let frame_type = varint::get(&mut encoded).unwrap();
    let length = varint::get(&mut encoded).unwrap();
    assert_eq!(encoded.len() as u64, length);
    (frame_type, encoded)
}

fn decoded(frame: &Frame) -> Result<Option<Frame>, FrameError> {
    let (frame_type, body) = parted(encoded(frame));
    Frame::decode_body(frame_type, body)
}

/// A body made by hand: varints, then bytes.
fn body(varints: &[u64], bytes: &[u8]) -> Bytes {
    let mut buf = BytesMut::new();
    put_all(&mut buf, varints);
    buf.put_slice(bytes);
    buf.freeze()
}

fn error_of(frame: FrameType, body: Bytes) -> FrameError {
    Frame::decode_body(frame.as_u64(), body).unwrap_err()
}

proptest! {
    #[test]
    fn every_frame_comes_back_as_it_was_sent(frame in any_frame()) {
        let (frame_type, body) = parted(encoded(&frame));
        prop_assert_eq!(frame_type, frame.frame_type().as_u64());
        prop_assert_eq!(Frame::decode_body(frame_type, body), Ok(Some(frame)));
    }

    #[test]
    fn a_frame_cut_short_anywhere_is_an_error_unless_it_goes_on_to_its_end_anyway(
        frame in any_frame(),
        cut: prop::sample::Index,
    ) {
        let (frame_type, body) = parted(encoded(&frame));
        prop_assume!(!body.is_empty());
        let result = Frame::decode_body(frame_type, body.slice(..cut.index(body.len())));
        // Payloads and parameter lists have no length of their own.
        let open_ended =
            matches!(frame, Frame::Hello(_) | Frame::Accept(_) | Frame::Stream { .. } | Frame::Datagram { .. });
        prop_assert!(result.is_err() || open_ended, "{:?}", result);
    }

    #[test]
    fn arbitrary_bodies_never_panic_and_what_is_read_is_written_the_same(
        frame_type in 0..0x20u64,
        bytes in vec(any::<u8>(), 0..200),
    ) {
        if let Ok(Some(frame)) = Frame::decode_body(frame_type, Bytes::from(bytes)) {
            prop_assert_eq!(decoded(&frame), Ok(Some(frame)));
        }
    }
}

#[test]
fn the_length_of_a_frame_is_right_around_each_size_of_its_varint() {
    for length in [0, 40, 60, 61, 62, 63, 64, 16_370, 16_380, 16_383, 16_384, MAX_FRAME_DATA_BYTES] {
        let data = Bytes::from(vec![7; length]);
        let frame = Frame::Stream { stream: StreamId(varint::MAX), offset: 1 << 61, fin: true, data };
        assert_eq!(decoded(&frame), Ok(Some(frame)), "{length} bytes");
    }
}

#[test]
fn frames_in_a_row_do_not_disturb_one_another() {
    let long = Frame::Reject(Reject { code: 1, reason: Bytes::from(vec![b'x'; 500]) });
    let mut buf = BytesMut::new();
    Frame::GoAway.encode(&mut buf);
    long.encode(&mut buf);
    Frame::GoAway.encode(&mut buf);
    let mut whole = encoded(&Frame::GoAway).to_vec();
    whole.extend_from_slice(&encoded(&long));
    whole.extend_from_slice(&encoded(&Frame::GoAway));
    assert_eq!(buf, whole);
}

#[test]
fn a_frame_of_an_unknown_type_is_skipped() {
    assert_eq!(Frame::decode_body(0x00, Bytes::from_static(b"whatever")), Ok(None));
    assert_eq!(Frame::decode_body(varint::MAX, Bytes::new()), Ok(None));
}

#[test]
fn bytes_after_the_last_field_are_an_error() {
    for frame in [FrameType::GoAway, FrameType::Ping, FrameType::RemovePath] {
        let fields = if frame == FrameType::GoAway { 0 } else { 1 };
        let error = error_of(frame, body(&[5; 3][..fields], b"xy"));
        assert_eq!(error, FrameError::TrailingBytes { frame, extra_bytes: 2 });
        assert_eq!(error.code(), TransportCode::FrameEncoding);
    }
}

#[test]
fn flags_without_meaning_are_an_error() {
    for (frame, body) in [
        (FrameType::PathStatus, body(&[0, 0, 2, 0], &[])),
        (FrameType::MaxStreams, body(&[2, 0], &[])),
        (FrameType::Ack, body(&[0, 2, 0, 0], &[])),
        (FrameType::AddPath, body(&[0, 0, 4, 1], b"a")),
        (FrameType::Close, body(&[2, 0, 0], &[])),
        (FrameType::Stream, body(&[0, 0, 2], &[])),
        (FrameType::Hello, body(&[1, 1, 0, 2], &[])),
        (FrameType::Accept, body(&[1], &[vec![0; 16], vec![2]].concat())),
    ] {
        assert!(matches!(error_of(frame, body), FrameError::InvalidField { .. }), "{frame}");
    }
}

#[test]
fn an_ack_with_a_range_that_touches_the_one_before_or_is_empty_is_an_error() {
    let frame = FrameType::Ack;
    let gap = error_of(frame, body(&[0, 0, 10, 1, 0, 5], &[]));
    assert_eq!(gap, FrameError::InvalidField { frame, field: "gap" });
    let length = error_of(frame, body(&[0, 0, 10, 1, 1, 0], &[]));
    assert_eq!(length, FrameError::InvalidField { frame, field: "range length" });
}

#[test]
fn offsets_beyond_the_largest_varint_are_an_error() {
    let ack = body(&[0, 0, varint::MAX, 1, varint::MAX, varint::MAX], &[]);
    assert!(matches!(error_of(FrameType::Ack, ack), FrameError::InvalidField { field: "range", .. }));
    let stream = body(&[0, varint::MAX, 0], b"x");
    assert!(matches!(error_of(FrameType::Stream, stream), FrameError::InvalidField { field: "offset", .. }));
}

#[test]
fn an_authority_that_is_empty_or_not_utf_8_is_an_error() {
    for authority in [&b""[..], b"\xff\xfe"] {
        let body = body(&[0, 0, 0, authority.len() as u64], authority);
        let error = error_of(FrameType::AddPath, body);
        assert!(matches!(error, FrameError::InvalidField { field: "authority", .. }));
    }
}

#[test]
fn a_length_beyond_the_frame_is_an_error_whatever_it_says() {
    let frame = FrameType::Reject;
    let error = error_of(frame, body(&[1, 100], b"short"));
    assert_eq!(error, FrameError::Truncated { frame, field: "reason" });
}

fn hello_with(parameters: &[u8]) -> Result<Option<Frame>, FrameError> {
    Frame::decode_body(FrameType::Hello.as_u64(), body(&[1, 1, 0, 0], parameters))
}

#[test]
fn parameters_that_are_absent_have_their_defaults_and_unknown_ones_are_skipped() {
    let Ok(Some(Frame::Hello(hello))) = hello_with(&[0x21, 3, 1, 2, 3, 0x06, 1, 4]) else {
        panic!("a HELLO with a grease parameter was not taken");
    };
    assert_eq!(hello.parameters, Parameters { max_paths: 4, ..Parameters::default() });
}

#[test]
fn a_parameter_that_is_there_twice_is_an_error_even_when_unknown() {
    for list in [[0x06, 1, 4, 0x06, 1, 4], [0x21, 1, 4, 0x21, 1, 5]] {
        let error = hello_with(&list).unwrap_err();
        assert_eq!(error.code(), TransportCode::FrameEncoding);
    }
}

#[test]
fn a_parameter_whose_length_does_not_fit_its_value_is_an_error() {
    for list in [&[0x06, 2, 4, 4][..], &[0x06, 0], &[0x06, 1, 0x40], &[0x06, 9, 1], &[0x06]] {
        let error = hello_with(list).unwrap_err();
        assert_eq!(error.code(), TransportCode::FrameEncoding, "{list:?}");
    }
}

// One test for each limit of `limits.rs` that a frame can break, named after it.

fn assert_too_large(result: Result<Option<Frame>, FrameError>, field: &str) {
    match result {
        Err(error @ FrameError::TooLarge { field: found, .. }) => {
            assert_eq!(found, field);
            assert_eq!(error.code(), TransportCode::LimitExceeded);
        }
        other => panic!("{field} beyond its limit gave {other:?}"),
    }
}

#[test]
fn max_frame_bytes() {
    let longest = body(&[0], &vec![0; MAX_FRAME_BYTES - 1]);
    assert!(Frame::decode_body(FrameType::Datagram.as_u64(), longest).is_ok());
    let too_long = Bytes::from(vec![0; MAX_FRAME_BYTES + 1]);
    for frame_type in [FrameType::Datagram.as_u64(), 0x21] {
        let error = Frame::decode_body(frame_type, too_long.clone()).unwrap_err();
        assert_eq!(error, FrameError::FrameTooLong { frame_type, length: too_long.len() as u64 });
        assert_eq!(error.code(), TransportCode::LimitExceeded);
    }
}

#[test]
fn max_ack_ranges() {
    let ranges = |count: usize| {
        let mut varints = vec![0, 0, 0, count as u64];
        varints.resize(4 + 2 * count, 1);
        Frame::decode_body(FrameType::Ack.as_u64(), body(&varints, &[]))
    };
    assert!(ranges(MAX_ACK_RANGES).is_ok());
    assert_too_large(ranges(MAX_ACK_RANGES + 1), "number of ranges");
}

#[test]
fn max_ack_ranges_holds_for_our_own_acks_and_the_lowest_ranges_are_kept() {
    let all: Vec<_> = (1..=MAX_ACK_RANGES as u64 + 50).map(|n| 10 * n..10 * n + 5).collect();
    let ack = |ranges: &[std::ops::Range<u64>]| {
        Frame::Ack(Ack { stream: StreamId(0), complete: false, contiguous: 5, ranges: ranges.to_vec() })
    };
    assert_eq!(decoded(&ack(&all)), Ok(Some(ack(&all[..MAX_ACK_RANGES]))));
}

#[test]
fn max_reason_bytes() {
    let close = |length: usize| {
        Frame::decode_body(FrameType::Close.as_u64(), body(&[0, 0, length as u64], &vec![b'x'; length]))
    };
    assert!(close(MAX_REASON_BYTES).is_ok());
    assert_too_large(close(MAX_REASON_BYTES + 1), "reason");
}

#[test]
fn max_reason_bytes_holds_for_our_own_reasons() {
    let close =
        |length| Frame::Close(Close { application: true, code: 0, reason: Bytes::from(vec![b'x'; length]) });
    assert_eq!(decoded(&close(MAX_REASON_BYTES + 1)), Ok(Some(close(MAX_REASON_BYTES))));
}

#[test]
fn max_authority_bytes() {
    let add_path = |length: usize| {
        let body = body(&[0, 0, 0, length as u64], &vec![b'a'; length]);
        Frame::decode_body(FrameType::AddPath.as_u64(), body)
    };
    assert!(add_path(MAX_AUTHORITY_BYTES).is_ok());
    assert_too_large(add_path(MAX_AUTHORITY_BYTES + 1), "authority");
}

#[test]
fn max_versions() {
    let hello = |count: usize| {
        let mut varints = vec![count as u64];
        varints.resize(1 + count, 1);
        varints.extend([0, 0]);
        Frame::decode_body(FrameType::Hello.as_u64(), body(&varints, &[]))
    };
    assert!(hello(MAX_VERSIONS).is_ok());
    assert_too_large(hello(MAX_VERSIONS + 1), "number of versions");
    assert!(matches!(hello(0), Err(FrameError::InvalidField { .. })), "none at all");
}

#[test]
fn max_parameters() {
    let unknown = |count: usize| {
        let list: Vec<_> = (0..count as u64).flat_map(|n| [0x1000 + n, 0]).collect();
        hello_with(&body(&list, &[]))
    };
    assert!(unknown(MAX_PARAMETERS).is_ok());
    assert_too_large(unknown(MAX_PARAMETERS + 1), "number of parameters");
}

#[test]
fn max_streams() {
    let max_streams = |max| Frame::decode_body(FrameType::MaxStreams.as_u64(), body(&[0, max], &[]));
    assert!(max_streams(MAX_STREAMS).is_ok());
    assert_too_large(max_streams(MAX_STREAMS + 1), "limit");
    for id in [0x03, 0x04] {
        assert_too_large(hello_with(&body(&[id, 8, MAX_STREAMS + 1], &[])), "parameter");
    }
}
