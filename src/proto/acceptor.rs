//! The server's part of the handshake on a new path: the HELLO, and the session that it asks for.

use bytes::{Bytes, BytesMut};

use crate::proto::wire::code::TransportCode;
use crate::proto::wire::frame::{Frame, Hello, Reject};
use crate::proto::wire::id::{Dir, LaneId};
use crate::proto::wire::lane::{LaneItem, LaneKind, LaneReader, put_control_header};
use crate::proto::wire::limits::VERSION;

/// Waits for the HELLO of a path that belongs to no session yet. Until then it accepts one lane, the control
/// lane, and at most one frame's bytes on it; the carrier's own flow control holds back the rest.
#[derive(Debug, Default)]
pub struct Acceptor {
    reader: LaneReader,
}

/// A path that has said what it wants, to be given to [`Session::attach`](super::session::Session::attach).
#[derive(Debug)]
pub struct Accepted {
    /// What it wants.
    pub hello: Hello,
    /// Its control lane.
    pub control: LaneId,
    /// The control lane's state: it may have read more than the HELLO.
    pub reader: LaneReader,
}

impl Acceptor {
    /// Nothing has been read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes of the path's first bidirectional lane. `Ok(Ok(_))` is a whole HELLO, `Ok(Err(_))` gives the acceptor
    /// back, since more bytes are needed. An error is the code for the REJECT that [`reject`] makes.
    pub fn on_lane_data(
        mut self,
        lane: LaneId,
        dir: Dir,
        data: Bytes,
    ) -> Result<Result<Accepted, Self>, TransportCode> {
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
                    return Ok(Ok(Accepted { hello, control: lane, reader: self.reader }));
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
    let reason = Bytes::copy_from_slice(
        &reason.as_bytes()[..reason.len().min(crate::proto::wire::limits::MAX_REASON_BYTES)],
    );
    Frame::Reject(Reject { code: code.as_u64(), reason }).encode(&mut buf);
    buf.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::wire::frame::{Intent, Parameters};
    use crate::proto::wire::id::PathId;
    use crate::proto::wire::limits::MAX_REASON_BYTES;

    fn control_lane(frame: &Frame) -> Bytes {
        let mut buf = BytesMut::new();
        put_control_header(&mut buf);
        frame.encode(&mut buf);
        buf.freeze()
    }

    fn hello(versions: &[u64]) -> Bytes {
        let parameters = Parameters::default();
        let (path, intent) = (PathId::PRIMARY, Intent::New);
        control_lane(&Frame::Hello(Hello { versions: versions.to_vec(), path, intent, parameters }))
    }

    fn greet(acceptor: Acceptor, data: Bytes) -> Result<Result<Accepted, Acceptor>, TransportCode> {
        acceptor.on_lane_data(LaneId(0), Dir::Bi, data)
    }

    #[test]
    fn a_hello_that_comes_byte_by_byte_is_as_good_and_what_follows_it_is_kept() {
        let mut all = BytesMut::from(&hello(&[VERSION + 1, VERSION])[..]);
        let last = all.len() - 1;
        Frame::Ping { token: 1 }.encode(&mut all);
        let mut acceptor = Acceptor::new();
        for byte in &all[..last] {
            acceptor = greet(acceptor, Bytes::copy_from_slice(&[*byte])).unwrap().unwrap_err();
        }
        let mut accepted = greet(acceptor, Bytes::copy_from_slice(&all[last..])).unwrap().unwrap();
        assert_eq!((accepted.control, accepted.hello.intent), (LaneId(0), Intent::New));
        assert_eq!(accepted.reader.next().unwrap(), Some(LaneItem::Frame(Frame::Ping { token: 1 })));
    }

    #[test]
    fn whoever_speaks_no_version_of_this_end_is_told_so() {
        assert_eq!(greet(Acceptor::new(), hello(&[VERSION + 1])).unwrap_err(), TransportCode::Version);
    }

    #[test]
    fn nothing_but_a_hello_on_a_bidirectional_lane_begins_a_path() {
        let violation = TransportCode::ProtocolViolation;
        let ping = control_lane(&Frame::Ping { token: 1 });
        assert_eq!(greet(Acceptor::new(), ping).unwrap_err(), violation);
        let uni = Acceptor::new().on_lane_data(LaneId(2), Dir::Uni, hello(&[VERSION]));
        assert_eq!(uni.unwrap_err(), violation);
        let mut cut_short = BytesMut::from(&hello(&[VERSION])[..]);
        // The frame's length stands behind the lane's kind and the frame's type.
        cut_short[2] -= 1;
        assert_eq!(greet(Acceptor::new(), cut_short.freeze()).unwrap_err(), TransportCode::FrameEncoding);
    }

    #[test]
    fn a_refusal_is_one_frame_whose_reason_fits() {
        let mut reader = LaneReader::new();
        reader.push(reject(TransportCode::Busy, &"x".repeat(MAX_REASON_BYTES + 1)));
        assert_eq!(reader.next().unwrap(), Some(LaneItem::Kind(LaneKind::Control)));
        let reason = Bytes::from(vec![b'x'; MAX_REASON_BYTES]);
        let reject = Reject { code: TransportCode::Busy.as_u64(), reason };
        assert_eq!(reader.next().unwrap(), Some(LaneItem::Frame(Frame::Reject(reject))));
        assert!(reader.finish().is_ok());
    }
}
