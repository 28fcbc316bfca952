//! Being a server.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::admission::{Admission, AdmissionLimits};
use super::certificate::{Identity, IdentityError, state_directory};
use super::engine::{Engine, check_workers};
use super::reactor::{Reactor, ReactorLease};
use super::registry::{Registry, SessionTemplate};
use super::socket::{BindError, PortSharing, UdpSocket};
use super::stateless_reset::ResetSecret;
use super::tls::{TlsError, server_config};
use super::transport::{Congestion, TransportSettings};
use super::worker_pool::WorkerPoolError;
use crate::api::CertificatePin;
use crate::api::Session;
use crate::carrier::h3::{ALPN_H3, OriginError, OriginPolicy};
use crate::proto::config::{ConfigError, SessionConfig};
use crate::proto::wire::limits::ALPN;

/// How long a client that has proven its address may go on asking. With quinn-proto's 15 s, one that gets no answer for a
/// while since its host crowds is told that its token is invalid, and fails. A token is good for one address only.
const RETRY_TOKEN_LIFETIME: Duration = Duration::from_secs(120);
/// What is kept of a client, and of all, that waits for its handshake to begin: the rest of a long first flight.
const EARLY_BYTES: u64 = 16 * 1024;
const ALL_EARLY_BYTES: u64 = 8 * 1024 * 1024;

/// What a server may choose. Only the identity has no default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The server's certificate and key.
    pub identity: Identity,
    /// Limits and choices of every session.
    pub session: SessionConfig,
    /// Further addresses of this server, `HOST:PORT`, that every client is told; it may then open paths to them.
    pub advertise: Vec<String>,
    /// Pages that may open sessions, by their origins as browsers write them, such as `https://example.com`; `*` is
    /// every page. Default: none named, which means pages of the host that they ask, whatever their port (all names of
    /// this machine count as one host). Other pages get HTTP status 403. Programs, which have no origin, are not
    /// concerned.
    pub allowed_origins: Vec<String>,
    /// Sessions at one time, those not accepted yet and those without a path included; at least 1. One client's
    /// address or network cannot take all of them: see [`AdmissionLimits::share_of_free`]. Default 16,384: some 50 KB
    /// each when they do nothing, and 10,000 of them may come from one address.
    pub max_sessions: usize,
    /// Bytes of memory that all sessions together may hold for their peers and applications: what was written and is not
    /// acknowledged, what has arrived and was not read. Above three quarters of it windows grow no more and send buffers
    /// shrink; above all of it, a session that holds more than its even share ends with LIMIT_EXCEEDED. At least 1.
    /// Default 1 GiB: a quarter of a small server's memory.
    pub max_memory_bytes: u64,
    /// How the room for clients is shared between those who come, so that none of them locks out the rest.
    pub admission: AdmissionLimits,
    /// How fast paths may send. Default: CUBIC.
    pub congestion: Congestion,
    /// A path on which nothing was sent for this long sends a packet: 10 ms to 365 days. `None`: none is sent for that.
    /// Default 5 s.
    pub keep_alive: Option<Duration>,
    /// A path that heard nothing for this long is closed by QUIC itself: 1 ms to 365 days. `None`: QUIC closes none.
    /// Default 30 s.
    pub idle_timeout: Option<Duration>,
    /// Threads of the worker pool: 1 to 1,024, and the first in the process to ask decides. Default: as many as there are
    /// cores, at least 4.
    pub workers: Option<NonZeroUsize>,
}

impl ServerConfig {
    /// The defaults, for a server with this identity.
    pub fn new(identity: Identity) -> Self {
        let TransportSettings { congestion, keep_alive, idle_timeout } = TransportSettings::default();
        Self {
            identity,
            session: SessionConfig::default(),
            advertise: Vec::new(),
            allowed_origins: Vec::new(),
            max_sessions: 16_384,
            max_memory_bytes: 1 << 30,
            admission: AdmissionLimits::default(),
            congestion,
            keep_alive,
            idle_timeout,
            workers: None,
        }
    }

    /// The defaults, with a self-signed identity that stays the same for some days: [`Identity::development`], kept
    /// below the user's directory for state (`$XDG_STATE_HOME/kwik` or `~/.local/state/kwik`; on Windows
    /// `%LOCALAPPDATA%\\kwik`). Clients need its pin, which is part of [`Listener::urls`].
    ///
    /// # Errors
    ///
    /// When that directory cannot be written.
    pub fn development() -> Result<Self, IdentityError> {
        Identity::development(state_directory()).map(Self::new)
    }
}

impl ServerConfig {
    fn transport(&self) -> TransportSettings {
        TransportSettings {
            congestion: self.congestion,
            keep_alive: self.keep_alive,
            idle_timeout: self.idle_timeout,
        }
    }

    /// An error when a value is out of range, those of the sessions excepted.
    fn check(&self) -> Result<(), ConfigError> {
        ConfigError::check("max_sessions", self.max_sessions as u64, 1..=u64::MAX)?;
        ConfigError::check("max_memory_bytes", self.max_memory_bytes, 1..=u64::MAX)?;
        self.admission.check()?;
        self.transport().check()?;
        check_workers(self.workers)
    }
}

/// A server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address cannot be looked up.
    #[error("cannot resolve the address: {0}; expected HOST:PORT")]
    Resolve(#[source] io::Error),
    /// The address names no IP address.
    #[error("there is no address to listen on")]
    NoAddress,
    /// A configuration value is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A socket could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate or its key is not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// One of `allowed_origins` is none.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// The worker threads could not be started.
    #[error(transparent)]
    Workers(#[from] WorkerPoolError),
}

/// A server: it hands out the sessions that clients open.
///
/// Dropping it is the same as [`close`](Self::close).
pub struct Listener {
    registry: Arc<Registry>,
    local_addrs: Vec<SocketAddr>,
    pin: CertificatePin,
}

/// Starts a server on one or more addresses, such as `"[::]:4433"` or a slice of [`SocketAddr`]s. `[::]` takes IPv4,
/// too; port 0 lets the system choose.
///
/// Programs reach it as `kwik://HOST:PORT`, browsers by WebTransport on the same port, as
/// `https://HOST:PORT/.well-known/kwik/1`; [`ServerConfig::allowed_origins`] says of which pages.
///
/// All addresses are one server: a session's paths may come in on any of them. Must be called inside a tokio runtime,
/// which the server then depends on.
///
/// # Errors
///
/// When an address cannot be bound, a value of `config` is out of range, or the certificate is not usable.
pub async fn listen(
    addresses: impl tokio::net::ToSocketAddrs,
    config: ServerConfig,
) -> Result<Listener, ListenError> {
    let addresses: Vec<_> = tokio::net::lookup_host(addresses).await.map_err(ListenError::Resolve)?.collect();
    if addresses.is_empty() {
        return Err(ListenError::NoAddress);
    }
    config.check()?;
    let settings = config.transport();
    let session = config.session.validate()?;
    let engine = Engine::shared(config.workers)?;
    let origin_policy = Arc::new(OriginPolicy::new(&config.allowed_origins)?);
    let tls = server_config(&config.identity, &[ALPN, ALPN_H3])?;
    let mut base = quinn_proto::ServerConfig::with_crypto(Arc::new(tls));
    base.retry_token_lifetime(RETRY_TOKEN_LIFETIME);
    base.incoming_buffer_size(EARLY_BYTES).incoming_buffer_size_total(ALL_EARLY_BYTES);
    let pin = config.identity.pin();
    let template = SessionTemplate {
        session,
        settings,
        max_memory_bytes: config.max_memory_bytes,
        advertise: config.advertise,
        pin,
        resets: ResetSecret::of(&config.identity),
        origin_policy,
    };
    let admission = Admission::new(config.admission, config.max_sessions);
    let registry = Registry::new(Arc::clone(&engine), template, base, admission);
    let mut sockets: Vec<ReactorLease> = Vec::with_capacity(addresses.len());
    for address in addresses {
        let socket = UdpSocket::bind(address, PortSharing::Exclusive)?;
        let reactor = Reactor::spawn(Arc::clone(&engine), socket, Some(Arc::clone(&registry)));
        sockets.push(reactor.map_err(|source| BindError { address, step: "read the address of", source })?);
    }
    let local_addrs = sockets.iter().map(|lease| lease.handle().local_addr()).collect();
    registry.set_sockets(Arc::new(sockets));
    Ok(Listener { registry, local_addrs, pin })
}

impl Listener {
    /// The next session that a client has opened, in their order; `None` after [`drain`](Self::drain) or
    /// [`close`](Self::close), when none is left.
    ///
    /// A session that has ended while it waited is handed out, too: what its client has sent can be read, as in one that
    /// ends later. It is let go before only if its room is needed ([`ServerConfig::max_sessions`], and half of
    /// [`ServerConfig::max_memory_bytes`]).
    ///
    /// Cancel safe: a session is handed out or stays.
    pub async fn accept(&self) -> Option<Session> {
        let (id, session_ref) = self.registry.next().await?;
        Some(Session::accepted(id, session_ref))
    }

    /// The addresses of its sockets, with the ports that the system chose, in the order they were given.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// The pin of its certificate.
    pub fn pin(&self) -> CertificatePin {
        self.pin
    }

    /// What clients on this machine dial, one for each socket. (On others, the host is another.)
    pub fn urls(&self) -> Vec<String> {
        let url = |address: &SocketAddr| {
            if address.ip().is_unspecified() {
                format!("kwik://localhost:{}?pin={}", address.port(), self.pin)
            } else {
                format!("kwik://{address}?pin={}", self.pin)
            }
        };
        self.local_addrs.iter().map(url).collect()
    }

    /// How many sessions there are, those not accepted yet included.
    pub fn sessions(&self) -> usize {
        self.registry.len()
    }

    /// Takes no new sessions, and asks the peers of those that are there to open no more streams. What is open goes
    /// on; its paths may still come and go.
    pub fn drain(&self) {
        self.registry.drain();
    }

    /// Waits until there is no session. After [`drain`](Self::drain) or [`close`](Self::close) there will be none
    /// again.
    ///
    /// Cancel safe.
    pub async fn idle(&self) {
        self.registry.empty().await;
    }

    /// Takes no new sessions, and closes those that were not accepted. Those that were go on, and their clients may
    /// come back, as long as the application holds them; then the sockets are closed.
    pub fn close(&self) {
        self.registry.close();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("local_addrs", &self.local_addrs)
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}
