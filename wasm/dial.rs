//! Opening a session from a page or a worker.

use std::sync::Arc;

use bytes::Bytes;

use super::backend::Browser;
use super::environment;
use crate::api::shared::{SessionRef, Shared};
use crate::api::{Address, Session};
use crate::proto;
use crate::proto::config::{ConfigError, SessionConfig};
use crate::proto::error::{AddressError, SessionError};
use crate::proto::event::PathAddress;
use crate::proto::wire::code::TransportCode;

/// What may be chosen about a session that is dialled. All fields have defaults.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// Limits and choices of the session.
    pub session: SessionConfig,
}

/// A server could not be reached, or did not want us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address cannot be read.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A configuration value is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The browser gives no random numbers, without which a session is not safe.
    #[error("crypto.getRandomValues is missing or failed: open the page in a secure context")]
    Random,
    /// The connection failed. A browser does not say why: nobody answers, the certificate is not trusted or not the
    /// pinned one, or the server refuses pages of this origin.
    #[error("{reason}")]
    Failed {
        /// The browser's words.
        reason: String,
    },
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
}

/// Opens a session with the server at `address`, which is of the form `kwik://HOST:PORT[?pin=PIN]` (see
/// [`Address`](crate::Address)) or `https://HOST[:PORT][?pin=PIN]`.
///
/// It works in pages and in dedicated workers that have `WebTransport`. With pins, the server is the one whose
/// certificate has one of these SHA-256 hashes; without, one that the browser trusts. A browser takes a pinned
/// certificate only if it is an ECDSA one that is valid for at most 14 days.
///
/// Cancel safety: dropping the future gives the session up.
///
/// # Errors
///
/// When the address cannot be read, when a value of `config` is out of range, when there is no answer within
/// `handshake_timeout`, and when either end does not want the other. See [`DialError`].
pub async fn dial(address: &str, config: Config) -> Result<Session, DialError> {
    let (session, _) = start(PathAddress::from(&address.parse::<Address>()?), config)?;
    Session::opened(session).await.map_err(|error| match error {
        SessionError::Rejected { code, reason } => DialError::Rejected { code, reason },
        SessionError::DialFailed { loss } => DialError::Failed { reason: loss.to_string() },
        error => DialError::Session(error),
    })
}

/// A session that is being opened, and its backend.
pub(crate) fn start(
    address: PathAddress,
    config: Config,
) -> Result<(Arc<SessionRef>, Arc<Browser>), DialError> {
    let config = config.session.validate()?;
    let seed = environment::random_seed().ok_or(DialError::Random)?;
    let session = proto::session::Session::client(environment::now(), config, seed, address);
    // Not `Send`, and on this target nobody asks for that; the handles are made for an `Arc`.
    #[expect(clippy::arc_with_non_send_sync)]
    let backend = Arc::new(Browser::new());
    Ok((SessionRef::new(Shared::new(session, Arc::clone(&backend) as _)), backend))
}
