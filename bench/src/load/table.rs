//! Runs of several contenders side by side, in Markdown.

use std::fmt::Write as _;

use super::report::Report;
use crate::process::median;

/// Several runs of each contender. The first is the one that the others are compared with; the second is the one that
/// is being worked on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Comparison {
    columns: Vec<Column>,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    reports: Vec<Report>,
    /// Why one of its runs has failed: then none of them counts.
    failure: Option<String>,
}

/// One figure in several runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Summary {
    fn of(figures: &[f64]) -> Option<Self> {
        let least = figures.iter().copied().reduce(f64::min)?;
        let most = figures.iter().copied().reduce(f64::max)?;
        Some(Self { median: median(figures.iter().copied()), least, most })
    }

    fn text(&self) -> String {
        format!("{} ({}..{})", number(self.median), number(self.least), number(self.most))
    }
}

impl Comparison {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let columns = names.into_iter().map(|name| Column {
            name: name.to_owned(),
            reports: Vec::new(),
            failure: None,
        });
        Self { columns: columns.collect() }
    }

    /// Adds a run of that contender.
    pub(crate) fn add(&mut self, column: usize, report: Report) {
        self.columns[column].reports.push(report);
    }

    /// A run of that contender has failed.
    pub(crate) fn fail(&mut self, column: usize, failure: String) {
        self.columns[column].reports.clear();
        self.columns[column].failure = Some(failure);
    }

    pub(crate) fn has_failed(&self, column: usize) -> bool {
        self.columns[column].failure.is_some()
    }

    /// Who has failed, and why.
    pub(crate) fn failures(&self) -> impl Iterator<Item = String> {
        let failure = |column: &Column| Some(format!("{}: {}", column.name, column.failure.as_ref()?));
        self.columns.iter().filter_map(failure)
    }

    /// The contenders' names and what their runs say of one figure, in order.
    pub(crate) fn summaries(&self, figure: &str) -> Vec<(&str, Option<Summary>)> {
        let summary = |column: &Column| {
            let figures: Vec<_> = column.reports.iter().filter_map(|report| report.get(figure)).collect();
            Summary::of(&figures)
        };
        self.columns.iter().map(|column| (&*column.name, summary(column))).collect()
    }

    /// A row for each figure; medians, with the least and the most, and ratios of medians.
    pub(crate) fn markdown(&self) -> String {
        let first = self.columns.iter().find_map(|column| column.reports.first());
        let rows = first
            .into_iter()
            .flat_map(|report| &report.figures)
            .map(|figure| self.row(&figure.name, &figure.name));
        self.head("") + &rows.collect::<String>()
    }

    /// The first rows of a table whose first column is of that.
    pub(crate) fn head(&self, first: &str) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| &*column.name).collect();
        let space = if first.is_empty() { "" } else { " " };
        let mut cells = format!("|{space}{first} |");
        for (k, name) in names.iter().enumerate() {
            let _ = write!(cells, " {name} |");
            for other in self.compared_with(k) {
                let _ = write!(cells, " {} / {} |", names[other.0], names[other.1]);
            }
        }
        let columns = cells.matches('|').count() - 1;
        format!("{cells}\n|---|{}\n", "--:|".repeat(columns - 1))
    }

    /// One figure, called that.
    pub(crate) fn row(&self, name: &str, figure: &str) -> String {
        let summaries = self.summaries(figure);
        let mut row = format!("| {name} |");
        for (k, (_, summary)) in summaries.iter().enumerate() {
            let text = match summary {
                Some(summary) => summary.text(),
                None if self.has_failed(k) => "failed".to_owned(),
                None => String::new(),
            };
            let _ = write!(row, " {text} |");
            for (above, below) in self.compared_with(k) {
                let _ = write!(row, " {} |", ratio(summaries[above].1, summaries[below].1));
            }
        }
        row + "\n"
    }

    /// The ratios that stand beside a column, as numbers of columns.
    fn compared_with(&self, column: usize) -> Vec<(usize, usize)> {
        match column {
            0 => Vec::new(),
            1 => vec![(1, 0)],
            other => vec![(other, 0), (1, other)],
        }
    }
}

/// Of two medians; nothing where one is missing or there is nothing to divide by.
fn ratio(above: Option<Summary>, below: Option<Summary>) -> String {
    match (above, below) {
        (Some(above), Some(below)) if below.median > 0.0 => format!("{:.2}", above.median / below.median),
        _ => String::new(),
    }
}

/// With three digits, if it has so many, and thousands set apart.
fn number(value: f64) -> String {
    match value.abs() {
        ..99.95 if value.fract() == 0.0 => format!("{value:.0}"),
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (k, digit) in digits.chars().enumerate() {
                if k > 0 && (digits.len() - k) % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
    }
}

/// What a run is about, in a few words.
pub(crate) fn first_figure(report: &Report) -> String {
    let figure = report.figures.first();
    figure.map(|figure| format!("{} {}", number(figure.value), figure.name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rate: f64) -> Report {
        let mut report = Report::default();
        report.add("echoes/s", rate);
        report
    }

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        let texts = [3.0, 0.125, 9.994, 9.996, 99.94, 99.96, 999.6, 1_234_567.0].map(number);
        assert_eq!(texts, ["3", "0.12", "9.99", "10.0", "99.9", "100", "1,000", "1,234,567"]);
    }

    #[test]
    fn medians_stand_beside_their_spread_and_ratios_to_the_first() {
        let mut comparison = Comparison::new(["quinn", "KWIK", "old"]);
        for (column, rates) in
            [[100.0, 300.0, 200.0], [400.0, 400.0, 500.0], [50.0, 100.0, 100.0]].iter().enumerate()
        {
            rates.iter().for_each(|rate| comparison.add(column, report(*rate)));
        }
        let expected = "\
| | quinn | KWIK | KWIK / quinn | old | old / quinn | KWIK / old |
|---|--:|--:|--:|--:|--:|--:|
| echoes/s | 200 (100..300) | 400 (400..500) | 2.00 | 100 (50..100) | 0.50 | 4.00 |
";
        assert_eq!(comparison.markdown(), expected);
    }

    #[test]
    fn a_contender_that_has_failed_once_has_no_figures() {
        let mut comparison = Comparison::new(["quinn", "KWIK"]);
        comparison.add(0, report(100.0));
        comparison.add(1, report(100.0));
        comparison.fail(1, "no answer".to_owned());
        assert!(comparison.markdown().ends_with("| echoes/s | 100 (100..100) | failed |  |\n"));
        assert_eq!(comparison.failures().collect::<Vec<_>>(), ["KWIK: no answer"]);
    }

    #[test]
    fn a_figure_that_a_build_does_not_know_is_left_empty() {
        let mut comparison = Comparison::new(["quinn", "KWIK"]);
        comparison.add(0, report(100.0));
        comparison.add(1, Report::default());
        assert!(comparison.markdown().ends_with("| echoes/s | 100 (100..100) |  |  |\n"));
    }
}
