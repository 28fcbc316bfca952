//! The fixed set of threads on which packet work runs.
//!
//! One pool per process, made by its first user ([`WorkerPool::shared`]), shared by all sessions and
//! listeners, and closed when the last of them is dropped. Its size never depends on the number of
//! sessions.
//!
//! Two rules hold for every kind of job:
//!
//! * **Bounded.** At most [`JOBS_PER_WORKER`] jobs per worker wait. What does not fit is done by whoever
//!   brought it, in its own thread: work can be slow, it cannot pile up. The same holds after
//!   [`WorkerPool::shutdown_now`].
//! * **A panic stays where it is.** It ends its job, is counted and logged, and is told to whoever waits
//!   for the job. Neither the worker nor the caller dies of it.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::occupancy::{Occupancy, Running};

/// Jobs that may wait, for each worker.
const JOBS_PER_WORKER: usize = 10;

/// Workers at least, however few cores there are: handshakes must not stop packets.
const MIN_WORKERS: usize = 4;

/// The pool of this process, while anybody uses it.
static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// A fixed pool of worker threads. Cloning is cheap and gives the same pool.
///
/// ```
/// use kwik::WorkerPool;
///
/// let pool = WorkerPool::shared(None)?;
/// let mut squares = [1, 2, 3, 4];
/// pool.scope_each(&mut squares, |n| *n *= *n)?;
/// assert_eq!(squares, [1, 4, 9, 16]);
/// assert!(pool.stats().workers >= 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct WorkerPool {
    shared: Arc<Shared>,
}

/// What a worker pool has done so far, and is doing now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerPoolStats {
    /// Threads, zero once the pool is shut down.
    pub workers: usize,
    /// Jobs that wait for a worker.
    pub queued: usize,
    /// Jobs done, by workers or by those who brought them.
    pub executed: u64,
    /// Jobs that found the pool full or shut down, so that whoever brought them had to do them or let
    /// them go.
    pub dropped: u64,
    /// Jobs that ended in a panic (counted in `executed` too).
    pub panicked: u64,
    /// Time spent in jobs, summed over all threads.
    pub busy: Duration,
}

/// The threads of a worker pool could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {workers} worker threads: {source}; lower the number or the process's other threads")]
#[non_exhaustive]
pub struct WorkerPoolError {
    /// How many were asked for.
    pub workers: usize,
    /// Why they could not be started.
    pub source: std::io::Error,
}

/// A job was not taken by the pool. It is handed back, not lost.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Refused<F> {
    /// As many jobs wait as may.
    #[error("the worker pool's queue is full; run the job here or try again later")]
    Full(F),
    /// [`WorkerPool::shutdown_now`] was called.
    #[error("the worker pool is shut down; run the job here")]
    ShutDown(F),
}

impl<F> Refused<F> {
    /// The job.
    pub fn into_job(self) -> F {
        match self {
            Self::Full(job) | Self::ShutDown(job) => job,
        }
    }
}

impl<F> std::fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::ShutDown(_) => "ShutDown(..)",
        })
    }
}

/// A job ended in a panic: a bug, of the job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job on the worker pool panicked: {message}")]
#[non_exhaustive]
pub struct JobPanicked {
    /// What the panic said.
    pub message: String,
}

/// Some jobs of a batch ended in a panic; the others were done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} job(s) of a batch on the worker pool panicked, the first with: {message}", items.len())]
#[non_exhaustive]
pub struct BatchPanicked {
    /// The indices of their items, ascending. The items may be in any state: do not use them further.
    pub items: Vec<usize>,
    /// What one of the panics said.
    pub message: String,
}

#[derive(Debug)]
struct Shared {
    /// `None` once shut down.
    threads: Mutex<Option<Arc<rayon::ThreadPool>>>,
    occupancy: Occupancy,
    executed: AtomicU64,
    dropped: AtomicU64,
    panicked: AtomicU64,
    busy_nanos: AtomicU64,
}

impl WorkerPool {
    /// The pool of this process; made now if nobody uses one.
    ///
    /// `workers` is the size wanted, by default `max(available_parallelism, 4)`. The first user's wish
    /// wins: while the pool is in use, its size stays what it is ([`WorkerPoolStats::workers`]).
    ///
    /// # Errors
    ///
    /// When the threads cannot be started.
    pub fn shared(workers: Option<NonZeroUsize>) -> Result<Self, WorkerPoolError> {
        Self::shared_at(&SHARED, workers)
    }

    /// The pool that is kept at `place`.
    fn shared_at(
        place: &Mutex<Weak<Shared>>,
        workers: Option<NonZeroUsize>,
    ) -> Result<Self, WorkerPoolError> {
        let mut current = lock(place);
        if let Some(shared) = current.upgrade()
            && lock(&shared.threads).is_some()
        {
            return Ok(Self { shared });
        }
        let pool = Self::start(workers)?;
        *current = Arc::downgrade(&pool.shared);
        Ok(pool)
    }

    /// A pool of its own, for tests.
    fn start(workers: Option<NonZeroUsize>) -> Result<Self, WorkerPoolError> {
        let workers = workers.map_or_else(default_workers, NonZeroUsize::get);
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(workers)
            .thread_name(|index| format!("kwik-worker-{index}"))
            .build()
            .map_err(|error| WorkerPoolError { workers, source: std::io::Error::other(error) })?;
        metrics::gauge!("kwik_worker_pool_workers").increment(workers as f64);
        tracing::debug!(workers, "worker pool started");
        Ok(Self {
            shared: Arc::new(Shared {
                threads: Mutex::new(Some(Arc::new(threads))),
                occupancy: Occupancy::new(workers, workers * JOBS_PER_WORKER),
                executed: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
                panicked: AtomicU64::new(0),
                busy_nanos: AtomicU64::new(0),
            }),
        })
    }

    /// Gives `job` to a worker and does not wait for it.
    ///
    /// # Errors
    ///
    /// The job comes back when the pool has no room for it or is shut down. A panic of the job is
    /// counted and logged.
    pub fn try_spawn<F: FnOnce() + Send + 'static>(&self, job: F) -> Result<(), Refused<F>> {
        let Some(threads) = self.threads() else {
            self.shared.count_dropped();
            return Err(Refused::ShutDown(job));
        };
        if !self.shared.reserve() {
            self.shared.count_dropped();
            return Err(Refused::Full(job));
        }
        let shared = Arc::clone(&self.shared);
        threads.spawn(move || {
            let _running = shared.begin();
            // Nobody waits for the result; a panic is counted and logged on the way.
            drop(shared.perform(job));
        });
        Ok(())
    }

    /// Runs one heavy job (a handshake, a certificate check) on a worker and waits for its result.
    ///
    /// When the pool has no room, or is shut down, the job runs in the calling thread instead.
    ///
    /// Cancel safety: dropping the future gives up the result; a job that was queued still runs.
    ///
    /// # Errors
    ///
    /// When the job panics.
    pub async fn run<T, F>(&self, job: F) -> Result<T, JobPanicked>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let reporting = move || {
            // The panic is caught here, to be reported; whoever waited may be gone.
            drop(done.send(shared.catch(job)));
        };
        if let Err(refused) = self.try_spawn(reporting) {
            let job = refused.into_job();
            drop(self.shared.perform(job));
        }
        result.await.unwrap_or_else(|_| Err(JobPanicked { message: "it was abandoned".to_owned() }))
    }

    /// Does `job` on every item, in parallel, and returns when all are done.
    ///
    /// The calling thread works too; workers that are free at this moment join in, each taking the next
    /// item nobody has. So a busy pool costs the batch its parallelism, not its time. A single item is
    /// done in place, with no hop to another thread. Items are begun in their order.
    ///
    /// Blocks the calling thread.
    ///
    /// # Errors
    ///
    /// When `job` panics on some items; it was still run on all the others.
    pub fn scope_each<T, F>(&self, items: &mut [T], job: F) -> Result<(), BatchPanicked>
    where
        T: Send,
        F: Fn(&mut T) + Sync,
    {
        let helpers_wanted = items.len().saturating_sub(1).min(self.shared.occupancy.free_workers());
        let batch = Batch { work: Mutex::new(items.iter_mut().enumerate()), panics: Mutex::default() };
        match self.threads() {
            Some(threads) if helpers_wanted > 0 => threads.in_place_scope(|scope| {
                for _ in 0..helpers_wanted {
                    if !self.shared.reserve() {
                        self.shared.count_dropped();
                        break;
                    }
                    scope.spawn(|_| {
                        let _running = self.shared.begin();
                        batch.work_off(&self.shared, &job);
                    });
                }
                batch.work_off(&self.shared, &job);
            }),
            _ => batch.work_off(&self.shared, &job),
        }
        batch.into_result()
    }

    /// Does a job here that belongs to the pool's work: a panic is caught and counted as one of the pool's.
    pub(crate) fn catch<T>(&self, job: impl FnOnce() -> T) -> Result<T, JobPanicked> {
        self.shared.catch(job)
    }

    /// Ends the pool for all its users, at once: a tool for debugging.
    ///
    /// Jobs that run or wait are finished; later ones are done by whoever brings them. The next
    /// [`WorkerPool::shared`] starts a new pool.
    pub fn shutdown_now(&self) {
        self.shared.close("shut down by force");
    }

    /// Figures since the pool was started.
    pub fn stats(&self) -> WorkerPoolStats {
        let shared = &self.shared;
        WorkerPoolStats {
            workers: if lock(&shared.threads).is_some() { shared.occupancy.workers() } else { 0 },
            queued: shared.occupancy.queued(),
            executed: shared.executed.load(Ordering::Relaxed),
            dropped: shared.dropped.load(Ordering::Relaxed),
            panicked: shared.panicked.load(Ordering::Relaxed),
            busy: Duration::from_nanos(shared.busy_nanos.load(Ordering::Relaxed)),
        }
    }

    fn threads(&self) -> Option<Arc<rayon::ThreadPool>> {
        lock(&self.shared.threads).clone()
    }
}

impl Shared {
    /// Lets the threads go; each ends when nothing is left for it to do.
    fn close(&self, reason: &'static str) {
        if lock(&self.threads).take().is_some() {
            metrics::gauge!("kwik_worker_pool_workers").decrement(self.occupancy.workers() as f64);
            tracing::debug!(reason, "worker pool closed");
        }
    }

    /// Takes a place in the queue, if there is one.
    fn reserve(&self) -> bool {
        let reserved = self.occupancy.reserve();
        if reserved {
            metrics::gauge!("kwik_worker_pool_queued").increment(1.0);
        }
        reserved
    }

    /// Gives the place in the queue back, and takes up a worker until the guard is dropped.
    fn begin(&self) -> Running<'_> {
        metrics::gauge!("kwik_worker_pool_queued").decrement(1.0);
        self.occupancy.begin()
    }

    fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("kwik_worker_pool_dropped_total").increment(1);
    }

    /// Runs a job in this thread, timed, counted, and with its panic caught.
    fn perform<T>(&self, job: impl FnOnce() -> T) -> Result<T, JobPanicked> {
        let began = Instant::now();
        let result = self.catch(job);
        let busy_nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.busy_nanos.fetch_add(busy_nanos, Ordering::Relaxed);
        metrics::counter!("kwik_worker_pool_busy_nanoseconds_total").increment(busy_nanos);
        self.executed.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("kwik_worker_pool_executed_total").increment(1);
        result
    }

    fn catch<T>(&self, job: impl FnOnce() -> T) -> Result<T, JobPanicked> {
        // Unwind safety: a job's own state is dropped by the unwinding or, for a batch's item, reported
        // as broken in `BatchPanicked`.
        catch_unwind(AssertUnwindSafe(job)).map_err(|panic| {
            let message = panic_message(&*panic);
            self.panicked.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("kwik_worker_pool_panicked_total").increment(1);
            tracing::error!(message, "a job on the worker pool panicked");
            JobPanicked { message }
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close("its last user is gone");
    }
}

/// Items of one `scope_each`, taken one by one by whichever thread is free.
struct Batch<'a, T> {
    work: Mutex<std::iter::Enumerate<std::slice::IterMut<'a, T>>>,
    panics: Mutex<Vec<(usize, JobPanicked)>>,
}

impl<T> Batch<'_, T> {
    fn work_off(&self, shared: &Shared, job: impl Fn(&mut T)) {
        loop {
            // In a statement of its own, so that the lock is not held while the job runs.
            let next = lock(&self.work).next();
            let Some((index, item)) = next else { return };
            if let Err(panic) = shared.perform(|| job(item)) {
                lock(&self.panics).push((index, panic));
            }
        }
    }

    fn into_result(self) -> Result<(), BatchPanicked> {
        let mut panics = self.panics.into_inner().unwrap_or_else(PoisonError::into_inner);
        panics.sort_by_key(|(index, _)| *index);
        match panics.first() {
            None => Ok(()),
            Some((_, first)) => Err(BatchPanicked {
                message: first.message.clone(),
                items: panics.iter().map(|(index, _)| *index).collect(),
            }),
        }
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(MIN_WORKERS, NonZeroUsize::get).max(MIN_WORKERS)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(message) = panic.downcast_ref::<&str>() {
        (*message).to_owned()
    } else if let Some(message) = panic.downcast_ref::<String>() {
        message.clone()
    } else {
        "a value that is no text".to_owned()
    }
}

/// Nothing here is left half done by a panic under a lock, so poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Barrier;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn pool_of(workers: usize) -> WorkerPool {
        WorkerPool::start(NonZeroUsize::new(workers)).unwrap()
    }

    /// Occupies every worker of `pool` until the returned sender is dropped.
    fn occupy(pool: &WorkerPool) -> Vec<mpsc::Sender<()>> {
        let workers = pool.stats().workers;
        let all_begun = Arc::new(Barrier::new(workers + 1));
        let gates = (0..workers)
            .map(|_| {
                let (open, gate) = mpsc::channel::<()>();
                let begun = Arc::clone(&all_begun);
                let job = move || {
                    begun.wait();
                    let _ = gate.recv();
                };
                pool.try_spawn(job).unwrap();
                open
            })
            .collect();
        all_begun.wait();
        gates
    }

    #[test]
    fn all_users_of_the_process_share_one_pool_and_the_first_ones_size() {
        // Not the process's own, which other tests use.
        let place = Mutex::new(Weak::new());
        let first = WorkerPool::shared_at(&place, NonZeroUsize::new(5)).unwrap();
        let second = WorkerPool::shared_at(&place, NonZeroUsize::new(9)).unwrap();
        assert!(Arc::ptr_eq(&first.shared, &second.shared));
        assert_eq!(second.stats().workers, 5);

        first.shutdown_now();
        assert_eq!(second.stats().workers, 0);
        let third = WorkerPool::shared_at(&place, NonZeroUsize::new(6)).unwrap();
        assert_eq!(third.stats().workers, 6, "a pool shut down is not handed out again");
    }

    #[test]
    fn the_threads_end_with_the_last_user() {
        thread_local! {
            static UNTIL_EXIT: RefCell<Option<mpsc::Sender<()>>> = const { RefCell::new(None) };
        }
        let pool = pool_of(1);
        let (alive, exit) = mpsc::channel();
        pool.try_spawn(move || UNTIL_EXIT.set(Some(alive))).unwrap();
        let other_user = pool.clone();
        drop(pool);
        assert!(other_user.scope_each(&mut [0; 4], |n| *n += 1).is_ok());
        drop(other_user);
        assert!(exit.recv().is_err(), "the sender is dropped when its thread ends");
    }

    #[test]
    fn every_item_of_a_batch_is_done_once_before_the_call_returns() {
        let pool = pool_of(4);
        for len in [0, 1, 2, 3, 100] {
            let mut items: Vec<usize> = (0..len).collect();
            pool.scope_each(&mut items, |n| *n += 1_000).unwrap();
            assert_eq!(items, (1_000..1_000 + len).collect::<Vec<_>>());
        }
        assert_eq!(pool.stats().executed, 106);
        assert_eq!(pool.stats().queued, 0);
    }

    #[test]
    fn a_batch_runs_in_parallel_with_the_caller_as_one_of_the_workers() {
        let pool = pool_of(3);
        let caller = thread::current().id();
        let together = Barrier::new(4);
        let mut threads = [caller; 4];
        let job = |id: &mut thread::ThreadId| {
            together.wait(); // passes only if four threads are here at once
            *id = thread::current().id();
        };
        pool.scope_each(&mut threads, job).unwrap();
        assert!(threads.contains(&caller));
    }

    #[test]
    fn a_single_item_is_done_by_the_caller() {
        let pool = pool_of(2);
        let mut thread = [None];
        pool.scope_each(&mut thread, |id| *id = Some(thread::current().id())).unwrap();
        assert_eq!(thread, [Some(thread::current().id())]);
    }

    #[test]
    fn a_batch_does_not_wait_for_workers_that_are_busy_with_something_else() {
        let pool = pool_of(2);
        let gates = occupy(&pool);
        let caller = thread::current().id();
        let mut threads = [None; 8];
        pool.scope_each(&mut threads, |id| *id = Some(thread::current().id())).unwrap();
        assert_eq!(threads, [Some(caller); 8]);
        drop(gates);
    }

    #[test]
    fn a_panic_spoils_its_own_item_only() {
        let pool = pool_of(2);
        let mut items = [1, 2, 3, 4, 5];
        let job = |n: &mut i32| {
            assert!(*n % 2 == 1, "even: {n}");
            *n *= 10;
        };
        let error = pool.scope_each(&mut items, job).unwrap_err();
        assert_eq!(error.items, [1, 3]);
        assert!(error.message.starts_with("even"), "{error}");
        assert_eq!(items, [10, 2, 30, 4, 50]);
        assert_eq!(pool.stats().panicked, 2);
        assert!(pool.scope_each(&mut items, |n| *n = 0).is_ok(), "the pool goes on");
    }

    #[test]
    fn a_full_queue_hands_jobs_back() {
        let pool = pool_of(1);
        let gates = occupy(&pool);
        let (done, results) = mpsc::channel();
        for i in 0..JOBS_PER_WORKER {
            let done = done.clone();
            pool.try_spawn(move || done.send(i).unwrap()).unwrap();
        }
        let refused = pool.try_spawn(move || done.send(99).unwrap()).unwrap_err();
        assert!(matches!(refused, Refused::Full(_)));
        assert_eq!((pool.stats().queued, pool.stats().dropped), (JOBS_PER_WORKER, 1));
        refused.into_job()();
        drop(gates);
        let mut results: Vec<_> = results.iter().collect();
        results.sort_unstable();
        assert_eq!(results, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99]);
    }

    #[tokio::test]
    async fn a_heavy_job_runs_on_a_worker_and_its_panic_is_told_to_who_waits() {
        let pool = pool_of(1);
        let name = pool.run(|| thread::current().name().map(str::to_owned)).await.unwrap();
        assert_eq!(name.as_deref(), Some("kwik-worker-0"));
        let error = pool.run::<(), _>(|| panic!("no such key")).await.unwrap_err();
        assert_eq!(error.message, "no such key");
        assert_eq!(pool.run(|| 7).await, Ok(7), "the worker is still there");
    }

    #[tokio::test]
    async fn after_a_forced_shutdown_work_is_done_by_whoever_brings_it() {
        let pool = pool_of(2);
        pool.shutdown_now();
        let here = thread::current().id();
        assert_eq!(pool.run(move || thread::current().id() == here).await, Ok(true));
        let mut items = [1, 2, 3];
        pool.scope_each(&mut items, |n| *n += 1).unwrap();
        assert_eq!(items, [2, 3, 4]);
        assert!(matches!(pool.try_spawn(|| ()), Err(Refused::ShutDown(_))));
    }
}
