//! The dependency rule of docs/ARCHITECTURE.md: the shared part touches no socket, thread, clock or browser.
//!
//! That it compiles without any backend is CI's to check (`cargo check --no-default-features`).

#[path = "support/imports.rs"]
mod imports;

use std::fs;
use std::path::Path;

use imports::{Graph, rust_files};

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

fn sources(dir: &str) -> Graph {
    Graph::of_crate(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir))
}

fn check_circles(dir: &str) {
    let graph = sources(dir);
    let circles = graph.circles();
    let told: Vec<_> = circles
        .iter()
        .map(|circle| format!("{}\n  all of them: {circle:?}", graph.describe(circle)))
        .collect();
    assert!(told.is_empty(), "circles in {dir}:\n{}", told.join("\n"));
}

/// Files that need each other can only be understood together, and changed together.
#[test]
fn no_files_of_the_library_need_each_other() {
    check_circles("src");
}

#[test]
fn no_files_of_the_program_need_each_other() {
    check_circles("cli/src");
}

/// Imports of files that are `from` of files that are `of`, as `file:line: path`.
fn imports_between(graph: &Graph, from: impl Fn(&str) -> bool, of: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in graph.files().filter(|file| from(file)) {
        for (_, import) in graph.imports(file).filter(|(to, _)| of(to)) {
            found.push(format!("src/{file}:{}: crate::{}", import.line, import.path.join("::")));
        }
    }
    found
}

#[test]
fn nothing_in_the_core_knows_the_session() {
    let graph = sources("src");
    let is_session = |file: &str| file.starts_with("proto/session/");
    // The room's own door, which hands on what is behind it.
    let is_other = |file: &str| file.starts_with("proto/") && !is_session(file) && file != "proto/mod.rs";
    assert!(graph.files().any(is_session));
    let found = imports_between(&graph, is_other, is_session);
    assert!(found.is_empty(), "the session is the conductor, and nobody's part:\n{}", found.join("\n"));
}

#[test]
fn the_wire_knows_nothing_of_the_core() {
    let graph = sources("src");
    let is_wire = |file: &str| file.starts_with("proto/wire/");
    assert!(graph.files().any(is_wire));
    let found = imports_between(&graph, is_wire, |file| file.starts_with("proto/") && !is_wire(file));
    assert!(found.is_empty(), "what bytes mean depends on nothing else:\n{}", found.join("\n"));
}

/// A reader that saw nothing would find no circle either.
#[test]
fn the_reader_sees_the_imports_of_every_file_that_has_some() {
    for dir in ["src", "cli/src"] {
        let graph = sources(dir);
        for file in graph.files() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir).join(file);
            let text = fs::read_to_string(path).expect("sources are UTF-8");
            let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
            let has_some = before_tests.lines().any(|line| {
                line.starts_with("use crate::")
                    || line.starts_with("use super::")
                    || line.starts_with("use self::")
            });
            assert!(!has_some || graph.imports(file).next().is_some(), "no import is seen in {dir}/{file}");
        }
    }
}
