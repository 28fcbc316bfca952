//! The hex examples of docs/PROTOCOL.md section 10 are what the encoder writes, and the fuzz targets start from
//! them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use kwik::proto::wire::code::TransportCode;
use kwik::proto::wire::frame::{
    Accept, Ack, AddPath, Close, Credentials, Frame, FrameType, Hello, Intent, Parameters, PathReport,
    PathStatus, Reject,
};
use kwik::proto::wire::id::{Dir, PathId, SessionId, Side, StreamId};
use kwik::proto::wire::lane::{
    LaneItem, LaneReader, put_control_header, put_record_header, put_stream_header,
};
use kwik::proto::wire::token;

/// `first, first + 1, ...`
fn counting<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|index| first + index as u8)
}

fn session() -> SessionId {
    SessionId(counting(0))
}

fn credentials() -> Credentials {
    Credentials { resume_key: counting(0x20), nonce: counting(0x40) }
}

fn parameters() -> Parameters {
    Parameters {
        initial_max_data_bytes: 16 << 20,
        initial_max_stream_data_bytes: 1 << 20,
        initial_max_streams_bidi: 100,
        initial_max_streams_uni: 100,
        max_datagram_bytes: 1_200,
        max_paths: 8,
        resume_timeout_ms: 30_000,
        max_ack_delay_ms: 25,
        lone_path_ack_delay_ms: 0,
    }
}

fn opening_frames() -> Vec<(&'static str, Frame)> {
    let proof = token::proof(&credentials(), session(), PathId(1));
    let hello = |versions: &[u64], path, intent| {
        Frame::Hello(Hello { versions: versions.to_vec(), path, intent, parameters: parameters() })
    };
    let accept = |credentials| {
        Frame::Accept(Accept { version: 1, session: session(), credentials, parameters: parameters() })
    };
    let reject = Reject { code: TransportCode::TooManySessions.as_u64(), reason: "full".into() };
    vec![
        ("HELLO-NEW", hello(&[1, 0x21], PathId::PRIMARY, Intent::New)),
        ("HELLO-JOIN", hello(&[1], PathId(1), Intent::Join { session: session(), proof })),
        ("ACCEPT-NEW", accept(Some(credentials()))),
        ("ACCEPT-JOIN", accept(None)),
        ("REJECT", Frame::Reject(reject)),
    ]
}

fn path_frames() -> Vec<(&'static str, Frame)> {
    let status = PathStatus { path: PathId(1), sequence: 2, standby: true, cost: 10 };
    let advice = AddPath {
        advice: 3,
        priority: 1,
        relay: true,
        authority: "relay.example:4433".into(),
        certificate_hash: Some(counting(0x60)),
    };
    let abandoned = TransportCode::PathAbandoned.as_u64();
    vec![
        ("PATH_STATUS", Frame::PathStatus(status)),
        ("PING", Frame::Ping { token: 1_000 }),
        ("PONG", Frame::Pong { token: 1_000 }),
        ("PATH_REPORT", Frame::PathReport(PathReport { received_bytes: 100_000, delay_us: 2_500 })),
        ("PATH_CLOSE", Frame::PathClose { path: PathId(1), code: abandoned, reason: "wifi gone".into() }),
        ("ADD_PATH", Frame::AddPath(advice)),
        ("REMOVE_PATH", Frame::RemovePath { advice: 3 }),
    ]
}

fn stream_frames() -> Vec<(&'static str, Frame)> {
    let stream = StreamId::new(Side::Client, Dir::Bi, 1);
    let ack = |complete, contiguous, ranges| Frame::Ack(Ack { stream, complete, contiguous, ranges });
    vec![
        ("ACK", ack(false, 1_000, vec![1_100..1_200, 1_205..1_220])),
        ("ACK-COMPLETE", ack(true, 5_000, vec![])),
        ("MAX_DATA", Frame::MaxData { max_bytes: 32 << 20 }),
        ("MAX_STREAM_DATA", Frame::MaxStreamData { stream, max_bytes: 2 << 20 }),
        ("MAX_STREAMS", Frame::MaxStreams { dir: Dir::Uni, max: 200 }),
        ("RESET_STREAM", Frame::ResetStream { stream, code: 7, final_size: 1_500 }),
        ("STOP_SENDING", Frame::StopSending { stream, code: 8 }),
        ("STREAM", Frame::Stream { stream: StreamId(0), offset: 3, fin: true, data: "hi".into() }),
        ("DATAGRAM", Frame::Datagram { sequence: 300, data: "tick".into() }),
    ]
}

fn ending_frames() -> Vec<(&'static str, Frame)> {
    let close = |application, code, reason: &'static str| {
        Frame::Close(Close { application, code, reason: reason.into() })
    };
    vec![
        ("GOAWAY", Frame::GoAway),
        ("CLOSE", close(true, 42, "bye")),
        ("CLOSE-TRANSPORT", close(false, TransportCode::FlowControl.as_u64(), "")),
    ]
}

fn frames() -> Vec<(&'static str, Frame)> {
    [opening_frames(), path_frames(), stream_frames(), ending_frames()].concat()
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut buf = BytesMut::new();
    frame.encode(&mut buf);
    buf.to_vec()
}

fn record(offset: u64, data: &[u8], fin: bool) -> Vec<u8> {
    let mut buf = Vec::new();
    put_record_header(&mut buf, offset, data.len(), fin);
    [buf, data.to_vec()].concat()
}

fn lane_header(stream: Option<StreamId>) -> Vec<u8> {
    let mut buf = Vec::new();
    match stream {
        Some(stream) => put_stream_header(&mut buf, stream),
        None => put_control_header(&mut buf),
    }
    buf
}

/// Name and bytes of every example.
fn examples() -> BTreeMap<&'static str, Vec<u8>> {
    let mut examples: BTreeMap<_, _> =
        frames().into_iter().map(|(name, frame)| (name, encoded(&frame))).collect();
    let third = StreamId::new(Side::Client, Dir::Bi, 2);
    let first = StreamId::new(Side::Client, Dir::Bi, 0);
    let message = [&b"kwik/1 join"[..], &session().0, &1u64.to_be_bytes(), &credentials().nonce].concat();
    examples.extend([
        // A varint of its own is seen in the frames that hold nothing else.
        ("VARINT-37", encoded(&Frame::RemovePath { advice: 37 })[2..].to_vec()),
        ("VARINT-15293", encoded(&Frame::RemovePath { advice: 15_293 })[2..].to_vec()),
        ("LANE-CONTROL", lane_header(None)),
        ("LANE-STREAM", lane_header(Some(third))),
        ("RECORD", record(0, b"hello", false)),
        ("RECORD-FIN", record(70_000, b"world", true)),
        ("RECORD-EMPTY-FIN", record(5, b"", true)),
        ("LANE-REQUEST", [lane_header(Some(first)), record(0, b"GET", true)].concat()),
        ("PROOF-MESSAGE", message),
        ("PROOF", token::proof(&credentials(), session(), PathId(1)).to_vec()),
        ("CARRIER-DATAGRAM", encoded(&Frame::Datagram { sequence: 300, data: "tick".into() })[2..].to_vec()),
        ("GREASE", [&[0x40, 0x5f, 3][..], &[0xaa, 0xbb, 0xcc]].concat()),
    ]);
    examples
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The examples in the document: `NAME: hex`, the hex going on in lines that are indented.
fn documented() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("docs/PROTOCOL.md")).unwrap();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for block in text.split("```hex\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for example in block.replace("\n ", " ").lines() {
            let (name, hex) = example.split_once(':').expect("NAME: hex");
            let hex = hex.split_whitespace().collect();
            assert!(found.insert(name.to_owned(), hex).is_none(), "{name} is there twice");
        }
    }
    found
}

#[test]
fn the_examples_of_the_specification_are_what_the_encoder_writes() {
    let examples = examples();
    let documented = documented();
    let names: Vec<_> = documented.keys().map(String::as_str).collect();
    assert_eq!(names, examples.keys().copied().collect::<Vec<_>>(), "the document and this test differ");
    let mut wrong = String::new();
    for (name, bytes) in &examples {
        if documented[*name] != hex(bytes) {
            wrong += &format!("{name}: {}\n", hex(bytes));
        }
    }
    assert!(wrong.is_empty(), "the document should say\n{wrong}");
}

#[test]
fn the_examples_of_the_specification_are_read_as_what_they_stand_for() {
    let examples = examples();
    for (name, frame) in frames() {
        let mut reader = LaneReader::new();
        let lane =
            [&examples["LANE-CONTROL"], &examples["GREASE"], &examples[name]].map(Vec::as_slice).concat();
        reader.push(Bytes::from(lane));
        assert!(matches!(reader.next(), Ok(Some(LaneItem::Kind(_)))));
        assert_eq!(reader.next(), Ok(Some(LaneItem::Frame(frame))), "{name}");
        assert_eq!((reader.next(), reader.finish()), (Ok(None), Ok(())), "{name}");
    }
}

#[test]
fn every_frame_type_has_an_example() {
    let frames = frames();
    for frame_type in FrameType::ALL {
        assert!(frames.iter().any(|(_, frame)| frame.frame_type() == *frame_type), "{frame_type}");
    }
}

/// What the fuzz targets begin with: for `frame` type and body, for `lane` a byte that says how to cut and a lane.
fn seeds() -> BTreeMap<PathBuf, Vec<u8>> {
    let examples = examples();
    let mut seeds = BTreeMap::new();
    for (name, frame) in frames() {
        let whole = encoded(&frame);
        // The top two bits of a varint's first byte tell its size.
        let body = &whole[1 + (1 << (whole[1] >> 6))..];
        seeds.insert(format!("frame/{name}").into(), [&whole[..1], body].concat());
        seeds.insert(format!("lane/{name}").into(), [&[7, 0x01][..], &whole].concat());
    }
    for name in ["RECORD", "RECORD-FIN", "RECORD-EMPTY-FIN"] {
        let lane = [&[7][..], &examples["LANE-STREAM"], &examples["RECORD"], &examples[name]].concat();
        seeds.insert(format!("lane/{name}").into(), lane);
    }
    seeds.insert("lane/GREASE".into(), [&[7, 0x01][..], &examples["GREASE"], &examples["PING"]].concat());
    seeds
}

/// With `KWIK_WRITE_SEEDS` in the environment the seeds are written instead.
#[test]
fn the_seeds_of_the_fuzz_targets_are_the_examples() {
    let folder = root().join("fuzz/seeds");
    for (name, bytes) in seeds() {
        let path = folder.join(&name);
        if std::env::var_os("KWIK_WRITE_SEEDS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        let stored = std::fs::read(&path).unwrap_or_default();
        assert_eq!(hex(&stored), hex(&bytes), "{} is out of date", name.display());
    }
}
