//! HTTP/3 below WebTransport, fed with whatever bytes on whatever streams, and with frames, headers and capsules that are
//! nearly right. It never panics, hands on no more than it was given, keeps no more than a header and a capsule of any
//! stream, and answers no more often than it is asked.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use kwik::fuzzing::FuzzedH3;
use libfuzzer_sys::fuzz_target;

/// What happens next.
#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Data {
        stream: u8,
        bytes: &'a [u8],
    },
    /// A frame of a kind that is known, or a lane's beginning, whatever is in it.
    Frame {
        stream: u8,
        kind: Kind,
        payload: &'a [u8],
    },
    /// A header of any lines.
    Header {
        stream: u8,
        lines: Vec<Line<'a>>,
    },
    /// A capsule of a kind that is known, in a frame of its own.
    Capsule {
        kind: bool,
        value: &'a [u8],
    },
    /// What a browser sends at first: SETTINGS, and a CONNECT that is let in.
    Begin,
    Finished {
        stream: u8,
    },
    Reset {
        stream: u8,
    },
    Stopped {
        stream: u8,
    },
    Datagram {
        bytes: &'a [u8],
    },
    Close {
        code: u64,
        reason: &'a [u8],
    },
}

/// A header of 16 KiB, a capsule of 1,028 bytes, and what begins them.
const MAX_BUFFER_BYTES: usize = 16 * 1024 + 1028 + 64;

/// Types of frames, and of unidirectional streams: their numbers overlap.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Kind {
    Data = 0x00,
    Headers = 0x01,
    Encoder = 0x02,
    Decoder = 0x03,
    Settings = 0x04,
    Goaway = 0x07,
    MaxPushId = 0x0d,
    Grease = 0x21,
}

/// A line of a header, from the static table or literal, with a name that has a meaning or any other.
#[derive(Arbitrary, Debug)]
enum Line<'a> {
    Static(u8),
    Named(Name, &'a [u8]),
    Literal(&'a [u8], &'a [u8]),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Name {
    Method,
    Scheme,
    Authority,
    Path,
    Protocol,
    Host,
    Origin,
    Te,
}

impl Name {
    const ALL: [&'static str; 8] =
        [":method", ":scheme", ":authority", ":path", ":protocol", "host", "origin", "te"];
}

fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [kind, payload.len() as u64] {
        bytes.extend_from_slice(&(0x8000_0000 | number as u32).to_be_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn header(lines: &[Line<'_>]) -> Vec<u8> {
    let mut section = vec![0, 0];
    let string = |section: &mut Vec<u8>, flags: u8, prefix: u8, text: &[u8]| {
        // Lengths above one byte's are for the bytes that are given as they are.
        let text = &text[..text.len().min(usize::from(prefix) - 1)];
        section.push(flags | text.len() as u8);
        section.extend_from_slice(text);
    };
    for line in lines {
        match line {
            Line::Static(index) => section.push(0xc0 | index & 0x3f),
            Line::Named(name, value) => {
                let name = Name::ALL[*name as usize].as_bytes();
                match name.len() as u8 {
                    len @ 0..7 => section.push(0x20 | len),
                    len => section.extend_from_slice(&[0x27, len - 7]),
                }
                section.extend_from_slice(name);
                string(&mut section, 0, 127, value);
            }
            Line::Literal(name, value) => {
                string(&mut section, 0x20, 7, name);
                string(&mut section, 0, 127, value);
            }
        }
    }
    frame(0x01, &section)
}

const SETTINGS: &[u8] = include_bytes!("../seeds/h3/settings");
const CONNECT: &[u8] = include_bytes!("../seeds/h3/connect");

fuzz_target!(|data: &[u8]| {
    let mut input = Unstructured::new(data);
    let Ok(is_server) = input.arbitrary::<bool>() else { return };
    let mut end = FuzzedH3::new(is_server);
    let mut asked = 1;
    while let Ok(step) = input.arbitrary::<Step<'_>>() {
        asked += 2;
        match step {
            Step::Data { stream, bytes } => end.on_data(u64::from(stream), bytes),
            Step::Frame { stream, kind, payload } => {
                end.on_data(u64::from(stream), &frame(kind as u64, payload));
            }
            Step::Header { stream, lines } => end.on_data(u64::from(stream), &header(&lines)),
            Step::Capsule { kind, value } => {
                let capsule = frame(if kind { 0x2843 } else { 0x17 }, value);
                end.on_data(0, &frame(0x00, &capsule));
            }
            Step::Begin => {
                end.on_data(if is_server { 2 } else { 3 }, SETTINGS);
                end.on_data(0, CONNECT);
            }
            Step::Finished { stream } => end.on_finished(u64::from(stream)),
            Step::Reset { stream } => end.on_reset(u64::from(stream)),
            Step::Stopped { stream } => end.on_stopped(u64::from(stream)),
            Step::Datagram { bytes } => end.on_datagram(bytes),
            Step::Close { code, reason } => end.close(code, reason),
        }
        assert!(end.handed_on_bytes <= end.taken_in_bytes);
        assert!(end.longest_buffer_bytes() <= MAX_BUFFER_BYTES);
        assert!(end.effects <= asked);
        if input.is_empty() {
            return;
        }
    }
});
