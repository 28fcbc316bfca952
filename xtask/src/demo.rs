//! `cargo xtask demo`.

use std::process::Command;

use crate::{Error, in_repository, www};

/// Builds the page if it is out of date, and runs the demonstration until it is stopped.
pub(crate) fn show(arguments: &[&str]) -> Result<(), Error> {
    if www::is_outdated()? {
        www::build()?;
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--release", "-p", "kwik-cli", "--manifest-path"]).arg(in_repository("Cargo.toml"));
    replace_this_process(cargo.args(["--", "demo", "--web"]).args(arguments))
}

/// Ctrl-C is for the demonstration alone: nothing else stands in between.
#[cfg(unix)]
fn replace_this_process(command: &mut Command) -> Result<(), Error> {
    use std::os::unix::process::CommandExt as _;
    Err(format!("cannot run cargo: {}", command.exec()).into())
}

#[cfg(not(unix))]
fn replace_this_process(command: &mut Command) -> Result<(), Error> {
    crate::run::run(command)
}
