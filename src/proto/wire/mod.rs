//! The wire: frames, lanes, parameters, proofs and codes as bytes (docs/PROTOCOL.md sections 3 to 7).

pub mod code;
mod codec;
pub mod frame;
mod frame_type;
pub mod grease;
pub mod id;
pub mod lane;
pub mod limits;
mod parameters;
mod reader;
pub mod token;
pub mod varint;
mod wire_enum;
