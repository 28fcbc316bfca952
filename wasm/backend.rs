//! What a session needs of a browser.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use wasm_bindgen_futures::spawn_local;

use super::environment::{self, ReturnHint, Timer};
use super::gather::Gather;
use super::path::Path;
use super::signal::Signal;
use crate::api::shared::{Backend, Shared};
use crate::proto::event::PathAddress;
use crate::proto::time::Time;
use crate::proto::wire::id::PathId;

/// A timer that comes later than this says that the thread, or the whole machine, had no time for anything: it was busy,
/// frozen, or asleep.
const LATE: Duration = Duration::from_millis(50);
/// Longer than any browser needs to hand on what has arrived.
const MAX_GRACE: Duration = Duration::from_secs(1);

/// The backend of one session.
pub(crate) struct Browser {
    paths: RefCell<BTreeMap<PathId, Rc<Path>>>,
    timer: Rc<Timer>,
    hint: RefCell<Option<ReturnHint>>,
    /// A path has taken a datagram, or is gone.
    datagram_left: Rc<Signal>,
    gather: Rc<Gather>,
}

impl Browser {
    pub(super) fn new() -> Self {
        Self {
            paths: RefCell::default(),
            timer: Rc::default(),
            hint: RefCell::default(),
            datagram_left: Rc::default(),
            gather: Gather::new(),
        }
    }

    /// Waits until a datagram would not be dropped for want of room. A session without a path keeps some itself.
    /// There must be only one task that waits.
    #[cfg(feature = "npm")]
    pub(crate) async fn datagram_room(&self) {
        while !self.has_datagram_room() {
            self.datagram_left.wait().await;
        }
    }

    #[cfg(feature = "npm")]
    fn has_datagram_room(&self) -> bool {
        let paths = self.paths.borrow();
        paths.is_empty() || paths.values().any(|path| path.has_datagram_room())
    }

    /// The session exists; its backend was there before it.
    fn attach(&self, shared: &Arc<Shared>) {
        let (session, timer) = (Arc::downgrade(shared), Rc::downgrade(&self.timer));
        self.timer.on_timeout(move || {
            let Some(timer) = timer.upgrade() else { return };
            let lateness = timer.lateness();
            timer.disarm();
            if lateness < LATE {
                with(&session, Shared::on_timeout);
            } else {
                spawn_local(after_input(lateness, session.clone()));
            }
        });
        let session = Arc::downgrade(shared);
        let hint = ReturnHint::new(move || {
            with(&session, |shared| shared.with(|session, now| session.network_changed(now)))
        });
        self.hint.replace(Some(hint));
    }
}

/// What has arrived is taken in before anyone is judged by the time: the answers of live paths may be among it. They
/// get as long again as the timer was late, within bounds.
async fn after_input(lateness: Duration, session: Weak<Shared>) {
    environment::pause(lateness.min(MAX_GRACE)).await;
    with(&session, Shared::on_timeout);
}

fn with(session: &Weak<Shared>, input: impl FnOnce(&Arc<Shared>)) {
    if let Some(shared) = session.upgrade() {
        input(&shared);
    }
}

impl Backend for Browser {
    fn now(&self) -> Time {
        environment::now()
    }

    fn transmit(&self, path: PathId) {
        if let Some(path) = self.paths.borrow().get(&path) {
            path.wake();
        }
    }

    fn dial(&self, shared: &Arc<Shared>, path: PathId, address: PathAddress) {
        if self.hint.borrow().is_none() {
            self.attach(shared);
        }
        let opened =
            Path::open(shared.clone(), self.datagram_left.clone(), self.gather.clone(), path, address);
        self.paths.borrow_mut().insert(path, opened);
    }

    fn close_path(&self, path: PathId, code: u64, reason: Bytes) {
        let path = self.paths.borrow_mut().remove(&path);
        if let Some(path) = path {
            path.close(code, &reason);
            self.datagram_left.notify();
        }
    }

    fn deadline(&self, at: Time) {
        self.timer.arm(at);
    }

    fn over(&self) {
        self.timer.disarm();
        self.gather.stop();
        self.hint.take();
        self.paths.take();
        self.datagram_left.notify();
    }
}
