//! Goodput on link profiles, both paths against the better one alone: more paths never make a transfer slower.
//!
//! `KWIK_SIM_SEEDS` / 100 seeds per profile (2 at least); the table is printed with `--nocapture`.

use kwik::proto::config::SessionConfig;
use kwik::proto::scheduler::SchedulerKind;
use kwik::proto::wire::id::Side;

use crate::app::Plan;
use crate::carrier::Model;
use crate::link::Link;
use crate::rng::SimRng;
use crate::seeds::pair_with;

const LEAST_SHARE: f64 = 0.97;
const COPIES_FLOOR: u64 = 64 * 1024;

struct Profile {
    name: &'static str,
    links: [Link; 2],
}

/// The profiles of a published comparison, in which most multipath systems lose to their better path.
fn profiles() -> Vec<Profile> {
    let profile = |name, a, b| Profile { name, links: [a, b] };
    vec![
        profile("baseline", Link::new(50.0, 20), Link::new(50.0, 20)),
        profile("rtt_40", Link::new(50.0, 20), Link::new(50.0, 40)),
        profile("rtt_120", Link::new(50.0, 20), Link::new(50.0, 120)),
        profile("jit_5", Link::new(50.0, 20).jitter(5), Link::new(50.0, 20).jitter(5)),
        profile("loss_05", Link::new(50.0, 20).loss(0.5), Link::new(50.0, 20).loss(0.5)),
        profile("bw_4to1", Link::new(50.0, 20), Link::new(12.0, 20)),
        profile("dual_lte", Link::new(40.0, 30).jitter(5).loss(0.5), Link::new(25.0, 45).jitter(8).loss(0.5)),
        profile("fiber_lte", Link::new(300.0, 8), Link::new(30.0, 40).jitter(8).loss(0.5)),
        profile("lte_starlink", Link::new(40.0, 35).jitter(8), Link::new(100.0, 50).jitter(25).loss(1.0)),
        profile(
            "congested",
            Link::new(20.0, 50).jitter(20).loss(2.0),
            Link::new(15.0, 60).jitter(25).loss(2.0),
        ),
    ]
}

struct Run {
    goodput: f64,
    copied_bytes: u64,
    copies_allowed: u64,
}

fn run(seed: u64, links: &[Link], bytes: u64, model: Model) -> Run {
    let mut world = pair_with(seed, links.to_vec(), SessionConfig::default(), model);
    world.run_until_all_paths_are_there();
    let begun = world.now();
    world.open(Side::Server, Plan::uni(bytes));
    world.run();
    let took = world.app(Side::Client).finished_at - begun;
    let copied_bytes = world.session(Side::Server).stats().reinjected_bytes;
    Run {
        goodput: bytes as f64 / took.as_secs_f64(),
        copied_bytes,
        copies_allowed: bytes / 50 + COPIES_FLOOR,
    }
}

#[test]
fn copies_that_are_wanted_on_every_path_are_no_retransmissions() {
    let mut config = SessionConfig::default();
    config.scheduler = SchedulerKind::Redundant;
    let links = vec![Link::new(50.0, 20), Link::new(50.0, 25)];
    let mut world = pair_with(1, links, config, Model::Quic);
    world.run_until_all_paths_are_there();
    world.open(Side::Server, Plan::uni(1_000_000));
    world.run();
    let stats = world.session(Side::Server).stats();
    assert!(stats.reinjected_bytes > 100_000, "{stats:?}");
    assert_eq!(stats.retransmitted_bytes, 0, "{stats:?}");
}

/// Goodput of both paths together and of the better one alone, as means over the seeds.
fn compare(name: &str, links: [Link; 2], bytes: u64, model: Model, seeds: u64) -> f64 {
    let (mut both, mut alone, mut copied) = (0.0, [0.0; 2], 0);
    for seed in 0..seeds {
        let together = run(seed, &links, bytes, model);
        assert!(
            together.copied_bytes <= together.copies_allowed,
            "{name}: {} bytes were copied, {} are allowed",
            together.copied_bytes,
            together.copies_allowed
        );
        both += together.goodput;
        copied += together.copied_bytes;
        for (sum, link) in alone.iter_mut().zip(links) {
            *sum += run(seed, &[link], bytes, model).goodput;
        }
    }
    let mbit = |sum: f64| sum / seeds as f64 / 125_000.0;
    let (best, both_ways) = (alone[0].max(alone[1]), alone[0] + alone[1]);
    println!(
        "{name:<14} {model:?} {:>6.1} {:>6.1} alone, {:>6.1} together: {:>5.2} x the better, {:>3.0} % of the sum, \
         {:.2} % copied",
        mbit(alone[0]),
        mbit(alone[1]),
        mbit(both),
        both / best,
        both / both_ways * 100.0,
        copied as f64 * 100.0 / (bytes * seeds) as f64,
    );
    both / best
}

fn seeds() -> u64 {
    let asked =
        std::env::var("KWIK_SIM_SEEDS").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(1_000);
    (asked / 100).max(2)
}

/// What both links together carry in three seconds: goodput is what a transfer reaches once it has begun.
fn bytes_for(links: &[Link]) -> u64 {
    links.iter().map(|link| (link.mbit_per_s() * 375_000.0) as u64).sum()
}

fn all_profiles_hold(model: Model, least: f64) {
    let mut below = Vec::new();
    for Profile { name, links } in profiles() {
        let share = compare(name, links, bytes_for(&links), model, seeds());
        if share < least {
            below.push((name, share));
        }
    }
    assert!(below.is_empty(), "slower than the better path alone: {below:?}");
}

#[test]
fn two_paths_with_windows_as_wide_as_the_links_are_never_slower_than_one() {
    all_profiles_hold(Model::Fixed, LEAST_SHARE);
}

#[test]
fn two_paths_with_congestion_control_are_never_slower_than_one() {
    all_profiles_hold(Model::Quic, LEAST_SHARE);
}

#[test]
fn two_paths_that_tell_nothing_are_never_slower_than_one() {
    all_profiles_hold(Model::Browser, LEAST_SHARE);
}

#[test]
fn on_links_drawn_at_random_two_paths_are_never_slower_than_one() {
    let mut rng = SimRng::new(7);
    let mut shares = Vec::new();
    for _ in 0..seeds() * 3 {
        let mut link = || Link::new(rng.magnitude(3..200) as f64, rng.magnitude(2..100));
        let links = [link(), link()];
        let model = if rng.coin() { Model::Quic } else { Model::Browser };
        let name =
            links.map(|link| format!("{:.0}/{}", link.mbit_per_s(), (link.rtt() / 2).as_millis())).join(" ");
        shares.push(compare(&name, links, bytes_for(&links), model, 1));
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let worst = shares.iter().copied().fold(f64::MAX, f64::min);
    println!("mean {mean:.2} x the better path alone, worst {worst:.2}");
    assert!(worst >= LEAST_SHARE, "mean {mean:.2}, worst {worst:.2}");
}
