//! What can go wrong, in one line each.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::protocol::{ProtocolError, Reason};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Address(#[from] kwik::AddressError),
    #[error("{url} names no file: write kwik://HOST:PORT/NAME?pin=...")]
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
