//! A compiler for wasm32-unknown-unknown: the usual one if it has that target, otherwise Debian's, with the standard
//! library built from its source.

use std::path::Path;
use std::process::Command;

use crate::run::output;
use crate::{Error, apt, in_repository};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// A directory of its own: another compiler, and another standard library, than the native builds'.
pub(crate) const TARGET_DIRECTORY: &str = "target/wasm";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_RUSTDOC: &str = "/usr/bin/rustdoc";
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld";
const DEBIAN_PACKAGES: [&str; 5] = ["rustc-web", "rust-web-src", "rust-web-clippy", "lld", "clang"];

/// How the target is built on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Toolchain {
    /// The toolchain in use has the target.
    Installed,
    /// Debian's compiler builds the standard library, too.
    Debian,
}

impl Toolchain {
    /// The one that this machine has. As root, on Debian, it installs what is missing.
    pub(crate) fn find() -> Result<Self, Error> {
        let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
        let is_installed =
            libraries.is_ok_and(|found| Path::new(String::from_utf8_lossy(&found.stdout).trim()).is_dir());
        if is_installed {
            return Ok(Self::Installed);
        }
        if !has_debian() {
            let missing = format!("no compiler for {TARGET}");
            apt::install(&missing, &DEBIAN_PACKAGES, &format!("rustup target add {TARGET}"))?;
        }
        Ok(Self::Debian)
    }

    /// Cargo with this subcommand, for the library and its target; more arguments may follow.
    pub(crate) fn cargo(self, subcommand: &str) -> Command {
        let mut cargo = match (self, subcommand) {
            // The other toolchain's lints do not fit this compiler.
            (Self::Debian, "clippy") => Command::new(DEBIAN_CLIPPY),
            _ => Command::new("cargo"),
        };
        cargo.args([subcommand, "-p", "kwik-transport", "--target", TARGET, "--target-dir"]);
        cargo.arg(in_repository(TARGET_DIRECTORY)).current_dir(in_repository("."));
        if self == Self::Debian {
            cargo
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTDOC", DEBIAN_RUSTDOC)
                // Debian's compiler is a stable one, which needs to be told that building `std` is meant.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER)
                .arg("-Zbuild-std=std,panic_abort");
        }
        cargo
    }
}

fn has_debian() -> bool {
    let sysroot = output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]));
    let source = sysroot.map(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library/std"));
    let tools = [DEBIAN_RUSTDOC, DEBIAN_CLIPPY, DEBIAN_LINKER];
    source.is_some_and(|source| source.is_dir()) && tools.iter().all(|tool| Path::new(tool).exists())
}
