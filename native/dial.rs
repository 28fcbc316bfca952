//! Reaching a server.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::backend::{NativeBackend, Role};
use super::dial_error::DialError;
use super::dialler::Dialler;
use super::engine::{Engine, check_workers};
use super::transport::{Congestion, TransportSettings};
use crate::api::shared::{SessionRef, Shared};
use crate::api::{Address, Session};
use crate::proto::config::SessionConfig;
use crate::proto::error::SessionError;
use crate::proto::event::PathAddress;

/// What a client may choose. All of it has defaults that do.
///
/// ```
/// let mut config = kwik::Config::default();
/// config.session.max_paths = 2;
/// config.congestion = kwik::Congestion::Bbr;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Limits and choices of the session. Opening it may take `session.handshake_timeout`.
    pub session: SessionConfig,
    /// Certificate authorities to trust besides the platform's, in DER. They count at addresses without pins.
    pub roots: Vec<Vec<u8>>,
    /// How fast paths may send. Default: CUBIC.
    pub congestion: Congestion,
    /// A path on which nothing was sent for this long sends a packet, so that NATs remember it and its death is
    /// noticed: 10 ms to 365 days. `None`: none is sent for that. Default 5 s.
    pub keep_alive: Option<Duration>,
    /// A path that heard nothing for this long is closed by QUIC itself, if the session has not given it up
    /// before: 1 ms to 365 days. `None`: QUIC closes none. Default 30 s.
    pub idle_timeout: Option<Duration>,
    /// The local IP address that the first path is sent from. Default: the system's choice.
    pub local: Option<IpAddr>,
    /// Threads of the worker pool: 1 to 1,024, and the first in the process to ask decides. Default: as many as there are
    /// cores, at least 4.
    pub workers: Option<NonZeroUsize>,
}

impl Default for Config {
    fn default() -> Self {
        let TransportSettings { congestion, keep_alive, idle_timeout } = TransportSettings::default();
        Self {
            session: SessionConfig::default(),
            roots: Vec::new(),
            congestion,
            keep_alive,
            idle_timeout,
            local: None,
            workers: None,
        }
    }
}

/// Opens a session with the server at `address`, which is of the form
/// `kwik://HOST:PORT[?pin=PIN]` (see [`Address`]).
///
/// All addresses of the host are tried, one after another with a head start of 250 ms each, and the first that
/// answers is used (RFC 8305). Must be called inside a tokio runtime, which the session then depends on.
///
/// Cancel safety: dropping the future gives the session up.
///
/// # Errors
///
/// When the address cannot be read or looked up, when a value of `config` is out of range, when there is no answer
/// within `handshake_timeout`, and when either end does not want the other. See [`DialError`].
pub async fn dial(address: &str, config: Config) -> Result<Session, DialError> {
    let address: Address = address.parse()?;
    let settings = TransportSettings {
        congestion: config.congestion,
        keep_alive: config.keep_alive,
        idle_timeout: config.idle_timeout,
    };
    settings.check()?;
    check_workers(config.workers)?;
    let session_config = config.session.validate()?;
    let engine = Engine::shared(config.workers)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(DialError::Random)?;
    let handshake_timeout = session_config.handshake_timeout;
    let role = Role::Client(Dialler::new(settings, config.roots));
    let runtime = tokio::runtime::Handle::current();
    let backend = NativeBackend::new(Arc::clone(&engine), runtime, role);
    let first = PathAddress { local: config.local, ..PathAddress::from(&address) };
    let now = engine.clock.time(std::time::Instant::now());
    let session = crate::proto::session::Session::client(now, session_config, seed, first);
    let shared = Shared::new(session, Arc::clone(&backend) as _);
    backend.start_clock(Arc::clone(&shared));
    let opened = Session::opened(SessionRef::new(shared)).await;
    opened.map_err(|error| match error {
        SessionError::Rejected { code, reason } => DialError::Rejected { code, reason },
        SessionError::DialFailed { loss } => {
            let failure = backend.dialler().and_then(Dialler::take_failure);
            failure.unwrap_or_else(|| DialError::from_loss(loss, handshake_timeout))
        }
        error => DialError::Session(error),
    })
}
