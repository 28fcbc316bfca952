//! Subscriptions to a session's events.

use std::sync::Arc;

use super::shared::{Core, Shared};
use super::waiters::{Topic, WaiterId};
use crate::proto::event::SessionEvent;

/// What happens to a session from the time of [`Session::events`](super::Session::events) on: paths that come and
/// go, suspension and resumption, the server's advice.
///
/// It does not keep the session open. At most 256 events wait; then the oldest are dropped and counted.
#[derive(Debug)]
pub struct SessionEvents {
    shared: Arc<Shared>,
    id: WaiterId,
}

impl SessionEvents {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let id = shared.with_core(|core, _| {
            let id = core.waiters.new_id();
            core.subscribers.subscribe(id);
            id
        });
        Self { shared, id }
    }

    /// The next event; `None` once the session has ended and everything before that was handed out.
    ///
    /// Cancel safe: an event is handed out or stays.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        let id = self.id;
        let next = |core: &mut Core| match core.subscribers.pop(id) {
            Some(event) => Some(Some(event)),
            None => core.end().map(|_| None),
        };
        self.shared.wait(Topic::Events, move |core, _| next(core)).await
    }

    /// How many events were dropped because too many were waiting.
    pub fn lagged(&self) -> u64 {
        self.shared.read(|core| core.subscribers.lagged(self.id))
    }
}

impl Drop for SessionEvents {
    fn drop(&mut self) {
        self.shared.read(|core| core.subscribers.unsubscribe(self.id));
    }
}
