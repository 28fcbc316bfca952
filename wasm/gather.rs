//! The one beat at which the paths of a session hand on what arrives in bulk.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::environment::{self, Timer};
use super::path::Path;

/// How long bulk data may wait for more to go along.
const GATHER: Duration = Duration::from_millis(4);

/// Promises: a path that is held is asked for what it has gathered within [`GATHER`], all paths of a session in the same
/// turn of the event loop, so that their data makes one batch for those who read it.
pub(super) struct Gather {
    timer: Timer,
    held: RefCell<Vec<Rc<Path>>>,
}

impl Gather {
    pub(super) fn new() -> Rc<Self> {
        Rc::new_cyclic(|this: &Weak<Self>| {
            let (timer, this) = (Timer::default(), this.clone());
            timer.on_timeout(move || {
                if let Some(gather) = this.upgrade() {
                    gather.beat();
                }
            });
            Self { timer, held: RefCell::default() }
        })
    }

    /// A lane of `path` waits for the next beat.
    pub(super) fn hold(&self, path: &Rc<Path>) {
        let mut held = self.held.borrow_mut();
        if !held.iter().any(|other| Rc::ptr_eq(other, path)) {
            held.push(path.clone());
        }
        self.timer.arm(environment::now() + GATHER);
    }

    fn beat(&self) {
        self.timer.disarm();
        self.held.take().iter().for_each(Path::deliver_held);
    }

    /// The session is over.
    pub(super) fn stop(&self) {
        self.timer.disarm();
        self.held.take();
    }
}
