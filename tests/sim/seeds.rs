//! The seeds that a family of situations runs over, and the set-up of a run.

use kwik::proto::config::SessionConfig;

use crate::carrier::Model;
use crate::courses;
use crate::link::Link;
use crate::rng::SimRng;
use crate::world::World;

/// Prints how to replay a seed when its run fails.
struct Replay {
    family: &'static str,
    seed: u64,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { family, seed } = self;
            eprintln!("to replay: KWIK_SIM_SEED={seed} cargo test --test sim {family}");
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|value| value.parse().ok())
}

/// Runs a situation with every seed that is asked for, or with a share of them when each takes long. The courses that
/// the first ones take have to be the recorded ones ([`courses`]).
pub(crate) fn every_seed(family: &'static str, share: f64, situation: impl Fn(u64)) {
    let run = |seed| {
        let _replay = Replay { family, seed };
        situation(seed);
    };
    let of = |seeds: u64| (seeds as f64 * share).ceil() as u64;
    if let Some(seed) = number("KWIK_SIM_SEED") {
        return run(seed);
    }
    let (count, recorded) = (of(number("KWIK_SIM_SEEDS").unwrap_or(1_000)), of(courses::SEEDS));
    courses::begin();
    (0..count.min(recorded)).for_each(run);
    if count >= recorded {
        courses::check(family);
    }
    (recorded..count).for_each(run);
}

/// A pair of sessions over these links, the defaults for everything else.
pub(crate) fn pair(seed: u64, links: Vec<Link>) -> World {
    pair_with(seed, links, SessionConfig::default(), Model::Quic)
}

pub(crate) fn pair_with(seed: u64, links: Vec<Link>, config: SessionConfig, model: Model) -> World {
    let count = links.len();
    let mut world = World::new(seed, links, [config.clone(), config], model);
    world.dial();
    // The session is open one round trip after the carrier is.
    world.run_until(|world| world.app(kwik::proto::wire::id::Side::Client).opened);
    (1..count).for_each(|link| world.add_path(link));
    world
}

/// Between one and `most` links of all kinds.
pub(crate) fn some_links(rng: &mut SimRng, most: u64) -> Vec<Link> {
    (0..rng.within(2..most + 1)).map(|_| some_link(rng)).collect()
}

pub(crate) fn some_link(rng: &mut SimRng) -> Link {
    let link = Link::new(rng.magnitude(2..200) as f64, rng.magnitude(2..80));
    let link = if rng.coin() { link } else { link.jitter(rng.within(1..10)) };
    if rng.coin() { link } else { link.loss(rng.unit()) }
}
