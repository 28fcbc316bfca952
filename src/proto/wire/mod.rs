//! Frames, lanes, parameters, proofs and codes as bytes (docs/PROTOCOL.md sections 3 to 7); knows nothing of sessions.

pub mod code;
mod codec;
pub mod frame;
pub mod grease;
pub mod id;
pub mod lane;
pub mod limits;
mod parameters;
pub mod token;
pub mod varint;
mod wire_enum;
