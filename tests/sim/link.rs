//! A link between client and server: two wires, each with a rate, a delay, a queue, and what goes wrong on it.

use std::time::Duration;

use kwik::proto::time::Time;
use kwik::proto::wire::id::Side;

use crate::rng::SimRng;

/// One direction of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) bytes_per_s: u64,
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
    pub(crate) loss_ppm: u32,
    pub(crate) queue_bytes: u64,
    /// Nothing that is sent arrives.
    pub(crate) silent: bool,
    free_at: Time,
    last_arrival: Time,
}

impl Wire {
    /// Sends a packet; when it arrives, if it does.
    pub(crate) fn send(&mut self, now: Time, bytes: u64, rng: &mut SimRng) -> Option<Time> {
        let backlog = (self.free_at - now).as_nanos() as u64 / 1_000 * self.bytes_per_s / 1_000_000;
        if self.silent || backlog > self.queue_bytes {
            return None;
        }
        self.free_at = self.free_at.max(now) + Duration::from_nanos(bytes * 1_000_000_000 / self.bytes_per_s);
        if rng.happens(self.loss_ppm) {
            return None;
        }
        let jitter = self.jitter.mul_f64(rng.unit());
        self.last_arrival = self.last_arrival.max(self.free_at + self.delay + jitter);
        Some(self.last_arrival)
    }

    /// Sends something so small that it costs no time on the wire, such as an acknowledgement.
    pub(crate) fn send_small(&mut self, now: Time) -> Option<Time> {
        (!self.silent).then(|| now + self.delay)
    }
}

/// Both directions, by the side that sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    wires: [Wire; 2],
}

impl Link {
    /// The same both ways; `delay` is one way, and the queue holds a bandwidth-delay product.
    pub(crate) fn new(mbit_per_s: f64, delay_ms: u64) -> Self {
        let bytes_per_s = (mbit_per_s * 125_000.0) as u64;
        let wire = Wire {
            bytes_per_s,
            delay: Duration::from_millis(delay_ms),
            jitter: Duration::ZERO,
            loss_ppm: 0,
            queue_bytes: (bytes_per_s * 2 * delay_ms / 1000).max(64_000),
            silent: false,
            free_at: Time::ZERO,
            last_arrival: Time::ZERO,
        };
        Self { wires: [wire; 2] }
    }

    pub(crate) fn jitter(mut self, ms: u64) -> Self {
        self.wires.iter_mut().for_each(|wire| wire.jitter = Duration::from_millis(ms));
        self
    }

    pub(crate) fn loss(mut self, percent: f64) -> Self {
        self.wires.iter_mut().for_each(|wire| wire.loss_ppm = (percent * 10_000.0) as u32);
        self
    }

    pub(crate) fn wire(&mut self, from: Side) -> &mut Wire {
        &mut self.wires[index(from)]
    }

    pub(crate) fn mbit_per_s(&self) -> f64 {
        self.wires[0].bytes_per_s as f64 / 125_000.0
    }

    pub(crate) fn rtt(&self) -> Duration {
        self.wires[0].delay + self.wires[1].delay
    }

    /// Bytes that one direction holds in a round trip.
    pub(crate) fn product_bytes(&self) -> u64 {
        (self.wires[0].bytes_per_s as f64 * self.rtt().as_secs_f64()) as u64
    }

    pub(crate) fn set_silent(&mut self, silent: bool) {
        self.wires.iter_mut().for_each(|wire| wire.silent = silent);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.wires.iter().all(|wire| !wire.silent)
    }

    /// Holds everything back for a while, and loses nothing.
    pub(crate) fn stall(&mut self, until: Time) {
        self.wires.iter_mut().for_each(|wire| wire.free_at = wire.free_at.max(until));
    }
}

pub(crate) fn index(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}
