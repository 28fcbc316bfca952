//! KWIK beside plain quinn under load: many sessions, many streams, dials, nothing at all, bytes.
//!
//! ```text
//! case       what can be measured                 session      what both contenders can do
//! protocol   what client and server say           over_kwik, over_quinn: how each of them does it
//! serve      the server's process                 drive        the client's process: a file for each kind of load
//! report     figures of one run                   table        medians of several, side by side
//! usage, histogram: what they are made of         page, plot   all of it for readers
//! ```
//!
//! A run is two processes, which this program starts as `load-drive` and that as `load-serve`; runs of the contenders
//! follow one another in turn. Both ends of both contenders have a runtime of two threads, one certificate of the same
//! kind, AES-128-GCM with ring, and CUBIC.

mod case;
mod drive;
mod histogram;
mod machine;
mod over_kwik;
mod over_quinn;
mod page;
mod plot;
mod protocol;
mod report;
mod serve;
mod session;
mod table;
mod usage;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

pub use case::{Bulk, Case, Direction};
pub use drive::{Args as DriveArgs, run as drive};
pub use page::{TableArgs, write_page};
pub use serve::{Args as ServeArgs, run as serve};

use crate::process::Client;
use report::Report;
use table::Comparison;

/// No run takes longer, not even one with ten thousand sessions in a debug build.
const RUN_LIMIT: Duration = Duration::from_secs(600);
/// Threads of each process's runtime.
const RUNTIME_THREADS: usize = 2;
/// Where servers listen and clients dial from.
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Who carries the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Contender {
    /// KWIK.
    Kwik,
    /// Plain quinn.
    Quinn,
}

impl Contender {
    fn word(self) -> &'static str {
        match self {
            Self::Kwik => "kwik",
            Self::Quinn => "quinn",
        }
    }
}

/// Compares KWIK with plain quinn under a load, memory to memory over loopback.
///
/// Server and client are processes of their own, new for each run. Both contenders are measured in turn; the medians
/// count, beside the least and the most. CPU time and latencies are those of the time that is measured, in which all
/// sessions are open and at work.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    case: Case,
}

/// How cases are measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Runs of each contender.
    #[arg(long, default_value_t = 7, global = true, display_order = 100)]
    rounds: usize,
    /// How long is measured in each run: by default 2, and 10 for idle sessions.
    #[arg(long, value_parser = parse_seconds, global = true, display_order = 101)]
    seconds: Option<Duration>,
    /// Measure KWIK in another build of this program, too (may be repeated).
    #[arg(long, value_name = "NAME=PATH", global = true, display_order = 102)]
    also: Vec<Build>,
}

/// Another build of this program.
#[derive(Debug, Clone)]
struct Build {
    name: String,
    program: PathBuf,
}

impl FromStr for Build {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, path) = text.split_once('=').context("write it as NAME=PATH")?;
        ensure!(!name.is_empty(), "the build needs a name: NAME=PATH");
        let program = PathBuf::from(path).canonicalize().with_context(|| format!("no program {path}"))?;
        Ok(Self { name: name.to_owned(), program })
    }
}

fn parse_seconds(text: &str) -> Result<Duration> {
    let seconds = text.parse().context("that is no number of seconds")?;
    ensure!(seconds > 0.0 && seconds <= 3_600.0, "more than none and an hour at most");
    Ok(Duration::from_secs_f64(seconds))
}

/// The same for both ends of both contenders.
fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(RUNTIME_THREADS).enable_all();
    builder.build().context("tokio's runtime could not be started")
}

fn warn_of_debug_build() {
    if cfg!(debug_assertions) {
        eprintln!("kwik-bench: this is no release build, its figures mean nothing");
    }
}

/// Runs `load`.
pub async fn run(args: &Args) -> Result<()> {
    warn_of_debug_build();
    let comparison = compare(&args.case, &args.options).await?;
    print!("{}", comparison.markdown());
    let failures: Vec<_> = comparison.failures().collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// Measures a case, all contenders in turn. One that has failed is left out from then on.
async fn compare(case: &Case, options: &Options) -> Result<Comparison> {
    let ourselves = std::env::current_exe().context("this program's own path is unknown")?;
    let mut contenders = vec![("quinn", Contender::Quinn, &ourselves), ("KWIK", Contender::Kwik, &ourselves)];
    contenders.extend(options.also.iter().map(|build| (&*build.name, Contender::Kwik, &build.program)));
    let mut comparison = Comparison::new(contenders.iter().map(|(name, ..)| *name));
    let window = options.seconds.unwrap_or(case.default_window());
    for round in 1..=options.rounds.max(1) {
        for (column, (name, contender, program)) in contenders.iter().enumerate() {
            if comparison.has_failed(column) {
                continue;
            }
            match run_once(program, *contender, case, window).await {
                Ok(report) => {
                    eprintln!("round {round}, {name}: {}", table::first_figure(&report));
                    comparison.add(column, report);
                }
                Err(error) => {
                    eprintln!("round {round}, {name}: {error:#}");
                    comparison.fail(column, format!("{error:#}"));
                }
            }
        }
    }
    Ok(comparison)
}

async fn run_once(program: &Path, contender: Contender, case: &Case, window: Duration) -> Result<Report> {
    let mut drive = Command::new(program);
    drive.arg("load-drive").arg(contender.word());
    drive.arg("--seconds").arg(window.as_secs_f64().to_string()).args(case.words());
    let finished = Client::start(drive)?.finish(RUN_LIMIT).await?;
    let report = serde_json::from_str(&finished.stdout);
    report.with_context(|| format!("it gave no report but `{}`", finished.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_build_has_a_name_and_a_path() {
        let build: Build = "old=/".parse().unwrap();
        assert_eq!((build.name.as_str(), build.program), ("old", PathBuf::from("/")));
        for wrong in ["/", "=/", "old=/no/such/program"] {
            assert!(wrong.parse::<Build>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_may_have_a_fraction_and_are_some() {
        assert_eq!(parse_seconds("0.05").unwrap(), Duration::from_millis(50));
        for wrong in ["0", "-1", "inf", "NaN", "soon"] {
            assert!(parse_seconds(wrong).is_err(), "{wrong}");
        }
    }
}
