//! `cargo xtask lint`: what CI asks of the sources natively, asked for wasm32.

use crate::run::run;
use crate::toolchain::Toolchain;
use crate::{Error, examples};

/// Clippy for the library as Rust users and the npm package have it, and for the examples; then the documentation.
pub(crate) fn check() -> Result<(), Error> {
    let toolchain = Toolchain::find()?;
    for features in ["browser", "npm"] {
        let mut clippy = toolchain.cargo("clippy");
        clippy.args(["--lib", "--no-default-features", "--features", features, "--", "-D", "warnings"]);
        run(&mut clippy)?;
    }
    run(toolchain.cargo("clippy").args(examples::selection()).args(["--", "-D", "warnings"]))?;
    run(toolchain.cargo("doc").arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"))
}
