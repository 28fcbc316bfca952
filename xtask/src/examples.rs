//! `cargo xtask examples`.

use crate::bindgen::{self, DefaultModule};
use crate::run::run;
use crate::toolchain::{TARGET, TARGET_DIRECTORY, Toolchain};
use crate::{Error, in_repository};

/// Those that are clients in a page as well. The others are about what only a server or a native program has.
const EXAMPLES: [&str; 3] = ["closure", "file_transfer", "pingpong"];

/// Where their scripts are put.
const SCRIPTS: &str = "target/wasm/examples";

/// Compiles the examples that run in pages, and makes the scripts that load them.
pub(crate) fn build() -> Result<(), Error> {
    let mut cargo = Toolchain::find()?.cargo("build");
    run(cargo.args(selection()))?;
    let modules = in_repository(TARGET_DIRECTORY).join(TARGET).join("debug/examples");
    for name in EXAMPLES {
        let module = modules.join(name).with_extension("wasm");
        bindgen::generate(&module, &in_repository(SCRIPTS), name, DefaultModule::Beside)?;
        println!("{SCRIPTS}/{name}.js");
    }
    Ok(())
}

/// How Cargo is told which examples are meant.
pub(crate) fn selection() -> impl Iterator<Item = &'static str> {
    EXAMPLES.into_iter().flat_map(|name| ["--example", name])
}
