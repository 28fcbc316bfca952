//! The totals of each path of a session, those that are gone included.

use std::collections::BTreeMap;

use kwik::{PathId, PathInfo, PathState};
use serde::Serialize;

use crate::duration::in_ms;

/// Which way the bytes of a transfer go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Receiving,
    Sending,
}

/// The last known figures of every path. A session forgets paths that are gone, so it has to be observed often.
#[derive(Debug, Default)]
pub(crate) struct PathTotals {
    paths: BTreeMap<PathId, PathInfo>,
}

/// One path's part in a transfer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PathReport {
    pub(crate) id: u64,
    /// Where it led.
    pub(crate) remote: Option<String>,
    /// Carried for the transfer, copies included.
    pub(crate) bytes: u64,
    /// Of these, copies of what another path carried too.
    pub(crate) reinjected_bytes: u64,
    pub(crate) rtt_ms: Option<f64>,
    pub(crate) state: String,
}

impl PathTotals {
    /// Updates the figures with those of the paths that the session has now.
    pub(crate) fn observe(&mut self, paths: Vec<PathInfo>) {
        for known in self.paths.values_mut() {
            // Paths that the session still has are overwritten below.
            known.state = PathState::Closed;
        }
        self.paths.extend(paths.into_iter().map(|path| (path.id, path)));
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathInfo> {
        self.paths.values()
    }

    /// A report on every path that the session ever had.
    pub(crate) fn report(&self, direction: Direction) -> Vec<PathReport> {
        let report = |path: &PathInfo| PathReport {
            id: path.id.0,
            remote: remote(path),
            bytes: carried_bytes(path, direction),
            reinjected_bytes: path.reinjected_bytes,
            rtt_ms: path.rtt.map(in_ms),
            state: path.state.to_string(),
        };
        self.paths().map(report).collect()
    }
}

/// The bytes that matter to a transfer in this direction.
pub(crate) fn carried_bytes(path: &PathInfo, direction: Direction) -> u64 {
    match direction {
        Direction::Receiving => path.received_bytes,
        Direction::Sending => path.sent_bytes,
    }
}

/// Where the path leads: as it is on the network, or else as it was asked for.
pub(crate) fn remote(path: &PathInfo) -> Option<String> {
    let on_network = path.remote.map(|remote| remote.to_string());
    on_network.or_else(|| path.address.as_ref().map(|address| address.authority.clone()))
}
