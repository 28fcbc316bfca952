//! The kernel of the discrete-event simulation: virtual time, the queue of future events, randomness, and the log.

use std::collections::BinaryHeap;
use std::time::Duration;

use kwik::proto::time::Time;
use kwik::proto::wire::code::TransportCode;
use kwik::proto::wire::id::{PathId, Side};

use super::World;
use crate::carrier::{Arrival, Packet};
use crate::link::index;
use crate::rng::SimRng;

/// Something that happens to the world at one moment. Connections are named by their index in the network.
pub(super) enum Event {
    Packet { conn: usize, to: Side, packet: Packet },
    Ack { conn: usize, to: Side, numbers: Vec<u64> },
    Close { conn: usize, to: Side, code: u64 },
    CarrierTimer { conn: usize, side: Side },
    KeepAlive { conn: usize, side: Side },
    SessionTimer { side: Side },
    Dialled { conn: usize },
    DialFailed { path: PathId },
    Rejected { conn: usize, code: TransportCode },
    ReadALittle { side: Side },
    Call(Box<dyn FnOnce(&mut World)>),
}

/// An event in the queue. Those of the same moment happen in the order in which they were scheduled.
struct Scheduled {
    at: Time,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    /// Reversed: `BinaryHeap` gives the greatest first, and the earliest is wanted.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

pub(super) struct Kernel {
    pub(super) now: Time,
    pub(super) rng: SimRng,
    queue: BinaryHeap<Scheduled>,
    order: u64,
    log: u64,
    /// Events since time passed last.
    spins: u32,
}

impl Kernel {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: Self::start(),
            rng: SimRng::new(seed),
            queue: BinaryHeap::new(),
            order: 0,
            log: 0xcbf2_9ce4_8422_2325,
            spins: 0,
        }
    }

    /// When every run begins.
    pub(super) fn start() -> Time {
        Time::from_epoch(Duration::from_secs(1))
    }

    /// Schedules an event; one in the past happens now.
    pub(super) fn schedule(&mut self, at: Time, event: Event) {
        self.order += 1;
        self.queue.push(Scheduled { at: at.max(self.now), order: self.order, event });
    }

    /// Advances time to the next event, if there is one.
    pub(super) fn next(&mut self) -> Option<Event> {
        let Scheduled { at, event, .. } = self.queue.pop()?;
        self.spins = if at > self.now { 0 } else { self.spins + 1 };
        self.now = at;
        Some(event)
    }

    pub(super) fn spins(&self) -> u32 {
        self.spins
    }

    /// A hash of all that was noted, which tells one course of events from another.
    pub(super) fn log(&self) -> u64 {
        self.log
    }

    pub(super) fn note(&mut self, what: u64, detail: u64) {
        for word in [self.now.since_epoch().as_nanos() as u64, what, detail] {
            self.log = (self.log ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Notes the first 64 bytes of what arrives: frames and the heads of records are there, and the application's data
    /// follows.
    pub(super) fn note_arrival(&mut self, to: Side, arrival: &Arrival) {
        let (what, lane, data) = match arrival {
            Arrival::Data(lane, data) => (10, lane.0, &data[..]),
            Arrival::Finished(lane) => (11, lane.0, &[][..]),
            Arrival::Reset(lane) => (12, lane.0, &[][..]),
            Arrival::Stopped(lane) => (13, lane.0, &[][..]),
            Arrival::Datagram(data) => (14, 0, &data[..]),
        };
        self.note(what + 10 * index(to) as u64, lane << 32 | data.len() as u64);
        for bytes in data[..data.len().min(64)].chunks(8) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            self.note(what, u64::from_le_bytes(word));
        }
    }
}
