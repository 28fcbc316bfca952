//! The dependency rule of docs/ARCHITECTURE.md: the shared part touches no socket, thread, clock or browser.
//!
//! That it compiles without any backend is CI's to check (`cargo check --no-default-features`).

use std::fs;
use std::path::{Path, PathBuf};

/// Names that belong to backends.
const FORBIDDEN: [&str; 8] = [
    "std::net::UdpSocket",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "tokio::net",
    "rayon",
    "web_sys",
    "js_sys",
];

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the source tree is readable") {
        let path = entry.expect("the source tree is readable").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Lines of code of all files below `dir` that contain `name`, as `file:line`.
fn mentions(dir: &str, name: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(!files.is_empty(), "no sources below {}", root.display());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("sources are UTF-8");
        for (number, line) in text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            if !is_comment && line.contains(name) {
                found.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn the_shared_part_names_nothing_that_belongs_to_a_backend() {
    for name in FORBIDDEN {
        let found = mentions("src", name);
        assert!(found.is_empty(), "`{name}` has no place in src/:\n{}", found.join("\n"));
    }
}

#[test]
fn the_core_knows_nobody() {
    for name in
        ["crate::carrier", "crate::api", "crate::native", "crate::wasm", "quinn_proto", "tokio", "rand::"]
    {
        let found = mentions("src/proto", name);
        assert!(found.is_empty(), "`{name}` has no place in src/proto/:\n{}", found.join("\n"));
    }
}

#[test]
fn carriers_know_the_core_alone() {
    for name in ["crate::api", "crate::native", "crate::wasm", "tokio"] {
        let found = mentions("src/carrier", name);
        assert!(found.is_empty(), "`{name}` has no place in src/carrier/:\n{}", found.join("\n"));
    }
}

#[test]
fn handles_do_not_know_their_backend() {
    for name in ["crate::native", "crate::wasm", "quinn_proto"] {
        let found = mentions("src/api", name);
        assert!(found.is_empty(), "`{name}` has no place in src/api/:\n{}", found.join("\n"));
    }
}
