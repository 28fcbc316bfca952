//! Limits of the wire, each in one place with its reason (docs/PROTOCOL.md section 4.1).
//!
//! They hold for both ends and are not configurable: an implementation that keeps them can talk to any other.
//! What one end may choose for itself is a parameter of HELLO and ACCEPT instead. The last ones bound what a
//! server can make its clients dial (section 9).

use std::time::Duration;

/// The version of the protocol that this crate speaks.
pub const VERSION: u64 = 1;

/// The ALPN token of a path over plain QUIC.
pub const ALPN: &[u8] = b"kwik/1";

/// Where a server answers the CONNECT of a path over WebTransport (docs/PROTOCOL.md section 2.4).
pub const WELL_KNOWN: &str = "/.well-known/kwik/1";

/// Longest body of a frame, in bytes; type and length come on top.
///
/// A receiver holds one unfinished frame per control lane, so this is what a peer can make it hold. 64 KiB is
/// one receive slab and lets a carrier with a single lane move data in pieces worth their header.
pub const MAX_FRAME_BYTES: usize = 65_536;

/// Most payload that fits into a STREAM or DATAGRAM frame whatever its other fields are, in bytes:
/// [`MAX_FRAME_BYTES`] less stream id, offset and flags at their longest.
pub const MAX_FRAME_DATA_BYTES: usize = MAX_FRAME_BYTES - 17;

/// Most ranges in one ACK. More gaps than this are a sign of a peer that makes them on purpose; a later ACK
/// tells of the rest, as the contiguous part grows.
pub const MAX_ACK_RANGES: usize = 256;

/// Longest reason text, in bytes: enough for a sentence, too little to store things in a log.
pub const MAX_REASON_BYTES: usize = 1_024;

/// Longest `host:port`, in bytes: a DNS name has at most 253 characters, and IPv6 literals, ports and zone
/// names fit as well.
pub const MAX_AUTHORITY_BYTES: usize = 512;

/// Most versions in one HELLO; the server looks through all of them.
pub const MAX_VERSIONS: usize = 16;

/// Most parameters in one HELLO or ACCEPT, unknown ones included. Each is compared with those before it, so
/// the square of this bounds the work.
pub const MAX_PARAMETERS: usize = 64;

/// Largest number of streams of one kind: with more, a stream id would not fit into a varint (RFC 9000
/// section 4.6 has the same bound).
pub const MAX_STREAMS: u64 = 1 << 60;

/// Longest record on a stream's lane, in bytes. A receiver does not buffer records; the bound is for the
/// sender's sake: a lane can carry something more urgent only between records.
pub const MAX_RECORD_BYTES: u64 = 1 << 20;

/// Longest header of a record, in bytes: an offset at its longest and the tag of [`MAX_RECORD_BYTES`].
pub const MAX_RECORD_HEADER_BYTES: usize = 12;

/// Longest header of a stream's lane, in bytes: the lane type and a stream id at its longest.
pub const MAX_STREAM_HEADER_BYTES: usize = 9;

/// Most unacknowledged chunks of one stream that a sender may have under way.
///
/// A receiver keeps one entry per separate range, and flow control counts bytes only: without this bound a
/// window of single bytes with gaps between them would cost it hundreds of times the window. Each gap holds a
/// chunk that is outstanding, so there are no more ranges than chunks. A receiver may close the session with
/// LIMIT_EXCEEDED above twice this many; twice, because chunks may be cut again when they are sent again.
pub const MAX_STREAM_CHUNKS_OUTSTANDING: usize = 4_096;

/// Datagrams that a receiver remembers at least, counted back from the newest sequence number, to drop
/// copies that came over another path: one round trip of a fast path fits.
pub const MIN_DATAGRAM_WINDOW: u64 = 1_024;

/// Most Initial packets that a server's advice makes a client send in a minute (docs/PROTOCOL.md section 9).
///
/// Advice names any address, so a server could aim its clients at a third party: this is what one session adds
/// to such an attack, some 77 kB a minute, less than the server could send there itself. An honest server's
/// advice is dialled once and answers.
pub const ADVISED_INITIALS_PER_MINUTE: u64 = 64;

/// Of these, those that may go out at once: seven further addresses (`max_paths` is 8 by default) and one retry.
pub const ADVISED_INITIALS_AT_ONCE: u64 = 48;

/// Initial packets that an attempt at one IP address may cost within [`ADVISED_ANSWER_WITHIN`]: the first, two
/// each after 0.3 and 0.9 s without an answer (RFC 9002 section 6.2, from a round trip of 0.1 s), and the one
/// that closes the connection.
pub const INITIALS_PER_ATTEMPT: u64 = 6;

/// Initial packets of an attempt that was answered within [`ANSWERED_AT_ONCE`]: the first, one more after a
/// Retry, and an acknowledgement. The rest is given back.
pub const INITIALS_WHEN_ANSWERED: u64 = 3;

/// An answer that comes within this time comes before anything was sent twice, or to a second IP address.
pub const ANSWERED_AT_ONCE: Duration = Duration::from_millis(250);

/// How long an advised address may take to answer, if `handshake_timeout` is not shorter: time for three
/// flights, and longer than any network's round trip that is worth a path. The client's own addresses get all of
/// `handshake_timeout`.
pub const ADVISED_ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Most IP addresses of an advised name that one attempt tries: one of each family, of those that a server may
/// advise. A name can have hundreds.
pub const ADVISED_IPS_PER_ATTEMPT: usize = 2;

/// Most ranges of advice ids that a client remembers as taken back. Servers count ids up, which makes one range;
/// with more than these, no further advice is followed in the session.
pub const MAX_ADVICE_RANGES: usize = 64;

/// Advised addresses whose back-off a client remembers after they were taken back. What is forgotten beyond them
/// is bounded by [`ADVISED_INITIALS_PER_MINUTE`] all the same.
pub const MAX_RETIRED_ADVICE: usize = 32;

/// A path that lived for less than this does not end its address's back-off: a server that accepts paths and
/// closes them is dialled every 2 s, not in a loop.
pub const PROVEN_AFTER: Duration = Duration::from_secs(1);
