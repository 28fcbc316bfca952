//! The paths of a session: phases, estimates, and the destinations that a client dials.

pub(crate) mod advertised;
pub(crate) mod dialing;
pub(crate) mod estimator;
pub mod info;
pub(crate) mod lanes;
mod liveness;
pub mod path;
mod phase;
mod rate;
pub(crate) mod reports;
mod rtt;
mod used_ids;

use std::collections::BTreeMap;
use std::time::Duration;

use self::path::{Path, PathState};
use self::used_ids::UsedPathIds;
use crate::proto::wire::id::PathId;

/// All paths of a session, by id.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    all: BTreeMap<PathId, Path>,
    next_id: u64,
    used_ids: UsedPathIds,
}

impl Paths {
    /// The id of the next path that this end dials.
    pub(crate) fn next_id(&self) -> PathId {
        PathId(self.next_id)
    }

    /// A path that this end dials, with the next id.
    pub(crate) fn insert_dialed(&mut self, path: Path) {
        self.next_id += 1;
        self.insert(path);
    }

    pub(crate) fn insert(&mut self, path: Path) {
        self.all.insert(path.id, path);
    }

    /// Uses up an id that the peer has chosen, for ever. Whether it was unused.
    pub(crate) fn claim_id(&mut self, id: PathId) -> bool {
        self.used_ids.claim(id)
    }

    pub(crate) fn remove(&mut self, id: PathId) -> Option<Path> {
        self.all.remove(&id)
    }

    pub(crate) fn get(&self, id: PathId) -> Option<&Path> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        self.all.get_mut(&id)
    }

    pub(crate) fn contains(&self, id: PathId) -> bool {
        self.all.contains_key(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.all.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Path> {
        self.all.values_mut()
    }

    pub(crate) fn ids(&self) -> Vec<PathId> {
        self.all.keys().copied().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn healthy(&self) -> impl Iterator<Item = &Path> {
        self.iter().filter(|path| path.is_healthy())
    }

    /// What carriers hold to put lanes in order, in bytes of memory.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.iter().map(Path::held_bytes).sum()
    }

    pub(crate) fn has_healthy(&self) -> bool {
        self.healthy().next().is_some()
    }

    /// Paths that are part of the session, whether they answer or not.
    pub(crate) fn attached(&self) -> impl Iterator<Item = &Path> {
        self.iter().filter(|path| path.is_attached())
    }

    pub(crate) fn longest_rtt(&self) -> Duration {
        self.healthy().map(Path::rtt).max().unwrap_or_default()
    }

    /// Whether data may go on this path now.
    pub(crate) fn is_usable(&self, id: PathId) -> bool {
        match self.get(id).map(Path::state) {
            Some(PathState::Active) => true,
            // Standby and suspect paths carry data only when nothing better is there.
            Some(PathState::Standby) => !self.any_is(PathState::Active),
            Some(PathState::Suspect) => !self.any_is(PathState::Active) && !self.any_is(PathState::Standby),
            _ => false,
        }
    }

    pub(crate) fn usable(&self) -> impl Iterator<Item = &Path> {
        self.iter().filter(|path| self.is_usable(path.id))
    }

    fn any_is(&self, state: PathState) -> bool {
        self.iter().any(|path| path.state() == state)
    }

    /// The path for control frames: the healthy one with the least rtt.
    pub(crate) fn control_path(&self) -> Option<PathId> {
        self.healthy().min_by_key(|path| (path.is_standby(), path.rtt(), path.id)).map(|path| path.id)
    }

    /// Whether control frames may go on `id`: it is healthy, and not much slower than the best.
    pub(crate) fn may_carry_control(&self, id: PathId) -> bool {
        let Some(path) = self.get(id) else { return false };
        match self.control_path() {
            Some(best) if best == id => true,
            Some(best) => {
                let best_rtt = self.get(best).map(Path::rtt).unwrap_or_default();
                path.is_healthy() && path.rtt() <= best_rtt * 3 / 2
            }
            None => true,
        }
    }

    /// The usable path with the least rtt.
    pub(crate) fn best_for_datagrams(&self) -> Option<PathId> {
        self.usable().min_by_key(|path| (path.rtt(), path.id)).map(|path| path.id)
    }
}
