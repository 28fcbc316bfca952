//! What requests of a client may want to know of its session.

use std::sync::{Mutex, PoisonError};

use kwik::Session;

use crate::path_totals::PathTotals;
use crate::protocol::Carried;

/// A session, and what its paths have carried.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) session: Session,
    totals: Mutex<PathTotals>,
}

impl Client {
    pub(super) fn new(session: Session) -> Self {
        Self { session, totals: Mutex::default() }
    }

    /// Takes down what the paths have carried: a session forgets paths that are gone.
    pub(super) fn observe(&self) {
        let paths = self.session.paths();
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).observe(paths);
    }

    pub(super) fn carried(&self) -> Vec<Carried> {
        self.observe();
        let totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let carried = totals.paths().map(|path| Carried {
            path: path.id.0,
            sent_bytes: path.sent_bytes,
            reinjected_bytes: path.reinjected_bytes,
        });
        carried.collect()
    }
}
