//! Two real sessions in every course of events up to a depth.
//!
//! `KWIK_MODEL_DEPTH` makes it deeper by hand.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use kwik::proto::wire::id::{Dir, Side};
use kwik_model::{Call, Pair, Step};

/// How many steps of a course are chosen; from wherever they lead, nothing is lost any more.
const DEPTH: usize = 5;

fn depth() -> usize {
    std::env::var("KWIK_MODEL_DEPTH").ok().and_then(|depth| depth.parse().ok()).unwrap_or(DEPTH)
}

/// Tries everything that can happen after `scene`, and returns how many different situations there were.
fn try_every_course(scene: impl Fn() -> Pair) -> usize {
    let mut seen = HashSet::new();
    let mut courses = vec![Vec::new()];
    while let Some(course) = courses.pop() {
        let _told = Course(&course);
        let mut pair = scene();
        course.iter().for_each(|step| pair.step(*step));
        // What looks the same goes on in the same way.
        let hasher = BuildHasherDefault::<DefaultHasher>::new();
        if !seen.insert((hasher.hash_one(format!("{pair:?}")), course.len())) {
            continue;
        }
        if course.len() < depth() {
            let longer = |step: Step| course.iter().copied().chain([step]).collect();
            courses.extend(pair.choices().into_iter().map(longer));
        }
        pair.come_to_rest();
    }
    seen.len()
}

/// Says which course it was when something is wrong with it.
struct Course<'a>(&'a [Step]);

impl Drop for Course<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the course was {:?}", self.0);
        }
    }
}

/// Steps without loss until the session is open at both ends and has two paths.
fn open_with_two_paths() -> Pair {
    let mut pair = Pair::default();
    pair.come_to_rest();
    assert!(pair.is_open());
    pair.add_path();
    pair.come_to_rest();
    pair
}

#[test]
fn opening_a_session_ends_open_or_failed_whatever_is_lost() {
    println!("{} situations", try_every_course(Pair::default));
}

#[test]
fn a_stream_and_its_answer_are_delivered_once_whatever_paths_break() {
    let scene = || {
        let mut pair = open_with_two_paths();
        pair.call(Side::Client, Call::Open(Dir::Bi));
        pair.call(Side::Client, Call::Write { stream: 0, bytes: 3_000 });
        pair.call(Side::Client, Call::Finish { stream: 0 });
        pair
    };
    println!("{} situations", try_every_course(scene));
}

#[test]
fn a_datagram_on_two_paths_comes_at_most_once() {
    let scene = || {
        let mut pair = open_with_two_paths();
        pair.call(Side::Server, Call::Datagram);
        pair
    };
    println!("{} situations", try_every_course(scene));
}

#[test]
fn a_reset_that_crosses_a_stop_ends_the_stream_at_both_ends() {
    let scene = || {
        let mut pair = open_with_two_paths();
        pair.call(Side::Client, Call::Open(Dir::Uni));
        pair.call(Side::Client, Call::Write { stream: 0, bytes: 500 });
        pair.come_to_rest();
        pair.call(Side::Client, Call::Reset { stream: 0 });
        pair.call(Side::Server, Call::Stop { stream: 0 });
        pair
    };
    println!("{} situations", try_every_course(scene));
}

#[test]
fn both_ends_learn_of_a_close_or_time_out() {
    let scene = || {
        let mut pair = open_with_two_paths();
        pair.call(Side::Server, Call::Open(Dir::Uni));
        pair.call(Side::Server, Call::Write { stream: 0, bytes: 500 });
        pair.call(Side::Server, Call::Finish { stream: 0 });
        pair.call(Side::Client, Call::Close);
        pair
    };
    println!("{} situations", try_every_course(scene));
}
