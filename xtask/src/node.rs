//! Node and npm, which build what is JavaScript.

use std::path::Path;
use std::process::Command;

use crate::run::{output, run};
use crate::{Error, age, apt};

/// The oldest release of node that the tools run on.
const OLDEST: (u32, u32) = (20, 19);

const PACKAGES: [&str; 2] = ["nodejs", "npm"];

/// `npm`, to be run in a directory. As root, on Debian, it is installed if it is missing.
pub(crate) fn npm(directory: &Path) -> Result<Command, Error> {
    let advice =
        format!("install node {}.{} or later, with npm, from https://nodejs.org", OLDEST.0, OLDEST.1);
    let npm = || output(Command::new("npm").arg("--version"));
    let node = || output(Command::new("node").arg("--version"));
    if npm().is_none() || node().is_none() {
        apt::install("there is no npm", &PACKAGES, &advice)?;
    }
    let found = node().unwrap_or_default();
    if !is_new_enough(&found) {
        return Err(format!("node {found} is too old: {advice}").into());
    }
    let mut npm = Command::new("npm");
    npm.current_dir(directory);
    Ok(npm)
}

/// Installs what a package needs, unless that was done since its lock file changed.
pub(crate) fn install_dependencies(package: &Path) -> Result<(), Error> {
    // What npm writes last.
    let installed = package.join("node_modules/.package-lock.json");
    if age::is_older(&installed, &[package.join("package-lock.json")])? {
        run(npm(package)?.args(["ci", "--no-audit", "--no-fund"]))?;
    }
    Ok(())
}

/// Whether this is the name of a release that will do, such as `v20.19.0`.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_compared_by_numbers() {
        assert!(
            ["v20.19.0", "v20.100.0", "v22.0.0", "v100.1.0"].iter().all(|version| is_new_enough(version))
        );
        assert!(!["v20.18.9", "v18.20.0", "v9.99.0", "", "?"].iter().any(|version| is_new_enough(version)));
    }
}
