//! All cases at several sizes, as a page for readers: docs/PERFORMANCE.md.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::table::Comparison;
use super::{Bulk, Case, Direction, Options, compare, machine, plot, warn_of_debug_build};
use crate::data::ByteSize;

/// Plots are in this directory, beside the page.
const PLOTS: &str = "performance";

/// Measures every case of `load` at several sizes, and writes docs/PERFORMANCE.md with plots.
///
/// Takes about half an hour, in which the machine should do nothing else. Tables are printed as they come.
#[derive(Debug, clap::Args)]
pub struct TableArgs {
    #[command(flatten)]
    options: Options,
    /// The page. Plots go into the directory `performance` beside it.
    #[arg(long, value_name = "FILE", default_value = "docs/PERFORMANCE.md")]
    out: PathBuf,
    /// Where there would be more sessions or streams, so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    largest: u32,
    /// Of each bulk transfer.
    #[arg(long, default_value = "1GiB")]
    size: ByteSize,
}

/// Cases that belong together.
struct Section {
    title: &'static str,
    text: &'static str,
    /// One kind of load at several sizes, which are plotted.
    series: Option<Series>,
    cases: Vec<Case>,
}

/// What is plotted, and against what.
struct Series {
    file: &'static str,
    numbers: &'static str,
    costs: &'static str,
}

/// Runs `table`.
pub async fn write_page(args: &TableArgs) -> Result<()> {
    warn_of_debug_build();
    // Rather now than in half an hour.
    let plots = args.out.parent().unwrap_or(Path::new("")).join(PLOTS);
    std::fs::create_dir_all(&plots).with_context(|| format!("{} could not be made", plots.display()))?;
    let mut page = introduction(args, &machine::describe());
    let mut failures = Vec::new();
    for section in sections(args.largest, args.size) {
        let mut measured = Vec::new();
        for case in &section.cases {
            let comparison = compare(case, &args.options).await?;
            println!("{}\n{}", heading(case), comparison.markdown());
            failures.extend(comparison.failures());
            measured.push((case, comparison));
        }
        page += &section.markdown(&measured, &plots)?;
    }
    std::fs::write(&args.out, page)
        .with_context(|| format!("{} could not be written", args.out.display()))?;
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

fn introduction(args: &TableArgs, machine: &str) -> String {
    let TableArgs { options, largest, size, .. } = args;
    let rounds = options.rounds;
    let seconds =
        options.seconds.map(|seconds| format!(" --seconds {}", seconds.as_secs_f64())).unwrap_or_default();
    format!(
        "\
# Performance

KWIK beside plain quinn 0.11 under the same load. Written on {machine}, by

```sh
cargo build --release -p kwik-bench
target/release/kwik-bench table --rounds {rounds}{seconds} --largest {largest} --size {size}
```

Each table has the command that gives it alone. Figures are medians of {rounds} runs of each contender, in turn, with
the least and the most; ratios are of medians. A figure alone says little elsewhere: compare the ratios.

Server and client are processes of their own on one machine, over loopback, from memory to memory. Both ends of both
contenders have a tokio runtime of two threads, the same kind of certificate (pinned by the client), AES-128-GCM with
ring, CUBIC, and packets of up to 1,472 bytes. Except for bulk transfers, quinn has KWIK's keep-alives (5 s), windows,
limits of streams and socket buffers. CPU time is that of both processes together, or of one that is named, in the time
that is measured, when all sessions are open and at work; `peak` is the most resident memory that a process has had.
KWIK's workers are threads besides the runtime's.
"
    )
}

fn heading(case: &Case) -> String {
    format!("`kwik-bench load {}`\n", case.words().join(" "))
}

/// The list of what is measured.
fn sections(largest: u32, size: ByteSize) -> Vec<Section> {
    let many = sizes([1, 10, 200, 2_000, 10_000], largest).map(|sessions| Case::Many { sessions });
    let streams =
        sizes([1, 10, 100, 1_000, 10_000], largest).map(|outstanding| Case::Streams { outstanding });
    let bulk = |paths, sessions: u32, direction| {
        Case::Bulk(Bulk { paths, sessions: sessions.min(largest), direction, size })
    };
    let bulks = [
        bulk(1, 1, Direction::Down),
        bulk(1, 1, Direction::Up),
        bulk(2, 1, Direction::Down),
        bulk(1, 50, Direction::Down),
    ];
    let alone = |title, text, cases| Section { title, text, series: None, cases };
    vec![
        Section {
            title: "Many sessions",
            text: "Each session sends 100 bytes there and back on a stream that stays, one echo at a time.",
            series: Some(Series { file: "many.svg", numbers: "sessions", costs: "CPU us/echo" }),
            cases: many.collect(),
        },
        Section {
            title: "Many streams",
            text: "One session, in which so many requests are outstanding at any time: each is a stream of its own, \
                   100 bytes there and back.",
            series: Some(Series { file: "streams.svg", numbers: "streams", costs: "CPU us/stream" }),
            cases: streams.collect(),
        },
        alone(
            "Opening sessions",
            "50 dials at a time: each opens a session, does one request of 100 bytes, and closes. No TLS session is \
             resumed.",
            vec![Case::Connect],
        ),
        alone(
            "Idle sessions",
            "What the resident memory of each end has grown by for each session, and the CPU time that keep-alives \
             take.",
            vec![Case::Idle { sessions: largest.min(1_000) }],
        ),
        alone("One echo at a time", "100 bytes, one session, one stream.", vec![Case::Echo]),
        alone("Bulk transfers", "From memory, with both contenders as they are by default.", bulks.to_vec()),
    ]
}

/// Those that are no larger than the largest, which takes the place of those that are.
fn sizes(all: [u32; 5], largest: u32) -> impl Iterator<Item = u32> {
    let mut sizes = all.map(|size| size.min(largest)).to_vec();
    sizes.dedup();
    sizes.into_iter()
}

impl Section {
    fn markdown(&self, measured: &[(&Case, Comparison)], plots: &Path) -> Result<String> {
        let mut text = format!("\n## {}\n\n{}\n", self.title, self.text);
        if let Some(series) = &self.series {
            text += &series.markdown(measured);
            plot::write(&plots.join(series.file), series.numbers, series.costs, &series.lines(measured))?;
        }
        for (case, comparison) in measured {
            write!(text, "\n{}\n{}", heading(case), comparison.markdown())?;
        }
        Ok(text)
    }
}

impl Series {
    /// The plot, and a table of what is in it.
    fn markdown(&self, measured: &[(&Case, Comparison)]) -> String {
        let Self { file, numbers, costs } = self;
        let head = measured.first().map(|(_, comparison)| comparison.head(&format!("{numbers}: {costs}")));
        let rows =
            measured.iter().map(|(case, comparison)| comparison.row(&case.number().to_string(), costs));
        let table = head.into_iter().chain(rows).collect::<String>();
        format!("\n![{costs}, by number of {numbers}]({PLOTS}/{file})\n\n{table}")
    }

    fn lines(&self, measured: &[(&Case, Comparison)]) -> Vec<plot::Line> {
        let mut lines: Vec<plot::Line> = Vec::new();
        for (case, comparison) in measured {
            for (column, (name, summary)) in comparison.summaries(self.costs).into_iter().enumerate() {
                if lines.len() <= column {
                    lines.push((name.to_owned(), Vec::new()));
                }
                lines[column].1.extend(summary.map(|summary| (f64::from(case.number()), summary.median)));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Report;
    use super::*;

    fn words(cases: &[Case]) -> Vec<String> {
        cases.iter().map(|case| case.words().join(" ")).collect()
    }

    #[test]
    fn sizes_end_at_the_largest_and_none_comes_twice() {
        let sections = sections(10, ByteSize(1 << 20));
        assert_eq!(words(&sections[0].cases), ["many --sessions 1", "many --sessions 10"]);
        let bulks = words(&sections.last().unwrap().cases);
        assert_eq!(bulks[3], "bulk --paths 1 --sessions 10 --direction down --size 1MiB");
        assert_eq!(super::sections(u32::MAX, ByteSize(1))[1].cases.len(), 5);
    }

    #[test]
    fn a_series_has_a_plot_and_a_row_for_each_size_before_the_tables() {
        let dir = tempfile::tempdir().unwrap();
        let mut section = sections(10, ByteSize(1)).swap_remove(0);
        section.text = "Text.";
        let comparison = |cost: f64| {
            let mut comparison = Comparison::new(["quinn", "KWIK"]);
            for (column, cost) in [cost, 2.0 * cost].into_iter().enumerate() {
                let mut report = Report::default();
                report.add("CPU us/echo", cost);
                comparison.add(column, report);
            }
            comparison
        };
        let measured: Vec<_> = section.cases.iter().zip([20.0, 30.0].map(comparison)).collect();
        let text = section.markdown(&measured, dir.path()).unwrap();
        let beginning = "
## Many sessions

Text.

![CPU us/echo, by number of sessions](performance/many.svg)

| sessions: CPU us/echo | quinn | KWIK | KWIK / quinn |
|---|--:|--:|--:|
| 1 | 20 (20..20) | 40 (40..40) | 2.00 |
| 10 | 30 (30..30) | 60 (60..60) | 2.00 |

`kwik-bench load many --sessions 1`

| | quinn |";
        assert!(text.starts_with(beginning), "{text}");
        assert!(dir.path().join("many.svg").exists());
    }
}
