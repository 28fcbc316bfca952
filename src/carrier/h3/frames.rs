//! Frames and capsules off the front of what has arrived, as soon as they are complete.

use bytes::{Buf, Bytes, BytesMut};
use web_transport_proto::{Capsule, CapsuleError, Frame};

use super::{Ended, H3Code, violation};

/// The longest frame or capsule that is read as a whole: what the crate takes at most.
pub(super) const MAX_FRAME_BYTES: usize = 64 * 1024;

/// Type and length of a frame, at most.
const MAX_FRAME_HEAD_BYTES: usize = 16;

/// Takes a complete frame off the front.
pub(super) fn next_frame(buffer: &mut BytesMut) -> Result<Option<(Frame, Bytes)>, Ended> {
    let mut rest = &buffer[..];
    let Ok((kind, mut payload)) = Frame::read(&mut rest) else { return bounded(buffer).map(|()| None) };
    let payload = payload.copy_to_bytes(payload.remaining());
    let used = buffer.len() - rest.len();
    buffer.advance(used);
    Ok(Some((kind, payload)))
}

pub(super) fn next_capsule(buffer: &mut BytesMut) -> Result<Option<Capsule>, Ended> {
    let mut rest = &buffer[..];
    match Capsule::decode(&mut rest) {
        Ok(capsule) => {
            let used = buffer.len() - rest.len();
            buffer.advance(used);
            Ok(Some(capsule))
        }
        Err(CapsuleError::UnexpectedEnd | CapsuleError::VarInt(_)) => bounded(buffer).map(|()| None),
        Err(_) => Err(violation(H3Code::MessageError, "a capsule that cannot be read")),
    }
}

/// An error when an incomplete frame is longer than any that is read.
pub(super) fn bounded(buffer: &[u8]) -> Result<(), Ended> {
    if buffer.len() > MAX_FRAME_BYTES + MAX_FRAME_HEAD_BYTES {
        return Err(violation(H3Code::ExcessiveLoad, "a frame of more than 64 KiB"));
    }
    Ok(())
}
