//! KWIK: one session, many paths.
