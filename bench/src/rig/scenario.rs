//! The scenarios of the rig: what happens to a network while bytes are transferred over it.

use std::time::Duration;

use kwik_netem::link::PathSpec;
use kwik_netem::{Impairment, JitterOrder, LinkSpec, Loss, Rate};

/// A network, what happens to it, and how many bytes are sent over it, once in each direction.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// As given on a command line.
    pub name: &'static str,
    /// In a few words.
    pub story: &'static str,
    /// The links between client and server.
    pub paths: &'static [PathSpec],
    /// What is sent.
    pub bytes: usize,
    /// The client gets another address on this many of its paths, the first ones, and how often.
    pub moves: Moves,
    /// Short and telling enough to be run with every change.
    pub is_brief: bool,
}

/// Changes of the client's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moves {
    /// On the first so many paths.
    pub paths: u8,
    /// So often on each.
    pub times: u8,
    /// So long after the session was opened, and between two.
    pub every: Duration,
}

const NO_MOVES: Moves = Moves { paths: 0, times: 0, every: Duration::ZERO };

impl Scenario {
    /// Looks a scenario up by its name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// Whether anything is meant to happen to packets that a plain link does not do.
    pub fn is_impaired(&self) -> bool {
        let is_impaired = |path: &PathSpec| {
            let specs = [&path.up, &path.down];
            path.nat_forgets_every.is_some() || specs.iter().any(|spec| !spec.impairments.is_empty())
        };
        self.paths.iter().any(is_impaired)
    }

    const fn brief(mut self) -> Self {
        self.is_brief = true;
        self
    }

    const fn moving(mut self, paths: u8, times: u8, every_ms: u64) -> Self {
        self.moves = Moves { paths, times, every: ms(every_ms) };
        self
    }
}

const KB: usize = 1_000;
const MB: usize = 1_000_000;

const fn scenario(
    name: &'static str,
    bytes: usize,
    paths: &'static [PathSpec],
    story: &'static str,
) -> Scenario {
    Scenario { name, story, paths, bytes, moves: NO_MOVES, is_brief: false }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The link that most scenarios are about: 20 Mbit/s, 20 ms each way.
const fn line() -> LinkSpec {
    LinkSpec::new().rate(Rate::mbit(20)).delay_ms(20)
}

const fn at(mbit: u64, delay_ms: u64) -> LinkSpec {
    LinkSpec::new().rate(Rate::mbit(mbit)).delay_ms(delay_ms)
}

const fn with(impairments: &'static [Impairment]) -> PathSpec {
    both(line().impaired(impairments))
}

/// The same both ways.
const fn both(spec: LinkSpec) -> PathSpec {
    PathSpec::symmetric(spec)
}

/// A second path has seeds of its own.
const fn second(path: PathSpec) -> PathSpec {
    PathSpec { up: path.up.seed(path.up.seed + 2), down: path.down.seed(path.down.seed + 2), ..path }
}

const fn one_way(up: LinkSpec, down: LinkSpec) -> PathSpec {
    PathSpec { down: down.seed(2), ..both(up) }
}

const fn behind_nat(forgets_every_ms: u64) -> PathSpec {
    PathSpec { nat_forgets_every: Some(ms(forgets_every_ms)), ..both(line()) }
}

const fn reorder(permille: u32, by_ms: u64) -> Impairment {
    Impairment::Reorder { permille, by: ms(by_ms) }
}

const fn duplicate(permille: u32) -> Impairment {
    Impairment::Duplicate { permille, by: ms(3) }
}

const fn corrupt(permille: u32) -> Impairment {
    Impairment::Corrupt { permille }
}

const fn narrow(payload_bytes: usize, after_ms: u64) -> Impairment {
    Impairment::Narrow { payload_bytes, after: ms(after_ms) }
}

const fn flap(up_ms: u64, down_ms: u64, phase_ms: u64) -> Impairment {
    Impairment::Flap { up: ms(up_ms), down: ms(down_ms), phase: ms(phase_ms) }
}

const fn silence(after_ms: u64, lasting_ms: u64) -> Impairment {
    Impairment::Silence { after: ms(after_ms), lasting: ms(lasting_ms) }
}

/// Longer than any transfer.
const FOR_GOOD: u64 = 3_600_000;

const fn free_jitter(spec: LinkSpec, jitter_ms: u64) -> LinkSpec {
    LinkSpec { jitter_order: JitterOrder::Free, ..spec.jitter_ms(jitter_ms) }
}

const fn queue(spec: LinkSpec, bytes: u64) -> LinkSpec {
    LinkSpec { queue_bytes: Some(bytes), ..spec }
}

const fn lossy(permille: u32) -> LinkSpec {
    LinkSpec { loss: Loss::permille(permille), ..line() }
}

/// A little of everything.
const TROUBLE: &[Impairment] = &[
    reorder(50, 5),
    duplicate(20),
    corrupt(5),
    Impairment::LoseBursts { permille: 1, packets: 5 },
    silence(1_500, 400),
];

const FLAP_200: &[Impairment] = &[flap(200, 200, 0)];
const REORDER_20: &[Impairment] = &[reorder(200, 10)];
const PLAIN: PathSpec = both(line());

/// One path first, then two; easy ones first.
#[rustfmt::skip]
pub static SCENARIOS: [Scenario; 60] = [
    scenario("plain", 5 * MB, &[PLAIN], "20 Mbit/s, 20 ms each way: what most others change").brief(),
    scenario("fast", 30 * MB, &[both(at(150, 5))], "150 Mbit/s, 5 ms"),
    scenario("slow", 300 * KB, &[both(at(1, 50))], "1 Mbit/s, 50 ms"),
    scenario("far", 5 * MB, &[both(at(20, 150))], "20 Mbit/s, 150 ms"),
    scenario("asymmetric", 3 * MB, &[one_way(at(2, 20), at(20, 20))], "2 Mbit/s up, 20 down"),
    scenario("shallow_queue", 3 * MB, &[both(queue(line(), 8 * 1500))], "a queue of 8 packets"),
    scenario("deep_queue", 4 * MB, &[both(queue(line(), 2_500_000))], "a queue of a second"),
    scenario("jitter_in_order", 4 * MB, &[both(line().jitter_ms(15))], "delay of 5 to 35 ms, order kept"),
    scenario("jitter_free", 4 * MB, &[both(free_jitter(line(), 10))], "delay of 10 to 30 ms, each packet its own"),
    scenario("loss_1", 2 * MB, &[both(lossy(10))], "1 % lost"),
    scenario("loss_5", MB, &[both(lossy(50))], "5 % lost"),
    scenario("loss_20", 300 * KB, &[both(lossy(200))], "20 % lost"),
    scenario("loss_of_acks", 3 * MB, &[one_way(lossy(100), line())], "10 % lost on the way up"),
    scenario("loss_bursts", 2 * MB, &[with(&[Impairment::LoseBursts { permille: 2, packets: 15 }])], "bursts of 15 packets lost"),
    scenario("reorder_20_by_5", 4 * MB, &[with(&[reorder(200, 5)])], "20 % of packets 5 ms late"),
    scenario("reorder_20_by_10", 4 * MB, &[with(REORDER_20)], "20 % of packets 10 ms late").brief(),
    scenario("reorder_20_by_20", 4 * MB, &[with(&[reorder(200, 20)])], "20 % of packets 20 ms late"),
    scenario("reorder_50_by_3", 4 * MB, &[with(&[reorder(500, 3)])], "half of the packets 3 ms late"),
    scenario("reorder_2_by_100", 2 * MB, &[with(&[reorder(20, 100)])], "2 % of packets 100 ms late"),
    scenario("duplicate_10", 4 * MB, &[with(&[duplicate(100)])], "10 % of packets come twice"),
    scenario("duplicate_all", 4 * MB, &[with(&[duplicate(1000)])], "every packet comes twice").brief(),
    scenario("corrupt_1", 2 * MB, &[with(&[corrupt(10)])], "a bit changed in 1 % of packets").brief(),
    scenario("corrupt_10", 500 * KB, &[with(&[corrupt(100)])], "a bit changed in 10 % of packets"),
    scenario("mtu_1280", 4 * MB, &[with(&[narrow(1_252, 0)])], "longer packets than 1,280 bytes vanish"),
    scenario("mtu_1228", 4 * MB, &[with(&[narrow(1_200, 0)])], "only QUIC's shortest full packets pass"),
    scenario("mtu_shrinks", 4 * MB, &[with(&[narrow(1_252, 700)])], "after 0.7 s packets above 1,280 bytes vanish").brief(),
    scenario("nat_rebinds", 5 * MB, &[behind_nat(700)], "a NAT gives another port every 0.7 s").brief(),
    scenario("address_changes", 5 * MB, &[PLAIN], "the client gets another address after 0.7 s").moving(1, 1, 700).brief(),
    scenario("address_changes_thrice", 5 * MB, &[PLAIN], "the client gets three other addresses, 0.5 s apart").moving(1, 3, 500),
    scenario("silent_1s", 4 * MB, &[with(&[silence(700, 1_000)])], "nothing passes for 1 s"),
    scenario("silent_6s", 4 * MB, &[with(&[silence(700, 6_000)])], "nothing passes for 6 s: paths are given up"),
    scenario("silent_up_2s", 4 * MB, &[one_way(line().impaired(&[silence(700, 2_000)]), line())], "nothing passes up for 2 s"),
    scenario("silent_down_2s", 4 * MB, &[one_way(line(), line().impaired(&[silence(700, 2_000)]))], "nothing passes down for 2 s"),
    scenario("flap_1000_300", 5 * MB, &[with(&[flap(1_000, 300, 0)])], "1 s up, 0.3 s down"),
    scenario("flap_200_200", 2 * MB, &[with(FLAP_200)], "0.2 s up, 0.2 s down"),
    scenario("flap_300_50", 3 * MB, &[with(&[flap(300, 50, 0)])], "0.3 s up, 0.05 s down"),
    scenario("trouble", 2 * MB, &[with(TROUBLE)], "reordering, copies, corruption, bursts of loss, 0.4 s of silence"),
    scenario("two_plain", 10 * MB, &[PLAIN, second(PLAIN)], "two paths of 20 Mbit/s").brief(),
    scenario("two_delays", 8 * MB, &[both(at(20, 10)), second(both(at(20, 60)))], "10 and 60 ms"),
    scenario("two_rates", 6 * MB, &[PLAIN, second(both(at(4, 20)))], "20 and 4 Mbit/s"),
    scenario("two_first_dies", 6 * MB, &[with(&[silence(700, FOR_GOOD)]), second(PLAIN)], "the first path falls silent for good").brief(),
    scenario("two_second_dies", 6 * MB, &[PLAIN, second(with(&[silence(700, FOR_GOOD)]))], "the second path falls silent for good"),
    scenario("two_first_dies_up", 6 * MB, &[one_way(line().impaired(&[silence(700, FOR_GOOD)]), line()), second(PLAIN)], "the first path carries nothing up any more"),
    scenario("two_first_dies_down", 6 * MB, &[one_way(line(), line().impaired(&[silence(700, FOR_GOOD)])), second(PLAIN)], "the first path carries nothing down any more"),
    scenario("two_second_never", 4 * MB, &[PLAIN, second(with(&[silence(0, FOR_GOOD)]))], "the second path never answers"),
    scenario("two_silent_2s", 8 * MB, &[with(&[silence(700, 2_000)]), second(with(&[silence(700, 2_000)]))], "nothing passes on either for 2 s"),
    scenario("two_silent_6s", 8 * MB, &[with(&[silence(700, 6_000)]), second(with(&[silence(700, 6_000)]))], "nothing passes on either for 6 s: the session is suspended"),
    scenario("two_take_turns", 6 * MB, &[with(&[flap(500, 500, 0)]), second(with(&[flap(500, 500, 500)]))], "0.5 s up, 0.5 s down, in turn"),
    scenario("two_flap_200_200", 5 * MB, &[with(FLAP_200), second(with(FLAP_200))], "both 0.2 s up, 0.2 s down, at the same time").brief(),
    scenario("two_one_flaps", 6 * MB, &[with(FLAP_200), second(PLAIN)], "the first 0.2 s up, 0.2 s down"),
    scenario("two_one_lossy", 5 * MB, &[PLAIN, second(both(lossy(50)))], "5 % lost on the second"),
    scenario("two_both_lossy", 3 * MB, &[both(lossy(20)), second(both(lossy(20)))], "2 % lost on both"),
    scenario("two_one_reorders", 8 * MB, &[PLAIN, second(with(REORDER_20))], "20 % of packets 10 ms late on the second"),
    scenario("two_both_reorder", 8 * MB, &[with(REORDER_20), second(with(REORDER_20))], "20 % of packets 10 ms late on both"),
    scenario("two_one_corrupts", 5 * MB, &[PLAIN, second(with(&[corrupt(50)]))], "a bit changed in 5 % of the second's packets"),
    scenario("two_mtu_shrinks", 6 * MB, &[with(&[narrow(1_252, 700)]), second(with(&[narrow(1_252, 700)]))], "after 0.7 s packets above 1,280 bytes vanish on both"),
    scenario("two_nats", 8 * MB, &[behind_nat(500), second(behind_nat(700))], "NATs give other ports every 0.5 and 0.7 s"),
    scenario("two_one_moves", 8 * MB, &[PLAIN, second(PLAIN)], "the client gets another address on the first").moving(1, 1, 700),
    scenario("two_both_move", 8 * MB, &[PLAIN, second(PLAIN)], "the client gets other addresses on both, twice").moving(2, 2, 600),
    scenario("two_trouble", 4 * MB, &[with(TROUBLE), second(with(TROUBLE))], "on both reordering, copies, corruption, bursts of loss, 0.4 s of silence"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own() {
        for scenario in &SCENARIOS {
            assert!(std::ptr::eq(Scenario::named(scenario.name).expect(scenario.name), scenario));
        }
        assert!(Scenario::named("sunshine").is_none());
    }
}
