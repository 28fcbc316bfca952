//! An account of the bytes that were handed to quinn-proto and have not been sent, a figure that it does not tell.
//!
//! Promise: it errs on the low side, so that a path never waits for bytes that have left already, and it is set right
//! whenever nothing can be left.

/// Of a short header packet: flags, connection id, packet number, tag (RFC 9000 section 17.3.1, RFC 9001
/// section 5.3). The shortest that quinn-proto makes, so that the account errs on the low side.
const PACKET_OVERHEAD_BYTES: u64 = 1 + 8 + 1 + 16;
/// Of a stream frame that fills its packet: type, stream id, offset; the usual shortest.
const FRAME_OVERHEAD_BYTES: u64 = 1 + 1 + 4;

/// The account of one connection, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnsentBytes {
    unsent: u64,
    /// Of these, written since quinn-proto was last asked to send.
    fresh: u64,
    /// What the congestion controller had counted as lost when it was last looked at.
    lost_seen: u64,
}

/// A transmission, as far as the account goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transmission {
    /// All of it.
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    /// Frames with bytes of streams. In a transmission without any there is nothing of what was written.
    pub(crate) stream_frames: u64,
}

impl UnsentBytes {
    /// What is left, by the account.
    pub(crate) fn get(self) -> u64 {
        self.unsent
    }

    /// quinn-proto took so many bytes.
    pub(crate) fn on_written(&mut self, bytes: u64) {
        self.unsent += bytes;
        self.fresh += bytes;
    }

    /// The congestion controller has counted so many lost bytes by now: these are to be sent again, and as good as unsent.
    pub(crate) fn on_lost(&mut self, lost_in_all: u64) {
        self.unsent += lost_in_all - self.lost_seen;
        self.lost_seen = lost_in_all;
    }

    /// quinn-proto was asked to send.
    pub(crate) fn on_asked(&mut self) {
        self.fresh = 0;
    }

    /// It sent something.
    pub(crate) fn on_sent(&mut self, sent: Transmission) {
        if sent.stream_frames > 0 {
            let overhead = sent.packets * PACKET_OVERHEAD_BYTES + sent.stream_frames * FRAME_OVERHEAD_BYTES;
            self.unsent = self.unsent.saturating_sub(sent.bytes.saturating_sub(overhead));
        }
    }

    /// Everything had been sent when quinn-proto was last asked, whatever the account says.
    pub(crate) fn on_ran_dry(&mut self) {
        self.unsent = self.unsent.min(self.fresh);
    }

    /// Nothing is left, or how much is cannot be known: better too low than a path that stalls.
    pub(crate) fn clear(&mut self) {
        self.unsent = 0;
    }

    /// How many packets of `mtu` bytes can be filled.
    pub(crate) fn whole_packets(self, mtu: u16) -> usize {
        let payload = u64::from(mtu).saturating_sub(PACKET_OVERHEAD_BYTES + FRAME_OVERHEAD_BYTES);
        usize::try_from(self.unsent / payload.max(1)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(bytes: u64, packets: u64, stream_frames: u64) -> Transmission {
        Transmission { bytes, packets, stream_frames }
    }

    #[test]
    fn what_was_written_is_unsent_until_packets_have_taken_it() {
        let mut account = UnsentBytes::default();
        account.on_written(10_000);
        account.on_asked();
        account.on_sent(sent(2_800, 2, 2));
        assert_eq!(account.get(), 10_000 - (2_800 - 2 * PACKET_OVERHEAD_BYTES - 2 * FRAME_OVERHEAD_BYTES));
        account.on_sent(sent(60, 1, 0));
        assert!(account.get() > 7_000, "an acknowledgement takes nothing of it along");
        account.on_sent(sent(20_000, 15, 15));
        assert_eq!(account.get(), 0, "and never below nothing");
    }

    #[test]
    fn what_is_lost_is_unsent_again_once() {
        let mut account = UnsentBytes::default();
        account.on_lost(500);
        account.on_lost(500);
        account.on_lost(700);
        assert_eq!(account.get(), 700);
    }

    #[test]
    fn when_quic_had_nothing_left_only_what_came_since_can_be() {
        let mut account = UnsentBytes::default();
        account.on_written(1_000);
        account.on_asked();
        account.on_written(300);
        account.on_ran_dry();
        assert_eq!(account.get(), 300);
        account.on_ran_dry();
        assert_eq!(account.get(), 300);
        account.clear();
        assert_eq!(account.get(), 0);
    }

    #[test]
    fn whole_packets_are_what_can_be_filled_beside_the_headers() {
        let mut account = UnsentBytes::default();
        account.on_written(2 * 1_200);
        assert_eq!(account.whole_packets(1_200), 2);
        account.on_sent(sent(1_200, 1, 1));
        assert_eq!(account.whole_packets(1_200), 1);
        assert_eq!(account.whole_packets(0), account.get() as usize, "no MTU is no reason to panic");
    }
}
