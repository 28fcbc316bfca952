//! The rig: some sixty things that happen to networks, and what becomes of a transfer.
//!
//! Client and server are in this process, each on a thread in a network namespace of its own; between them are links
//! that do to packets what a [`Scenario`] says. Every transfer has to arrive whole.

mod scenario;
mod transfer;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kwik_netem::{Direction, parse_delay};

pub use scenario::{Moves, SCENARIOS, Scenario};
pub use transfer::{Figures, play};

/// Between these lines the table stands.
const BEGIN: &str = "<!-- written by `kwik-bench rig` from here -->";
const END: &str = "<!-- to here -->";

/// Transfers bytes over some sixty kinds of bad networks, both ways, and checks that they arrive.
///
/// Needs root. A run of all of them takes some ten minutes and writes the table into a file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this scenario (may be repeated); the table is then only printed.
    #[arg(long, value_name = "NAME", value_parser = find)]
    scenario: Vec<&'static Scenario>,
    /// Only those that are run with every change.
    #[arg(long, conflicts_with = "scenario")]
    brief: bool,
    /// The file whose table is replaced.
    #[arg(long, value_name = "FILE", default_value = "docs/RELIABILITY.md")]
    into: PathBuf,
    /// A single transfer may take so long.
    #[arg(long, value_parser = parse_delay, default_value = "120s")]
    limit: Duration,
}

fn find(name: &str) -> Result<&'static Scenario> {
    Scenario::named(name).with_context(|| {
        let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        format!("no such scenario; there are {}", names.join(", "))
    })
}

/// Runs `rig`.
///
/// # Errors
///
/// When links cannot be made, when a transfer fails, and when the table cannot be written.
pub fn run(args: &Args) -> Result<()> {
    let chosen: Vec<_> = match (args.brief, &args.scenario[..]) {
        (true, _) => SCENARIOS.iter().filter(|scenario| scenario.is_brief).collect(),
        (false, []) => SCENARIOS.iter().collect(),
        (false, named) => named.to_vec(),
    };
    let is_whole = chosen.len() == SCENARIOS.len();
    if is_whole {
        // Rather now than in ten minutes.
        replace_table(&args.into, "")?;
    }
    let mut table = String::from(HEAD);
    print!("{HEAD}");
    let mut failed = Vec::new();
    for scenario in chosen {
        let row = row(scenario, args.limit, &mut failed);
        print!("{row}");
        table += &row;
    }
    if is_whole {
        replace_table(&args.into, &table)?;
    }
    ensure!(failed.is_empty(), "{} transfers failed:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}

const HEAD: &str = "\
| scenario | what happens | paths | down, Mbit/s | longest stall, ms | up, Mbit/s | longest stall, ms |
|---|---|---|---|---|---|---|
";

fn row(scenario: &Scenario, limit: Duration, failed: &mut Vec<String>) -> String {
    let mut row = format!("| {} | {} | {} |", scenario.name, scenario.story, scenario.paths.len());
    for direction in [Direction::Down, Direction::Up] {
        let cells = match play(scenario, direction, limit) {
            Ok(figures) => {
                format!(" {:.1} | {} |", figures.goodput, figures.longest_stall.as_millis())
            }
            Err(error) => {
                failed.push(format!("{} {direction:?}: {error:#}", scenario.name));
                " failed | |".to_owned()
            }
        };
        row += &cells;
    }
    row.push('\n');
    row
}

/// Puts `table` between the marks of a file. An empty one only checks that they are there.
fn replace_table(file: &Path, table: &str) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parts = || {
        let (before, rest) = text.split_once(BEGIN)?;
        Some((before, rest.split_once(END)?.1))
    };
    let Some((before, after)) = parts() else {
        bail!("{} lacks the lines between which the table is to stand: {BEGIN} and {END}", file.display());
    };
    if table.is_empty() {
        return Ok(());
    }
    let mut replaced = String::new();
    write!(replaced, "{before}{BEGIN}\n{table}{END}{after}")?;
    std::fs::write(file, replaced).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_of_the_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("RELIABILITY.md");
        std::fs::write(&file, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).unwrap();
        replace_table(&file, "").unwrap();
        replace_table(&file, "| new |\n").unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("before\n{BEGIN}\n| new |\n{END}\nafter\n"));
        std::fs::write(&file, "no marks").unwrap();
        assert!(replace_table(&file, "| new |\n").is_err());
    }
}
