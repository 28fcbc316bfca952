//! Situations of dialling, with addresses of the application and of advice.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::*;
use crate::proto::event::Scheme;
use crate::proto::wire::limits::ADVISED_INITIALS_AT_ONCE;

fn at(ms: u64) -> Time {
    Time::from_epoch(Duration::from_millis(ms))
}

fn address(name: &str) -> PathAddress {
    PathAddress { scheme: Scheme::default(), authority: name.to_owned(), pins: Vec::new(), local: None }
}

fn advice(id: u64, authority: &str) -> AddPath {
    let authority = authority.to_owned();
    AddPath { advice: id, priority: 0, relay: false, authority, certificate_hash: None }
}

fn one(authority: &str) -> Destinations {
    Destinations::new(at(0), Some(address(authority)))
}

/// One place of the application's and one of the server's.
fn two() -> Destinations {
    let mut places = one("a:1");
    assert!(follow(&mut places, 0, 7, "b:1"));
    places
}

/// What the session does with ADD_PATH.
fn follow(places: &mut Destinations, ms: u64, id: u64, authority: &str) -> bool {
    let address = places.judge(advice(id, authority));
    let is_followed = address.is_some();
    address.into_iter().for_each(|address| places.add_advised(at(ms), address, id));
    is_followed
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::from_seed([1; 32])
}

#[test]
fn each_place_is_dialled_once_while_a_path_leads_there() {
    let mut places = two();
    assert_eq!(places.deadline(), Some(at(0)));
    assert_eq!(places.dial(at(0), PathId(0)), Some(address("a:1")));
    assert_eq!(places.dial(at(0), PathId(1)), Some(address("b:1")));
    assert_eq!(places.dial(at(9), PathId(2)), None);
    assert_eq!(places.deadline(), None);
}

#[test]
fn a_place_whose_path_is_lost_is_dialled_again_later_each_time_and_soon_after_a_path_that_lived() {
    let mut places = one("a:1");
    // Dialled when it is due, established for so long (ms), and lost.
    let wait = |places: &mut Destinations, path, established_for: Option<u64>| {
        let began = places.deadline().unwrap();
        assert!(places.dial(began, path).is_some());
        established_for.into_iter().for_each(|_| places.on_established(began, path));
        let lost = began + Duration::from_millis(established_for.unwrap_or(0));
        let redial = places.on_lost(lost, path, &mut ChaCha8Rng::from_seed([1; 32]));
        (places.deadline().map(|due| due - lost), redial)
    };
    let (first, _) = wait(&mut places, PathId(1), None);
    let (second, _) = wait(&mut places, PathId(2), None);
    assert!(second > first, "{second:?} after {first:?}");
    let (third, redial) = wait(&mut places, PathId(3), Some(10));
    assert!(third > second, "a server that accepts a path and closes it is not dialled in a loop");
    assert_eq!(redial, Redial::AfterBackoff);
    let (fourth, redial) = wait(&mut places, PathId(4), Some(1_000));
    assert_eq!((fourth, redial), (first, Redial::AtOnce));
    places.dial(at(100_000), PathId(5));
    places.on_established(at(100_000), PathId(5));
    assert!(places.was_reached(PathId(5)) && !places.was_reached(PathId(4)));
}

#[test]
fn in_a_hurry_everything_that_is_missing_is_dialled_at_once_but_what_only_advice_speaks_for() {
    let mut places = two();
    places.dial(at(0), PathId(0));
    places.dial(at(0), PathId(1));
    places.on_lost(at(0), PathId(0), &mut rng());
    places.on_lost(at(0), PathId(1), &mut rng());
    places.network_changed(at(1));
    assert_eq!(places.dial(at(1), PathId(2)), Some(address("a:1")));
    assert_eq!(places.dial(at(1), PathId(3)), None);
}

#[test]
fn withdrawn_advice_names_the_path_that_came_of_it_and_is_not_followed_again() {
    let mut places = two();
    places.dial(at(0), PathId(0));
    places.dial(at(0), PathId(1));
    assert_eq!(places.forget_advice(at(1), 7, &mut rng()), Some(PathId(1)));
    assert_eq!(places.forget_advice(at(1), 7, &mut rng()), None);
    assert!(!follow(&mut places, 2, 7, "b:1"), "the id was taken back");
    places.forget_advice(at(3), 8, &mut rng());
    assert!(!follow(&mut places, 4, 8, "c:1"), "REMOVE_PATH may overtake ADD_PATH");
    assert_eq!(places.not_followed().taken_back, 2);
    places.forget_path(at(5), PathId(0), &mut rng());
    assert_eq!(places.len(), 0);
}

#[test]
fn a_path_that_came_of_advice_and_is_not_wanted_does_not_come_back_by_the_same_advice() {
    let mut places = two();
    places.dial(at(0), PathId(0));
    places.dial(at(0), PathId(1));
    places.forget_path(at(1), PathId(1), &mut rng());
    assert!(!follow(&mut places, 2, 7, "b:1"), "a server states standing advice again after a loss");
}

#[test]
fn an_address_that_comes_again_under_another_id_is_not_dialled_sooner_for_it() {
    let mut places = one("a:1");
    places.dial(at(0), PathId(0));
    let mut dialled_at = Vec::new();
    for ms in 0..60_000 {
        assert!(follow(&mut places, ms, ms, "b:1"));
        let path = PathId(1 + ms);
        if places.dial(at(ms), path).is_some() {
            dialled_at.push(ms);
            places.on_lost(at(ms), path, &mut rng());
        }
        places.forget_advice(at(ms), ms, &mut rng());
    }
    assert!((4..=7).contains(&dialled_at.len()), "after 1, 3, 7, 15, 31 s: {dialled_at:?}");
}

#[test]
fn a_server_on_the_internet_cannot_send_its_clients_into_their_own_networks() {
    let inside = "127.0.0.1:1 [::1]:1 10.0.0.1:1 192.168.0.1:53 [fd00::1]:1 169.254.169.254:80 localhost:1";
    let outside = "1.1.1.1:1 [2606:4700::1]:1 other.example:1";
    let nowhere = "0.0.0.0:1 [::]:1 224.0.0.1:1 [ff02::1]:1 [::ffff:0.0.0.0]:1 127.1:1 nonsense";
    for first in ["a.example:1", "192.0.2.1:1"] {
        let mut places = one(first);
        for (id, authority) in inside.split(' ').chain(nowhere.split(' ')).enumerate() {
            assert!(!follow(&mut places, 0, id as u64, authority), "{authority}");
        }
        assert_eq!(places.not_followed().address, 14);
        for (id, authority) in outside.split(' ').enumerate() {
            assert!(follow(&mut places, 0, id as u64, authority), "{authority}");
        }
    }
}

#[test]
fn a_server_in_a_private_network_or_on_this_machine_may_advise_its_neighbours() {
    for (first, near, far) in [
        ("10.0.0.1:1", "192.168.1.1:1", "127.0.0.1:1"),
        ("127.0.0.1:1", "[::1]:1", "10.0.0.1:1"),
        ("[fe80::1]:1", "169.254.0.1:1", "[fd00::1]:1"),
        ("[::ffff:10.0.0.1]:1", "10.0.0.2:1", "[::ffff:127.0.0.1]:1"),
    ] {
        let mut places = one(first);
        assert!(follow(&mut places, 0, 0, near) && !follow(&mut places, 0, 1, far), "{first}");
    }
    let mut places = one("server.corp.example:1");
    assert!(!follow(&mut places, 0, 0, "10.0.0.2:1"));
    places.on_first_remote("10.0.0.1".parse().unwrap());
    assert!(follow(&mut places, 0, 1, "10.0.0.2:1"), "the name leads into the same network");
}

#[test]
fn a_name_that_leads_where_the_server_may_not_send_anyone_is_not_dialled_there() {
    let ips = |texts: &str| texts.split(' ').map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
    let mut places = one("a.example:1");
    assert!(follow(&mut places, 0, 1, "rebinding.example:1"));
    places.dial(at(0), PathId(0));
    places.dial(at(0), PathId(1));
    let mut remotes = ips("127.0.0.1:1 [::1]:1 10.0.0.1:1 [64:ff9b::7f00:1]:1");
    places.admit_remotes(PathId(1), &mut remotes);
    assert_eq!((remotes.len(), places.not_followed().address), (0, 1));
    let mut remotes = ips("[::1]:1 1.1.1.1:1 10.0.0.1:1 1.1.1.2:1 1.1.1.3:1");
    places.admit_remotes(PathId(1), &mut remotes);
    assert_eq!(remotes, ips("1.1.1.1:1 1.1.1.2:1"), "and not at hundreds of addresses");
    let mut own = ips("127.0.0.1:1 [::1]:1 10.0.0.1:1");
    places.admit_remotes(PathId(0), &mut own);
    assert_eq!(own.len(), 3, "the application may dial what it likes");
}

#[test]
fn advice_that_answers_costs_little_and_advice_that_does_not_is_soon_left_alone() {
    let attempts = ADVISED_INITIALS_AT_ONCE / INITIALS_PER_ATTEMPT;
    for (answers, dialled) in [(false, attempts), (true, 2 * attempts - 1)] {
        let mut places = one("192.0.2.1:1");
        places.dial(at(0), PathId(0));
        for id in 1..100 {
            assert!(follow(&mut places, 0, id, &format!("192.0.2.1:{}", 1 + id)));
        }
        let mut count = 0;
        while places.dial(at(0), PathId(1 + count)).is_some() {
            count += 1;
            if answers {
                places.on_answered(at(0), PathId(count));
            }
        }
        assert_eq!(count, dialled);
        assert_eq!(places.not_followed().budget, 99 - dialled, "each is counted once");
        let again = places.deadline().unwrap();
        assert!(again > at(0) && places.dial(again, PathId(500)).is_some());
    }
}
