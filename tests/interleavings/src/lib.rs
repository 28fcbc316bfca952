//! The flags that KWIK's threads share, in every order in which threads can meet.
//!
//! The files are those of `native`, compiled here with loom's locks and counters in the place of the standard
//! library's (`native/sync.rs`): loom runs each test once for every order of its threads' steps, and for every value
//! that a relaxed load may see. Orders with more than `PREEMPTIONS` switches away from a thread that could go on are
//! left out: there are too many, and the faults that need so many are rare (Musuvathi and Qadeer, 2007).

#![cfg(test)]

#[path = "../../../native/mailbox.rs"]
#[expect(dead_code, reason = "not all of it needs a test of orders")]
mod mailbox;
mod mailbox_orders;
#[path = "../../../native/occupancy.rs"]
#[expect(dead_code, reason = "not all of it needs a test of orders")]
mod occupancy;
mod occupancy_orders;

/// Loom's, by the names of `native/sync.rs`.
mod sync {
    pub(super) use loom::sync::atomic::{AtomicUsize, Ordering};
    pub(super) use loom::sync::{Mutex, MutexGuard};
}

/// Times that a thread is stopped in the middle of what it does. `LOOM_MAX_PREEMPTIONS` takes its place.
const PREEMPTIONS: usize = 2;

/// Runs `situation` in every order of the threads that it starts.
fn in_every_order(situation: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(PREEMPTIONS));
    model.check(situation);
}
