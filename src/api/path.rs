//! One path, as the application sees and steers it.

use std::sync::Arc;
use std::time::Duration;

use super::shared::{Core, SessionRef, Shared};
use super::waiters::Topic;
use crate::proto::error::PathError;
use crate::proto::event::PathAddress;
use crate::proto::session::PathInfo;
use crate::proto::wire::id::PathId;

/// Whether a path is only there in case the others fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standby {
    /// The path is used like any other.
    #[default]
    Off,
    /// The path is used when no path that is not on standby is left.
    On,
}

/// A path of a session.
///
/// It names the path and does not keep it: dropping it changes nothing about the path. A path that was lost is
/// dialled again by the client, as a new path with a new id.
#[derive(Clone, Debug)]
pub struct PathHandle {
    session: Arc<SessionRef>,
    id: PathId,
}

impl PathHandle {
    pub(crate) fn new(session: Arc<SessionRef>, id: PathId) -> Self {
        Self { session, id }
    }

    /// Adds a path and waits until it is part of the session, or could not be opened.
    pub(crate) async fn add(session: Arc<SessionRef>, address: PathAddress) -> Result<Self, PathError> {
        let id = session.with_core(|core, now| {
            let id = core.session.add_path(now, address)?;
            core.openings.ask(id, ());
            Ok::<_, PathError>(id)
        })?;
        let _asked = Forget { shared: &session, forget: |core: &mut Core| core.openings.forget(id, ()) };
        let opened = session.wait(Topic::Path(id), |core, _| match core.openings.take(id, ()) {
            Some(Ok(())) => Some(Ok(())),
            Some(Err(loss)) => Some(Err(PathError::Failed { path: id, reason: loss.to_string() })),
            None => core.end().map(|error| Err(error.into())),
        });
        opened.await?;
        Ok(Self::new(session.clone(), id))
    }

    /// The path's name.
    pub fn id(&self) -> PathId {
        self.id
    }

    /// What is known of the path; `None` once it is gone.
    pub fn info(&self) -> Option<PathInfo> {
        let mut info = self.session.read(|core| core.session.path_info(self.id))?;
        info.remote = self.session.remote(self.id);
        Some(info)
    }

    /// Removes the path, in good order: what it carries goes on elsewhere, and it is not dialled again.
    pub fn remove(&self) -> Result<(), PathError> {
        self.session.with(|session, now| session.remove_path(now, self.id))
    }

    /// Puts the path on standby, or back into use, for both directions.
    pub fn set_standby(&self, standby: Standby) -> Result<(), PathError> {
        self.session.with(|session, _| session.set_standby(self.id, standby == Standby::On))
    }

    /// Says what a byte on the path costs, for both directions; only comparisons between paths matter. 0 by
    /// default: free.
    pub fn set_cost(&self, cost: u32) -> Result<(), PathError> {
        self.session.with(|session, _| session.set_cost(self.id, cost))
    }

    /// The path's share of what this end sends, under the weighted scheduler. 1 by default; 0 counts as 1.
    pub fn set_weight(&self, weight: u32) -> Result<(), PathError> {
        self.session.with(|session, _| session.set_weight(self.id, weight))
    }

    /// Measures the time that a message and its answer take on the path. On a path that does not answer it waits
    /// until that answers again or is given up.
    ///
    /// Cancel safe.
    pub async fn ping(&self) -> Result<Duration, PathError> {
        let path = self.id;
        let token = self.session.with_core(|core, _| {
            let token = core.session.ping(path)?;
            core.pongs.ask(path, token);
            Ok::<_, PathError>(token)
        })?;
        let _asked =
            Forget { shared: &self.session, forget: |core: &mut Core| core.pongs.forget(path, token) };
        let answer = self.session.wait(Topic::Path(path), |core, _| match core.pongs.take(path, token) {
            Some(Ok(rtt)) => Some(Ok(rtt)),
            Some(Err(_)) => Some(Err(PathError::Unknown { path })),
            None => core.end().map(|error| Err(error.into())),
        });
        answer.await
    }
}

/// Forgets what a future has asked for, when that is dropped.
struct Forget<'a, F: Fn(&mut Core)> {
    shared: &'a Shared,
    forget: F,
}

impl<F: Fn(&mut Core)> Drop for Forget<'_, F> {
    fn drop(&mut self) {
        self.shared.read(&self.forget);
    }
}
