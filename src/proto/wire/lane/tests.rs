//! Lanes: the pieces in which bytes arrive change nothing, and hostile bytes are an error.

use super::whole::{add, cut, read};
use super::*;
use crate::proto::wire::codec::tests::any_frame;
use crate::proto::wire::grease::put_grease_frame;
use crate::proto::wire::limits::{MAX_FRAME_BYTES, MAX_RECORD_HEADER_BYTES, MAX_STREAM_HEADER_BYTES};
use proptest::collection::vec;
use proptest::prelude::*;

fn lane(header: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut buf = BytesMut::new();
    header(&mut buf);
    buf
}

fn control_lane(frames: &[Frame]) -> BytesMut {
    let mut buf = lane(put_control_header);
    frames.iter().for_each(|frame| frame.encode(&mut buf));
    buf
}

fn stream_lane(stream: StreamId, records: &[(u64, &[u8], bool)]) -> BytesMut {
    let mut buf = lane(|buf| put_stream_header(buf, stream));
    for (offset, data, fin) in records {
        put_record_header(&mut buf, *offset, data.len(), *fin);
        buf.put_slice(data);
    }
    buf
}

fn chunk(offset: u64, data: &'static [u8], fin: bool) -> LaneItem {
    LaneItem::Chunk { stream: StreamId(4), offset, fin, data: Bytes::from_static(data) }
}

fn lane_bytes() -> impl Strategy<Value = Bytes> {
    let control =
        vec(prop_oneof![any_frame().prop_map(Ok), any::<u64>().prop_map(Err)], 0..6).prop_map(|frames| {
            let mut buf = control_lane(&[]);
            for frame in frames {
                match frame {
                    Ok(frame) => frame.encode(&mut buf),
                    Err(entropy) => put_grease_frame(&mut buf, entropy),
                }
            }
            buf.freeze()
        });
    let stream = (0..1u64 << 40, vec((0..1u64 << 61, vec(any::<u8>(), 0..100)), 0..6), any::<bool>())
        .prop_map(|(stream, records, fin)| {
            let last = records.len().saturating_sub(1);
            let records: Vec<_> = records
                .iter()
                .enumerate()
                .map(|(index, (offset, data))| (*offset, &data[..], fin && index == last))
                .collect();
            stream_lane(StreamId(stream), &records).freeze()
        });
    let arbitrary = (0..3u8, vec(any::<u8>(), 0..200)).prop_map(|(lane_type, mut bytes)| {
        bytes.insert(0, lane_type);
        Bytes::from(bytes)
    });
    prop_oneof![control, stream, arbitrary]
}

proptest! {
    #[test]
    fn what_is_read_does_not_depend_on_how_the_bytes_are_cut(bytes in lane_bytes(), sizes in vec(1usize..12, 0..400)) {
        let whole = read([bytes.clone()]);
        prop_assert_eq!(&read(cut(bytes.clone(), sizes)), &whole);
        prop_assert_eq!(&read(cut(bytes, std::iter::repeat(1))), &whole);
    }

    #[test]
    fn frames_come_out_of_a_control_lane_as_they_went_in(frames in vec(any_frame(), 0..6)) {
        let (items, end) = read([control_lane(&frames).freeze()]);
        let mut expected = vec![LaneItem::Kind(LaneKind::Control)];
        expected.extend(frames.into_iter().map(LaneItem::Frame));
        prop_assert_eq!((items, end), (expected, Ok(())));
    }
}

#[test]
fn records_come_out_as_chunks_and_the_lane_may_end_without_fin() {
    let bytes = stream_lane(StreamId(4), &[(0, b"one", false), (100, b"two", false)]);
    let (items, end) = read([bytes.freeze()]);
    assert_eq!(
        items,
        [LaneItem::Kind(LaneKind::Stream(StreamId(4))), chunk(0, b"one", false), chunk(100, b"two", false)]
    );
    assert_eq!(end, Ok(()));
}

#[test]
fn payload_is_handed_on_before_the_record_is_whole_and_is_not_copied() {
    let mut reader = LaneReader::new();
    let bytes = stream_lane(StreamId(4), &[(7, b"payload", true)]).freeze();
    reader.push(bytes.slice(..bytes.len() - 3));
    assert_eq!(reader.next(), Ok(Some(LaneItem::Kind(LaneKind::Stream(StreamId(4))))));
    let Ok(Some(LaneItem::Chunk { offset: 7, fin: false, data, .. })) = reader.next() else {
        panic!("the part that is there was not handed on");
    };
    assert_eq!(data, &b"payl"[..]);
    assert_eq!(data.as_ptr(), bytes[bytes.len() - 7..].as_ptr(), "a slice of what was pushed");
    assert_eq!(reader.next(), Ok(None));
    assert_eq!(reader.finish(), Err(LaneError::EndsInside { inside: "record" }));

    reader.push(bytes.slice(bytes.len() - 3..));
    assert_eq!(reader.next(), Ok(Some(chunk(11, b"oad", true))), "fin comes with the last piece only");
    assert_eq!(reader.next(), Ok(None));
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn an_empty_record_is_nothing_unless_it_ends_the_stream() {
    let (items, _) = read([stream_lane(StreamId(4), &[(5, b"", false), (5, b"", true)]).freeze()]);
    assert_eq!(items, [LaneItem::Kind(LaneKind::Stream(StreamId(4))), chunk(5, b"", true)]);
}

#[test]
fn nothing_may_follow_the_end_of_the_stream() {
    let stream = StreamId(4);
    let bytes = stream_lane(stream, &[(0, b"x", true), (1, b"y", false)]).freeze();
    let error = LaneError::DataAfterFin { stream };
    assert_eq!(read([bytes]).1, Err(error));
    assert_eq!(error.code(), TransportCode::FrameEncoding);
}

#[test]
fn a_lane_of_an_unknown_type_is_ignored_to_its_end() {
    let (items, end) = read([Bytes::from_static(&[0x21, 0xff, 0xff]), Bytes::from_static(&[0xff; 100])]);
    assert_eq!(items, [LaneItem::Kind(LaneKind::Unknown(0x21))]);
    assert_eq!(end, Ok(()));
}

#[test]
fn a_lane_may_end_before_its_first_byte_and_between_frames_only() {
    assert_eq!(read([]).1, Ok(()));
    let bytes = control_lane(&[Frame::Ping { token: 1 << 40 }]).freeze();
    for length in 1..=bytes.len() {
        let ends_well = length == 1 || length == bytes.len();
        assert_eq!(read([bytes.slice(..length)]).1.is_ok(), ends_well, "after {length} bytes");
    }
    assert!(read([Bytes::from_static(&[0x00])]).1.is_err(), "a stream's lane without its stream");
    assert!(read([Bytes::from_static(&[0x40])]).1.is_err(), "half a lane type");
}

#[test]
fn after_an_error_there_is_only_the_error() {
    let mut reader = LaneReader::new();
    reader.push(control_lane(&[Frame::GoAway]).freeze());
    assert_eq!(reader.next(), Ok(Some(LaneItem::Kind(LaneKind::Control))));
    assert_eq!(reader.next(), Ok(Some(LaneItem::Frame(Frame::GoAway))));
    reader.push(Bytes::from_static(&[0x05, 0x00]));
    let error = reader.next().unwrap_err();
    reader.push(control_lane(&[Frame::GoAway]).freeze());
    assert_eq!(reader.next(), Err(error));
    assert_eq!(reader.finish(), Err(error));
}

#[test]
fn pushing_twice_before_reading_loses_nothing() {
    let bytes = stream_lane(StreamId(4), &[(0, b"one", false), (3, b"two", true)]).freeze();
    let mut reader = LaneReader::new();
    bytes.chunks(2).for_each(|piece| reader.push(Bytes::copy_from_slice(piece)));
    let mut items = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        add(&mut items, item);
    }
    assert_eq!(items, [LaneItem::Kind(LaneKind::Stream(StreamId(4))), chunk(0, b"onetwo", true)]);
}

#[test]
fn an_announced_frame_costs_no_memory_until_it_arrives() {
    let mut reader = LaneReader::new();
    let mut bytes = lane(put_control_header);
    varint::put(&mut bytes, FrameType::Datagram.as_u64());
    varint::put(&mut bytes, MAX_FRAME_BYTES as u64);
    bytes.put_u8(0);
    reader.push(bytes.freeze());
    while reader.next().unwrap().is_some() {}
    assert!(reader.held.capacity() < 100, "{} bytes held", reader.held.capacity());
    for _ in 1..MAX_FRAME_BYTES - 1 {
        reader.push(Bytes::from_static(&[0]));
        assert_eq!(reader.next(), Ok(None));
    }
    assert!(reader.held.capacity() <= 2 * MAX_FRAME_BYTES);
}

#[test]
fn a_reader_that_waits_does_not_keep_the_receive_buffer() {
    for lane in [
        control_lane(&[Frame::GoAway]),
        stream_lane(StreamId(4), &[(0, b"x", false)]),
        stream_lane(StreamId(4), &[(0, b"x", true)]),
        BytesMut::from(&[0x21, 1, 2, 3][..]),
        BytesMut::from(&[0x01, 0x21, 0x10, 1, 2, 3][..]),
    ] {
        let slab = lane.freeze();
        let mut reader = LaneReader::new();
        reader.push(slab.clone());
        while reader.next().unwrap().is_some() {}
        assert!(slab.is_unique(), "{reader:?}");
    }
}

// One test for each limit of `limits.rs` that a lane can break or promises to keep, named after it.

#[test]
fn max_frame_bytes() {
    for frame_type in [FrameType::Datagram.as_u64(), 0x21] {
        let mut bytes = lane(put_control_header);
        varint::put(&mut bytes, frame_type);
        varint::put(&mut bytes, MAX_FRAME_BYTES as u64 + 1);
        let error = read([bytes.freeze()]).1.unwrap_err();
        let length = MAX_FRAME_BYTES as u64 + 1;
        assert_eq!(error, LaneError::Frame(FrameError::FrameTooLong { frame_type, length }));
        assert_eq!(error.code(), TransportCode::LimitExceeded);
    }
}

#[test]
fn max_record_bytes() {
    let stream = StreamId(4);
    let record = |length: u64| {
        let mut bytes = lane(|buf| put_stream_header(buf, stream));
        varint::put(&mut bytes, 0);
        varint::put(&mut bytes, length << 1);
        read([bytes.freeze()]).1.unwrap_err()
    };
    assert_eq!(record(MAX_RECORD_BYTES), LaneError::EndsInside { inside: "record" });
    for length in [MAX_RECORD_BYTES + 1, varint::MAX >> 1] {
        assert_eq!(record(length), LaneError::RecordTooLong { stream, length });
        assert_eq!(record(length).code(), TransportCode::LimitExceeded);
    }
}

#[test]
fn the_largest_offset() {
    let stream = StreamId(4);
    let record = |offset: u64| {
        let mut bytes = lane(|buf| put_stream_header(buf, stream));
        varint::put(&mut bytes, offset);
        varint::put(&mut bytes, 1 << 1);
        bytes.put_u8(0);
        read([bytes.freeze()]).1
    };
    assert_eq!(record(varint::MAX - 1), Ok(()));
    let error = record(varint::MAX).unwrap_err();
    assert_eq!(error, LaneError::OffsetOverflow { stream, offset: varint::MAX });
    assert_eq!(error.code(), TransportCode::FrameEncoding);
}

#[test]
fn max_record_header_bytes_and_max_stream_header_bytes() {
    let stream = lane(|buf| put_stream_header(buf, StreamId(varint::MAX)));
    assert_eq!(stream.len(), MAX_STREAM_HEADER_BYTES);
    let record = lane(|buf| {
        put_record_header(buf, varint::MAX - MAX_RECORD_BYTES, MAX_RECORD_BYTES as usize, true);
    });
    assert_eq!(record.len(), MAX_RECORD_HEADER_BYTES);
}
