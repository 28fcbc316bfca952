//! The sans-IO core.
#![forbid(unsafe_code)]
pub mod code;
mod codec;
pub mod frame;
pub mod grease;
pub mod id;
pub mod lane;
pub mod limits;
mod number;
mod parameters;
pub mod time;
pub mod token;
pub mod varint;
