//! Error codes on the wire (docs/PROTOCOL.md section 7). The numbers are stable: one that was given out once
//! keeps its meaning in every later version.

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
}
