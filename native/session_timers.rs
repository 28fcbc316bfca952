//! The deadlines of all sessions of the process, kept by one thread.
//!
//! Promises: whoever has a timer is called at its deadline or a little later, by one thread, one after another, and with
//! no lock held. A deadline that moves costs no wake-up unless it comes before all others.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many are called before deadlines are looked at again.
const CALLS_AT_ONCE: usize = 64;

/// Something that has a timer.
pub(crate) trait Timed: Send + Sync {
    /// The deadline has come. The next one is to be [set](SessionTimers::set) again.
    fn on_deadline(&self);
}

/// Whose timer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey(usize);

/// The timers, and their thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct SessionTimers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// The earliest deadline is earlier than the thread knows, or the thread is to end.
    moved: Condvar,
}

#[derive(Default)]
struct State {
    /// By key.
    timers: Vec<Timer>,
    free: Vec<TimerKey>,
    order: BTreeSet<(Instant, TimerKey)>,
    /// The thread looks again by itself: at this time, or not at all.
    sleeps: Option<Option<Instant>>,
    is_closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("armed", &self.order.len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Timer {
    /// `None` unless it is attached.
    timed: Option<Arc<dyn Timed>>,
    at: Option<Instant>,
}

impl SessionTimers {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("kwik-timers".to_owned()).spawn(move || of_thread.run())?;
        Ok(Self(shared))
    }

    /// A new timer. It calls nobody until it is [attached](Self::attach).
    pub(crate) fn add(&self) -> TimerKey {
        let mut state = self.0.lock();
        state.free.pop().unwrap_or_else(|| {
            state.timers.push(Timer::default());
            TimerKey(state.timers.len() - 1)
        })
    }

    /// Says whom it calls, who is kept until the timer is [detached](Self::detach).
    pub(crate) fn attach(&self, key: TimerKey, timed: Arc<dyn Timed>) {
        let mut state = self.0.lock();
        let Some(timer) = state.timers.get_mut(key.0) else { return };
        timer.timed = Some(timed);
        if let Some(at) = timer.at {
            self.0.arm(state, key, at);
        }
    }

    /// Sets its deadline, unless it has an earlier one.
    pub(crate) fn set(&self, key: TimerKey, at: Instant) {
        let mut state = self.0.lock();
        let Some(timer) = state.timers.get_mut(key.0) else { return };
        let old = timer.at;
        if old.is_some_and(|old| old <= at) {
            return;
        }
        timer.at = Some(at);
        if timer.timed.is_some() {
            if let Some(old) = old {
                state.order.remove(&(old, key));
            }
            self.0.arm(state, key, at);
        }
    }

    /// It calls nobody from now on. (A call may be under way.)
    pub(crate) fn detach(&self, key: TimerKey) {
        let mut state = self.0.lock();
        let timed = state.clear(key);
        // More may go with whom it called.
        drop(state);
        drop(timed);
    }

    /// It calls nobody from now on, and its key is another's.
    pub(crate) fn remove(&self, key: TimerKey) {
        let mut state = self.0.lock();
        let timed = state.clear(key);
        state.free.push(key);
        drop(state);
        drop(timed);
    }
}

impl Drop for SessionTimers {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        // The thread is not waited for: it may be the one that drops this.
        self.0.moved.notify_one();
    }
}

impl Shared {
    fn arm(&self, mut state: MutexGuard<'_, State>, key: TimerKey, at: Instant) {
        state.order.insert((at, key));
        let is_early = state.sleeps.is_some_and(|until| until.is_none_or(|until| at < until));
        if is_early {
            // Once: it looks at all of them.
            state.sleeps = None;
            drop(state);
            self.moved.notify_one();
        }
    }

    fn run(&self) {
        let mut due = Vec::new();
        while self.wait(&mut due) {
            due.drain(..).for_each(|timed: Arc<dyn Timed>| timed.on_deadline());
        }
    }

    /// Waits until somebody is due. Returns false at the end.
    fn wait(&self, due: &mut Vec<Arc<dyn Timed>>) -> bool {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return false;
            }
            let now = Instant::now();
            while due.len() < CALLS_AT_ONCE
                && let Some(timed) = state.pop_due(now)
            {
                due.push(timed);
            }
            if !due.is_empty() {
                return true;
            }
            let next = state.order.first().map(|(at, _)| *at);
            state.sleeps = Some(next);
            state = match next {
                None => self.moved.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let timeout = at.saturating_duration_since(now);
                    self.moved.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.sleeps = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the timers whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pop_due(&mut self, now: Instant) -> Option<Arc<dyn Timed>> {
        let (at, key) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.order.pop_first();
        let timer = self.timers.get_mut(key.0)?;
        timer.at = None;
        timer.timed.clone()
    }

    /// Takes out whom it called, and its deadline.
    fn clear(&mut self, key: TimerKey) -> Option<Arc<dyn Timed>> {
        let Timer { timed, at } = self.timers.get_mut(key.0).map(std::mem::take)?;
        if let Some(at) = at {
            self.order.remove(&(at, key));
        }
        timed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::*;

    /// Longer than a test may take.
    const NEVER: Duration = Duration::from_secs(3_600);

    struct Note(Mutex<Sender<&'static str>>, &'static str);

    impl Note {
        fn new(sender: &Sender<&'static str>, name: &'static str) -> Arc<Self> {
            Arc::new(Self(Mutex::new(sender.clone()), name))
        }
    }

    impl Timed for Note {
        fn on_deadline(&self) {
            self.0.lock().unwrap().send(self.1).unwrap();
        }
    }

    #[test]
    fn each_is_called_once_at_its_deadline_the_earliest_first() {
        let (sender, called) = channel();
        let timers = SessionTimers::start().unwrap();
        let now = Instant::now();
        let after = |ms| now + Duration::from_millis(ms);
        let [late, early, never] = [(); 3].map(|()| timers.add());
        // Before it is attached, too; and an earlier time wins, whichever is set first.
        timers.set(early, after(10));
        for (key, name) in [(late, "late"), (early, "early"), (never, "never")] {
            timers.attach(key, Note::new(&sender, name));
        }
        timers.set(late, now + NEVER);
        timers.set(late, after(20));
        timers.set(late, now + NEVER);
        timers.set(never, after(15));
        timers.remove(never);
        assert_eq!(called.recv().unwrap(), "early");
        assert_eq!(called.recv().unwrap(), "late");
        assert!(Instant::now() >= after(20));
        timers.set(early, after(0));
        assert_eq!(called.recv().unwrap(), "early");
        assert!(called.try_recv().is_err());
    }

    #[test]
    fn a_key_is_used_again_and_nobody_is_kept_after_its_timer() {
        let (sender, called) = channel();
        let timers = SessionTimers::start().unwrap();
        let first = timers.add();
        let note = Note::new(&sender, "first");
        timers.attach(first, Arc::clone(&note) as _);
        timers.set(first, Instant::now() + NEVER);
        timers.detach(first);
        timers.set(first, Instant::now());
        timers.remove(first);
        assert_eq!(Arc::strong_count(&note), 1);
        let second = timers.add();
        assert_eq!(second, first);
        timers.attach(second, Note::new(&sender, "second"));
        timers.set(second, Instant::now());
        assert_eq!(called.recv().unwrap(), "second");
    }

    #[test]
    fn the_thread_ends_with_its_timers() {
        let timers = SessionTimers::start().unwrap();
        let shared = Arc::downgrade(&timers.0);
        drop(timers);
        while shared.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}
