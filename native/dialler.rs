//! What a client dials with: whom it trusts, how its paths are set, which sockets it uses.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use quinn_proto::ClientConfig;
use quinn_proto::crypto::rustls::QuicClientConfig;

use super::dial_error::DialError;
use super::engine::Engine;
use super::reactor::{Reactor, ReactorLease, WeakLease};
use super::socket::{BindError, PortSharing, UdpSocket};
use super::tls::{TlsError, Trust, client_config};
use super::transport::TransportSettings;
use crate::api::CertificatePin;
use crate::carrier::h3::ALPN_H3;
use crate::carrier::{Clock, Observations};
use crate::proto::event::Scheme;
use crate::proto::wire::id::Side;
use crate::proto::wire::limits::ALPN;

/// Sockets that dial, of all sessions: which runtime they belong to, their local address, and which of a session's
/// sockets to the same place they are.
static SOCKETS: Mutex<BTreeMap<SocketKey, WeakLease>> = Mutex::new(BTreeMap::new());

type SocketKey = (String, Option<IpAddr>, usize);

/// One session's way of dialling.
pub(crate) struct Dialler {
    settings: TransportSettings,
    /// Certificate authorities besides the platform's, in DER.
    roots: Vec<Vec<u8>>,
    /// Without pins, made at the first need: it reads the platform's certificate authorities.
    by_authority: Mutex<BTreeMap<Scheme, Arc<QuicClientConfig>>>,
    /// How the last path that could not be dialled failed.
    failure: Mutex<Option<DialError>>,
}

impl Dialler {
    pub(crate) fn new(settings: TransportSettings, roots: Vec<Vec<u8>>) -> Self {
        Self { settings, roots, by_authority: Mutex::default(), failure: Mutex::default() }
    }

    /// Keeps the error of a path that could not be dialled: the core knows only its text.
    pub(crate) fn note_failure(&self, error: DialError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// How the last path that could not be dialled failed.
    pub(crate) fn take_failure(&self) -> Option<DialError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whom to trust at an address, and which protocol to speak there. May read from disk.
    pub(crate) fn tls(&self, pins: &[[u8; 32]], scheme: Scheme) -> Result<Arc<QuicClientConfig>, TlsError> {
        let alpn = match scheme {
            Scheme::Kwik => ALPN,
            Scheme::Https => ALPN_H3,
        };
        if !pins.is_empty() {
            let pins = pins.iter().copied().map(CertificatePin).collect();
            return Ok(Arc::new(client_config(&Trust::Pins(pins), &[alpn])?));
        }
        let mut by_authority = self.by_authority.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = by_authority.get(&scheme) {
            return Ok(Arc::clone(config));
        }
        let trust = if self.roots.is_empty() { Trust::Platform } else { Trust::Roots(self.roots.clone()) };
        let config = Arc::new(client_config(&trust, &[alpn])?);
        by_authority.insert(scheme, Arc::clone(&config));
        Ok(config)
    }

    /// The configuration of one connection to `remote`, and what its congestion controller tells.
    pub(crate) fn connection_config(
        &self,
        clock: Clock,
        tls: Arc<QuicClientConfig>,
        remote: IpAddr,
    ) -> (ClientConfig, Arc<Observations>) {
        let (transport, observations) = self.settings.to_config(clock, remote, Side::Client);
        let mut config = ClientConfig::new(tls);
        config.transport_config(transport);
        (config, observations)
    }
}

/// The socket to dial from: shared with other sessions' paths of the same index. Must be called inside a tokio
/// runtime, whose the socket is.
pub(crate) fn socket(
    engine: &Arc<Engine>,
    local: Option<IpAddr>,
    socket_index: usize,
) -> Result<ReactorLease, BindError> {
    let runtime = tokio::runtime::Handle::current().id().to_string();
    let mut sockets = SOCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    sockets.retain(|_, lease| !lease.is_dead());
    let key = (runtime, local, socket_index);
    if let Some(lease) = sockets.get(&key).and_then(WeakLease::upgrade) {
        return Ok(lease);
    }
    let socket = match local {
        Some(ip) => UdpSocket::bind(SocketAddr::new(ip, 0), PortSharing::Exclusive)?,
        None => UdpSocket::bind_any()?,
    };
    let lease = Reactor::spawn(Arc::clone(engine), socket, None).map_err(|source| BindError {
        address: SocketAddr::new(local.unwrap_or(IpAddr::from([0, 0, 0, 0])), 0),
        step: "read the address of",
        source,
    })?;
    sockets.insert(key, lease.downgrade());
    Ok(lease)
}
