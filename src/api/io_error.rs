//! Stream errors as [`std::io::Error`]s, which `AsyncRead` and `AsyncWrite` demand. The typed error is inside:
//! `error.get_ref()` and a downcast give it back.

use std::io::{Error, ErrorKind};

use crate::proto::error::{ReadError, SessionError, WriteError};

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::Reset { .. } => ErrorKind::ConnectionReset,
            ReadError::Closed { .. } => ErrorKind::NotConnected,
            ReadError::Session(error) => kind(error),
        };
        Self::new(kind, error)
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        let kind = match &error {
            WriteError::Stopped { .. } => ErrorKind::BrokenPipe,
            WriteError::Closed { .. } => ErrorKind::NotConnected,
            WriteError::Session(error) => kind(error),
        };
        Self::new(kind, error)
    }
}

fn kind(error: &SessionError) -> ErrorKind {
    match error {
        SessionError::LocallyClosed { .. } => ErrorKind::NotConnected,
        SessionError::ClosedByPeer { .. } => ErrorKind::ConnectionReset,
        SessionError::PeerError { .. } | SessionError::Protocol { .. } | SessionError::Evicted => {
            ErrorKind::ConnectionAborted
        }
        SessionError::Failed { .. } => ErrorKind::Other,
        SessionError::ResumeTimeout { .. } => ErrorKind::TimedOut,
        SessionError::Rejected { .. } | SessionError::DialFailed { .. } => ErrorKind::ConnectionRefused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::wire::code::AppCode;
    use crate::proto::wire::id::StreamId;

    #[test]
    fn an_io_error_keeps_what_happened() {
        let stopped = WriteError::Stopped { stream: StreamId(4), code: AppCode::new(7) };
        let error = Error::from(stopped.clone());
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<WriteError>());
        assert_eq!(inner, Some(&stopped));
        assert_eq!(error.to_string(), stopped.to_string());
    }
}
