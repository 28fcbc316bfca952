//! Debian's packages, which are installed where that needs no asking.

use std::path::Path;
use std::process::Command;

use crate::Error;
use crate::run::{output, run};

/// Installs what is `missing`, as root on Debian; anywhere else it says what to do instead: `advice`, or by hand.
pub(crate) fn install(missing: &str, packages: &[&str], advice: &str) -> Result<(), Error> {
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id == "0");
    let has_apt = Path::new("/usr/bin/apt-get").exists();
    let list = packages.join(" ");
    if !is_root || !has_apt {
        return Err(format!("{missing}: {advice}, or (Debian) sudo apt-get install {list}").into());
    }
    println!("{missing}: installing {list}");
    run(Command::new("apt-get").args(["update", "-q"]))?;
    run(Command::new("apt-get").args(["install", "-y", "-q", "--no-install-recommends"]).args(packages))
}
