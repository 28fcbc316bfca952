//! Puts the demo page (`www/dist`, made by `cargo xtask www`) into the program, if it is there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let www = package.join("../www");
    let dist = www.join("dist");
    println!("cargo::rerun-if-changed=build.rs");
    // For a path that is not there Cargo would build anew every time: as long as there is no page, its sources' directory
    // changes when there is one.
    let watched = if !dist.exists() && www.exists() { &www } else { &dist };
    println!("cargo::rerun-if-changed={}", watched.display());
    let mut files = Vec::new();
    if dist.exists() {
        collect(&dist.canonicalize()?, &mut files)?;
    }
    files.sort();

    let mut table = String::from("[\n");
    for (name, path) in files {
        let _ = writeln!(table, "    ({name:?}, include_bytes!({path:?})),");
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("page_files.rs"), table)
}

/// All files below a directory: their names as the browser asks for them, and where they are.
fn collect(root: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let below = path.strip_prefix(root).map_err(io::Error::other)?;
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            files.push((parts.join("/"), path));
        }
    }
    Ok(())
}
