//! One byte of frame type, then a body. Whatever it is: no panic, and a frame that is understood is written and
//! read again as the same frame.
#![no_main]

use bytes::{Bytes, BytesMut};
use kwik::proto::wire::frame::Frame;
use kwik::proto::wire::lane::{LaneItem, LaneReader, put_control_header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((frame_type, body)) = data.split_first() else { return };
    let Ok(Some(frame)) = Frame::decode_body(u64::from(*frame_type), Bytes::copy_from_slice(body)) else {
        return;
    };

    let mut lane = BytesMut::new();
    put_control_header(&mut lane);
    frame.encode(&mut lane);
    let mut reader = LaneReader::new();
    reader.push(lane.freeze());
    assert!(matches!(reader.next(), Ok(Some(LaneItem::Kind(_)))));
    assert_eq!(reader.next(), Ok(Some(LaneItem::Frame(frame))));
    assert_eq!((reader.next(), reader.finish()), (Ok(None), Ok(())));
});
