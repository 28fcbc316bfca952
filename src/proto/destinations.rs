//! The client's address book: where paths lead, and when to dial what is missing.

use rand_core::Rng;

use super::event::PathAddress;
use super::id::PathId;
use super::redial::Backoff;
use super::time::Time;

/// One place that a path is wanted to. Two of them may have the same address.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) address: PathAddress,
    /// The advice that it came by, if the server gave it.
    pub(crate) advice: Option<u64>,
    /// The path that leads there now, or is being opened.
    path: Option<PathId>,
    backoff: Backoff,
    dial_at: Option<Time>,
    /// Whether a path there was ever established.
    reached: bool,
}

/// All places that the client wants paths to.
#[derive(Debug, Default)]
pub(crate) struct Destinations {
    all: Vec<Destination>,
}

impl Destinations {
    /// Adds a place to dial at `now`.
    pub(crate) fn add(&mut self, now: Time, address: PathAddress, advice: Option<u64>) {
        let backoff = Backoff::new();
        self.all.push(Destination {
            address,
            advice,
            path: None,
            backoff,
            dial_at: Some(now),
            reached: false,
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn knows_advice(&self, advice: u64) -> bool {
        self.all.iter().any(|place| place.advice == Some(advice))
    }

    pub(crate) fn knows_address(&self, authority: &str) -> bool {
        self.all.iter().any(|place| place.address.authority == authority)
    }

    /// The next place to dial at this time, which `path` will lead to.
    pub(crate) fn dial(&mut self, now: Time, path: PathId) -> Option<PathAddress> {
        let due =
            |place: &&mut Destination| place.path.is_none() && place.dial_at.is_some_and(|at| at <= now);
        let place = self.all.iter_mut().find(due)?;
        place.path = Some(path);
        place.dial_at = None;
        Some(place.address.clone())
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.all.iter().filter(|place| place.path.is_none()).filter_map(|place| place.dial_at).min()
    }

    pub(crate) fn on_established(&mut self, path: PathId) {
        if let Some(place) = self.of(path) {
            place.backoff.reset();
            place.reached = true;
        }
    }

    /// The path is gone: dial again after a while.
    pub(crate) fn on_lost(&mut self, now: Time, path: PathId, rng: &mut impl Rng) {
        if let Some(place) = self.of(path) {
            place.path = None;
            place.dial_at = Some(now + place.backoff.next(rng));
        }
    }

    /// The path is not wanted any more, nor another one there.
    pub(crate) fn forget_path(&mut self, path: PathId) {
        self.all.retain(|place| place.path != Some(path));
    }

    /// The place that was added last has not been dialled and is not wanted after all.
    pub(crate) fn forget_undialled(&mut self) {
        self.all.pop_if(|place| place.path.is_none());
    }

    /// The advice is withdrawn; returns the path that came of it.
    pub(crate) fn forget_advice(&mut self, advice: u64) -> Option<PathId> {
        let index = self.all.iter().position(|place| place.advice == Some(advice))?;
        self.all.swap_remove(index).path
    }

    /// Whether a path that failed had never been reached, and was not the server's idea.
    pub(crate) fn was_reached(&self, path: PathId) -> bool {
        self.all.iter().any(|place| place.path == Some(path) && place.reached)
    }

    /// Something says that the network may be back: dial everything that is missing at once.
    pub(crate) fn hurry(&mut self, now: Time) {
        for place in self.all.iter_mut().filter(|place| place.path.is_none()) {
            place.backoff.reset();
            place.dial_at = Some(now);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }

    fn of(&mut self, path: PathId) -> Option<&mut Destination> {
        self.all.iter_mut().find(|place| place.path == Some(path))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::proto::event::Scheme;

    fn at(ms: u64) -> Time {
        Time::from_epoch(Duration::from_millis(ms))
    }

    fn address(name: &str) -> PathAddress {
        PathAddress { scheme: Scheme::default(), authority: name.to_owned(), pins: Vec::new(), local: None }
    }

    fn two() -> Destinations {
        let mut places = Destinations::default();
        places.add(at(0), address("a"), None);
        places.add(at(0), address("b"), Some(7));
        places
    }

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::from_seed([1; 32])
    }

    #[test]
    fn each_place_is_dialled_once_while_a_path_leads_there() {
        let mut places = two();
        assert_eq!(places.deadline(), Some(at(0)));
        assert_eq!(places.dial(at(0), PathId(0)), Some(address("a")));
        assert_eq!(places.dial(at(0), PathId(1)), Some(address("b")));
        assert_eq!(places.dial(at(9), PathId(2)), None);
        assert_eq!(places.deadline(), None);
    }

    #[test]
    fn a_place_whose_path_is_lost_is_dialled_again_later_each_time_and_soon_after_a_success() {
        let mut places = two();
        let wait = |places: &mut Destinations, path| {
            places.dial(at(100_000), path);
            places.on_lost(at(0), path, &mut rng());
            places.deadline().map(|at| at - Time::ZERO)
        };
        places.dial(at(0), PathId(0));
        places.dial(at(0), PathId(1));
        places.on_lost(at(0), PathId(0), &mut rng());
        let first = wait(&mut places, PathId(2));
        let second = wait(&mut places, PathId(3));
        assert!(second > first, "{second:?} after {first:?}");
        places.dial(at(100_000), PathId(4));
        places.on_established(PathId(4));
        assert!(places.was_reached(PathId(4)) && !places.was_reached(PathId(1)));
        assert!(wait(&mut places, PathId(5)) < second);
    }

    #[test]
    fn in_a_hurry_everything_that_is_missing_is_dialled_at_once() {
        let mut places = two();
        places.dial(at(0), PathId(0));
        places.on_lost(at(0), PathId(0), &mut rng());
        places.hurry(at(1));
        assert_eq!(places.dial(at(1), PathId(1)), Some(address("a")));
    }

    #[test]
    fn withdrawn_advice_names_the_path_that_came_of_it() {
        let mut places = two();
        places.dial(at(0), PathId(0));
        places.dial(at(0), PathId(1));
        assert!(places.knows_advice(7) && places.knows_address("b"));
        assert_eq!(places.forget_advice(7), Some(PathId(1)));
        assert_eq!(places.forget_advice(7), None);
        places.forget_path(PathId(0));
        assert_eq!(places.len(), 0);
    }
}
