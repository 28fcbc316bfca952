//! The locks and counters of what several threads share, by one name: `tests/interleavings` compiles the same files
//! with loom's, and tries every order in which threads can meet.

pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard};
