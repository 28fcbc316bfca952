//! The point that every packet of one direction passes last: it can be shut, and it counts.

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

/// Shut or open; the one gate and counter of a direction.
#[derive(Debug, Default)]
pub(crate) struct Valve(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_shut: bool,
    counters: Counters,
}

impl Valve {
    /// Once this has returned, nothing more comes out.
    pub(crate) fn shut(&self) {
        self.state().is_shut = true;
    }

    pub(crate) fn open(&self) {
        self.state().is_shut = false;
    }

    /// Calls `send` if open, and counts. `Ok` when shut: whoever sends into silence does not notice.
    ///
    /// The lock is held while `send` hands the packet to the kernel, so that whoever receives it finds it
    /// counted.
    pub(crate) fn pass<E>(
        &self,
        packets: usize,
        bytes: usize,
        send: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut state = self.state();
        if state.is_shut {
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

/// The two valves of a link.
#[derive(Debug, Default)]
pub(crate) struct Valves {
    pub(crate) up: Valve,
    pub(crate) down: Valve,
}

impl Valves {
    pub(crate) fn get(&self, direction: Direction) -> &Valve {
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
    fn a_shut_valve_swallows_what_is_sent_and_counts_it() {
        let valve = Valve::default();
        let mut sent = 0;
        let mut send = || {
            valve.pass(2, 100, || {
                sent += 1;
                Ok::<_, ()>(())
            })
        };
        assert_eq!(send(), Ok(()));
        valve.shut();
        assert_eq!(send(), Ok(()));
        valve.open();
        assert_eq!(send(), Ok(()));
        assert_eq!(sent, 2);
        assert_eq!(
            valve.counters(),
            Counters { packets: 4, bytes: 200, dropped_packets: 2, ..Counters::default() }
        );
    }

    #[test]
    fn what_the_kernel_refuses_is_not_counted_as_delivered() {
        let valve = Valve::default();
        assert_eq!(valve.pass(1, 10, || Err("full")), Err("full"));
        assert_eq!(valve.counters(), Counters::default());
    }
}
