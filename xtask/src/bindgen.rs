//! The JavaScript side of the module, made by wasm-bindgen as a library: there is no program to be installed, and it
//! cannot be of another version than the one that the crate was built with.

use std::path::Path;

use crate::Error;

/// How the script gets at its module when the page does not say where that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DefaultModule {
    /// It lies next to the script.
    Beside,
    /// The page always says: tools that pack scripts would take along what is never loaded.
    None,
}

/// Reads the compiler's `input` and writes `NAME.js`, `NAME.d.ts` and `NAME_bg.wasm` to `output`.
#[cfg(feature = "bindgen")]
pub(crate) fn generate(
    input: &Path,
    output: &Path,
    name: &str,
    default_module: DefaultModule,
) -> Result<(), Error> {
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(input).out_name(name).web(true)?.typescript(true);
    bindgen.omit_default_module_path(default_module == DefaultModule::None);
    bindgen.generate(output)?;
    Ok(())
}

/// Says what is missing.
#[cfg(not(feature = "bindgen"))]
pub(crate) fn generate(_: &Path, _: &Path, _: &str, _: DefaultModule) -> Result<(), Error> {
    Err("xtask was built without its feature `bindgen`: run it as `cargo xtask`".into())
}
