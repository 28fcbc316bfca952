//! Streams: what was written and where it went, what has arrived and in which order it is read.

pub(crate) mod assembler;
pub(crate) mod flow;
pub(crate) mod ids;
pub mod recv;
pub(crate) mod send;
mod send_buffer;
