//! The courses that events take, as one number for each family of situations: what is only moved or renamed changes none.
//!
//! `courses.txt` has the numbers of the first 200 seeds. A change that is meant to change them records them anew, with
//! `KWIK_SIM_COURSES=record cargo test --test sim`, and says why in its commit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Seeds of a family, before its share, whose courses are recorded.
pub(crate) const SEEDS: u64 = 200;

thread_local! {
    /// Of the family that this thread runs.
    static COURSE: Cell<u64> = const { Cell::new(0) };
}

/// How often each family has been checked: some run more than once, each time under other circumstances.
static CHECKED: Mutex<BTreeMap<&'static str, u32>> = Mutex::new(BTreeMap::new());

/// A family begins.
pub(crate) fn begin() {
    COURSE.set(0);
}

/// A world of this thread has come to its end, with this log.
pub(crate) fn note(log: u64) {
    COURSE.set((COURSE.get() ^ log).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5));
}

/// The family's courses are the recorded ones.
pub(crate) fn check(family: &'static str) {
    let course = COURSE.get();
    let mut checked = CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
    let count = checked.entry(family).or_default();
    let name = format!("{family}.{count}");
    *count += 1;
    let mut recorded = recorded();
    if std::env::var("KWIK_SIM_COURSES").is_ok_and(|what| what == "record") {
        recorded.insert(name, course);
        let lines = recorded.iter().map(|(name, course)| format!("{name} {course:016x}\n"));
        std::fs::write(file(), lines.collect::<String>()).expect("the file can be written");
        return;
    }
    assert_eq!(
        recorded.get(&name).map(|course| format!("{course:016x}")),
        Some(format!("{course:016x}")),
        "{name}: events take another course than the recorded one (tests/sim/courses.rs)"
    );
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sim/courses.txt")
}

fn recorded() -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let line = |line: &str| {
        let (name, course) = line.split_once(' ')?;
        Some((name.to_owned(), u64::from_str_radix(course, 16).ok()?))
    };
    text.lines().filter_map(line).collect()
}
