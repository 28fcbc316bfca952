//! Tests of the carriers. They stand here because quinn-proto's time cannot be made up, only taken from a clock, which
//! the shared part of the crate does not have.

mod ack_hold;
mod bad_networks;
mod clock;
mod observed;
mod outage;
mod quic;
