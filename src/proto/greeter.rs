//! The server's first look at a new path: which session does it want?

use bytes::{Bytes, BytesMut};

use super::code::TransportCode;
use super::frame::{Frame, Hello, Reject};
use super::id::{Dir, LaneId};
use super::lane::{LaneItem, LaneKind, LaneReader, put_control_header};
use super::limits::VERSION;

/// Waits for the HELLO of a path that belongs to no session yet. Until then it accepts one lane, the control
/// lane, and at most one frame's bytes on it; the carrier's own flow control holds back the rest.
#[derive(Debug, Default)]
pub struct Greeter {
    reader: LaneReader,
}

/// A path that has said what it wants, to be given to [`Session::attach`](super::session::Session::attach).
#[derive(Debug)]
pub struct Greeted {
    /// What it wants.
    pub hello: Hello,
    /// Its control lane.
    pub control: LaneId,
    /// The control lane's state: it may have read more than the HELLO.
    pub reader: LaneReader,
}

impl Greeter {
    /// Nothing has been read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes of the path's first bidirectional lane. `Ok(None)`: more are needed. An error is for the
    /// REJECT that [`reject`] makes.
    pub fn on_lane_data(
        mut self,
        lane: LaneId,
        dir: Dir,
        data: Bytes,
    ) -> Result<Result<Greeted, Self>, TransportCode> {
        if dir != Dir::Bi {
            return Err(TransportCode::ProtocolViolation);
        }
        self.reader.push(data);
        loop {
            match self.reader.next() {
                Ok(Some(LaneItem::Kind(LaneKind::Control))) => {}
                Ok(Some(LaneItem::Frame(Frame::Hello(hello)))) => {
                    if !hello.versions.contains(&VERSION) {
                        return Err(TransportCode::Version);
                    }
                    return Ok(Ok(Greeted { hello, control: lane, reader: self.reader }));
                }
                Ok(Some(_)) => return Err(TransportCode::ProtocolViolation),
                Ok(None) => return Ok(Err(self)),
                Err(error) => return Err(error.code()),
            }
        }
    }
}

/// What to write on the control lane, before it is finished, of a path that is refused.
pub fn reject(code: TransportCode, reason: &str) -> Bytes {
    let mut buf = BytesMut::new();
    put_control_header(&mut buf);
    let reason =
        Bytes::copy_from_slice(&reason.as_bytes()[..reason.len().min(super::limits::MAX_REASON_BYTES)]);
    Frame::Reject(Reject { code: code.as_u64(), reason }).encode(&mut buf);
    buf.freeze()
}
