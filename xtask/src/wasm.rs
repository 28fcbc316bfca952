//! `cargo xtask wasm`.

use std::path::Path;

use crate::bindgen::{self, DefaultModule};
use crate::run::run;
use crate::toolchain::{self, TARGET, Toolchain};
use crate::{Error, in_repository, npm, size};

/// The parts of WebAssembly that the module may use; every browser with WebTransport has them.
const FEATURES: [&str; 6] = [
    "bulk-memory",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];

/// How the crate is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Profile {
    /// Quickly, with names for the debugger.
    Debug,
    /// For pages: small and fast.
    Release,
}

/// Compiles the crate and puts the module, and the script that loads it, into `wasm/npm/dist`.
pub(crate) fn build(profile: Profile) -> Result<(), Error> {
    let module = compile(profile)?;
    let dist = in_repository(npm::DIST);
    bindgen::generate(&module, &dist, "core", DefaultModule::None)?;
    if profile == Profile::Release {
        optimise(&dist.join("core_bg.wasm"))?;
        size::check(&dist, "wasm", size::MAX_WASM_BYTES)?;
    }
    Ok(())
}

fn compile(profile: Profile) -> Result<std::path::PathBuf, Error> {
    let mut cargo = Toolchain::find()?.cargo("rustc");
    cargo.args(["--lib", "--crate-type", "cdylib", "--no-default-features", "--features", "npm"]);
    let directory = match profile {
        Profile::Debug => "debug",
        Profile::Release => {
            cargo.arg("--release");
            cargo.env("CARGO_PROFILE_RELEASE_LTO", "fat").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
            cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "false");
            "release"
        }
    };
    run(&mut cargo)?;
    Ok(in_repository(toolchain::TARGET_DIRECTORY).join(TARGET).join(directory).join("kwik.wasm"))
}

fn optimise(module: &Path) -> Result<(), Error> {
    let mut wasm_opt = npm::tool("wasm-opt")?;
    wasm_opt.args(["-O3", "--strip-debug", "--strip-producers"]);
    // What the compiler uses by default. All of them would be more than today's browsers read.
    for feature in FEATURES {
        wasm_opt.arg(format!("--enable-{feature}"));
    }
    run(wasm_opt.arg(module).arg("-o").arg(module))
}
