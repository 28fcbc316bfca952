//! `cargo xtask coverage`: how many lines of the core its tests run.
//!
//! The compiler counts (`-C instrument-coverage`), LLVM's own tools of the same toolchain add up. Code of tests, which
//! runs itself, does not count: files named `tests.rs` or `fuzzing.rs`, and what stands below `mod tests` in a file.
//! What the compiler itself runs, as the tables of `huffman.rs`, counts as not run.
//!
//! Only crates of the workspace count, which Cargo has compiled by this program ([`compile`]) for that: flags for all
//! crates would have the hundred dependencies built anew, and slowed down, for figures that nobody asks for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{output, run};
use crate::{Error, in_repository};

/// What of each of [`FOLDERS`] has to be run at least, in per cent of its lines.
const LEAST_PERCENT: f64 = 90.0;
const FOLDERS: [&str; 2] = ["src/proto", "src/carrier"];
/// Few seeds reach every line; many are what `cargo test` is for.
const SIMULATOR_SEEDS: &str = "50";

/// Set where Cargo calls this program in place of the compiler.
const COMPILES: &str = "KWIK_XTASK_COMPILES";

/// Lines, and how many of them were run.
#[derive(Clone, Copy, Default)]
struct Lines {
    all: usize,
    run: usize,
}

impl Lines {
    fn add(&mut self, was_run: bool) {
        self.all += 1;
        self.run += usize::from(was_run);
    }

    fn percent(self) -> f64 {
        100.0 * self.run as f64 / self.all.max(1) as f64
    }
}

/// Prints the figure of each file and folder; an error below [`LEAST_PERCENT`].
pub(crate) fn measure() -> Result<(), Error> {
    let tools = llvm_tools()?;
    let target = in_repository("target/coverage");
    let profiles = target.join("profiles");
    // Counts of an earlier run would be added.
    if profiles.exists() {
        std::fs::remove_dir_all(&profiles)?;
    }
    let programs = test_programs(&target, &profiles)?;
    let merged = target.join("merged.profdata");
    let raw = std::fs::read_dir(&profiles)?.filter_map(|entry| Some(entry.ok()?.path()));
    run(Command::new(tools.join("llvm-profdata")).args(["merge", "--sparse", "-o"]).arg(&merged).args(raw))?;
    let mut export = Command::new(tools.join("llvm-cov"));
    export.args(["export", "--format=lcov", "--instr-profile"]).arg(&merged).arg(&programs[0]);
    for program in &programs[1..] {
        export.arg("--object").arg(program);
    }
    export.args(FOLDERS.map(|folder| in_repository(folder).canonicalize().unwrap_or_default()));
    let report = output(&mut export).ok_or("llvm-cov cannot read the counts")?;
    judge(&by_file(&report)?)
}

/// Whether Cargo calls this program as its compiler.
pub(crate) fn is_compiler() -> bool {
    std::env::var_os(COMPILES).is_some()
}

/// Runs the compiler that Cargo names, with counting added.
pub(crate) fn compile(arguments: &[&str]) -> Result<(), Error> {
    let [compiler, arguments @ ..] = arguments else { return Err("Cargo names no compiler".into()) };
    run(Command::new(compiler).args(arguments).args(["-C", "instrument-coverage"]))
}

fn llvm_tools() -> Result<PathBuf, Error> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"])).ok_or("cannot run rustc")?;
    let version = output(Command::new("rustc").arg("-vV")).ok_or("cannot run rustc")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    let tools = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin");
    if tools.join("llvm-cov").exists() {
        return Ok(tools);
    }
    Err("there is no llvm-cov: rustup component add llvm-tools".into())
}

/// Builds and runs the tests of the core, counting. Returns the programs.
fn test_programs(target: &Path, profiles: &Path) -> Result<Vec<PathBuf>, Error> {
    let this = std::env::current_exe()?;
    let cargo = |also: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "-p", "kwik-transport", "--lib", "--test", "sim", "--test", "spec_examples"]);
        cargo.args(["--test", "http3_conformance", "--test", "web_transport", "--test", "wrong_joins"]);
        cargo.args(also).current_dir(in_repository("")).env("CARGO_TARGET_DIR", target);
        cargo.env("RUSTC_WORKSPACE_WRAPPER", &this).env(COMPILES, "1").env("KWIK_SIM_SEEDS", SIMULATOR_SEEDS);
        cargo.env("LLVM_PROFILE_FILE", profiles.join("%p-%m.profraw"));
        cargo
    };
    run(&mut cargo(&[]))?;
    let messages = output(&mut cargo(&["--no-run", "--message-format=json"])).ok_or("cargo test failed")?;
    let program = |line: &str| {
        let path = line.split("\"executable\":\"").nth(1)?.split('"').next()?;
        line.contains("\"test\":true").then(|| PathBuf::from(path))
    };
    let programs: Vec<_> = messages.lines().filter_map(program).collect();
    if programs.is_empty() { Err("cargo names no test programs".into()) } else { Ok(programs) }
}

/// Takes a report in the format of lcov apart.
fn by_file(report: &str) -> Result<BTreeMap<String, Lines>, Error> {
    let root = in_repository("").canonicalize()?;
    let mut files = BTreeMap::new();
    let mut current = None;
    for line in report.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            current = begin_file(&root, Path::new(path));
        } else if let (Some((name, end)), Some(data)) = (&current, line.strip_prefix("DA:"))
            && let Some((number, count)) = data.split_once(',')
            && number.parse::<usize>()? < *end
        {
            files.entry(name.clone()).or_insert_with(Lines::default).add(count != "0");
        }
    }
    Ok(files)
}

/// A source file's name, and the line at which its own tests begin; `None` for files that are tests.
fn begin_file(root: &Path, path: &Path) -> Option<(String, usize)> {
    if path.ends_with("tests.rs") || path.ends_with("fuzzing.rs") {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let tests = text.lines().position(|line| line.starts_with("mod tests {")).unwrap_or(usize::MAX - 1);
    Some((path.strip_prefix(root).ok()?.display().to_string(), tests + 1))
}

fn judge(files: &BTreeMap<String, Lines>) -> Result<(), Error> {
    let mut low = Vec::new();
    for (name, lines) in files {
        println!("{:6.1} %  {:5} of {:5}  {name}", lines.percent(), lines.run, lines.all);
    }
    for folder in FOLDERS {
        let of_folder = files.iter().filter(|(name, _)| name.starts_with(folder));
        let sum = of_folder.fold(Lines::default(), |sum, (_, lines)| Lines {
            all: sum.all + lines.all,
            run: sum.run + lines.run,
        });
        println!("{:6.1} %  {:5} of {:5}  {folder}, all together", sum.percent(), sum.run, sum.all);
        if sum.percent() < LEAST_PERCENT {
            low.push(folder);
        }
    }
    if low.is_empty() { Ok(()) } else { Err(format!("below {LEAST_PERCENT} %: {}", low.join(", ")).into()) }
}
