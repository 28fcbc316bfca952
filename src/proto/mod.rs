//! The sans-IO core.
#![forbid(unsafe_code)]
pub mod frame;
pub mod id;
pub mod time;
