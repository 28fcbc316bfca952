//! The sans-IO core.
#![forbid(unsafe_code)]
pub(crate) mod assembler;
pub(crate) mod budget;
pub(crate) mod datagrams;
pub(crate) mod flow;
pub mod frame;
pub mod id;
pub(crate) mod range_set;
pub(crate) mod rate;
pub(crate) mod redial;
pub(crate) mod rtt;
pub(crate) mod send_buffer;
pub mod time;
