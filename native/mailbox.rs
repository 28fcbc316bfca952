//! What other tasks want of a reactor, put down until it looks, and whether anybody may still want something.
//!
//! Two promises, which `tests/interleavings` tries in every order of threads:
//!
//! * The reactor is woken for whatever it has not seen: between its last look, which found nothing, and its sleep too.
//! * An order is either taken by the reactor or comes back to whoever gave it, also when the reactor ends meanwhile.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::task::Waker;

use super::sync::{Mutex, MutexGuard};

/// Keys of what is ready, and orders, for one reader.
#[derive(Debug)]
pub(crate) struct Mailbox<K, O> {
    state: Mutex<State<K, O>>,
}

/// What was put down since the reader looked last.
#[derive(Debug)]
pub(crate) struct Mail<K, O> {
    pub(crate) ready: BTreeSet<K>,
    /// How often a key was put down, the same one perhaps.
    pub(crate) notices: usize,
    /// In the order in which they were given.
    pub(crate) orders: Vec<O>,
}

#[derive(Debug)]
struct State<K, O> {
    mail: Mail<K, O>,
    /// Only while the reader may sleep: whoever wakes it takes it away.
    waker: Option<Waker>,
    /// How many keep the reader going.
    leases: usize,
    /// The reader is gone, or has made up its mind to go.
    closed: bool,
}

impl<K, O> Mail<K, O> {
    fn none() -> Self {
        Self { ready: BTreeSet::new(), notices: 0, orders: Vec::new() }
    }
}

impl<K: Ord, O> Mailbox<K, O> {
    /// An empty one, with one lease, which [`Self::release`] gives back.
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { mail: Mail::none(), waker: None, leases: 1, closed: false }) }
    }

    // ---- for those who want something ----

    /// `key` is ready for a turn.
    pub(crate) fn ready(&self, key: K) {
        let mut state = self.lock();
        state.mail.ready.insert(key);
        state.mail.notices += 1;
        wake(state);
    }

    /// Gives an order. It comes back if the reader is gone.
    pub(crate) fn order(&self, order: O) -> Result<(), O> {
        let mut state = self.lock();
        if state.closed {
            return Err(order);
        }
        state.mail.orders.push(order);
        wake(state);
        Ok(())
    }

    /// Keeps the reader going, if it is still there.
    pub(crate) fn hold(&self) -> bool {
        let mut state = self.lock();
        if !state.closed {
            state.leases += 1;
        }
        !state.closed
    }

    /// Gives a lease back. After the last one the reader looks whether it is still needed.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        state.leases = state.leases.saturating_sub(1);
        if state.leases == 0 {
            wake(state);
        }
    }

    /// Whether the reader is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    // ---- for the reader ----

    /// What was put down. If there is nothing, the reader may sleep: `waker` is woken for the next.
    pub(crate) fn take(&self, waker: &Waker) -> Option<Mail<K, O>> {
        let mut state = self.lock();
        if state.mail.ready.is_empty() && state.mail.orders.is_empty() {
            state.waker = Some(waker.clone());
            return None;
        }
        Some(std::mem::replace(&mut state.mail, Mail::none()))
    }

    /// Whether there is anything to take.
    pub(crate) fn has_mail(&self) -> bool {
        let state = self.lock();
        !state.mail.ready.is_empty() || !state.mail.orders.is_empty()
    }

    /// For a reader with nothing of its own to do: whether it may go. If so, nobody gets an order in any more.
    pub(crate) fn close_if_unused(&self) -> bool {
        let mut state = self.lock();
        state.closed |= state.leases == 0 && state.mail.orders.is_empty();
        state.closed
    }

    /// The reader goes. The orders that it did not take.
    pub(crate) fn close(&self) -> Vec<O> {
        let mut state = self.lock();
        state.closed = true;
        std::mem::take(&mut state.mail.orders)
    }

    fn lock(&self) -> MutexGuard<'_, State<K, O>> {
        // Every critical section leaves the mailbox whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the reader once: until it has looked, there is no waker.
fn wake<K, O>(mut state: MutexGuard<'_, State<K, O>>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
