//! What all sessions and listeners of a process have in common: threads, memory, a clock.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use super::buffer_pool::{BufferPool, BufferPoolStats};
use super::session_timers::SessionTimers;
use super::worker_pool::{WorkerPool, WorkerPoolError, WorkerPoolStats};
use crate::carrier::Clock;
use crate::proto::config::ConfigError;
use crate::proto::time::Time;

/// More threads than any machine has cores would only stand in each other's way.
const MAX_WORKERS: u64 = 1_024;

/// An error when that is no number of worker threads.
pub(crate) fn check_workers(workers: Option<NonZeroUsize>) -> Result<(), ConfigError> {
    workers.map_or(Ok(()), |workers| ConfigError::check("workers", workers.get() as u64, 1..=MAX_WORKERS))
}

/// The engine of this process, while anybody uses it.
static SHARED: Mutex<Weak<Engine>> = Mutex::new(Weak::new());

/// Kept by every session, listener and socket; its threads and memory are gone when the last of them is.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) workers: WorkerPool,
    pub(crate) buffers: BufferPool,
    pub(crate) timers: SessionTimers,
    pub(crate) clock: Clock,
}

impl Engine {
    /// The engine of this process, made now if nobody uses one. The first user's wish for a number of workers
    /// wins.
    pub(crate) fn shared(workers: Option<NonZeroUsize>) -> Result<Arc<Self>, WorkerPoolError> {
        let mut current = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = current.upgrade() {
            return Ok(engine);
        }
        let engine = Arc::new(Self {
            workers: WorkerPool::shared(workers)?,
            buffers: BufferPool::default(),
            timers: SessionTimers::start().map_err(|source| WorkerPoolError { workers: 1, source })?,
            clock: Clock::new(Instant::now()),
        });
        *current = Arc::downgrade(&engine);
        Ok(engine)
    }

    /// The time, as the core counts it.
    pub(crate) fn time(&self) -> Time {
        self.clock.time(Instant::now())
    }
}

/// What this process spends on its sessions and listeners.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The threads that packets are worked on.
    pub workers: WorkerPoolStats,
    /// The memory that packets are in.
    pub buffers: BufferPoolStats,
}

/// Figures since the first session or listener that is still there was made; all zero when there is none.
pub fn stats() -> Stats {
    let engine = SHARED.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    engine.map_or_else(Stats::default, |engine| Stats {
        workers: engine.workers.stats(),
        buffers: engine.buffers.stats(),
    })
}
