//! The lines of the demonstration, and who cut them.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kwik::Address;
use serde::Serialize;

use crate::line::{DELAY_MS, Line, RATE_MBIT};

/// Most lines at one time.
pub(super) const MAX_LINES: usize = 4;

/// Lines at the beginning.
const FIRST_LINES: usize = 2;

/// All lines to one server.
#[derive(Debug)]
pub(super) struct Lines {
    server: Address,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<(Line, Condition)>,
    last_outage: Outage,
}

/// One of the times that all lines were cut together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outage(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Whole,
    /// Until somebody restores it.
    Cut,
    /// Until the outage ends, or somebody restores it.
    CutBy(Outage),
}

/// A line as the page sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LineInfo {
    pub(super) id: usize,
    pub(super) url: String,
    cut: bool,
    rate_mbit: u64,
    delay_ms: u64,
}

/// Why there is no further line.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddError {
    #[error("there are {MAX_LINES} lines already, and no more than that")]
    TooMany,
    #[error("cannot start a line: {0}")]
    Start(#[from] io::Error),
}

impl Lines {
    /// Starts the first lines to `server`. Blocks.
    pub(super) fn to(server: Address) -> io::Result<Self> {
        let lines = Self { server, state: Mutex::default() };
        for _ in 0..FIRST_LINES {
            lines.start(&mut lines.state())?;
        }
        Ok(lines)
    }

    /// Starts a further line. Blocks.
    pub(super) fn add(&self) -> Result<LineInfo, AddError> {
        let mut state = self.state();
        match state.lines.len() {
            MAX_LINES.. => Err(AddError::TooMany),
            _ => Ok(self.start(&mut state)?),
        }
    }

    pub(super) fn list(&self) -> Vec<LineInfo> {
        self.state().list()
    }

    /// Cuts a line until somebody restores it; `None` if there is no such line.
    pub(super) fn cut(&self, id: usize) -> Option<LineInfo> {
        self.state().set(id, Condition::Cut)
    }

    /// Makes a line whole; `None` if there is no such line.
    pub(super) fn restore(&self, id: usize) -> Option<LineInfo> {
        self.state().set(id, Condition::Whole)
    }

    /// Cuts all lines there are, until [`end`](Self::end) is called with what this returns.
    pub(super) fn cut_all(&self) -> Outage {
        let mut state = self.state();
        let outage = Outage(state.last_outage.0 + 1);
        state.last_outage = outage;
        for id in 0..state.lines.len() {
            state.set(id, Condition::CutBy(outage));
        }
        outage
    }

    /// Restores what that outage has cut. Lines that were cut or restored since stay as they are.
    pub(super) fn end(&self, outage: Outage) {
        let mut state = self.state();
        for id in 0..state.lines.len() {
            if state.lines.get(id).is_some_and(|(_, condition)| *condition == Condition::CutBy(outage)) {
                state.set(id, Condition::Whole);
            }
        }
    }

    fn start(&self, state: &mut State) -> io::Result<LineInfo> {
        let line = Line::to(&self.server)?;
        let info = info(state.lines.len(), &line, Condition::Whole);
        state.lines.push((line, Condition::Whole));
        Ok(info)
    }

    /// Nothing panics while it holds the lock, and lines are never half cut.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn set(&mut self, id: usize, new: Condition) -> Option<LineInfo> {
        let (line, condition) = self.lines.get_mut(id)?;
        *condition = new;
        match new {
            Condition::Whole => line.restore(),
            Condition::Cut | Condition::CutBy(_) => line.cut(),
        }
        Some(info(id, line, new))
    }

    fn list(&self) -> Vec<LineInfo> {
        self.lines.iter().enumerate().map(|(id, (line, condition))| info(id, line, *condition)).collect()
    }
}

fn info(id: usize, line: &Line, condition: Condition) -> LineInfo {
    LineInfo {
        id,
        url: line.url().to_string(),
        cut: condition != Condition::Whole,
        rate_mbit: RATE_MBIT,
        delay_ms: DELAY_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        // Nobody is there, and nobody calls.
        Lines::to("kwik://127.0.0.1:9".parse().unwrap()).unwrap()
    }

    fn cut(lines: &Lines) -> Vec<bool> {
        lines.list().iter().map(|line| line.cut).collect()
    }

    #[test]
    fn there_are_never_more_than_the_most() {
        let lines = lines();
        for id in FIRST_LINES..MAX_LINES {
            assert_eq!(lines.add().unwrap().id, id);
        }
        assert!(matches!(lines.add(), Err(AddError::TooMany)));
        assert_eq!(lines.list().len(), MAX_LINES);
    }

    #[test]
    fn a_line_is_cut_and_restored_and_another_is_not() {
        let lines = lines();
        assert!(lines.cut(1).unwrap().cut);
        assert_eq!(cut(&lines), [false, true]);
        assert!(!lines.restore(1).unwrap().cut);
        assert_eq!(cut(&lines), [false, false]);
        assert_eq!(lines.cut(2), None);
        assert_eq!(lines.restore(2), None);
    }

    #[test]
    fn what_is_done_by_hand_during_an_outage_outlasts_it() {
        let lines = lines();
        lines.add().unwrap();
        let outage = lines.cut_all();
        assert_eq!(cut(&lines), [true; 3]);
        lines.cut(1);
        lines.restore(2);
        lines.cut(2);
        lines.end(outage);
        assert_eq!(cut(&lines), [false, true, true]);
    }

    #[test]
    fn a_second_outage_is_not_ended_by_the_first() {
        let lines = lines();
        let (first, second) = (lines.cut_all(), lines.cut_all());
        lines.end(first);
        assert_eq!(cut(&lines), [true, true]);
        lines.end(second);
        assert_eq!(cut(&lines), [false, false]);
    }
}
