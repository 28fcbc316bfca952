//! Progress on a terminal: the whole, and a line for each path. Nothing at all anywhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, MultiProgress, ProgressBar, ProgressStyle};
use kwik::{PathId, PathInfo, PathState};

use crate::duration::in_ms;
use crate::output::print_line;
use crate::path_totals::{Direction, PathTotals, carried_bytes, remote};

/// How long the line of a path that is gone stays.
const OBITUARY_TIME: Duration = Duration::from_secs(3);

const WHOLE: &str = "{prefix} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";

/// The terminal that is shared by the lines of progress and other lines. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Screen {
    lines: MultiProgress,
}

impl Screen {
    pub(crate) fn new() -> Self {
        // Draws on standard error, if that is a terminal.
        Self { lines: MultiProgress::new() }
    }

    /// Prints a line on standard output without disturbing the progress.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        self.lines.suspend(|| print_line(line));
    }

    /// Prints a line on standard error without disturbing the progress.
    pub(crate) fn warn(&self, line: impl fmt::Display) {
        // Whether anybody reads it is not our business.
        self.lines.suspend(|| drop(writeln!(std::io::stderr(), "kwik: {line}")));
    }
}

/// The lines of one transfer.
#[derive(Debug)]
pub(crate) struct Display {
    lines: MultiProgress,
    whole: ProgressBar,
    paths: BTreeMap<PathId, PathLine>,
    direction: Direction,
}

#[derive(Debug)]
struct PathLine {
    line: ProgressBar,
    rate: Rate,
    gone_at: Option<Instant>,
}

impl Display {
    pub(crate) fn new(
        screen: &Screen,
        name: &str,
        direction: Direction,
        total_bytes: u64,
        done_bytes: u64,
    ) -> Self {
        let lines = screen.lines.clone();
        let whole = lines.add(ProgressBar::new(total_bytes));
        whole.set_style(style(WHOLE));
        whole.set_prefix(name.to_owned());
        // What was there before does not count for the rate.
        whole.set_position(done_bytes);
        whole.reset_eta();
        Self { lines, whole, paths: BTreeMap::new(), direction }
    }

    /// Shows how things are.
    pub(crate) fn draw(&mut self, now: Instant, position_bytes: u64, totals: &PathTotals) {
        self.whole.set_position(position_bytes);
        for path in totals.paths() {
            self.draw_path(now, path);
        }
    }

    fn draw_path(&mut self, now: Instant, path: &PathInfo) {
        let lines = &self.lines;
        let entry = self.paths.entry(path.id).or_insert_with(|| {
            let line = lines.add(ProgressBar::new_spinner());
            line.set_style(style("{msg}"));
            PathLine { line, rate: Rate::default(), gone_at: None }
        });
        if path.state == PathState::Closed {
            let gone_at = *entry.gone_at.get_or_insert(now);
            if now - gone_at > OBITUARY_TIME {
                entry.line.finish_and_clear();
                return;
            }
        }
        let bytes = carried_bytes(path, self.direction);
        let rate = entry.rate.update(now, bytes);
        entry.line.set_message(format!(
            "  path {} {:<22} {:<8} {:>10}/s {:>8} {:>11}",
            path.id,
            remote(path).unwrap_or_default(),
            path.state.to_string(),
            BinaryBytes(rate as u64).to_string(),
            path.rtt.map_or("-".to_owned(), |rtt| format!("{:.1} ms", in_ms(rtt))),
            BinaryBytes(bytes).to_string(),
        ));
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.paths.values().for_each(|path| path.line.finish_and_clear());
        self.whole.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are in this file and valid.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A rate that follows the last second or so.
#[derive(Debug, Default)]
struct Rate {
    last: Option<(Instant, u64)>,
    bytes_per_s: f64,
}

impl Rate {
    fn update(&mut self, now: Instant, bytes: u64) -> f64 {
        if let Some((then, before)) = self.last.replace((now, bytes)) {
            let elapsed = (now - then).as_secs_f64().max(1e-3);
            let current = bytes.saturating_sub(before) as f64 / elapsed;
            let weight = 1.0 - (-elapsed / 0.5).exp();
            self.bytes_per_s += weight * (current - self.bytes_per_s);
        }
        self.bytes_per_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        assert!(ProgressStyle::with_template(WHOLE).is_ok());
    }

    #[test]
    fn a_rate_comes_near_the_truth_and_back_to_nothing() {
        let mut rate = Rate::default();
        let start = Instant::now();
        let at = |tick: u64| start + Duration::from_millis(100 * tick);
        let steady = (0..50).map(|tick| rate.update(at(tick), tick * 1000)).last().unwrap();
        assert!((steady - 10_000.0).abs() < 10.0, "{steady}");
        let silent = (50..100).map(|tick| rate.update(at(tick), 49_000)).last().unwrap();
        assert!(silent < 10.0, "{silent}");
    }
}
