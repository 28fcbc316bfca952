//! How dialling fails.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use quinn_proto::{ConnectionError, TransportErrorCode};

use super::socket::BindError;
use super::tls::TlsError;
use super::worker_pool::WorkerPoolError;
use crate::carrier::h3::Ended;
use crate::proto::config::ConfigError;
use crate::proto::error::{AddressError, SessionError};
use crate::proto::event::PathLoss;
use crate::proto::wire::code::TransportCode;

/// A server could not be reached, or did not want us.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address cannot be read.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A configuration value is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host's name could not be looked up.
    #[error("cannot resolve {host:?}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The host has no IP address, or none that can be reached from the local address.
    #[error("{host:?} has no IP address, or none of the local address's family")]
    NoAddress {
        /// The host.
        host: String,
    },
    /// The server advised a host that a server may not send its clients to: its addresses are loopback, private,
    /// link-local, multicast or unspecified ones, and the session's first path is not of that kind.
    #[error("{host:?}, which the server advises, has no IP address that it may send its clients to")]
    Misadvised {
        /// The host.
        host: String,
    },
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The worker threads could not be started.
    #[error(transparent)]
    Workers(#[from] WorkerPoolError),
    /// No socket could be opened to dial from.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The server's certificate is not one that is trusted: it is not pinned, or nobody vouches for it, or its
    /// dates or name are wrong.
    #[error("the certificate of {remote} is not trusted: {reason}; check the pin, or dial the name in it")]
    Certificate {
        /// The server.
        remote: SocketAddr,
        /// What is wrong with it; for a certificate that is not a pinned one, its pin.
        reason: String,
    },
    /// A QUIC server is there, and it does not speak KWIK.
    #[error("the server at {remote} does not speak kwik/1, or not HTTP/3 if that was asked for")]
    Alpn {
        /// The server.
        remote: SocketAddr,
    },
    /// The server refused the connection: it has too much to do.
    #[error("the server at {remote} refuses connections at the moment; try again later")]
    Refused {
        /// The server.
        remote: SocketAddr,
    },
    /// An HTTP/3 server is there, and it does not open a session: nothing there serves them (404, or no WebTransport
    /// at all), or it does not want this client.
    #[error("the server at {remote} opens no session: {reason}")]
    Http {
        /// The server.
        remote: SocketAddr,
        /// The status of its answer, if it gave one.
        status: Option<u16>,
        /// What happened.
        reason: String,
    },
    /// Nobody answered.
    #[error("no answer within {after:?}; check the address, and that UDP gets there")]
    NoAnswer {
        /// How long it was tried: `handshake_timeout`.
        after: Duration,
    },
    /// The connection failed in another way.
    #[error("cannot connect to {remote}: {reason}")]
    Failed {
        /// The server.
        remote: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// The connection was there, and went before the session was open.
    #[error("the connection was lost before the session was open: {0}")]
    Lost(PathLoss),
    /// The server refused the session.
    #[error("the server refused the session: {code}: {}", String::from_utf8_lossy(.reason))]
    Rejected {
        /// Why.
        code: TransportCode,
        /// Details, in the server's words.
        reason: Bytes,
    },
    /// The session ended before it was open.
    #[error(transparent)]
    Session(SessionError),
    /// The runtime that the socket belonged to has ended.
    #[error("the runtime ended while the server was being dialled")]
    Abandoned,
    /// The system has no random numbers to give.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Alerts about certificates (RFC 8446 section 6.2): 42 to 48, and 116 (certificate required).
const CERTIFICATE_ALERTS: std::ops::RangeInclusive<u8> = 42..=48;
/// The peer speaks none of our protocols.
const NO_APPLICATION_PROTOCOL: u8 = 120;

impl DialError {
    pub(crate) fn from_connection(remote: SocketAddr, reason: ConnectionError) -> Self {
        let (code, text) = match &reason {
            ConnectionError::TransportError(error) => (error.code, error.reason.clone()),
            ConnectionError::ConnectionClosed(close) => {
                (close.error_code, String::from_utf8_lossy(&close.reason).into_owned())
            }
            _ => return Self::Failed { remote, reason: reason.to_string() },
        };
        let is_alert = |alert: u8| code == TransportErrorCode::crypto(alert);
        if CERTIFICATE_ALERTS.into_iter().any(is_alert) {
            Self::Certificate { remote, reason: text }
        } else if is_alert(NO_APPLICATION_PROTOCOL) {
            Self::Alpn { remote }
        } else if code == TransportErrorCode::CONNECTION_REFUSED {
            Self::Refused { remote }
        } else {
            Self::Failed { remote, reason: reason.to_string() }
        }
    }

    /// The first path is gone, and whoever dialled it has no error to tell.
    pub(crate) fn from_loss(loss: PathLoss, handshake_timeout: Duration) -> Self {
        match loss {
            PathLoss::TimedOut | PathLoss::NotOpened => Self::NoAnswer { after: handshake_timeout },
            loss => Self::Lost(loss),
        }
    }

    pub(crate) fn from_http(remote: SocketAddr, reason: &Ended) -> Self {
        let status = match reason {
            Ended::Refused { status } => Some(*status),
            _ => None,
        };
        Self::Http { remote, status, reason: reason.to_string() }
    }

    /// Of the errors of several addresses, the one that says most.
    pub(crate) fn weight(&self) -> u8 {
        match self {
            Self::Certificate { .. } => 4,
            Self::Alpn { .. } | Self::Http { .. } => 3,
            Self::Refused { .. } => 2,
            Self::Failed { .. } => 1,
            _ => 0,
        }
    }
}
