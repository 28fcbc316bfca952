//! Ends of a WebTransport session: why it is over, or why there is none.

use super::code::H3Code;

/// The session is over, or there will be none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    /// The peer closed it.
    #[error("the peer closed it with code {code}")]
    Closed { code: u32 },
    /// The server does not want it, and says so with a status of HTTP.
    #[error("HTTP status {status}")]
    Refused { status: u16 },
    /// The server speaks HTTP/3, and not WebTransport.
    #[error("the server does not offer WebTransport")]
    NotOffered,
    /// The peer did what HTTP/3 does not allow.
    #[error("the peer broke the rules of HTTP/3: {what}")]
    Violation { code: H3Code, what: &'static str },
}

impl Ended {
    /// What the connection is closed with.
    pub(crate) fn code(&self) -> H3Code {
        match self {
            Self::Violation { code, .. } => *code,
            Self::Closed { .. } | Self::Refused { .. } | Self::NotOffered => H3Code::NoError,
        }
    }
}

/// What the peer has done that is against the rules.
pub(super) const fn violation(code: H3Code, what: &'static str) -> Ended {
    Ended::Violation { code, what }
}
