//! `cargo xtask npm`.

use std::process::Command;

use crate::run::run;
use crate::{Error, in_repository, size, wasm};

/// Where the package's files are.
const PACKAGE: &str = "wasm/npm";
/// What of it is published, apart from package.json and README.md.
pub(crate) const DIST: &str = "wasm/npm/dist";

/// Builds everything anew and packs it.
pub(crate) fn pack() -> Result<(), Error> {
    let dist = in_repository(DIST);
    if dist.exists() {
        std::fs::remove_dir_all(&dist)?;
    }
    wasm::build(wasm::Profile::Release)?;
    run(tool("tsc")?.arg("--project").arg(in_repository(PACKAGE)))?;
    size::check(&dist, "js", size::MAX_SCRIPT_BYTES)?;
    run(Command::new("npm").args(["pack", "--silent"]).current_dir(in_repository(PACKAGE)))
}

/// One of the package's development tools, which are installed the first time that one is needed.
pub(crate) fn tool(name: &str) -> Result<Command, Error> {
    let package = in_repository(PACKAGE);
    let tool = package.join("node_modules/.bin").join(name);
    if !tool.exists() {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&package);
        run(&mut npm).map_err(|error| format!("{error}: is node 20 or later installed, with npm?"))?;
    }
    Ok(Command::new(tool))
}
