//! Pairs of links: ten after those of a published comparison of multipath tunnels: from two equal lines to
//! a congested pair of radios, and one of ours. Delays are one way; each spec holds in both directions of its path.

use crate::shaper::LinkSpec;
use crate::units::Rate;

/// Two links between the same two machines.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// As given on a command line.
    pub name: &'static str,
    /// Path A and path B.
    pub paths: [LinkSpec; 2],
}

impl Profile {
    /// Looks a profile up by its name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }
}

const fn link(rate_mbit: u64, delay_ms: u64, jitter_ms: u64, loss_permille: u32) -> LinkSpec {
    LinkSpec::new()
        .rate(Rate::mbit(rate_mbit))
        .delay_ms(delay_ms)
        .jitter_ms(jitter_ms)
        .loss_permille(loss_permille)
}

const fn profile(name: &'static str, a: LinkSpec, b: LinkSpec) -> Profile {
    Profile { name, paths: [a.seed(1), b.seed(2)] }
}

/// The ten profiles, easy ones first, and one of ours: equal rates, round trips of 20 and 60 ms.
#[rustfmt::skip]
pub static PROFILES: [Profile; 11] = [
    //                          rate  delay  jitter  loss ‰
    profile("baseline",     link( 50,  20,  0,  0), link( 50,  20,  0,  0)),
    profile("rtt_40",       link( 50,  20,  0,  0), link( 50,  40,  0,  0)),
    profile("rtt_120",      link( 50,  20,  0,  0), link( 50, 120,  0,  0)),
    profile("jit_5",        link( 50,  20,  5,  0), link( 50,  20,  5,  0)),
    profile("loss_05",      link( 50,  20,  0,  5), link( 50,  20,  0,  5)),
    profile("bw_4to1",      link( 50,  20,  0,  0), link( 12,  20,  0,  0)),
    profile("dual_lte",     link( 40,  30,  5,  5), link( 25,  45,  8,  5)),
    profile("fiber_lte",    link(300,   8,  0,  0), link( 30,  40,  8,  5)),
    profile("lte_starlink", link( 40,  35,  8,  0), link(100,  50, 25, 10)),
    profile("congested",    link( 20,  50, 20, 20), link( 15,  60, 25, 20)),
    profile("rtt_20_60",    link( 50,  10,  0,  0), link( 50,  30,  0,  0)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name() {
        for profile in &PROFILES {
            assert!(std::ptr::eq(Profile::named(profile.name).expect(profile.name), profile));
        }
        assert!(Profile::named("carrier_pigeon").is_none());
    }
}
