//! Acknowledgements that go out alone wait for one another.
//!
//! quinn-proto has an acknowledgement ready after every second packet (RFC 9000 section 13.2.2), and would send it
//! as soon as it is asked for packets: with bulk data that is after each batch that the socket gives, three or four
//! packets long where the peer sends them one by one. Each costs both ends a packet. A browser's upload took 56,000 of
//! them for 200 MB, and a fifth of its network process's time. So a connection that has nothing else to send is not
//! asked before [`MAX_HELD_PACKETS`] have come, or for [`MAX_HOLD`], which is how Chromium acknowledges, too.

use std::time::{Duration, Instant};

/// After so many packets an acknowledgement goes out at once.
const MAX_HELD_PACKETS: usize = 10;
/// No acknowledgement waits for longer: a small part of what peers have to expect anyway (25 ms, RFC 9000
/// section 18.2).
pub(crate) const MAX_HOLD: Duration = Duration::from_millis(1);

/// Promises: nothing but acknowledgements, and what may go along with them, is ever held; a single packet is left to
/// quinn-proto's own timer.
#[derive(Debug, Default)]
pub(crate) struct AckHold {
    /// Since packets were last sent.
    received: usize,
    until: Option<Instant>,
    /// Something else may have to go out.
    is_released: bool,
}

impl AckHold {
    /// A packet has come in.
    pub(crate) fn on_received(&mut self) {
        self.received += 1;
    }

    /// There is something else to send than acknowledgements, or may be.
    pub(crate) fn release(&mut self) {
        self.is_released = true;
    }

    /// Whether to ask for packets later.
    pub(crate) fn holds(&mut self, now: Instant) -> bool {
        if self.is_released || !(2..MAX_HELD_PACKETS).contains(&self.received) {
            return false;
        }
        now < *self.until.get_or_insert(now + MAX_HOLD)
    }

    /// When to ask for packets in any case.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Packets were asked for, and sent.
    pub(crate) fn on_sent(&mut self) {
        // A burst may be followed by another.
        *self = Self { is_released: self.is_released, ..Self::default() };
    }

    /// Packets were asked for, and there are none.
    pub(crate) fn on_nothing_to_send(&mut self) {
        // Several would have been acknowledged now if they had asked for it.
        let received = usize::from(self.received == 1);
        *self = Self { received, ..Self::default() };
    }
}
