//! Opening a session from a page or a worker.

use std::sync::Arc;

use super::backend::Browser;
use super::{address, environment};
use crate::api::Session;
use crate::api::shared::{Hold, Shared};
use crate::proto;
use crate::proto::config::SessionConfig;
use crate::proto::error::{AddressError, SessionError};
use crate::proto::event::PathAddress;

/// What may be chosen about a session that is dialled. All fields have defaults.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// Limits and choices of the session.
    pub session: SessionConfig,
}

/// Why a session could not be dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// What was given is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A pin in the address is not the SHA-256 of a certificate.
    #[error("`{pin}` is no certificate pin: write its SHA-256 as 43 characters of base64url")]
    Pin {
        /// What was given.
        pin: String,
    },
    /// The part of the address after `?` has something else than pins.
    #[error("`{key}` is not known in an address: only pin=... may follow the question mark")]
    Key {
        /// What was given.
        key: String,
    },
    /// The browser gives no random numbers, without which a session is not safe.
    #[error("crypto.getRandomValues is missing or failed: open the page in a secure context")]
    Random,
    /// The server could not be reached, or refused.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Opens a session with the server at `address`: `kwik://HOST:PORT[?pin=BASE64URL[&pin=...]]`, or `https://HOST[:PORT]`.
///
/// It works in pages and in dedicated workers that have `WebTransport`. With pins, the server is the one whose
/// certificate has one of these SHA-256 hashes; without, one that the browser trusts. A browser takes a pinned
/// certificate only if it is an ECDSA one that is valid for at most 14 days.
///
/// A future that is dropped gives the session up.
pub async fn dial(address: impl AsRef<str>, config: Config) -> Result<Session, DialError> {
    let address = address::parse(address.as_ref())?;
    Ok(Session::opened(start(address, config)?).await?)
}

/// A session that is being opened.
pub(crate) fn start(address: PathAddress, config: Config) -> Result<Arc<Hold>, DialError> {
    let seed = environment::random_seed().ok_or(DialError::Random)?;
    let session = proto::session::Session::client(environment::now(), config.session, seed, address);
    // Not `Send`, and on this target nobody asks for that; the handles are made for an `Arc`.
    #[expect(clippy::arc_with_non_send_sync)]
    let backend = Arc::new(Browser::default());
    Ok(Hold::new(Shared::new(session, backend)))
}
