//! "There is something to do", told to the one task that does it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Promises: a [`notify`](Self::notify) that comes before the wait ends it at once; many of them count as one.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_set: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Signal {
    /// Has the task look again. Nothing runs before the caller returns to the event loop.
    pub(crate) fn notify(&self) {
        self.is_set.set(true);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    /// Waits for the next notification. There must be only one task that does.
    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            if self.is_set.take() {
                return Poll::Ready(());
            }
            self.waiter.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
