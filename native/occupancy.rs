//! How much the workers of a pool have to do: what waits for them, and how many are at it.
//!
//! No more waits than may, whoever brings it at the same moment, and every place is given back: `tests/interleavings`
//! tries that in every order of threads. What [`Occupancy::free_workers`] tells is a guess that may be old when it is
//! read; nothing but the number of helpers that a batch asks for rests on it.

use super::sync::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct Occupancy {
    workers: usize,
    /// Jobs that may wait.
    limit: usize,
    queued: AtomicUsize,
    /// Workers in a job.
    running: AtomicUsize,
}

impl Occupancy {
    pub(crate) fn new(workers: usize, limit: usize) -> Self {
        Self { workers, limit, queued: AtomicUsize::new(0), running: AtomicUsize::new(0) }
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// Jobs that wait for a worker.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Takes a place in the queue, if there is one.
    pub(crate) fn reserve(&self) -> bool {
        self.queued
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |queued| {
                (queued < self.limit).then_some(queued + 1)
            })
            .is_ok()
    }

    /// Gives the place in the queue back, and takes up a worker until the guard is dropped.
    pub(crate) fn begin(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.queued.fetch_sub(1, Ordering::Relaxed);
        Running { occupancy: self }
    }

    /// Workers with nothing to do and nothing coming to them. A guess: it may change at any moment.
    pub(crate) fn free_workers(&self) -> usize {
        let taken = self.running.load(Ordering::Relaxed) + self.queued.load(Ordering::Relaxed);
        self.workers.saturating_sub(taken)
    }
}

/// A worker in a job.
pub(crate) struct Running<'a> {
    occupancy: &'a Occupancy,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.occupancy.running.fetch_sub(1, Ordering::Relaxed);
    }
}
