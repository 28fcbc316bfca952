//! Configuration of a session, with the defaults and their reasons.

mod error;

use std::time::Duration;

pub use self::error::ConfigError;
use super::control::ACK_BYTES;
use super::scheduler::SchedulerKind;
use crate::proto::wire::frame::Parameters;
use crate::proto::wire::limits::MAX_FRAME_DATA_BYTES;

/// Limits and choices of a session. Both ends have their own; each states its limits to the other.
///
/// Every number has a range, which is checked where the configuration is used: `dial` and `listen` fail with a
/// [`ConfigError`] that names the field. What zero means is said where it is allowed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Which path carries the next chunk. Default: [`SchedulerKind::EarliestCompletion`].
    pub scheduler: SchedulerKind,
    /// Most paths at one time, those that are being opened included: 1 to 256. Default 8.
    pub max_paths: usize,
    /// How long a session without any path is kept, up to 365 days. The shorter of both ends' values counts, in whole
    /// milliseconds; zero: a session ends with its last path. Default 30 s.
    pub resume_timeout: Duration,
    /// How long a path may stay silent before it is given up and, by a client, dialled anew: 1 ms to 365 days, and six
    /// of its round trips in any case. Default 3 s.
    pub path_timeout: Duration,
    /// How long opening a path may take: 1 ms to 365 days. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a graceful close waits for the peer to acknowledge what was written, up to 365 days; zero: not at all.
    /// Default 10 s.
    pub close_timeout: Duration,
    /// Longest time that an acknowledgement is held back to be sent with others, up to 1 s; zero: each is sent at once.
    /// Default 20 ms.
    pub max_ack_delay: Duration,
    /// Longest time that the peer may hold back acknowledgements of less than 64 KiB in all while the session has one
    /// path, up to 1 s: with nothing to choose between, they only let this end forget what it keeps to send it again.
    /// Where it keeps less than 256 KiB (`stream_send_buffer_bytes`, `session_send_buffer_bytes`), the peer's own
    /// `max_ack_delay` counts. Default 200 ms; zero in browsers, which learn of a path's state by nothing else.
    pub lone_path_ack_delay: Duration,
    /// First and largest receive window of one stream: bytes that may arrive before the application reads
    /// them. It grows with the measured bandwidth-delay product, to half of `session_receive_window` at most. Default
    /// 1 MiB to 16 MiB.
    pub stream_receive_window: Window,
    /// The same for all streams of the session together. It grows by twice as much as theirs, so that a stream that is not
    /// read any more leaves the others half of it. Default 4 MiB to 32 MiB.
    pub session_receive_window: Window,
    /// Most bytes of one stream that are kept until the peer has acknowledged them: 1 to 1 TiB. Default 8 MiB.
    pub stream_send_buffer_bytes: usize,
    /// Most of these that wait for a path to take them: 1 to 1 TiB. More only costs cache. Default 1 MiB.
    pub stream_unsent_bytes: usize,
    /// The same as `stream_send_buffer_bytes` for all streams of the session together: 1 to 1 TiB. Until the peer has
    /// acknowledged something it is 8 MiB at most, and grows by what the peer acknowledges. Default 64 MiB.
    pub session_send_buffer_bytes: usize,
    /// Bidirectional streams that the peer may have open at one time, up to 65,536; zero: it may open none. Default 100.
    pub max_streams_bidi: u64,
    /// Unidirectional streams that the peer may have open at one time, up to 65,536; zero: it may open none. Default 100.
    pub max_streams_uni: u64,
    /// Longest datagram taken from the peer, in bytes, up to 65,519; zero: none is taken. Default 65,000.
    pub max_datagram_bytes: usize,
    /// Bytes of datagrams that may wait in each direction, up to 1 TiB; the oldest are dropped, and so is one that is
    /// longer than this; zero: all but empty ones. Default 1 MiB.
    pub datagram_buffer_bytes: usize,
    /// Most bytes sent a second time without need, in per mille of those sent once, up to 1,000; 64 KiB are allowed
    /// in any case, and with zero no more. Default 20 (2 %). What has to be sent again because a path is silent does
    /// not count.
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
    /// Size at the beginning, in bytes: 1 to 1 TiB.
    pub initial_bytes: u64,
    /// Size that it never exceeds, in bytes: `initial_bytes` to 1 TiB.
    pub max_bytes: u64,
}

/// A configuration of which all numbers are what they may be: what sessions are made with. It comes from
/// [`SessionConfig::validate`] only, so that no session asks again.
#[derive(Clone, Debug, Default)]
pub struct ValidConfig(SessionConfig);

impl std::ops::Deref for ValidConfig {
    type Target = SessionConfig;
    fn deref(&self) -> &SessionConfig {
        &self.0
    }
}

const MIB: u64 = 1 << 20;

/// Every packet's path is chosen by a look at all of them, and a server keeps up to twice as many.
const MAX_PATHS: u64 = 256;
/// The peer opens all streams by a frame that names the last, and QUIC's own account takes 70 bytes for each beforehand.
const MAX_PEER_STREAMS: u64 = 65_536;
/// Windows and buffers: more than any path has under way. Credit is counted from a session's beginning, and what a varint
/// carries is two million times as much.
const MAX_WINDOW_BYTES: u64 = 1 << 40;
/// Longer than any clock of a backend's has to count, in a number of milliseconds that every varint carries.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Backends' timers are no finer.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);
/// A longer delay would look like silence: the peer counts on 1 s at most (docs/PROTOCOL.md section 4.3).
const MAX_ACK_DELAY: Duration = Duration::from_secs(1);
/// Copies cost no more than what they are copies of.
const MAX_REINJECTION_PERMILLE: u64 = 1_000;

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
            lone_path_ack_delay: Duration::from_millis(200),
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

impl Window {
    fn check(self, initial: &'static str, max: &'static str) -> Result<(), ConfigError> {
        ConfigError::check(initial, self.initial_bytes, 1..=MAX_WINDOW_BYTES)?;
        ConfigError::check(max, self.max_bytes, self.initial_bytes..=MAX_WINDOW_BYTES)
    }
}

impl SessionConfig {
    /// Checks every number; to be called where a configuration comes in.
    ///
    /// # Errors
    ///
    /// The first field that is out of range.
    pub fn validate(self) -> Result<ValidConfig, ConfigError> {
        self.check_times()?;
        self.check_counts()?;
        Ok(ValidConfig(self))
    }

    fn check_times(&self) -> Result<(), ConfigError> {
        let check = ConfigError::check_time;
        check("resume_timeout", self.resume_timeout, Duration::ZERO..=LONGEST)?;
        check("path_timeout", self.path_timeout, SHORTEST..=LONGEST)?;
        check("handshake_timeout", self.handshake_timeout, SHORTEST..=LONGEST)?;
        check("close_timeout", self.close_timeout, Duration::ZERO..=LONGEST)?;
        check("max_ack_delay", self.max_ack_delay, Duration::ZERO..=MAX_ACK_DELAY)?;
        check("lone_path_ack_delay", self.lone_path_ack_delay, Duration::ZERO..=MAX_ACK_DELAY)
    }

    fn check_counts(&self) -> Result<(), ConfigError> {
        let check = ConfigError::check;
        let size = |field, bytes: usize, min| check(field, bytes as u64, min..=MAX_WINDOW_BYTES);
        check("max_paths", self.max_paths as u64, 1..=MAX_PATHS)?;
        self.stream_receive_window
            .check("stream_receive_window.initial_bytes", "stream_receive_window.max_bytes")?;
        self.session_receive_window
            .check("session_receive_window.initial_bytes", "session_receive_window.max_bytes")?;
        size("stream_send_buffer_bytes", self.stream_send_buffer_bytes, 1)?;
        size("stream_unsent_bytes", self.stream_unsent_bytes, 1)?;
        size("session_send_buffer_bytes", self.session_send_buffer_bytes, 1)?;
        check("max_streams_bidi", self.max_streams_bidi, 0..=MAX_PEER_STREAMS)?;
        check("max_streams_uni", self.max_streams_uni, 0..=MAX_PEER_STREAMS)?;
        check("max_datagram_bytes", self.max_datagram_bytes as u64, 0..=MAX_FRAME_DATA_BYTES as u64)?;
        size("datagram_buffer_bytes", self.datagram_buffer_bytes, 0)?;
        check("reinjection_permille", self.reinjection_permille.into(), 0..=MAX_REINJECTION_PERMILLE)
    }

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
            lone_path_ack_delay_ms: self.offered_ack_delay().as_millis() as u64,
        }
    }

    /// A writer that waits for room does not wait for this delay, too.
    fn offered_ack_delay(&self) -> Duration {
        let kept = self.stream_send_buffer_bytes.min(self.session_send_buffer_bytes) as u64;
        if kept < 4 * ACK_BYTES { Duration::ZERO } else { self.lone_path_ack_delay }
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

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut SessionConfig);

    /// What `validate` says of the defaults with this change.
    fn judged(change: Change) -> Result<(), ConfigError> {
        let mut config = SessionConfig::default();
        change(&mut config);
        config.validate().map(drop)
    }

    fn field(error: ConfigError) -> (&'static str, bool) {
        match error {
            ConfigError::Number { field, value, min, max } => (field, value < min || value > max),
            ConfigError::Time { field, value, min, max } => (field, value < min || value > max),
        }
    }

    #[test]
    fn a_number_that_is_out_of_its_range_is_named() {
        const CASES: &[(&str, Change)] = &[
            ("max_paths", |config| config.max_paths = 0),
            ("max_paths", |config| config.max_paths = 257),
            ("max_paths", |config| config.max_paths = usize::MAX),
            ("resume_timeout", |config| config.resume_timeout = LONGEST + SHORTEST),
            ("resume_timeout", |config| config.resume_timeout = Duration::MAX),
            ("path_timeout", |config| config.path_timeout = Duration::ZERO),
            ("path_timeout", |config| config.path_timeout = Duration::MAX),
            ("handshake_timeout", |config| config.handshake_timeout = Duration::ZERO),
            ("handshake_timeout", |config| config.handshake_timeout = Duration::MAX),
            ("close_timeout", |config| config.close_timeout = Duration::MAX),
            ("max_ack_delay", |config| config.max_ack_delay = MAX_ACK_DELAY + SHORTEST),
            ("lone_path_ack_delay", |config| config.lone_path_ack_delay = MAX_ACK_DELAY + SHORTEST),
            ("stream_receive_window.initial_bytes", |config| config.stream_receive_window.initial_bytes = 0),
            ("stream_receive_window.initial_bytes", |config| {
                config.stream_receive_window.initial_bytes = u64::MAX;
            }),
            ("stream_receive_window.max_bytes", |config| config.stream_receive_window.max_bytes = u64::MAX),
            ("stream_receive_window.max_bytes", |config| config.stream_receive_window.max_bytes = MIB - 1),
            ("session_receive_window.initial_bytes", |config| {
                config.session_receive_window.initial_bytes = 0;
            }),
            ("session_receive_window.max_bytes", |config| config.session_receive_window.max_bytes = MIB),
            ("session_receive_window.max_bytes", |config| {
                config.session_receive_window.max_bytes = (1 << 40) + 1;
            }),
            ("stream_send_buffer_bytes", |config| config.stream_send_buffer_bytes = 0),
            ("stream_unsent_bytes", |config| config.stream_unsent_bytes = 0),
            ("session_send_buffer_bytes", |config| config.session_send_buffer_bytes = 0),
            ("max_streams_bidi", |config| config.max_streams_bidi = 65_537),
            ("max_streams_uni", |config| config.max_streams_uni = u64::MAX),
            ("max_datagram_bytes", |config| config.max_datagram_bytes = 65_520),
            ("reinjection_permille", |config| config.reinjection_permille = 1_001),
            ("reinjection_permille", |config| config.reinjection_permille = u32::MAX),
        ];
        for (number, (expected, change)) in CASES.iter().enumerate() {
            assert_eq!(judged(*change).map_err(field), Err((*expected, true)), "case {number}");
        }
        assert_eq!(judged(|_| {}), Ok(()));
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_buffer_that_no_machine_has_is_none() {
        const CASES: &[(&str, Change)] = &[
            ("stream_send_buffer_bytes", |config| config.stream_send_buffer_bytes = usize::MAX),
            ("stream_unsent_bytes", |config| config.stream_unsent_bytes = usize::MAX),
            ("session_send_buffer_bytes", |config| config.session_send_buffer_bytes = usize::MAX),
            ("datagram_buffer_bytes", |config| config.datagram_buffer_bytes = usize::MAX),
        ];
        for (expected, change) in CASES {
            assert_eq!(judged(*change).map_err(field), Err((*expected, true)));
        }
    }

    #[test]
    fn what_is_valid_fits_on_the_wire() {
        let mut config = SessionConfig::default();
        (config.resume_timeout, config.max_ack_delay) = (LONGEST, MAX_ACK_DELAY);
        let parameters = config.parameters();
        assert_eq!((parameters.resume_timeout_ms, parameters.max_ack_delay_ms), (31_536_000_000, 1_000));
    }

    #[test]
    fn who_keeps_little_wants_to_be_acknowledged_soon() {
        let offered = |bytes| {
            let config = SessionConfig { stream_send_buffer_bytes: bytes, ..SessionConfig::default() };
            config.parameters().lone_path_ack_delay_ms
        };
        assert_eq!([8 << 20, 256 * 1024, 256 * 1024 - 1, 1].map(offered), [200, 200, 0, 0]);
    }
}
