//! What an application may choose about a session, with the defaults and their reasons.

use std::time::Duration;

use super::scheduler::SchedulerKind;
use crate::proto::wire::frame::Parameters;

/// Limits and choices of a session. Both ends have their own; each states its limits to the other.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Which path carries the next chunk. Default: [`SchedulerKind::EarliestCompletion`].
    pub scheduler: SchedulerKind,
    /// Most paths at one time, those that are being opened included. Default 8.
    pub max_paths: usize,
    /// How long a session without any path is kept. The shorter of both ends' values counts. Default 30 s.
    pub resume_timeout: Duration,
    /// How long a path may stay silent before it is given up and, by a client, dialled anew. Default 3 s.
    pub path_timeout: Duration,
    /// How long opening a path may take. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a graceful close waits for the peer to acknowledge what was written. Default 10 s.
    pub close_timeout: Duration,
    /// Longest time that an acknowledgement is held back to be sent with others. Default 20 ms.
    pub max_ack_delay: Duration,
    /// First and largest receive window of one stream: bytes that may arrive before the application reads
    /// them. It grows with the measured bandwidth-delay product. Default 1 MiB to 16 MiB.
    pub stream_receive_window: Window,
    /// The same for all streams of the session together. Default 4 MiB to 32 MiB.
    pub session_receive_window: Window,
    /// Most bytes of one stream that are kept until the peer has acknowledged them. Default 8 MiB.
    pub stream_send_buffer_bytes: usize,
    /// Most of these that wait for a path to take them. More only costs cache. Default 1 MiB.
    pub stream_unsent_bytes: usize,
    /// The same as `stream_send_buffer_bytes` for all streams of the session together. Until the peer has acknowledged
    /// something it is 8 MiB at most, and grows by what the peer acknowledges. Default 64 MiB.
    pub session_send_buffer_bytes: usize,
    /// Bidirectional streams that the peer may have open at one time. Default 100.
    pub max_streams_bidi: u64,
    /// Unidirectional streams that the peer may have open at one time. Default 100.
    pub max_streams_uni: u64,
    /// Longest datagram taken from the peer; 0 to take none. Default 65,000.
    pub max_datagram_bytes: usize,
    /// Bytes of datagrams that may wait in each direction; the oldest are dropped. Default 1 MiB.
    pub datagram_buffer_bytes: usize,
    /// Most bytes sent a second time without need, in per mille of those sent once. Default 20 (2 %). What
    /// has to be sent again because a path is silent does not count.
    pub reinjection_permille: u32,
    /// Whether a client follows the server's advice about further addresses, up to `max_paths`. Default true.
    ///
    /// A server that means ill could aim its clients at others by it. Therefore advice makes a session send at
    /// most [`ADVISED_INITIALS_PER_MINUTE`](crate::proto::wire::limits::ADVISED_INITIALS_PER_MINUTE) Initial packets a
    /// minute (64: some 77 kB); it is not followed to loopback, private and link-local addresses unless the
    /// session's first path leads to one of the same kind, and never to multicast or unspecified ones, whether
    /// they are written out or a name leads there (in a browser, which looks names up itself, as far as they are
    /// written out); an advised address has 2 s to answer, and is asked less and less often (after 1 s, 2 s, up
    /// to a minute) while it never did; taking advice back and giving it again changes none of this.
    /// [`SessionStats`](super::session::SessionStats) counts what was not followed. An application that sets this
    /// to false and dials what [`Advised`](super::event::SessionEvent::Advised) tells is on its own.
    pub follow_advice: bool,
}

/// The smallest and largest size of a window that grows with need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Size at the beginning, in bytes.
    pub initial_bytes: u64,
    /// Size that it never exceeds, in bytes.
    pub max_bytes: u64,
}

const MIB: u64 = 1 << 20;

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            scheduler: SchedulerKind::EarliestCompletion,
            max_paths: 8,
            resume_timeout: Duration::from_secs(30),
            path_timeout: Duration::from_secs(3),
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(10),
            max_ack_delay: Duration::from_millis(20),
            stream_receive_window: Window { initial_bytes: MIB, max_bytes: 16 * MIB },
            session_receive_window: Window { initial_bytes: 4 * MIB, max_bytes: 32 * MIB },
            stream_send_buffer_bytes: 8 << 20,
            stream_unsent_bytes: 1 << 20,
            session_send_buffer_bytes: 64 << 20,
            max_streams_bidi: 100,
            max_streams_uni: 100,
            max_datagram_bytes: 65_000,
            datagram_buffer_bytes: 1 << 20,
            reinjection_permille: 20,
            follow_advice: true,
        }
    }
}

impl SessionConfig {
    pub(crate) fn parameters(&self) -> Parameters {
        Parameters {
            initial_max_data_bytes: self.session_receive_window.initial_bytes,
            initial_max_stream_data_bytes: self.stream_receive_window.initial_bytes,
            initial_max_streams_bidi: self.max_streams_bidi,
            initial_max_streams_uni: self.max_streams_uni,
            max_datagram_bytes: self.max_datagram_bytes as u64,
            max_paths: self.max_paths as u64,
            resume_timeout_ms: self.resume_timeout.as_millis() as u64,
            max_ack_delay_ms: self.max_ack_delay.as_millis() as u64,
        }
    }
}

/// On which paths a stream or datagram may travel. A preference that no path can meet is read as [`Any`](Self::Any),
/// except for [`Pin`](Self::Pin), which waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathPolicy {
    /// Wherever the scheduler wants.
    #[default]
    Any,
    /// On this path while it is active, otherwise wherever the scheduler wants.
    Prefer(crate::proto::wire::id::PathId),
    /// On this path only; data waits while the path is away, and goes elsewhere once it is closed for good.
    Pin(crate::proto::wire::id::PathId),
    /// On the active paths whose cost is lowest.
    AvoidCostly,
    /// A copy on every active path: lowest latency, not bound by the cap on copies.
    Redundant,
    /// Only on paths expected to deliver within this time, if there are any. Stream data that is not
    /// acknowledged after half of it is sent again on another path; a datagram not sent by then is dropped.
    Deadline(Duration),
}
