//! The sans-IO core.
#![forbid(unsafe_code)]
pub(crate) mod budget;
pub mod frame;
pub mod id;
pub(crate) mod range_set;
pub(crate) mod redial;
pub(crate) mod rtt;
pub mod time;
