//! `cargo xtask soak`.

use std::process::Command;

use crate::run::run;
use crate::{Error, in_repository};

/// Builds the load test and runs it. `--release` is for the build, the rest for the test. Without it the build is that of
/// the tests, which is there already where these have run.
pub(crate) fn run_load_test(arguments: &[&str]) -> Result<(), Error> {
    let (for_build, for_test): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|argument| **argument == "--release");
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "-q", "-p", "kwik-soak", "--manifest-path"]).arg(in_repository("Cargo.toml"));
    cargo.args(for_build).arg("--").args(for_test);
    run(cargo.arg("--out").arg(in_repository("target/soak")))
}
