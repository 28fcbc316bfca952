//! The HTTP/3 layer wrapped for a fuzz target, with streams by their numbers.

use bytes::Bytes;

use super::origin_policy::OriginPolicy;
use super::{Effect, H3, Reading};
use crate::carrier::quic::receive::Arrival;
use crate::proto::wire::id::{Dir, LaneId};

/// One end of a connection, and what it has done so far.
pub struct FuzzedH3 {
    h3: H3,
    is_over: bool,
    /// Bytes that it was given on streams and in datagrams.
    pub taken_in_bytes: usize,
    /// Bytes that it handed on to the session.
    pub handed_on_bytes: usize,
    /// Answers and the like.
    pub effects: usize,
}

impl FuzzedH3 {
    /// An end that has begun.
    pub fn new(is_server: bool) -> Self {
        let mut h3 = if is_server {
            H3::server(OriginPolicy::default().into())
        } else {
            H3::client("localhost:1".to_owned())
        };
        let own = u64::from(is_server);
        h3.start(LaneId(2 + own), (!is_server).then_some(LaneId(0)));
        Self { h3, is_over: false, taken_in_bytes: 0, handed_on_bytes: 0, effects: 0 }
    }

    /// Bytes of a stream; of its number the second bit says whether it is unidirectional (RFC 9000 section 2.1).
    pub fn on_data(&mut self, stream: u64, data: &[u8]) {
        self.taken_in_bytes += data.len();
        let dir = if stream & 2 == 0 { Dir::Bi } else { Dir::Uni };
        let data = Bytes::copy_from_slice(data);
        self.on_arrival(Arrival::Data { lane: LaneId(stream), dir, data });
    }

    /// The end of a stream.
    pub fn on_finished(&mut self, stream: u64) {
        self.on_arrival(Arrival::Finished(LaneId(stream)));
    }

    /// The sudden end of a stream.
    pub fn on_reset(&mut self, stream: u64) {
        self.on_arrival(Arrival::Reset(LaneId(stream)));
    }

    /// The peer reads no more from a stream.
    pub fn on_stopped(&mut self, stream: u64) {
        self.on_arrival(Arrival::Stopped(LaneId(stream)));
    }

    /// A datagram.
    pub fn on_datagram(&mut self, data: &[u8]) {
        self.taken_in_bytes += data.len();
        self.on_arrival(Arrival::Datagram(Bytes::copy_from_slice(data)));
    }

    /// Ends the session.
    pub fn close(&mut self, code: u64, reason: &[u8]) {
        self.h3.close(code, reason);
    }

    /// The most that it keeps of any stream.
    pub fn longest_buffer_bytes(&self) -> usize {
        let kept = |reading: &Reading| match reading {
            Reading::Unknown(buffer) => buffer.len(),
            Reading::Request(frames) | Reading::Response(frames) => frames.kept_bytes(),
            Reading::Control(control) => control.frames.kept_bytes(),
            Reading::Qpack(instructions) => instructions.kept_bytes(),
            Reading::Session(reader) => reader.frames.kept_bytes() + reader.capsules.kept_bytes(),
            Reading::Lane | Reading::Held(_) | Reading::Ignored => 0,
        };
        self.h3.readings.values().map(kept).max().unwrap_or(0)
    }

    fn on_arrival(&mut self, arrival: Arrival) {
        if self.is_over {
            return;
        }
        let handed_on = &mut self.handed_on_bytes;
        let outcome = self.h3.on_arrival(arrival, |arrival| {
            if let Arrival::Data { data, .. } | Arrival::Datagram(data) = arrival {
                *handed_on += data.len();
            }
        });
        self.is_over = outcome.is_err();
        let effects = self.h3.take_effects();
        self.effects += effects.iter().filter(|effect| matches!(effect, Effect::Write(..))).count();
    }
}
