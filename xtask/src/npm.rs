//! `cargo xtask npm`.

use std::path::PathBuf;
use std::process::Command;

use crate::run::run;
use crate::{Error, age, in_repository, node, size, wasm};

/// Where the package's files are.
const PACKAGE: &str = "wasm/npm";
/// What of it is published, apart from package.json and README.md.
pub(crate) const DIST: &str = "wasm/npm/dist";

/// What all of it is made of.
const SOURCES: [&str; 5] = ["src", "wasm", "Cargo.toml", "Cargo.lock", "xtask/src"];

/// Builds everything anew and packs it.
pub(crate) fn pack() -> Result<(), Error> {
    build()?;
    run(node::npm(&in_repository(PACKAGE))?.args(["pack", "--silent"]))
}

/// Builds everything anew.
pub(crate) fn build() -> Result<(), Error> {
    let dist = in_repository(DIST);
    if dist.exists() {
        std::fs::remove_dir_all(&dist)?;
    }
    wasm::build(wasm::Profile::Release)?;
    run(tool("tsc")?.arg("--project").arg(in_repository(PACKAGE)))?;
    size::check(&dist, "js", size::MAX_SCRIPT_BYTES)
}

/// The files and directories that it is made of.
pub(crate) fn sources() -> Vec<PathBuf> {
    SOURCES.map(in_repository).to_vec()
}

/// Whether it was never built, or has changed since.
pub(crate) fn is_outdated() -> Result<bool, Error> {
    // What is built last.
    age::is_older(&in_repository(DIST).join("index.js"), &sources())
}

/// One of the package's development tools, which are installed the first time that one is needed.
pub(crate) fn tool(name: &str) -> Result<Command, Error> {
    let package = in_repository(PACKAGE);
    node::install_dependencies(&package)?;
    Ok(Command::new(package.join("node_modules/.bin").join(name)))
}
