//! Carriers: sans-IO adapters from QUIC and from WebTransport over HTTP/3 to the lanes of the core.
//!
//! They know [`proto`](crate::proto) and the protocol that they adapt; no socket, no thread, no clock.
#![forbid(unsafe_code)]

pub(crate) mod ack_hold;
mod allowance;
mod clock;
pub(crate) mod h3;
mod observed;
pub(crate) mod outage;
mod path_carrier;
pub(crate) mod quic;
pub(crate) mod reassembly;
mod unsent;

pub(crate) use allowance::Allowance;
pub(crate) use clock::Clock;
pub(crate) use observed::{Observations, ObservedFactory};
pub(crate) use path_carrier::{Change, PathCarrier};
