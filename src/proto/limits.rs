//! Every limit of the wire, once, with its reason (docs/PROTOCOL.md section 4.1).
//!
//! They hold for both ends and are not configurable: an implementation that keeps them can talk to any other.
//! What one end may choose for itself is a parameter of HELLO and ACCEPT instead.

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
