//! Delayed sending of packets that would carry nothing but acknowledgements.
//!
//! quinn-proto has an acknowledgement ready after every second packet (RFC 9000 section 13.2.2), and would send it
//! as soon as it is asked for packets: with bulk data that is after each batch that the socket gives, three or four
//! packets long where the peer sends them one by one. Each costs both ends a packet: 200 MB up from Chromium took 46,000
//! of them; with 16,000 all processes together spend a tenth less CPU time. So a connection that has nothing else to
//! send is not asked before [`MAX_HELD_PACKETS`] have come, or for [`MAX_HOLD`]; Chromium itself acknowledges so.

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

    /// The time has come, or there is something else to send than acknowledgements, or may be.
    pub(crate) fn release(&mut self) {
        self.is_released = true;
        self.until = None;
    }

    /// Whether to ask for packets later.
    pub(crate) fn holds(&mut self, now: Instant) -> bool {
        if self.is_released || !(2..MAX_HELD_PACKETS).contains(&self.received) {
            return false;
        }
        now < *self.until.get_or_insert(now + MAX_HOLD)
    }

    /// When to [`release`](Self::release) it if nothing else does.
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
