//! HTTP/3 below WebTransport, fed with whatever bytes on whatever streams. It never panics, hands on no more than it
//! was given, keeps no more than a frame and a capsule of any stream, and answers no more often than it is asked.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use kwik::fuzzing::FuzzedH3;
use libfuzzer_sys::fuzz_target;

/// What happens next.
#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Data { stream: u8, bytes: &'a [u8] },
    /// What a browser sends at first: SETTINGS, and a CONNECT that is let in.
    Begin,
    Finished { stream: u8 },
    Reset { stream: u8 },
    Stopped { stream: u8 },
    Datagram { bytes: &'a [u8] },
    Close { code: u64, reason: &'a [u8] },
}

/// A frame, a capsule, and what begins them.
const MAX_BUFFER_BYTES: usize = 2 * (64 * 1024 + 64);

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
