//! What can go wrong, in one line each.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use kwik::SessionError;

use crate::digest::Digest;
use crate::protocol::{ProtocolError, Reason};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Address(#[from] kwik::AddressError),
    #[error("{url} names no file: expected kwik://HOST:PORT/NAME?pin=...")]
    NoName { url: String },
    #[error("cannot connect to {url}: {source}")]
    Dial { url: String, source: Box<kwik::DialError> },
    #[error("cannot add a path to {url}: {source}")]
    AddPath { url: String, source: kwik::PathError },
    #[error(transparent)]
    Path(#[from] kwik::PathError),
    #[error("{0}")]
    Listen(Box<kwik::ListenError>),
    #[error(transparent)]
    Identity(#[from] kwik::IdentityError),
    #[error("cannot {action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    /// Of a file whose name is known elsewhere: see [`Error::of_file`].
    #[error("cannot read or write the file: {0}")]
    Io(#[from] io::Error),
    #[error("{}: another download is writing to it", path.display())]
    InUse { path: PathBuf },
    #[error("the server refuses: {message}")]
    Refused { reason: Reason, message: String },
    #[error("the other end does not keep to the file protocol: {0}")]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Open(#[from] kwik::OpenError),
    #[error(transparent)]
    Read(#[from] kwik::ReadError),
    #[error(transparent)]
    Write(#[from] kwik::WriteError),
    #[error(transparent)]
    Session(#[from] kwik::SessionError),
    #[error(transparent)]
    Datagram(#[from] kwik::DatagramError),
    #[error("{name} has arrived damaged: its SHA-256 is {arrived}, the sender's {stated}; try again")]
    Mismatch { name: String, arrived: Digest, stated: Digest },
    #[error("{0} round trips got no answer")]
    Unanswered(usize),
    /// Not because this end wanted it: see [`Error::with_way_on`].
    #[error("{reason}; run the same command again{}", way_on(.part.as_deref()))]
    SessionOver { reason: String, part: Option<PathBuf> },
    #[error("interrupted{}", .0)]
    Interrupted(String),
    #[error("cannot start: {0}")]
    Start(io::Error),
    #[error("the demo page is not in this program: run `cargo xtask www`, then build again")]
    NoPage,
    #[error("there is no demo page in {}: `cargo xtask www` makes one in www/dist", .0.display())]
    NoPageIn(PathBuf),
    #[error(
        "{0} is no address of this machine alone, and only there a page without HTTPS may use WebTransport"
    )]
    NotLoopback(IpAddr),
    #[error("cannot serve the page on {address}: {source}")]
    Page { address: SocketAddr, source: io::Error },
    #[error("a thread of this program has panicked; please report it")]
    Panicked,
}

impl Error {
    /// For `map_err`: what was being done to which file.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.to_owned(), source }
    }

    /// Names the file that an [`Error::Io`] is about.
    pub(crate) fn of_file(self, action: &'static str, path: &Path) -> Self {
        match self {
            Self::Io(source) => Self::file(action, path)(source),
            other => other,
        }
    }

    /// If the session is over, says what can be done: the same again, which goes on from a download's `part`.
    pub(crate) fn with_way_on(self, part: Option<&Path>) -> Self {
        let reason = match self.session() {
            Some(SessionError::Rejected { code, .. }) => code.to_string(),
            Some(SessionError::ResumeTimeout { after }) => {
                format!("the server has not been heard of for {} s", after.as_secs())
            }
            Some(SessionError::PeerError { .. } | SessionError::ClosedByPeer { .. }) => self.to_string(),
            _ => return self,
        };
        Self::SessionOver { reason, part: part.map(Path::to_owned) }
    }

    /// Why the session has ended, if that is the error.
    fn session(&self) -> Option<&SessionError> {
        match self {
            Self::Session(error)
            | Self::Open(kwik::OpenError::Session(error))
            | Self::Read(kwik::ReadError::Session(error))
            | Self::Write(kwik::WriteError::Session(error)) => Some(error),
            _ => None,
        }
    }

    /// In one line, whatever the causes say.
    pub(crate) fn line(&self) -> String {
        self.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl From<kwik::ListenError> for Error {
    fn from(error: kwik::ListenError) -> Self {
        Self::Listen(Box::new(error))
    }
}

fn way_on(part: Option<&Path>) -> String {
    part.map_or(String::new(), |part| format!(" to go on from {}", part.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kwik::{ReadError, TransportCode};

    use super::*;

    #[test]
    fn whoever_loses_the_session_is_told_how_to_go_on() {
        let unknown =
            SessionError::Rejected { code: TransportCode::UnknownSession, reason: Default::default() };
        let part = Path::new("file.part");
        let get = Error::from(ReadError::Session(unknown.clone())).with_way_on(Some(part));
        assert_eq!(get.to_string(), "unknown session; run the same command again to go on from file.part");
        let put = Error::from(unknown).with_way_on(None);
        assert_eq!(put.to_string(), "unknown session; run the same command again");
        let silent = SessionError::ResumeTimeout { after: Duration::from_secs(30) };
        let silent = Error::from(silent).with_way_on(Some(part)).to_string();
        assert!(silent.contains("for 30 s; run the same command again to go on from file.part"), "{silent}");
        assert!(matches!(Error::Unanswered(1).with_way_on(Some(part)), Error::Unanswered(1)));
    }
}
