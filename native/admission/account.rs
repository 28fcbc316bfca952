//! Who takes up how much of a listener's room, and who makes way for whom.
//!
//! ```text
//!   first packet --knock--> prove your address | no answer | come in
//!                                                              |  enter: a half-open path, perhaps in place of
//!                                                              v         the oldest of whoever crowds most
//!   HELLO new  --open_session--> a session, perhaps in place of a suspended one
//!   HELLO join ------------------> its session has it: no room is asked for
//! ```
//!
//! Sources and time are passed in, and every decision is made here. `P` names a half-open path, `S` a session.

use std::time::Instant;

use super::crowd::{Crowd, Ticket};
use super::limits::AdmissionLimits;
use super::source::Source;
use super::wrong_proofs::WrongProofs;

/// What becomes of a client's first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knock {
    /// Its address has to be proven first.
    Prove,
    /// No answer: the host or network has been wrong too often.
    Ignore,
    /// It may [`enter`](Account::enter).
    Enter,
}

/// The host crowds most itself, and all that it has is young: no answer, the client asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crowded;

/// Why there is no room for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// There are as many as there may be.
    Full,
    /// The client's host or network has its share.
    Share,
}

/// What has come in, and what has to go for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admitted<Place, Evicted> {
    pub(super) place: Place,
    pub(super) evicted: Option<Evicted>,
}

/// Where a half-open path is counted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HalfOpenPlace {
    source: Source,
    room: Room,
    ticket: Ticket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Strangers,
    Known,
}

/// Where a session is counted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SessionPlace {
    source: Source,
    session: Ticket,
    suspended: Option<Ticket>,
}

#[derive(Debug)]
struct HalfOpen<P> {
    path: P,
    since: Instant,
}

#[derive(Debug)]
struct Suspended<S> {
    id: S,
    session: Ticket,
}

/// The account of one listener, whatever its sockets.
#[derive(Debug)]
pub(super) struct Account<P, S> {
    limits: AdmissionLimits,
    max_sessions: usize,
    strangers: Crowd<HalfOpen<P>>,
    /// Half-open, from hosts that have a session.
    known: Crowd<HalfOpen<P>>,
    sessions: Crowd<S>,
    /// Of the sessions, those without a path.
    suspended: Crowd<Suspended<S>>,
    wrong_proofs: WrongProofs,
}

impl<P, S: Copy> Account<P, S> {
    pub(super) fn new(limits: AdmissionLimits, max_sessions: usize) -> Self {
        let wrong_proofs = WrongProofs::new(limits.wrong_proofs_of_host, limits.wrong_proofs_of_network);
        Self {
            limits,
            max_sessions,
            strangers: Crowd::default(),
            known: Crowd::default(),
            sessions: Crowd::default(),
            suspended: Crowd::default(),
            wrong_proofs,
        }
    }

    // ---- half-open paths ----

    /// A client's first packet has come, from an address that it has proven to be its own or has not.
    pub(super) fn knock(&self, source: Source, is_proven: bool, now: Instant) -> Knock {
        if self.wrong_proofs.is_spent(source, now) {
            Knock::Ignore
        } else if !is_proven && self.half_open() >= self.limits.retry_above {
            Knock::Prove
        } else {
            Knock::Enter
        }
    }

    /// Counts a path as half-open. What is evicted is not counted any more.
    pub(super) fn enter(
        &mut self,
        source: Source,
        path: P,
        now: Instant,
    ) -> Result<Admitted<HalfOpenPlace, P>, Crowded> {
        let for_known = self.limits.half_open_for_known.min(self.limits.max_half_open);
        let for_strangers = self.limits.max_half_open - for_known;
        let is_known = self.sessions.host_len(source) > 0;
        // Its own paths do not make way in the smaller room while there may be space in the larger one.
        let half_open = if is_known {
            take_place(&mut self.known, for_known, source, HalfOpen { path, since: now }, |_| false)
                .map(|admitted| (Room::Known, admitted))
        } else {
            Err(HalfOpen { path, since: now })
        };
        let (room, Admitted { place: ticket, evicted }) = half_open
            .or_else(|newcomer| {
                let is_old = |since| now.saturating_duration_since(since) >= self.limits.half_open_grace;
                take_place(&mut self.strangers, for_strangers, source, newcomer, is_old)
                    .map(|admitted| (Room::Strangers, admitted))
            })
            .map_err(|_| Crowded)?;
        Ok(Admitted { place: HalfOpenPlace { source, room, ticket }, evicted })
    }

    /// The path has a session, or is gone.
    pub(super) fn leave(&mut self, place: &HalfOpenPlace) {
        match place.room {
            Room::Strangers => self.strangers.remove(place.source, place.ticket),
            Room::Known => self.known.remove(place.source, place.ticket),
        };
    }

    /// Half-open paths that there are.
    pub(super) fn half_open(&self) -> usize {
        self.strangers.len() + self.known.len()
    }

    /// A client from there had the wrong proof. It has proven its address: it has completed a handshake.
    pub(super) fn note_wrong_proof(&mut self, source: Source, now: Instant) {
        self.wrong_proofs.note(source, now);
    }

    // ---- sessions ----

    /// Counts a new session. What is evicted is not counted any more.
    pub(super) fn open_session(
        &mut self,
        source: Source,
        id: S,
    ) -> Result<Admitted<SessionPlace, S>, NoRoom> {
        let evicted = match self.scope_without_room(source) {
            None => None,
            Some(scope) => {
                let (victim, ticket) = self.dispensable(scope, source).ok_or(match scope {
                    Scope::All => NoRoom::Full,
                    Scope::Network | Scope::Host => NoRoom::Share,
                })?;
                self.evict_suspended(victim, ticket)
            }
        };
        let session = self.sessions.insert(source, id);
        Ok(Admitted { place: SessionPlace { source, session, suspended: None }, evicted })
    }

    /// The session has no path any more. Returns a session that has to end for that, perhaps this one; it is not
    /// counted any more.
    pub(super) fn suspend(&mut self, place: &mut SessionPlace, id: S) -> Option<S> {
        let SessionPlace { source, session, suspended } = place;
        if suspended.is_some() || !self.sessions.contains(*source, *session) {
            return None;
        }
        *suspended = Some(self.suspended.insert(*source, Suspended { id, session: *session }));
        if self.suspended.len() <= self.limits.max_suspended {
            return None;
        }
        let (victim, ticket, _) = self.suspended.of_most_crowding()?;
        self.evict_suspended(victim, ticket)
    }

    /// The session has a path again.
    pub(super) fn resume(&mut self, place: &mut SessionPlace) {
        if let Some(ticket) = place.suspended.take() {
            self.suspended.remove(place.source, ticket);
        }
    }

    /// The session is over.
    pub(super) fn close(&mut self, place: &mut SessionPlace) {
        self.resume(place);
        self.sessions.remove(place.source, place.session);
    }

    /// The smallest part that has no room for one more session from `source`.
    fn scope_without_room(&self, source: Source) -> Option<Scope> {
        let free = self.max_sessions.saturating_sub(self.sessions.len());
        let of_network = self.may_take(self.sessions.network_len(source), free);
        let of_host = self.may_take(self.sessions.host_len(source), of_network);
        if free == 0 {
            Some(Scope::All)
        } else if of_network == 0 {
            Some(Scope::Network)
        } else {
            (of_host == 0).then_some(Scope::Host)
        }
    }

    /// How many more someone who has `held` may take while `free` are left: as long as `held < share * free`.
    fn may_take(&self, held: usize, free: usize) -> usize {
        let share = self.limits.share_of_free;
        let above = share.saturating_mul(free).saturating_sub(held);
        above.div_ceil(share.saturating_add(1))
    }

    /// A suspended session that may end to make room in `scope` for one from `source`.
    fn dispensable(&self, scope: Scope, source: Source) -> Option<(Source, Ticket)> {
        let first = match scope {
            Scope::All => self.suspended.of_most_crowding(),
            Scope::Network => self.suspended.of_most_crowding_in_network(source),
            Scope::Host => None,
        };
        first
            .filter(|(victim, ..)| self.crowds_more(*victim, source))
            .or_else(|| self.suspended.oldest_of_host(source))
            .map(|(victim, ticket, _)| (victim, ticket))
    }

    /// Whether sessions of `one` still are at least as many as those of `other` when one has made way for the other.
    fn crowds_more(&self, one: Source, other: Source) -> bool {
        let (ones, others) = if one.network == other.network {
            (self.sessions.host_len(one), self.sessions.host_len(other))
        } else {
            (self.sessions.network_len(one), self.sessions.network_len(other))
        };
        one == other || ones > others + 1
    }

    fn evict_suspended(&mut self, source: Source, ticket: Ticket) -> Option<S> {
        let Suspended { id, session } = self.suspended.remove(source, ticket)?;
        self.sessions.remove(source, session);
        Some(id)
    }
}

/// Whose room it is that there is none of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Network,
    Host,
}

/// Adds a half-open path to a room for `most`. Where it is one too many, the oldest of whoever crowds most makes way,
/// the newcomer counted. If that is one of the newcomer's own host, only when `is_old` says so of the time it came.
fn take_place<P>(
    room: &mut Crowd<HalfOpen<P>>,
    most: usize,
    source: Source,
    newcomer: HalfOpen<P>,
    is_old: impl Fn(Instant) -> bool,
) -> Result<Admitted<Ticket, P>, HalfOpen<P>> {
    let place = room.insert(source, newcomer);
    if room.len() <= most {
        return Ok(Admitted { place, evicted: None });
    }
    let victim = room.of_most_crowding().map(|(from, ticket, victim)| (from, ticket, victim.since));
    match victim {
        Some((from, ticket, since)) if ticket != place && (from != source || is_old(since)) => {
            let evicted = room.remove(from, ticket).map(|victim| victim.path);
            Ok(Admitted { place, evicted })
        }
        _ => match room.remove(source, place) {
            Some(newcomer) => Err(newcomer),
            // It was put in above.
            None => Ok(Admitted { place, evicted: None }),
        },
    }
}

#[cfg(test)]
mod tests;
