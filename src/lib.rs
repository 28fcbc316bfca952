//! KWIK: one session, many paths.
pub mod proto;
