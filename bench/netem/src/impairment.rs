//! Impairments of a link beyond its rate, delay and independent losses; each is small, and any number can be combined.
//!
//! A [`LinkSpec`](crate::LinkSpec) names those of its direction. They act one after another, in their order, on packets
//! that the [`Shaper`](crate::Shaper) lets through. Times count from the first packet of the direction.

use std::time::{Duration, Instant};

use crate::rng::SeededRng;

/// One thing that goes wrong with packets.
///
/// ```
/// # use std::time::Duration;
/// # use kwik_netem::{Impairment, LinkSpec};
/// const OVERTAKEN: [Impairment; 1] = [Impairment::Reorder { permille: 200, by: Duration::from_millis(5) }];
/// let link = LinkSpec::new().delay_ms(20).impaired(&OVERTAKEN);
/// assert!(!link.is_transparent());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impairment {
    /// So many of a thousand packets take longer by this, and those behind overtake them.
    Reorder {
        /// Of a thousand.
        permille: u32,
        /// How much later they come.
        by: Duration,
    },
    /// So many of a thousand packets come a second time.
    Duplicate {
        /// Of a thousand.
        permille: u32,
        /// How much later the copy comes.
        by: Duration,
    },
    /// In so many of a thousand packets one bit of the payload is changed. No checksum below QUIC notices.
    Corrupt {
        /// Of a thousand.
        permille: u32,
    },
    /// With this chance for each packet, it and those behind it are lost, so many in all.
    LoseBursts {
        /// Of a thousand.
        permille: u32,
        /// Packets in a burst.
        packets: u32,
    },
    /// Packets with a longer UDP payload are lost without a word, from a time on: a route with a smaller MTU.
    Narrow {
        /// The longest UDP payload that passes.
        payload_bytes: usize,
        /// Since the first packet.
        after: Duration,
    },
    /// Carries packets, then none, and so on. What is under way when it goes down is lost.
    Flap {
        /// How long it carries them.
        up: Duration,
        /// How long it does not.
        down: Duration,
        /// How far into such a round it begins: with `up`, it begins with the time that it carries nothing.
        phase: Duration,
    },
    /// Carries nothing for a while. What is under way when it begins is lost.
    Silence {
        /// Since the first packet.
        after: Duration,
        /// How long.
        lasting: Duration,
    },
}

impl Impairment {
    /// Whether it swallows what is on the link at this time since the first packet.
    fn is_silent_at(self, time: Duration) -> bool {
        match self {
            Self::Flap { up, down, phase } => {
                let round = (up + down).as_nanos().max(1);
                (time + phase).as_nanos() % round >= up.as_nanos()
            }
            Self::Silence { after, lasting } => time >= after && time < after + lasting,
            _ => false,
        }
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passage {
    /// When it comes out, if it does.
    pub(crate) due: Option<Instant>,
    /// When it comes out once more.
    pub(crate) copy: Option<Instant>,
    /// Its payload is another one now.
    pub(crate) corrupted: bool,
    /// Anything at all was done to it.
    pub(crate) impaired: bool,
}

/// The impairments of one direction at work. Pure: time is passed in, chance comes from the seed.
#[derive(Debug)]
pub(crate) struct Impairer {
    impairments: &'static [Impairment],
    rng: SeededRng,
    began: Option<Instant>,
    /// Packets that a burst still has to lose.
    burst_left: u32,
}

impl Impairer {
    pub(crate) fn new(impairments: &'static [Impairment], seed: u64) -> Self {
        Self { impairments, rng: SeededRng::new(seed), began: None, burst_left: 0 }
    }

    /// A packet that was sent at `now` and would come out at `due`.
    pub(crate) fn pass(&mut self, now: Instant, due: Instant, payload: &mut [u8]) -> Passage {
        let began = *self.began.get_or_insert(now);
        let mut passage = Passage { due: Some(due), copy: None, corrupted: false, impaired: false };
        for impairment in self.impairments {
            self.apply(*impairment, now.saturating_duration_since(began), began, payload, &mut passage);
        }
        passage
    }

    fn apply(
        &mut self,
        impairment: Impairment,
        sent: Duration,
        began: Instant,
        payload: &mut [u8],
        passage: &mut Passage,
    ) {
        let Some(due) = passage.due else { return };
        let changed = match impairment {
            Impairment::Reorder { permille, by } if self.rng.happens(permille) => {
                passage.due = Some(due + by);
                true
            }
            Impairment::Duplicate { permille, by } if self.rng.happens(permille) => {
                passage.copy = Some(due + by);
                true
            }
            Impairment::Corrupt { permille } if self.rng.happens(permille) => {
                let at = self.rng.index(payload.len());
                let bit = 1 << self.rng.index(8);
                payload.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
                passage.corrupted = true;
                true
            }
            Impairment::LoseBursts { permille, packets } => {
                if self.burst_left == 0 && self.rng.happens(permille) {
                    self.burst_left = packets;
                }
                let lost = self.burst_left > 0;
                self.burst_left = self.burst_left.saturating_sub(1);
                lost && drop_packet(passage)
            }
            Impairment::Narrow { payload_bytes, after } => {
                sent >= after && payload.len() > payload_bytes && drop_packet(passage)
            }
            Impairment::Flap { .. } | Impairment::Silence { .. } => {
                let arrives = due.saturating_duration_since(began);
                let lost = impairment.is_silent_at(sent) || impairment.is_silent_at(arrives);
                lost && drop_packet(passage)
            }
            Impairment::Reorder { .. } | Impairment::Duplicate { .. } | Impairment::Corrupt { .. } => false,
        };
        passage.impaired |= changed;
    }
}

/// The packet is gone, and a copy of it, too.
fn drop_packet(passage: &mut Passage) -> bool {
    passage.due = None;
    passage.copy = None;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Sends packets of 100 bytes a millisecond apart, on a link with a delay of 10 ms.
    fn passages(impairments: &'static [Impairment], seed: u64, packets: u32) -> Vec<(Passage, Instant)> {
        let mut impairer = Impairer::new(impairments, seed);
        let start = Instant::now();
        let send = |n| {
            let now = start + MS * n;
            (impairer.pass(now, now + 10 * MS, &mut [0; 100]), now)
        };
        (0..packets).map(send).collect()
    }

    fn count(passages: &[(Passage, Instant)], is_meant: impl Fn(&Passage) -> bool) -> usize {
        passages.iter().filter(|(passage, _)| is_meant(passage)).count()
    }

    #[test]
    fn without_impairments_every_packet_comes_out_when_it_is_due() {
        for (passage, sent) in passages(&[], 1, 10) {
            let untouched =
                Passage { due: Some(sent + 10 * MS), copy: None, corrupted: false, impaired: false };
            assert_eq!(passage, untouched);
        }
    }

    #[test]
    fn a_fifth_of_the_packets_is_held_back_and_the_same_seed_holds_the_same_ones() {
        static REORDER: [Impairment; 1] =
            [Impairment::Reorder { permille: 200, by: Duration::from_millis(5) }];
        let held = |seed| -> Vec<bool> {
            let passages = passages(&REORDER, seed, 10_000);
            assert!(passages.iter().all(|(passage, sent)| {
                let late = if passage.impaired { 5 * MS } else { Duration::ZERO };
                passage.due == Some(*sent + 10 * MS + late)
            }));
            passages.iter().map(|(passage, _)| passage.impaired).collect()
        };
        let share = held(1).iter().filter(|held| **held).count();
        assert!((1_900..2_100).contains(&share), "20 % of 10,000 is 2,000, not {share}");
        assert_eq!(held(1), held(1));
        assert_ne!(held(1), held(2));
    }

    #[test]
    fn copies_come_after_the_packet_and_corruption_changes_one_bit() {
        static BOTH: [Impairment; 2] =
            [Impairment::Duplicate { permille: 1000, by: MS }, Impairment::Corrupt { permille: 1000 }];
        let mut impairer = Impairer::new(&BOTH, 1);
        let now = Instant::now();
        let mut payload = [0u8; 100];
        let passage = impairer.pass(now, now, &mut payload);
        assert_eq!((passage.due, passage.copy), (Some(now), Some(now + MS)));
        assert!(passage.corrupted);
        assert_eq!(payload.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        // There is nothing to change in an empty one.
        assert!(impairer.pass(now, now, &mut []).corrupted);
    }

    #[test]
    fn bursts_lose_packets_that_follow_one_another() {
        static BURSTS: [Impairment; 1] = [Impairment::LoseBursts { permille: 10, packets: 20 }];
        let passages = passages(&BURSTS, 3, 20_000);
        let lost: Vec<bool> = passages.iter().map(|(passage, _)| passage.due.is_none()).collect();
        let runs: Vec<_> = lost.chunk_by(|a, b| a == b).filter(|run| run[0]).collect();
        assert!(runs.len() > 50);
        // Two bursts may meet, and the last one be cut off.
        assert!(runs[..runs.len() - 1].iter().all(|run| run.len() % 20 == 0), "{:?}", runs.len());
    }

    #[test]
    fn a_narrow_link_swallows_long_packets_from_its_time_on_and_no_others() {
        static NARROW: [Impairment; 2] = [
            Impairment::Narrow { payload_bytes: 99, after: Duration::from_millis(50) },
            Impairment::Narrow { payload_bytes: 100, after: Duration::ZERO },
        ];
        let passages = passages(&NARROW, 1, 100);
        assert_eq!(count(&passages[..50], |passage| passage.due.is_none()), 0);
        assert_eq!(count(&passages[50..], |passage| passage.due.is_none()), 50);
    }

    #[test]
    fn a_flapping_link_loses_what_is_sent_or_under_way_while_it_is_down() {
        const fn flap(phase_ms: u64) -> [Impairment; 1] {
            let [up, down, phase] =
                [Duration::from_millis(40), Duration::from_millis(20), Duration::from_millis(phase_ms)];
            [Impairment::Flap { up, down, phase }]
        }
        static BEGINS_UP: [Impairment; 1] = flap(0);
        static BEGINS_DOWN: [Impairment; 1] = flap(40);
        let arrived = |impairments| -> Vec<usize> {
            let passages = passages(impairments, 1, 180);
            (0..180).filter(|n| passages[*n].0.due.is_some()).collect()
        };
        // The delay is 10 ms: the last 10 before it goes down are lost with it.
        let rounds = |offset: usize| -> Vec<usize> {
            (0..3).flat_map(|round| round * 60 + offset..round * 60 + offset + 30).collect()
        };
        assert_eq!(arrived(&BEGINS_UP), rounds(0));
        assert_eq!(arrived(&BEGINS_DOWN), rounds(20));
    }

    #[test]
    fn a_silence_has_a_beginning_and_an_end() {
        static SILENCE: [Impairment; 1] =
            [Impairment::Silence { after: Duration::from_millis(50), lasting: Duration::from_millis(25) }];
        let passages = passages(&SILENCE, 1, 100);
        let lost: Vec<usize> = (0..100).filter(|n| passages[*n].0.due.is_none()).collect();
        assert_eq!(lost, (40..75).collect::<Vec<_>>());
    }
}
