//! The brief scenarios of the rig, both ways. Skipped, with a word, where namespaces cannot be made.
#![cfg(target_os = "linux")]

use std::time::Duration;

use kwik_bench::rig::{SCENARIOS, play};
use kwik_netem::Direction;
use kwik_netem::link::LinkError;

/// Longer than any of them takes on a machine that does a lot else, so that one that hangs fails.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn whatever_the_network_does_the_bytes_arrive_as_they_were_sent() {
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.is_brief) {
        for direction in [Direction::Down, Direction::Up] {
            match play(scenario, direction, LIMIT) {
                Ok(figures) => println!("{} {direction:?}: {figures:?}", scenario.name),
                Err(error) if cannot_be_had_here(&error) => {
                    eprintln!("skipped: {error:#}");
                    return;
                }
                Err(error) => panic!("{} {direction:?}: {error:#}", scenario.name),
            }
        }
    }
}

fn cannot_be_had_here(error: &anyhow::Error) -> bool {
    let is_fault = |error: &LinkError| matches!(error, LinkError::Enter { .. } | LinkError::Thread(_));
    error.downcast_ref::<LinkError>().is_some_and(|error| !is_fault(error))
}
