//! The sans-IO core: a deterministic state machine, in the style of quinn-proto and str0m.
//!
//! Inputs go in, outputs are polled, time and randomness are arguments. [`session`] has the one rule that
//! drivers follow; [`carrier`] is what a path is made of; the wire is docs/PROTOCOL.md.
#![forbid(unsafe_code)]

mod address_scope;
mod advice;
mod assembler;
mod budget;
pub mod carrier;
pub mod code;
mod codec;
pub mod config;
mod datagrams;
mod destinations;
mod dial_budget;
pub mod error;
pub mod event;
mod flow;
pub mod frame;
mod futile;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub mod grease;
pub mod greeter;
pub mod id;
pub mod lane;
pub mod limits;
pub mod memory;
mod number;
mod parameters;
pub mod path;
mod path_ids;
mod range_set;
mod rate;
pub mod recv_stream;
mod redial;
mod rtt;
pub mod scheduler;
mod send_buffer;
mod send_stream;
pub mod session;
mod statements;
mod stream_ids;
pub mod time;
pub mod token;
pub mod varint;
