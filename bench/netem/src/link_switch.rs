//! The on/off switch and packet counter of each direction of a link, through which every packet passes last.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One of the two ways through a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What has passed in one direction since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets delivered.
    pub packets: u64,
    /// Bytes delivered (for a [`Forwarder`](crate::Forwarder), of UDP payload).
    pub bytes: u64,
    /// Packets dropped: silenced, lost, or the queue was full.
    pub dropped_packets: u64,
    /// Packets that an impairment lost, held back, copied or changed, or that found their NAT's mapping forgotten.
    pub impaired_packets: u64,
}

/// Lets the packets of one direction through, or drops them all, and counts both. On at first.
#[derive(Debug, Default)]
pub(crate) struct LinkSwitch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_off: bool,
    counters: Counters,
}

impl LinkSwitch {
    /// Once this has returned, no further packet is delivered.
    pub(crate) fn turn_off(&self) {
        self.state().is_off = true;
    }

    pub(crate) fn turn_on(&self) {
        self.state().is_off = false;
    }

    /// Calls `send` if on, and counts. `Ok` when off: a sender does not notice that its packets are dropped.
    ///
    /// The lock is held while `send` hands the packet to the kernel, so that a packet is counted by the time that its
    /// receiver has it.
    pub(crate) fn pass<E>(
        &self,
        packets: usize,
        bytes: usize,
        send: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut state = self.state();
        if state.is_off {
            state.counters.dropped_packets += packets as u64;
            return Ok(());
        }
        send()?;
        state.counters.packets += packets as u64;
        state.counters.bytes += bytes as u64;
        Ok(())
    }

    pub(crate) fn count_dropped(&self, packets: usize) {
        self.state().counters.dropped_packets += packets as u64;
    }

    pub(crate) fn count_impaired(&self, packets: usize) {
        self.state().counters.impaired_packets += packets as u64;
    }

    pub(crate) fn counters(&self) -> Counters {
        self.state().counters
    }

    /// Poisoned or not: no `send` leaves the numbers half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two switches of a link.
#[derive(Debug, Default)]
pub(crate) struct LinkSwitches {
    pub(crate) up: LinkSwitch,
    pub(crate) down: LinkSwitch,
}

impl LinkSwitches {
    pub(crate) fn get(&self, direction: Direction) -> &LinkSwitch {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_that_is_off_swallows_what_is_sent_and_counts_it() {
        let switch = LinkSwitch::default();
        let mut sent = 0;
        let mut send = || {
            switch.pass(2, 100, || {
                sent += 1;
                Ok::<_, ()>(())
            })
        };
        assert_eq!(send(), Ok(()));
        switch.turn_off();
        assert_eq!(send(), Ok(()));
        switch.turn_on();
        assert_eq!(send(), Ok(()));
        assert_eq!(sent, 2);
        assert_eq!(
            switch.counters(),
            Counters { packets: 4, bytes: 200, dropped_packets: 2, ..Counters::default() }
        );
    }

    #[test]
    fn what_the_kernel_refuses_is_not_counted_as_delivered() {
        let switch = LinkSwitch::default();
        assert_eq!(switch.pass(1, 10, || Err("full")), Err("full"));
        assert_eq!(switch.counters(), Counters::default());
    }
}
