//! Who is let in: shares of a listener's room by where clients come from, so that no client locks out the rest.
//!
//! ```text
//! limits         how much room there is          source         hosts and networks
//! account        who makes way for whom          crowd          who crowds most
//! wrong_proofs   token buckets                        lobby          who waits for a handshake
//! ```
//!
//! The decisions are in [`account`], which knows neither threads nor sockets. Here they are shared by all reactors of
//! a listener, counted as metrics and carried out; what takes up room has a permit, which gives it back when dropped.

mod account;
mod crowd;
mod limits;
mod lobby;
mod source;
mod wrong_proofs;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::{counter, gauge};

use self::account::{Account, Admitted, Crowded, HalfOpenPlace, Knock, NoRoom, SessionPlace};
pub use self::limits::AdmissionLimits;
pub(crate) use self::lobby::Lobby;
pub use self::wrong_proofs::RateLimit;
use super::path_driver::DriverKey;
use super::reactor::{Order, ReactorHandle};
use crate::proto::wire::id::SessionId;

/// What a reactor does with a client's first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// Have it prove its address.
    Retry,
    /// Answer nothing.
    Ignore,
    /// Let it in, if [`Admission::enter`] agrees.
    Accept,
}

/// There is no room for another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManySessions;

/// A listener's account, shared by its reactors. Its lock is the last that anybody takes.
#[derive(Debug)]
pub(crate) struct Admission {
    account: Mutex<Account<HalfOpenPath, SessionId>>,
    half_open_timeout: Duration,
}

/// Where a half-open path is worked on.
#[derive(Debug)]
struct HalfOpenPath {
    reactor: Arc<ReactorHandle>,
    driver: DriverKey,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits, max_sessions: usize) -> Arc<Self> {
        let half_open_timeout = limits.half_open_timeout;
        Arc::new(Self { account: Mutex::new(Account::new(limits, max_sessions)), half_open_timeout })
    }

    /// How long a path may stay half-open.
    pub(crate) fn half_open_timeout(&self) -> Duration {
        self.half_open_timeout
    }

    /// A client's first packet has come, from an address that is proven to be its own or is not.
    pub(crate) fn knock(&self, remote: SocketAddr, is_proven: bool, now: Instant) -> Welcome {
        match self.lock().knock(remote.ip().into(), is_proven, now) {
            Knock::Enter => Welcome::Accept,
            Knock::Prove => {
                counter!("kwik_admission_retried_total").increment(1);
                Welcome::Retry
            }
            Knock::Ignore => {
                counter!("kwik_admission_ignored_total", "reason" => "wrong proofs").increment(1);
                Welcome::Ignore
            }
        }
    }

    /// Room for a half-open path, in place of another if need be; `None` if the client should come again.
    pub(crate) fn enter(
        self: &Arc<Self>,
        remote: SocketAddr,
        reactor: &Arc<ReactorHandle>,
        driver: DriverKey,
        now: Instant,
    ) -> Option<HalfOpenPermit> {
        let path = HalfOpenPath { reactor: Arc::clone(reactor), driver };
        let entered = self.lock().enter(remote.ip().into(), path, now);
        match entered {
            Ok(Admitted { place, evicted }) => {
                gauge!("kwik_admission_half_open").increment(1.0);
                if let Some(HalfOpenPath { reactor, driver }) = evicted {
                    counter!("kwik_admission_evicted_total", "what" => "half-open path").increment(1);
                    // A reactor that is gone has dropped it already.
                    let _ = reactor.order(Order::Evict(driver));
                }
                Some(HalfOpenPermit { admission: Arc::clone(self), place })
            }
            Err(Crowded) => {
                counter!("kwik_admission_ignored_total", "reason" => "crowded").increment(1);
                None
            }
        }
    }

    /// A join from there had a wrong proof.
    pub(crate) fn note_wrong_proof(&self, remote: SocketAddr, now: Instant) {
        counter!("kwik_admission_wrong_proofs_total").increment(1);
        self.lock().note_wrong_proof(remote.ip().into(), now);
    }

    /// Room for a session, and the session that has to end for it if there is one.
    pub(crate) fn open_session(
        self: &Arc<Self>,
        remote: SocketAddr,
        id: SessionId,
    ) -> Result<(SessionPermit, Option<SessionId>), TooManySessions> {
        let opened = self.lock().open_session(remote.ip().into(), id);
        match opened {
            Ok(Admitted { place, evicted }) => {
                count_suspended(evicted);
                Ok((SessionPermit { admission: Arc::clone(self), id, place }, evicted))
            }
            Err(reason) => {
                let reason = match reason {
                    NoRoom::Full => "full",
                    NoRoom::Share => "share",
                };
                counter!("kwik_admission_sessions_refused_total", "reason" => reason).increment(1);
                Err(TooManySessions)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Account<HalfOpenPath, SessionId>> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_suspended(evicted: Option<SessionId>) {
    if evicted.is_some() {
        counter!("kwik_admission_evicted_total", "what" => "suspended session").increment(1);
    }
}

/// The room of a half-open path.
#[derive(Debug)]
pub(crate) struct HalfOpenPermit {
    admission: Arc<Admission>,
    place: HalfOpenPlace,
}

impl Drop for HalfOpenPermit {
    fn drop(&mut self) {
        self.admission.lock().leave(&self.place);
        gauge!("kwik_admission_half_open").decrement(1.0);
    }
}

/// The room of a session.
#[derive(Debug)]
pub(crate) struct SessionPermit {
    admission: Arc<Admission>,
    id: SessionId,
    place: SessionPlace,
}

impl SessionPermit {
    /// The session has no path any more. Returns a session that has to end for that, perhaps this one.
    pub(crate) fn suspend(&mut self) -> Option<SessionId> {
        let evicted = self.admission.lock().suspend(&mut self.place, self.id);
        count_suspended(evicted);
        evicted
    }

    /// The session has a path again.
    pub(crate) fn resume(&mut self) {
        self.admission.lock().resume(&mut self.place);
    }
}

impl Drop for SessionPermit {
    fn drop(&mut self) {
        self.admission.lock().close(&mut self.place);
    }
}
