//! Paths: the life of each, what is known of its speed, and where clients dial.

pub(crate) mod dialing;
pub mod path;
mod rate;
mod rtt;
pub(crate) mod used_ids;
