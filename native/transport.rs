//! What a path's QUIC connection is set to: windows, timeouts, congestion control.
//!
//! QUIC is only the carrier here. The session above bounds what waits for the application and repeats
//! what dies with a path, so the carrier's own windows are wide: it must never be the one that stops a
//! transfer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn_proto::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn_proto::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

use crate::carrier::{Clock, Observations, ObservedFactory};
use crate::proto::config::{ConfigError, LONGEST, SHORTEST};
use crate::proto::wire::id::Side;

/// Lanes of each kind the peer may open at first. quinn-proto reserves memory for each (10,000 cost
/// 711 KB per connection, measured); the limit is raised while the connection lives.
const INITIAL_STREAMS: u32 = 100;

/// Bytes of one lane the peer may have on the way; all lanes together are bounded by what follows.
const LANE_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Bytes that a server may have on the way to a client: 100 ms at 1.3 Gbit/s. What arrives is read at once.
const CLIENT_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Bytes that a client may have on the way before it has said which session it wants. Then it is what the session
/// allows: [`QuicCarrier::allow_bytes`](crate::carrier::quic::QuicCarrier::allow_bytes).
const GREETING_WINDOW_BYTES: u32 = 64 * 1024;

/// Bytes handed to QUIC and not acknowledged yet, at first; adapted to the path while it lives.
const INITIAL_SEND_WINDOW_BYTES: u64 = 4 * 1024 * 1024;

/// Datagrams that may wait in each direction. Older ones are dropped first.
const DATAGRAM_BUFFER_BYTES: usize = 1024 * 1024;

/// A third of what RFC 9002 §6.2.2 says, which is meant for any network whatsoever. A first packet
/// that is lost costs three times this, and a path is only one of several.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Packets that may overtake one before it counts as lost: any number. Three, as RFC 9002 section 6.1.1 has it, made
/// transfers up to 16 times slower where a fifth of the packets came 10 ms late. Only time tells loss from reordering,
/// as in RACK (RFC 8985), and a sender that has a window in time may do without a count (same section).
const PACKET_THRESHOLD: u32 = u32::MAX;

/// Round trips after which a packet is lost if later ones have been acknowledged. RACK allows 1.25 at first and up to 2
/// once it has seen reordering; quinn-proto can neither adapt it nor tell that it was wrong, so it is what lies between.
/// RFC 9002's 1.125 is spent by what a queue's length does to round trips. A real loss is repeated half a round trip later.
const TIME_THRESHOLD: f32 = 1.5;

/// How long packets stay short after quinn-proto took losses for a path that carries long ones no more. It does so when
/// several bursts are lost to an overflowing buffer, too, and short packets cost a fifth more of everything; a probe
/// that is lost costs next to nothing. quinn-proto's own default is a minute.
const BLACK_HOLE_COOLDOWN: Duration = Duration::from_secs(5);

/// The shortest time between packets that are sent for want of others: a hundred a second cost next to nothing.
const MIN_KEEP_ALIVE: Duration = Duration::from_millis(10);

/// How fast a path may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Congestion {
    /// CUBIC (RFC 9438): what most of the internet uses.
    #[default]
    Cubic,
    /// NewReno (RFC 9002 §7): slower to use a fast path, simple to reason about.
    NewReno,
    /// BBR version 1: for paths that lose packets for other reasons than congestion. Experimental.
    Bbr,
}

impl Congestion {
    /// Makes controllers of this kind.
    pub(crate) fn factory(self) -> Arc<dyn ControllerFactory + Send + Sync> {
        match self {
            Self::Cubic => Arc::new(CubicConfig::default()),
            Self::NewReno => Arc::new(NewRenoConfig::default()),
            Self::Bbr => Arc::new(BbrConfig::default()),
        }
    }
}

/// What users may set about the carrier of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TransportSettings {
    /// Congestion control.
    pub(crate) congestion: Congestion,
    /// Something is sent when nothing was for this long, so that NATs and the peer remember the path.
    pub(crate) keep_alive: Option<Duration>,
    /// A path that heard nothing for this long is closed; `None` is never.
    pub(crate) idle_timeout: Option<Duration>,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            congestion: Congestion::default(),
            keep_alive: Some(Duration::from_secs(5)),
            idle_timeout: Some(Duration::from_secs(30)),
        }
    }
}

impl TransportSettings {
    /// An error when a value is out of range.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let Some(keep_alive) = self.keep_alive {
            ConfigError::check_time("keep_alive", keep_alive, MIN_KEEP_ALIVE..=LONGEST)?;
        }
        if let Some(idle_timeout) = self.idle_timeout {
            ConfigError::check_time("idle_timeout", idle_timeout, SHORTEST..=LONGEST)?;
        }
        Ok(())
    }

    /// The configuration of quinn-proto for one connection, with `remote`, and what its congestion controller tells.
    pub(crate) fn to_config(
        self,
        clock: Clock,
        remote: IpAddr,
        side: Side,
    ) -> (Arc<TransportConfig>, Arc<Observations>) {
        let window = match side {
            Side::Client => CLIENT_WINDOW_BYTES,
            Side::Server => GREETING_WINDOW_BYTES,
        };
        let observations = Observations::new(clock);
        let controllers = ObservedFactory::new(self.congestion.factory(), Arc::clone(&observations));
        let mut mtu_discovery = MtuDiscoveryConfig::default();
        mtu_discovery.upper_bound(max_mtu(remote)).black_hole_cooldown(BLACK_HOLE_COOLDOWN);
        let mut config = TransportConfig::default();
        config
            .max_concurrent_bidi_streams(INITIAL_STREAMS.into())
            .max_concurrent_uni_streams(INITIAL_STREAMS.into())
            .stream_receive_window(LANE_WINDOW_BYTES.into())
            .receive_window(window.into())
            .send_window(INITIAL_SEND_WINDOW_BYTES)
            .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
            .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES)
            .keep_alive_interval(self.keep_alive)
            .max_idle_timeout(self.idle_timeout.map(idle_timeout))
            .packet_threshold(PACKET_THRESHOLD)
            .time_threshold(TIME_THRESHOLD)
            .initial_rtt(INITIAL_RTT)
            .mtu_discovery_config(Some(mtu_discovery))
            .congestion_controller_factory(controllers);
        (Arc::new(config), observations)
    }
}

/// The longest UDP payload that fits into Ethernet's 1,500 bytes, beside the headers of IP and UDP.
fn max_mtu(remote: IpAddr) -> u16 {
    match remote.to_canonical() {
        IpAddr::V4(_) => 1_500 - 20 - 8,
        IpAddr::V6(_) => 1_500 - 40 - 8,
    }
}

/// Longer than QUIC can say is as good as the longest it can.
fn idle_timeout(duration: Duration) -> IdleTimeout {
    u64::try_from(duration.as_millis())
        .ok()
        .and_then(|ms| VarInt::from_u64(ms).ok())
        .unwrap_or(VarInt::MAX)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_grow_to_what_ethernet_carries_of_either_kind_of_ip() {
        let [v4, mapped, v6] = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"].map(|ip| ip.parse().unwrap());
        assert_eq!([max_mtu(v4), max_mtu(mapped), max_mtu(v6)], [1_472, 1_472, 1_452]);
    }

    #[test]
    fn an_idle_timeout_too_long_for_quic_becomes_the_longest_there_is() {
        assert_eq!(idle_timeout(Duration::from_secs(30)), VarInt::from_u32(30_000).into());
        assert_eq!(idle_timeout(Duration::MAX), VarInt::MAX.into());
        assert_eq!(idle_timeout(Duration::ZERO), VarInt::from_u32(0).into());
    }
}
