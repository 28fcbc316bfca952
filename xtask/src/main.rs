//! Builds the browser half of KWIK, and shows it; puts the native half under load.
//!
//! ```text
//! cargo xtask wasm [--release]     the crate for wasm32, with its JavaScript side, into wasm/npm/dist
//! cargo xtask npm                  the npm package, as a tarball in wasm/npm
//! cargo xtask examples             the examples that run in pages, with their scripts, into target/wasm/examples
//! cargo xtask lint                 clippy and rustdoc for wasm32
//! cargo xtask www                  the demo page, into www/dist, from where the next build of `kwik` takes it
//! cargo xtask demo [ARGS]          kwik demo --web [ARGS], with everything built that is not or is out of date
//! cargo xtask soak [ARGS]          200 sessions under faults for a minute (--minutes N, --seed N, --sessions N, --release);
//!                                  a picture into target/soak
//! cargo xtask coverage             how many lines of the core its tests run; fails below 90 % of a folder
//! cargo xtask miri                 what is `unsafe`, and the mechanisms around it, under Miri
//! ```
//!
//! `wasm`, `npm` and `www` print sizes as a page loads them, gzipped. `wasm --release` and `npm` fail above the limits
//! that the package promises. What is missing on this machine is installed, as root on Debian, or else named.
//!
//! `cargo test --workspace` builds this crate without its feature `bindgen`, and so without the dependency that takes
//! more than a minute; the alias `cargo xtask` (in `.cargo/config.toml`) turns it on.

mod age;
mod apt;
mod bindgen;
mod coverage;
mod demo;
mod examples;
mod lint;
mod miri;
mod node;
mod npm;
mod run;
mod size;
mod soak;
mod toolchain;
mod wasm;
mod www;

use std::process::ExitCode;

/// What went wrong, for people.
type Error = Box<dyn std::error::Error>;

const USAGE: &str = "usage: cargo xtask wasm [--release] | npm | examples | lint | www | demo [ARGS] | soak [ARGS] | coverage | miri";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        _ if coverage::is_compiler() => coverage::compile(&arguments),
        ["wasm"] => wasm::build(wasm::Profile::Debug),
        ["wasm", "--release"] => wasm::build(wasm::Profile::Release),
        ["npm"] => npm::pack(),
        ["examples"] => examples::build(),
        ["lint"] => lint::check(),
        ["www"] => www::build(),
        ["demo", rest @ ..] => demo::show(rest),
        ["coverage"] => coverage::measure(),
        ["miri"] => miri::check(),
        ["soak", rest @ ..] => soak::run_load_test(rest),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A path below the root of the repository.
fn in_repository(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
