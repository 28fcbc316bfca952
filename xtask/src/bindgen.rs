//! The JavaScript side of the module, made by wasm-bindgen as a library: there is no program to be installed, and it
//! cannot be of another version than the one that the crate was built with.

use std::path::Path;

use wasm_bindgen_cli_support::Bindgen;

use crate::Error;

/// Reads the compiler's `input` and writes `core.js`, `core.d.ts` and `core_bg.wasm` to `output`.
pub(crate) fn generate(input: &Path, output: &Path) -> Result<(), Error> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(input).out_name("core").web(true)?.typescript(true).omit_default_module_path(true);
    bindgen.generate(output)?;
    Ok(())
}
