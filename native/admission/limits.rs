//! How much room a server has for clients, and how it is shared.

use std::time::Duration;

use super::wrong_proofs::RateLimit;
use crate::proto::config::{ConfigError, SHORTEST};

/// How a server shares its room between the sources that clients come from, so that none of them locks out the rest.
/// See [`ServerConfig::admission`](crate::ServerConfig::admission); the number of sessions is
/// [`ServerConfig::max_sessions`](crate::ServerConfig::max_sessions).
///
/// A *host* is an IPv4 address or an IPv6 /64, a *network* an IPv4 /24 or an IPv6 /48; IPv4 addresses that are mapped
/// into IPv6 are IPv4. A session belongs to where its first path came from. Shares say nothing as long as there is room:
/// many clients behind one address are as welcome as any.
///
/// A *half-open* path is a connection that belongs to no session: its client has not said yet which one it wants, or
/// was refused and is being told so. When there is no room for another, the one that is oldest goes, of the host that
/// has most, in the network that has most. So clients from elsewhere always find room.
///
/// An address that has not been proven may be anybody's. Above [`retry_above`](Self::retry_above) half-open paths every
/// client therefore has to prove its own first (QUIC's Retry, RFC 9000 section 8.1.2), long before any share says
/// something: with a false sender address, at most that many half-open paths can be laid at another's door.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionLimits {
    /// Half-open paths at one time, at least 1. Default 2,048: about 100 MB when all of it is taken, and more than
    /// honest clients take that dial all at once, since each of them needs its place for a few round trips only.
    pub max_half_open: usize,
    /// The part of these that is kept for hosts that have a session already, so that a lost path comes back while
    /// strangers crowd: less than `max_half_open`, or nobody else gets in. Zero keeps none. Default 256.
    pub half_open_for_known: usize,
    /// How long a path may stay half-open: 1 ms to 24 h. Default 10 s: three losses of a first packet in a row are
    /// made good by then.
    pub half_open_timeout: Duration,
    /// A host that crowds most itself gets a new half-open path instead of its oldest one only when that one is older
    /// than this; until then its new clients get no answer, and ask again. Up to 24 h; zero: the oldest always goes.
    /// Default 3 s: a handshake under way is worth more than one that would begin, even on a machine that needs this
    /// long to get through all of them.
    pub half_open_grace: Duration,
    /// Half-open paths above which a client has to prove its address; zero: each one does. Default 64: a round trip
    /// more for each client then, which is not worth it before.
    pub retry_above: usize,
    /// A network may have at most this many times as many sessions as there is room for left, and a host as many times
    /// what its network may still have. Default 7: of `max_sessions`, one network alone takes at most 7/8, one host 49/64;
    /// every further one the same of what is left. 1 to 65,536.
    ///
    /// (These are the dynamic thresholds of Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998.)
    pub share_of_free: usize,
    /// Sessions without a path at one time. Default: as many as `max_sessions`, 16,384, so that a cable that is pulled
    /// out at the server ends no session. With zero, a session ends with its last path. When there is no room for one
    /// more, or for a new session, the one that has been without a path for longest ends, of the host that has most,
    /// in the network that has most; but not for a client whose own host or network has more sessions.
    pub max_suspended: usize,
    /// Wrong proofs of joins that one host may send; then it gets no answer for a while. Each costs a handshake.
    /// Default 32 at once, and 1 a second: a thousandth of a core.
    pub wrong_proofs_of_host: RateLimit,
    /// The same for a network. Default 128 at once, and 4 a second.
    pub wrong_proofs_of_network: RateLimit,
}

/// Times are short beside what a clock can say, and whoever was turned away is forgotten within a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Of each part of a rate: a bucket that is emptied is full again within 180 years, which every clock can say.
const MAX_BURST: u64 = 65_536;
/// With a larger share, others would have to leave no room at all.
const MAX_SHARE: u64 = 65_536;

impl AdmissionLimits {
    /// An error when a value is out of range.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let most = self.max_half_open as u64;
        ConfigError::check("admission.max_half_open", most, 1..=u64::MAX)?;
        ConfigError::check("admission.half_open_for_known", self.half_open_for_known as u64, 0..=most - 1)?;
        let timeout = self.half_open_timeout;
        ConfigError::check_time("admission.half_open_timeout", timeout, SHORTEST..=LONGEST)?;
        let grace = self.half_open_grace;
        ConfigError::check_time("admission.half_open_grace", grace, Duration::ZERO..=LONGEST)?;
        ConfigError::check("admission.share_of_free", self.share_of_free as u64, 1..=MAX_SHARE)?;
        let RateLimit { burst, every } = self.wrong_proofs_of_host;
        ConfigError::check("admission.wrong_proofs_of_host.burst", burst.into(), 1..=MAX_BURST)?;
        ConfigError::check_time("admission.wrong_proofs_of_host.every", every, Duration::ZERO..=LONGEST)?;
        let RateLimit { burst, every } = self.wrong_proofs_of_network;
        ConfigError::check("admission.wrong_proofs_of_network.burst", burst.into(), 1..=MAX_BURST)?;
        ConfigError::check_time("admission.wrong_proofs_of_network.every", every, Duration::ZERO..=LONGEST)
    }
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            max_half_open: 2_048,
            half_open_for_known: 256,
            half_open_timeout: Duration::from_secs(10),
            half_open_grace: Duration::from_secs(3),
            retry_above: 64,
            share_of_free: 7,
            max_suspended: 16_384,
            wrong_proofs_of_host: RateLimit::new(32, Duration::from_secs(1)),
            wrong_proofs_of_network: RateLimit::new(128, Duration::from_millis(250)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_would_let_nobody_in_or_that_no_clock_can_say_is_named() {
        type Change = fn(&mut AdmissionLimits);
        const CASES: &[(&str, Change)] = &[
            ("max_half_open", |limits| limits.max_half_open = 0),
            ("half_open_for_known", |limits| limits.half_open_for_known = limits.max_half_open),
            ("half_open_timeout", |limits| limits.half_open_timeout = Duration::ZERO),
            ("half_open_timeout", |limits| limits.half_open_timeout = Duration::MAX),
            ("half_open_grace", |limits| limits.half_open_grace = Duration::MAX),
            ("share_of_free", |limits| limits.share_of_free = 0),
            ("share_of_free", |limits| limits.share_of_free = usize::MAX),
            ("wrong_proofs_of_host.burst", |limits| limits.wrong_proofs_of_host.burst = 0),
            ("wrong_proofs_of_host.every", |limits| limits.wrong_proofs_of_host.every = Duration::MAX),
            ("wrong_proofs_of_network.burst", |limits| limits.wrong_proofs_of_network.burst = u32::MAX),
            ("wrong_proofs_of_network.every", |limits| limits.wrong_proofs_of_network.every = Duration::MAX),
        ];
        for (field, change) in CASES {
            let mut limits = AdmissionLimits::default();
            change(&mut limits);
            let error = limits.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("admission.{field} is ")), "{field}: {error}");
        }
        assert_eq!(AdmissionLimits::default().check(), Ok(()));
    }
}
