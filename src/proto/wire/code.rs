//! Codes on the wire (docs/PROTOCOL.md section 7): the transport's, and the application's. The transport's numbers are
//! stable: one that was given out once keeps its meaning in every later version.

use super::varint;
use super::wire_enum::wire_enum;

wire_enum! {
    /// Why a session ended, a path was closed or a HELLO was refused, when the transport says so rather than
    /// the application.
    pub enum TransportCode {
        /// An orderly end.
        NoError = 0x00, "no error";
        /// The end that sends this failed, through no fault of its peer.
        Internal = 0x01, "internal error";
        /// A frame or a record could not be parsed.
        FrameEncoding = 0x02, "malformed frame or record";
        /// Well-formed, but not allowed there or then.
        ProtocolViolation = 0x03, "protocol violation";
        /// More bytes than MAX_DATA or MAX_STREAM_DATA allowed.
        FlowControl = 0x04, "flow control limit exceeded";
        /// More streams than MAX_STREAMS allowed.
        StreamLimit = 0x05, "stream limit exceeded";
        /// Data or a statement for a stream that cannot have it, such as the wrong direction.
        StreamState = 0x06, "not possible on this stream";
        /// Two different ends of one stream, or bytes beyond its end.
        FinalSize = 0x07, "final size changed";
        /// More of something than docs/PROTOCOL.md or the peer's parameters allow.
        LimitExceeded = 0x08, "limit exceeded";
        /// No version of the protocol that both ends speak.
        Version = 0x09, "no common version";
        /// The session to join is not known here, or not any more.
        UnknownSession = 0x0a, "unknown session";
        /// The proof of a join is wrong.
        BadProof = 0x0b, "wrong proof";
        /// The path id of a join was used before.
        PathIdUsed = 0x0c, "path id already used";
        /// The session has as many paths as it may have.
        TooManyPaths = 0x0d, "too many paths";
        /// The server has as many sessions as it may have.
        TooManySessions = 0x0e, "too many sessions";
        /// The path was given up by the end that sends this; the session goes on without it.
        PathAbandoned = 0x0f, "path abandoned";
        /// The session that the path belonged to has ended.
        SessionClosed = 0x10, "session closed";
        /// No path came back in time.
        ResumeTimeout = 0x11, "no path came back in time";
        /// The other end did not finish opening the path in time.
        HandshakeTimeout = 0x12, "handshake timed out";
        /// The server is about to stop and takes nothing new.
        GoingAway = 0x13, "going away";
        /// The server needed the room of a path that belonged to no session yet, or of a session without a path.
        Busy = 0x14, "too busy, come again later";
    }
}

/// A code that the application gives to a reset, a stop or a close. What it means is the application's business; it fits
/// into a varint (RFC 9000 section 16), so it is 2^62 - 1 at most.
///
/// ```
/// # #[cfg(feature = "native")] {
/// use kwik::AppCode;
///
/// const TOO_LATE: AppCode = AppCode::new(7);
/// assert_eq!(AppCode::from(7), TOO_LATE);
/// assert_eq!(AppCode::try_from(1_u64 << 40).map(AppCode::as_u64), Ok(1 << 40));
/// assert!(AppCode::try_from(u64::MAX).is_err());
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct AppCode(u64);

impl AppCode {
    /// The largest there is.
    pub const MAX: AppCode = AppCode(varint::MAX);

    /// A code of 32 bits, which is what a browser's has. Larger ones: `AppCode::try_from` with a `u64`.
    pub const fn new(code: u32) -> Self {
        Self(code as u64)
    }

    /// A code that a varint carried here, and which is therefore no larger than one carries.
    pub(crate) const fn from_wire(code: u64) -> Self {
        if code > varint::MAX { Self::MAX } else { Self(code) }
    }

    /// The number on the wire.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl From<u32> for AppCode {
    fn from(code: u32) -> Self {
        Self::new(code)
    }
}

impl TryFrom<u64> for AppCode {
    type Error = CodeTooLarge;
    fn try_from(code: u64) -> Result<Self, CodeTooLarge> {
        if code > varint::MAX { Err(CodeTooLarge { code }) } else { Ok(Self(code)) }
    }
}

/// As the transport's codes are, where a carrier's closing has one of these.
impl From<TransportCode> for AppCode {
    fn from(code: TransportCode) -> Self {
        Self(code.as_u64())
    }
}

impl std::fmt::Display for AppCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A number is too large for an [`AppCode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} is not a valid code: expected at most {max} (2^62 - 1)", max = AppCode::MAX)]
#[non_exhaustive]
pub struct CodeTooLarge {
    /// The number.
    pub code: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_its_number_and_numbers_have_no_gap() {
        for (number, code) in (0..).zip(TransportCode::ALL) {
            assert_eq!(code.as_u64(), number);
            assert_eq!(TransportCode::from_u64(number), Some(*code));
            assert_eq!(code.to_string(), code.text());
        }
    }

    #[test]
    fn a_number_that_was_never_given_out_has_no_code() {
        assert_eq!(TransportCode::from_u64(0x15), None);
        assert_eq!(TransportCode::from_u64(u64::MAX), None);
    }

    #[test]
    fn an_applications_code_is_any_number_that_a_varint_carries() {
        for code in [0, 7, u64::from(u32::MAX), 1 << 40, varint::MAX] {
            assert_eq!(AppCode::try_from(code).map(AppCode::as_u64), Ok(code));
            assert_eq!(AppCode::from_wire(code).as_u64(), code);
        }
        for code in [varint::MAX + 1, u64::MAX] {
            let error = AppCode::try_from(code).unwrap_err();
            assert_eq!(error, CodeTooLarge { code });
            let text = format!("{code} is not a valid code: expected at most 4611686018427387903 (2^62 - 1)");
            assert_eq!(error.to_string(), text);
            assert_eq!(AppCode::from_wire(code), AppCode::MAX);
        }
    }
}
