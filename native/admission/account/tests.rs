//! Who gets in when somebody crowds.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// An address of IPv4: its network and its host in it.
fn from(network: u16, host: u8) -> Source {
    let [high, low] = network.to_be_bytes();
    IpAddr::from(Ipv4Addr::new(10, high, low, host)).into()
}

const ATTACKER: (u16, u8) = (1, 1);

fn attacker() -> Source {
    from(ATTACKER.0, ATTACKER.1)
}

/// Small enough to be filled: 8 half-open paths, 2 of them for hosts with a session; 16 sessions.
fn limits() -> AdmissionLimits {
    AdmissionLimits {
        max_half_open: 8,
        half_open_for_known: 2,
        retry_above: 4,
        share_of_free: 3,
        max_suspended: 16,
        ..AdmissionLimits::default()
    }
}

/// An account on which paths and sessions are named by numbers.
struct Scene {
    account: Account<u32, u32>,
    now: Instant,
    sessions: Vec<(u32, SessionPlace)>,
    next: u32,
}

impl Scene {
    fn new(limits: AdmissionLimits, max_sessions: usize) -> Self {
        Self {
            account: Account::new(limits, max_sessions),
            now: Instant::now(),
            sessions: Vec::new(),
            next: 0,
        }
    }

    fn small() -> Self {
        Self::new(limits(), 16)
    }

    fn after(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// A path comes: its number, and whose place it took.
    fn enter(&mut self, source: Source) -> Result<(u32, Option<u32>), Crowded> {
        self.next += 1;
        let entered = self.account.enter(source, self.next, self.now)?;
        Ok((self.next, entered.evicted))
    }

    fn fill_half_open(&mut self, source: Source) -> Vec<u32> {
        std::iter::from_fn(|| self.enter(source).ok().map(|(path, _)| path)).collect()
    }

    /// A session comes: its number, and whose place it took.
    fn open(&mut self, source: Source) -> Result<(u32, Option<u32>), NoRoom> {
        self.next += 1;
        let Admitted { place, evicted } = self.account.open_session(source, self.next)?;
        self.sessions.retain(|(id, _)| Some(*id) != evicted);
        self.sessions.push((self.next, place));
        Ok((self.next, evicted))
    }

    /// All the sessions that there is room for.
    fn fill(&mut self, source: Source) -> Vec<u32> {
        std::iter::from_fn(|| {
            self.open(source).ok().filter(|(_, evicted)| evicted.is_none()).map(|(id, _)| id)
        })
        .collect()
    }

    fn suspend(&mut self, session: u32) -> Option<u32> {
        let (id, place) = self.sessions.iter_mut().find(|(id, _)| *id == session).unwrap();
        self.account.suspend(place, *id)
    }

    fn resume(&mut self, session: u32) {
        let (_, place) = self.sessions.iter_mut().find(|(id, _)| *id == session).unwrap();
        self.account.resume(place);
    }
}

// ---- half-open paths ----

#[test]
fn before_any_share_says_something_addresses_have_to_be_proven() {
    let mut scene = Scene::small();
    for _ in 0..4 {
        assert_eq!(scene.account.knock(attacker(), false, scene.now), Knock::Enter);
        scene.enter(attacker()).unwrap();
    }
    assert_eq!(scene.account.knock(attacker(), false, scene.now), Knock::Prove);
    assert_eq!(scene.account.knock(from(2, 1), false, scene.now), Knock::Prove);
    assert_eq!(scene.account.knock(from(2, 1), true, scene.now), Knock::Enter);
}

#[test]
fn the_oldest_path_of_who_crowds_makes_way_for_a_client_from_elsewhere_at_once() {
    let mut scene = Scene::small();
    let attack = scene.fill_half_open(attacker());
    assert_eq!(attack.len(), 6);
    let (_, evicted) = scene.enter(from(2, 1)).unwrap();
    assert_eq!(evicted, Some(attack[0]));
    let (_, evicted) = scene.enter(from(1, 2)).unwrap();
    assert_eq!(evicted, Some(attack[1]), "for another host of the attacker's network as well");
    assert_eq!(scene.account.half_open(), 6);
}

#[test]
fn a_host_that_crowds_alone_does_not_push_out_its_own_handshakes_and_gets_on_when_they_are_silent() {
    let mut scene = Scene::small();
    let first = scene.fill_half_open(attacker());
    scene.after(2_999);
    assert_eq!(scene.enter(attacker()), Err(Crowded));
    scene.after(1);
    let (_, evicted) = scene.enter(attacker()).unwrap();
    assert_eq!(evicted, Some(first[0]));
}

#[test]
fn of_a_network_whose_hosts_take_turns_nobody_else_suffers() {
    let mut scene = Scene::small();
    for host in 1..=6 {
        scene.enter(from(1, host)).unwrap();
    }
    let (honest, evicted) = scene.enter(from(2, 1)).unwrap();
    assert!(evicted.is_some());
    for host in 7..=200 {
        scene.after(100);
        let (_, evicted) = scene.enter(from(1, host)).unwrap();
        assert_ne!(evicted, Some(honest));
    }
}

#[test]
fn a_path_that_found_its_session_leaves_its_place() {
    let mut scene = Scene::small();
    let entered = scene.account.enter(attacker(), 1, scene.now).unwrap();
    assert_eq!(scene.account.half_open(), 1);
    scene.account.leave(&entered.place);
    assert_eq!(scene.account.half_open(), 0);
}

#[test]
fn a_host_with_a_session_comes_back_into_room_that_strangers_cannot_take() {
    let mut scene = Scene::small();
    scene.open(from(2, 1)).unwrap();
    // As many networks as there are places, each of them new at every turn.
    let (back, evicted) = scene.enter(from(2, 1)).unwrap();
    assert_eq!(evicted, None);
    for network in 100..1_000 {
        scene.after(5_000);
        let (_, evicted) = scene.enter(from(network, 1)).unwrap();
        assert_ne!(evicted, Some(back));
    }
    assert_eq!(scene.account.half_open(), 7);
}

#[test]
fn one_host_with_a_session_does_not_take_the_room_of_the_others_that_have_one() {
    let mut scene = Scene::small();
    scene.open(attacker()).unwrap();
    scene.open(from(2, 1)).unwrap();
    let attack = scene.fill_half_open(attacker());
    assert_eq!(attack.len(), 8, "the room that is kept, and that of all");
    let (_, evicted) = scene.enter(from(2, 1)).unwrap();
    assert_eq!(evicted, Some(attack[0]));
}

#[test]
fn who_is_wrong_about_proofs_gets_no_answer_for_a_while_and_the_rest_does() {
    let mut scene = Scene::small();
    for _ in 0..32 {
        assert_eq!(scene.account.knock(attacker(), true, scene.now), Knock::Enter);
        scene.account.note_wrong_proof(attacker(), scene.now);
    }
    assert_eq!(scene.account.knock(attacker(), true, scene.now), Knock::Ignore);
    assert_eq!(scene.account.knock(from(1, 2), true, scene.now), Knock::Enter);
    scene.after(1_000);
    assert_eq!(scene.account.knock(attacker(), true, scene.now), Knock::Enter);
}

// ---- sessions ----

#[test]
fn one_host_never_has_all_sessions_and_its_neighbours_and_others_find_room() {
    let mut scene = Scene::small();
    // Three quarters of three quarters of 16.
    assert_eq!(scene.fill(attacker()).len(), 9);
    assert_eq!(scene.open(attacker()), Err(NoRoom::Share));
    assert_eq!(scene.fill(from(1, 2)).len(), 3, "its network has three quarters");
    assert_eq!(scene.open(from(1, 3)), Err(NoRoom::Share));
    assert!(scene.open(from(2, 1)).is_ok());
}

#[test]
fn as_shipped_ten_thousand_sessions_come_from_one_address_and_two_thousand_others_find_room() {
    let mut scene = Scene::new(AdmissionLimits::default(), 16_384);
    assert_eq!(scene.fill(attacker()).len(), 12_544);
    for other in 0..2_048 {
        assert!(scene.open(from(2 + other, 1)).is_ok());
    }
}

#[test]
fn where_there_is_room_for_few_sessions_one_host_may_have_them() {
    for max_sessions in 1..8 {
        let mut scene = Scene::new(AdmissionLimits::default(), max_sessions);
        assert_eq!(scene.fill(attacker()).len(), max_sessions);
        assert_eq!(scene.open(from(2, 1)), Err(NoRoom::Full));
    }
}

#[test]
fn a_source_with_its_share_gets_on_at_the_cost_of_its_own_suspended_sessions_only() {
    let mut scene = Scene::small();
    let (cut, _) = scene.open(from(2, 1)).unwrap();
    assert_eq!(scene.suspend(cut), None);
    let attack = scene.fill(attacker());
    for session in &attack {
        assert_eq!(scene.suspend(*session), None);
    }
    // As fast as it likes: what goes is its own, oldest first.
    for session in &attack {
        let (_, evicted) = scene.open(attacker()).unwrap();
        assert_eq!(evicted, Some(*session));
    }
    assert_eq!(scene.open(attacker()), Err(NoRoom::Share));
    scene.resume(cut);
}

#[test]
fn when_all_room_is_taken_suspended_sessions_of_who_crowds_make_way() {
    let mut scene = Scene::small();
    let attack = scene.fill(attacker());
    for network in 2..100 {
        let _ = scene.open(from(network, 1));
    }
    assert_eq!(scene.open(from(100, 1)), Err(NoRoom::Full), "nobody's session ends that has a path");
    assert_eq!(scene.suspend(attack[3]), None);
    assert_eq!(scene.suspend(attack[2]), None);
    let (newcomer, evicted) = scene.open(from(100, 1)).unwrap();
    assert_eq!(evicted, Some(attack[3]));
    assert_eq!(scene.suspend(newcomer), None);
    assert_eq!(scene.open(attacker()), Ok((scene.next, Some(attack[2]))), "it may replace its own");
    assert_eq!(scene.open(attacker()), Err(NoRoom::Full), "not the only one of somebody else");
}

#[test]
fn of_more_suspended_sessions_than_there_may_be_those_of_who_crowds_go() {
    let mut scene = Scene::new(AdmissionLimits { max_suspended: 3, ..limits() }, 16);
    let (cut, _) = scene.open(from(2, 1)).unwrap();
    assert_eq!(scene.suspend(cut), None);
    let attack = scene.fill(attacker());
    assert_eq!(scene.suspend(attack[0]), None);
    assert_eq!(scene.suspend(attack[1]), None);
    assert_eq!(scene.suspend(attack[2]), Some(attack[0]));
    scene.resume(attack[1]);
    assert_eq!(scene.suspend(attack[3]), None);
}

#[test]
fn a_session_that_was_evicted_is_counted_no_more_whatever_it_does() {
    let mut scene = Scene::new(AdmissionLimits { max_suspended: 0, ..limits() }, 16);
    let (gone, _) = scene.open(attacker()).unwrap();
    assert_eq!(scene.suspend(gone), Some(gone));
    assert_eq!(scene.account.sessions.len(), 0);
    scene.resume(gone);
    assert_eq!(scene.suspend(gone), None);
    let (_, mut place) = scene.sessions.pop().unwrap();
    scene.account.close(&mut place);
    assert_eq!((scene.account.sessions.len(), scene.account.suspended.len()), (0, 0));
}

// ---- whatever happens ----

#[derive(Debug, Clone)]
enum Step {
    Enter { crowd: bool, host: u8 },
    Leave(prop::sample::Index),
    Open { crowd: bool, host: u8 },
    Suspend(prop::sample::Index),
    Resume(prop::sample::Index),
    Close(prop::sample::Index),
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<prop::sample::Index>;
    let who = || (prop::bool::weighted(0.9), 0_u8..4);
    let step = prop_oneof![
        8 => who().prop_map(|(crowd, host)| Step::Enter { crowd, host }),
        2 => index().prop_map(Step::Leave),
        8 => who().prop_map(|(crowd, host)| Step::Open { crowd, host }),
        4 => index().prop_map(Step::Suspend),
        2 => index().prop_map(Step::Resume),
        2 => index().prop_map(Step::Close),
        1 => (0_u16..5_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #[test]
    fn whatever_one_network_does_a_client_from_elsewhere_gets_in_and_keeps_its_session(steps in steps()) {
        let mut scene = Scene::small();
        let (cut, _) = scene.open(from(9, 9)).unwrap();
        scene.suspend(cut);
        let mut paths: Vec<(u32, HalfOpenPlace)> = Vec::new();
        let pick = |scene: &Scene, index: prop::sample::Index| {
            let others = scene.sessions.iter().map(|(id, _)| *id).filter(|id| *id != cut).collect::<Vec<_>>();
            (!others.is_empty()).then(|| *index.get(&others))
        };
        for step in steps {
            match step {
                Step::Enter { crowd, host } => {
                    let source = from(if crowd { 1 } else { 2 }, host);
                    scene.next += 1;
                    if let Ok(Admitted { place, evicted }) = scene.account.enter(source, scene.next, scene.now) {
                        paths.retain(|(path, _)| Some(*path) != evicted);
                        paths.push((scene.next, place));
                    }
                }
                Step::Leave(index) if !paths.is_empty() => {
                    let (_, place) = paths.swap_remove(index.index(paths.len()));
                    scene.account.leave(&place);
                }
                Step::Leave(_) => {}
                Step::Open { crowd, host } => {
                    let opened = scene.open(from(if crowd { 1 } else { 2 }, host));
                    prop_assert!(!matches!(opened, Ok((_, Some(evicted))) if evicted == cut));
                }
                Step::Suspend(index) => {
                    if let Some(session) = pick(&scene, index) {
                        let evicted = scene.suspend(session);
                        prop_assert_ne!(evicted, Some(cut));
                        scene.sessions.retain(|(id, _)| Some(*id) != evicted);
                    }
                }
                Step::Resume(index) => {
                    if let Some(session) = pick(&scene, index) {
                        scene.resume(session);
                    }
                }
                Step::Close(index) => {
                    if let Some(session) = pick(&scene, index) {
                        let at = scene.sessions.iter().position(|(id, _)| *id == session).unwrap();
                        let (_, mut place) = scene.sessions.swap_remove(at);
                        scene.account.close(&mut place);
                    }
                }
                Step::Wait(ms) => scene.after(ms.into()),
            }
            prop_assert_eq!(scene.account.half_open(), paths.len());
            prop_assert!(paths.len() <= 8);
            prop_assert_eq!(scene.account.sessions.len(), scene.sessions.len());
            prop_assert!(scene.sessions.len() <= 16);
            let entered = scene.account.enter(from(3, 1), u32::MAX, scene.now);
            prop_assert!(entered.is_ok());
            if let Ok(Admitted { place, evicted }) = entered {
                scene.account.leave(&place);
                paths.retain(|(path, _)| Some(*path) != evicted);
            }
        }
        // Whatever it does: of what the others leave. Where they need all that is kept from one network, all is taken.
        let others = scene.sessions.iter().filter(|(_, place)| place.source.network != attacker().network).count();
        if others < 16 / 4 {
            prop_assert!(scene.open(from(3, 1)).is_ok());
        }
    }
}
