//! The sans-IO core: a deterministic state machine, in the style of quinn-proto and str0m.
//!
//! Inputs go in, outputs are polled, time and randomness are arguments. [`session`] has the one rule that drivers
//! follow, and is the only room that knows the others: [`wire`] (what bytes mean), `streams` and `paths` (the state of
//! each, which returns what is to be done about it), `control` (frames that are pending), `scheduler` (which path
//! carries the next chunk). [`carrier`] is what a path is made of; the wire is docs/PROTOCOL.md.
#![forbid(unsafe_code)]

pub mod acceptor;
pub mod carrier;
pub mod config;
mod control;
mod datagrams;
mod effects;
pub mod error;
pub mod event;
mod futile;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub mod memory;
pub mod paths;
mod range_set;
pub mod scheduler;
pub mod session;
pub mod streams;
pub mod time;
pub mod wire;
