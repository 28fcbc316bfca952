//! Destinations of a client: where paths lead, and when to dial those that are missing.
//!
//! A server can put addresses into it (ADD_PATH). What that makes the client send to places that never asked for
//! it is bounded here: by [`DialBudget`], by [`AddressScope`], and by back-offs that outlive the advice
//! ([`AdviceHistory`]); docs/PROTOCOL.md section 9.

mod address_scope;
pub(crate) mod advice;
mod backoff;
mod budget;

use std::net::{IpAddr, SocketAddr};

use rand_core::Rng;

use crate::proto::event::PathAddress;
use crate::proto::time::Time;
use crate::proto::wire::frame::AddPath;
use crate::proto::wire::id::PathId;
use crate::proto::wire::limits::{
    ADVISED_IPS_PER_ATTEMPT, ANSWERED_AT_ONCE, INITIALS_PER_ATTEMPT, INITIALS_WHEN_ANSWERED, PROVEN_AFTER,
};
use address_scope::AddressScope;
use advice::{AdviceHistory, AdviceNotFollowed, Wait};
use backoff::Backoff;
use budget::DialBudget;

/// One place that a path is wanted to. Two of them may have the same address.
#[derive(Debug)]
struct Destination {
    address: PathAddress,
    /// The advice that it came by, if the server gave it.
    advice: Option<u64>,
    /// The path that leads there now, or is being opened.
    path: Option<PathId>,
    backoff: Backoff,
    dial_at: Option<Time>,
    /// The attempt under way, if it was the server's idea.
    attempt: Option<Attempt>,
    established_at: Option<Time>,
    /// Whether a path there was ever established.
    reached: bool,
    /// It is due, and waits for the budget.
    waits: bool,
}

/// An attempt that advice has caused.
#[derive(Debug)]
struct Attempt {
    began_at: Time,
    initials: u64,
}

/// How soon what is missing is to be dialled when a path was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redial {
    /// The network may have changed: everything at once, if no path is left.
    AtOnce,
    /// The path had hardly lived: a server may do this in a loop.
    AfterBackoff,
}

/// All places that the client wants paths to.
#[derive(Debug)]
pub(crate) struct Destinations {
    all: Vec<Destination>,
    /// The one that the application dialled. Advised ones are reached like it.
    first: PathAddress,
    /// The scope of the first path's end: what the server may advise besides global addresses.
    scope: AddressScope,
    history: AdviceHistory,
    budget: DialBudget,
    not_followed: AdviceNotFollowed,
}

impl Destinations {
    /// A book with one entry, to dial at `now`; none on a server.
    pub(crate) fn new(now: Time, first: Option<PathAddress>) -> Self {
        let is_client = first.is_some();
        let first = first.unwrap_or_default();
        let mut places = Self {
            all: Vec::new(),
            scope: AddressScope::of_authority(&first.authority),
            first: first.clone(),
            history: AdviceHistory::default(),
            budget: DialBudget::new(),
            not_followed: AdviceNotFollowed::default(),
        };
        if is_client {
            places.add(now, first);
        }
        places
    }

    /// Adds a place of the application's to dial at `now`.
    pub(crate) fn add(&mut self, now: Time, address: PathAddress) {
        self.insert(address, None, Wait { backoff: Backoff::new(), until: now });
    }

    /// Adds a place that the server advises.
    pub(crate) fn add_advised(&mut self, now: Time, address: PathAddress, advice: u64) {
        let wait = self.history.recall(&address.authority);
        let wait = wait.unwrap_or_else(|| Wait { backoff: Backoff::unproven(), until: now });
        self.insert(address, Some(advice), wait);
    }

    fn insert(&mut self, address: PathAddress, advice: Option<u64>, wait: Wait) {
        self.all.push(Destination {
            address,
            advice,
            path: None,
            backoff: wait.backoff,
            dial_at: Some(wait.until),
            attempt: None,
            established_at: None,
            reached: false,
            waits: false,
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    // ---- advice ----

    /// The address that new advice gives, unless the server may not give it. It is reached as the first one is,
    /// and without a hash of its own trusted as that is.
    pub(crate) fn judge(&mut self, add: AddPath) -> Option<PathAddress> {
        let AddPath { advice, authority, certificate_hash, .. } = add;
        let is_known =
            |place: &Destination| place.advice == Some(advice) || place.address.authority == authority;
        if self.all.iter().any(is_known) {
            return None;
        }
        if self.history.is_used(advice) {
            self.not_followed.taken_back += 1;
            return None;
        }
        if !self.admits(AddressScope::of_authority(&authority)) {
            self.not_followed.address += 1;
            return None;
        }
        let pins = certificate_hash.map_or_else(|| self.first.pins.clone(), |hash| vec![hash]);
        Some(PathAddress { scheme: self.first.scheme, authority, pins, local: None })
    }

    /// There is no room for what the server advises.
    pub(crate) fn no_room(&mut self) {
        self.not_followed.room += 1;
    }

    pub(crate) fn not_followed(&self) -> AdviceNotFollowed {
        self.not_followed
    }

    pub(crate) fn is_advised(&self, path: PathId) -> bool {
        self.all.iter().any(|place| place.path == Some(path) && place.advice.is_some())
    }

    /// The first path leads to this address on the network.
    pub(crate) fn on_first_remote(&mut self, remote: IpAddr) {
        self.scope = AddressScope::of(remote);
    }

    /// Leaves of the addresses that a place's name stands for those that may be tried.
    pub(crate) fn admit_remotes(&mut self, path: PathId, remotes: &mut Vec<SocketAddr>) {
        if remotes.is_empty() || !self.is_advised(path) {
            return;
        }
        remotes.retain(|remote| self.admits(AddressScope::of(remote.ip())));
        remotes.truncate(ADVISED_IPS_PER_ATTEMPT);
        if remotes.is_empty() {
            self.not_followed.address += 1;
        }
    }

    fn admits(&self, scope: AddressScope) -> bool {
        match scope {
            AddressScope::Global => true,
            AddressScope::Unusable => false,
            other => other == self.scope,
        }
    }

    // ---- dialling ----

    /// The next place to dial at this time, which `path` will lead to: of the application's first, then of the
    /// server's, those that have waited longest.
    pub(crate) fn dial(&mut self, now: Time, path: PathId) -> Option<PathAddress> {
        let due = |place: &&mut Destination| place.wanted_at().is_some_and(|at| at <= now);
        let mut due: Vec<_> = self.all.iter_mut().filter(due).collect();
        due.sort_by_key(|place| (place.advice.is_some(), place.dial_at));
        for place in due {
            if place.advice.is_some() {
                let initials = place.initials();
                if !self.budget.take(now, initials) {
                    self.not_followed.budget += u64::from(!std::mem::replace(&mut place.waits, true));
                    continue;
                }
                place.attempt = Some(Attempt { began_at: now, initials });
            }
            place.waits = false;
            place.path = Some(path);
            place.dial_at = None;
            return Some(place.address.clone());
        }
        None
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let due = self.all.iter().filter_map(|place| {
            let at = place.wanted_at()?;
            let is_advised = place.advice.is_some();
            Some(if is_advised { at.max(self.budget.ready_at(place.initials())) } else { at })
        });
        due.min()
    }

    /// The destination has answered: what the attempt did not need is given back.
    pub(crate) fn on_answered(&mut self, now: Time, path: PathId) {
        if let Some(Attempt { began_at, initials }) = self.of(path).and_then(|place| place.attempt.take())
            && now - began_at <= ANSWERED_AT_ONCE
        {
            self.budget.put_back(now, initials.saturating_sub(INITIALS_WHEN_ANSWERED));
        }
    }

    pub(crate) fn on_established(&mut self, now: Time, path: PathId) {
        if let Some(place) = self.of(path) {
            place.established_at = Some(now);
            place.reached = true;
        }
    }

    /// The path is gone: dial again after a while.
    pub(crate) fn on_lost(&mut self, now: Time, path: PathId, rng: &mut impl Rng) -> Redial {
        let Some(place) = self.of(path) else { return Redial::AtOnce };
        let had_lived = place.release(now, rng);
        if had_lived { Redial::AtOnce } else { Redial::AfterBackoff }
    }

    /// The path is not wanted any more, nor another one there.
    pub(crate) fn forget_path(&mut self, now: Time, path: PathId, rng: &mut impl Rng) {
        if let Some(index) = self.all.iter().position(|place| place.path == Some(path)) {
            self.remove(now, index, rng);
        }
    }

    /// The place that was added last has not been dialled and is not wanted after all.
    pub(crate) fn forget_undialled(&mut self) {
        self.all.pop_if(|place| place.path.is_none());
    }

    /// The advice is withdrawn, and not followed again; returns the path that came of it.
    pub(crate) fn forget_advice(&mut self, now: Time, advice: u64, rng: &mut impl Rng) -> Option<PathId> {
        self.history.use_up(advice);
        let index = self.all.iter().position(|place| place.advice == Some(advice))?;
        self.remove(now, index, rng)
    }

    fn remove(&mut self, now: Time, index: usize, rng: &mut impl Rng) -> Option<PathId> {
        let mut place = self.all.remove(index);
        let path = place.path;
        if let Some(advice) = place.advice {
            self.history.use_up(advice);
            if path.is_some() {
                place.release(now, rng);
            }
            let until = place.dial_at.unwrap_or(now);
            self.history.retire(place.address.authority, Wait { backoff: place.backoff, until });
        }
        path
    }

    /// Whether a path that failed had never been reached, and was not the server's idea.
    pub(crate) fn was_reached(&self, path: PathId) -> bool {
        self.all.iter().any(|place| place.path == Some(path) && place.reached)
    }

    /// Something says that the network may be back: dial everything that is missing at once, but what never was
    /// reached by the server's advice.
    pub(crate) fn network_changed(&mut self, now: Time) {
        let is_trusted = |place: &&mut Destination| place.advice.is_none() || place.reached;
        for place in self.all.iter_mut().filter(|place| place.path.is_none()).filter(is_trusted) {
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

impl Destination {
    /// When to dial it, the budget aside.
    fn wanted_at(&self) -> Option<Time> {
        self.dial_at.filter(|_| self.path.is_none())
    }

    /// What an attempt here may cost: a name may lead to several IP addresses.
    fn initials(&self) -> u64 {
        let is_literal = self.address.authority.parse::<SocketAddr>().is_ok();
        let ips = if is_literal { 1 } else { ADVISED_IPS_PER_ATTEMPT as u64 };
        ips * INITIALS_PER_ATTEMPT
    }

    /// Its path is gone. Says whether that had lived for long enough to end the back-off.
    fn release(&mut self, now: Time, rng: &mut impl Rng) -> bool {
        self.path = None;
        self.attempt = None;
        let had_lived = self.established_at.take().is_some_and(|at| now - at >= PROVEN_AFTER);
        if had_lived {
            self.backoff.reset();
        }
        self.dial_at = Some(now + self.backoff.next(rng));
        had_lived
    }
}

#[cfg(test)]
mod tests;
