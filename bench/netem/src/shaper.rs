//! The model of one direction of a link: a bounded queue, a rate, a delay that may waver, random loss.
//!
//! A packet first waits until those before it have left at the link's rate, or is dropped if the queue is
//! full. It is then lost with the given probability (it has used the link's time all the same, as on a
//! radio), and otherwise arrives one delay later.

use std::time::{Duration, Instant};

use crate::impairment::Impairment;
use crate::rng::SeededRng;
use crate::units::{Loss, Rate};

/// The shortest queue that [`LinkSpec::queue_limit_bytes`] chooses by itself, as a time at the link's rate.
const MIN_QUEUE_TIME: Duration = Duration::from_millis(50);
/// The smallest queue it chooses, so that a slow link can still hold a burst of ten packets.
const MIN_QUEUE_BYTES: u64 = 10 * 1500;

/// Whether packets may overtake one another when the delay wavers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JitterOrder {
    /// They stay in order, as over one radio link: a packet that is late holds up those behind it. When
    /// packets follow one another closely the delay therefore lies nearer to `delay + jitter`.
    Kept,
    /// Each packet takes its own time, as over several routes at once.
    Free,
}

/// What one direction of a link does to packets. Without further words: nothing at all.
///
/// ```
/// # use kwik_netem::{LinkSpec, Rate};
/// let lte = LinkSpec::new().rate(Rate::mbit(40)).delay_ms(30).jitter_ms(5).loss_permille(5);
/// assert_eq!(lte.queue_limit_bytes(), Some(300_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkSpec {
    /// Bits per second; `None` is unlimited.
    pub rate: Option<Rate>,
    /// One way.
    pub delay: Duration,
    /// The delay of each packet is drawn evenly from `delay - jitter` to `delay + jitter`.
    pub jitter: Duration,
    /// May packets overtake one another under jitter?
    pub jitter_order: JitterOrder,
    /// Drawn for every packet on its own.
    pub loss: Loss,
    /// The queue in front of the rate; `None` chooses, see [`LinkSpec::queue_limit_bytes`].
    pub queue_bytes: Option<u64>,
    /// What else goes wrong, in this order, with packets that are not lost by then.
    pub impairments: &'static [Impairment],
    /// The same seed gives the same losses and delays for the same packets.
    pub seed: u64,
}

impl LinkSpec {
    /// A link that changes nothing.
    pub const fn new() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            jitter_order: JitterOrder::Kept,
            loss: Loss::NONE,
            queue_bytes: None,
            impairments: &[],
            seed: 1,
        }
    }

    /// Limits the rate.
    pub const fn rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Sets the one-way delay.
    pub const fn delay_ms(mut self, ms: u64) -> Self {
        self.delay = Duration::from_millis(ms);
        self
    }

    /// Lets the delay waver by `ms` both ways.
    pub const fn jitter_ms(mut self, ms: u64) -> Self {
        self.jitter = Duration::from_millis(ms);
        self
    }

    /// Loses this many packets of a thousand.
    pub const fn loss_permille(mut self, permille: u32) -> Self {
        self.loss = Loss::permille(permille);
        self
    }

    /// Lets more go wrong.
    pub const fn impaired(mut self, impairments: &'static [Impairment]) -> Self {
        self.impairments = impairments;
        self
    }

    /// Starts the random numbers elsewhere.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many bytes may wait for the rate; `None` where nothing waits because no rate is set.
    ///
    /// By default the larger of one bandwidth-delay product (rate times twice the one-way delay), 50 ms at
    /// the link's rate, and ten full packets.
    pub fn queue_limit_bytes(&self) -> Option<u64> {
        let rate = self.rate?;
        let chosen = || rate.bytes_in((2 * self.delay).max(MIN_QUEUE_TIME)).max(MIN_QUEUE_BYTES);
        Some(self.queue_bytes.unwrap_or_else(chosen))
    }

    /// True if it changes nothing.
    pub fn is_transparent(&self) -> bool {
        self.delay.is_zero() && !self.treats_packets_apart()
    }

    /// True if packets that travel together may meet different fates.
    pub(crate) fn treats_packets_apart(&self) -> bool {
        let is_shaped = self.rate.is_some() || !self.jitter.is_zero() || self.loss > Loss::NONE;
        is_shaped || !self.impairments.is_empty()
    }
}

impl Default for LinkSpec {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a packet does not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The queue was full.
    QueueFull,
    /// Lost at random, as the configured rate of loss says.
    Lost,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It comes out at the other end at this time.
    DeliverAt(Instant),
    /// It does not come out.
    Drop(DropReason),
}

/// One direction of a link. Pure: time is passed in, randomness comes from the seed.
#[derive(Debug)]
pub struct Shaper {
    spec: LinkSpec,
    rng: SeededRng,
    /// When the last accepted packet has left the queue.
    busy_until: Option<Instant>,
    last_delivery: Option<Instant>,
}

impl Shaper {
    /// An idle link.
    pub fn new(spec: LinkSpec) -> Self {
        Self { rng: SeededRng::new(spec.seed), spec, busy_until: None, last_delivery: None }
    }

    /// What it does.
    pub fn spec(&self) -> &LinkSpec {
        &self.spec
    }

    /// Puts a packet of `len_bytes` in. `now` must not go backwards.
    pub fn enqueue(&mut self, now: Instant, len_bytes: usize) -> Verdict {
        let Some(sent_at) = self.send_at_rate(now, len_bytes) else {
            return Verdict::Drop(DropReason::QueueFull);
        };
        if self.spec.loss > Loss::NONE && self.rng.unit() < self.spec.loss.probability() {
            return Verdict::Drop(DropReason::Lost);
        }
        let mut delivery = sent_at + self.draw_delay();
        if self.spec.jitter_order == JitterOrder::Kept {
            delivery = delivery.max(self.last_delivery.unwrap_or(delivery));
            self.last_delivery = Some(delivery);
        }
        Verdict::DeliverAt(delivery)
    }

    /// When the packet's last bit has left, or `None` if the queue cannot hold it.
    fn send_at_rate(&mut self, now: Instant, len_bytes: usize) -> Option<Instant> {
        let Some(rate) = self.spec.rate else { return Some(now) };
        let start = self.busy_until.unwrap_or(now).max(now);
        let waiting_bytes = rate.bytes_in(start - now);
        let limit = self.spec.queue_limit_bytes().unwrap_or(u64::MAX);
        // An empty queue takes any packet: otherwise one larger than the limit could never pass.
        if waiting_bytes > 0 && waiting_bytes + len_bytes as u64 > limit {
            return None;
        }
        let sent_at = start + rate.time_to_send(len_bytes);
        self.busy_until = Some(sent_at);
        Some(sent_at)
    }

    fn draw_delay(&mut self) -> Duration {
        if self.spec.jitter.is_zero() {
            return self.spec.delay;
        }
        let span = self.spec.jitter.mul_f64(2.0 * self.rng.unit());
        (self.spec.delay + span).saturating_sub(self.spec.jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1500;

    fn delays(spec: LinkSpec, packets: u32, gap: Duration) -> Vec<Option<Duration>> {
        let mut shaper = Shaper::new(spec);
        let start = Instant::now();
        (0..packets)
            .map(|n| {
                let now = start + gap * n;
                match shaper.enqueue(now, PACKET) {
                    Verdict::DeliverAt(at) => Some(at - now),
                    Verdict::Drop(_) => None,
                }
            })
            .collect()
    }

    #[test]
    fn a_transparent_link_delivers_at_once() {
        assert!(LinkSpec::new().is_transparent());
        assert_eq!(delays(LinkSpec::new(), 3, Duration::ZERO), [Some(Duration::ZERO); 3]);
    }

    #[test]
    fn packets_sent_together_leave_one_after_another_at_the_rate() {
        let spec = LinkSpec::new().rate(Rate::mbit(12)).delay_ms(20);
        let expected = [21, 22, 23].map(|ms| Some(Duration::from_millis(ms)));
        assert_eq!(delays(spec, 3, Duration::ZERO), expected);
    }

    #[test]
    fn an_idle_gap_is_not_saved_up_for_a_later_burst() {
        let spec = LinkSpec::new().rate(Rate::mbit(12));
        assert_eq!(delays(spec, 4, Duration::from_secs(1)), [Some(Duration::from_millis(1)); 4]);
    }

    #[test]
    fn a_full_queue_drops_and_takes_again_when_it_has_drained() {
        let spec = LinkSpec { queue_bytes: Some(3 * PACKET as u64), ..LinkSpec::new().rate(Rate::mbit(12)) };
        let mut shaper = Shaper::new(spec);
        let start = Instant::now();
        for _ in 0..3 {
            assert!(matches!(shaper.enqueue(start, PACKET), Verdict::DeliverAt(_)));
        }
        assert_eq!(shaper.enqueue(start, PACKET), Verdict::Drop(DropReason::QueueFull));
        let later = start + Duration::from_millis(1);
        assert_eq!(shaper.enqueue(later, PACKET), Verdict::DeliverAt(later + Duration::from_millis(3)));
    }

    #[test]
    fn a_packet_larger_than_the_queue_passes_when_the_queue_is_empty() {
        let spec = LinkSpec { queue_bytes: Some(100), ..LinkSpec::new().rate(Rate::mbit(12)) };
        assert_eq!(delays(spec, 2, Duration::ZERO), [Some(Duration::from_millis(1)), None]);
    }

    #[test]
    fn the_queue_holds_one_bandwidth_delay_product_or_fifty_milliseconds() {
        let at_50_mbit = |ms| LinkSpec::new().rate(Rate::mbit(50)).delay_ms(ms).queue_limit_bytes();
        assert_eq!(at_50_mbit(120), Some(1_500_000));
        assert_eq!(at_50_mbit(1), Some(312_500));
        assert_eq!(LinkSpec::new().delay_ms(10).queue_limit_bytes(), None);
    }

    #[test]
    fn loss_comes_at_its_rate_and_the_same_seed_loses_the_same_packets() {
        let spec = LinkSpec::new().loss_permille(20);
        let first = delays(spec, 50_000, Duration::ZERO);
        let lost = first.iter().filter(|d| d.is_none()).count();
        assert!((900..1100).contains(&lost), "2 % of 50,000 is 1,000, not {lost}");
        assert_eq!(first, delays(spec, 50_000, Duration::ZERO));
        assert_ne!(first, delays(spec.seed(2), 50_000, Duration::ZERO));
    }

    #[test]
    fn jitter_stays_in_its_bounds_and_keeps_the_order_unless_told_otherwise() {
        let spec = LinkSpec::new().delay_ms(20).jitter_ms(5);
        let arrivals = |spec| {
            let gap = Duration::from_millis(1);
            let delays: Vec<_> = delays(spec, 1000, gap).into_iter().flatten().collect();
            for delay in &delays {
                assert!((15..=25).contains(&delay.as_millis()), "{delay:?}");
            }
            (0..).zip(delays).map(|(n, delay)| gap * n + delay).collect::<Vec<_>>()
        };
        assert!(arrivals(spec).is_sorted());
        assert!(!arrivals(LinkSpec { jitter_order: JitterOrder::Free, ..spec }).is_sorted());
    }

    #[test]
    fn jitter_larger_than_the_delay_never_delivers_into_the_past() {
        let spec = LinkSpec::new().delay_ms(2).jitter_ms(50);
        assert!(delays(spec, 1000, Duration::from_secs(1)).iter().all(Option::is_some));
    }
}
