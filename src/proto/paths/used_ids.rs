//! Path ids that a client has used: each joins at most once, so that a proof is good for one path.

use crate::proto::range_set::RangeSet;
use crate::proto::wire::id::PathId;

/// Path ids this far behind the newest are taken as used, which bounds what is remembered.
const WINDOW: u64 = 1024;

#[derive(Debug, Default)]
pub(crate) struct UsedPathIds {
    used: RangeSet,
    floor: u64,
}

impl UsedPathIds {
    /// Marks `path` as used; false when it was already.
    pub(crate) fn claim(&mut self, path: PathId) -> bool {
        if path.0 < self.floor || self.used.contains(path.0) {
            return false;
        }
        self.used.insert(path.0..path.0 + 1);
        if path.0 >= self.floor + WINDOW {
            self.floor = path.0 - WINDOW + 1;
            self.used.trim_below(self.floor);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_claimed_once_in_any_order() {
        let mut ids = UsedPathIds::default();
        assert!(ids.claim(PathId(3)));
        assert!(ids.claim(PathId(1)));
        assert!(!ids.claim(PathId(3)));
        assert!(!ids.claim(PathId(1)));
        assert!(ids.claim(PathId(2)));
    }

    #[test]
    fn an_id_far_behind_the_newest_counts_as_used() {
        let mut ids = UsedPathIds::default();
        assert!(ids.claim(PathId(5_000)));
        assert!(!ids.claim(PathId(5_000 - WINDOW)));
        assert!(ids.claim(PathId(5_001 - WINDOW)));
    }
}
