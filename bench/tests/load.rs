//! Each kind of load once, in small, over all contenders: so that none of them breaks unnoticed. What the figures are
//! is nobody's concern here.
#![cfg(target_os = "linux")]

use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kwik-bench");

/// Runs the program, which has to succeed, and gives what it printed.
fn kwik_bench(words: &[&str]) -> String {
    let output = Command::new(PROGRAM).args(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The table of a case, which has to have these figures of both contenders.
fn table(case: &[&str], figures: &[&str]) {
    let brief = ["--rounds", "1", "--seconds", "0.02"];
    let table = kwik_bench(&[&["load"], case, &brief].concat());
    assert!(table.starts_with("| | quinn | KWIK | KWIK / quinn |\n"), "{table}");
    for figure in figures {
        let row = table.lines().find(|line| line.starts_with(&format!("| {figure} | ")));
        let cells: Vec<_> = row.unwrap_or_else(|| panic!("no {figure}: {table}")).split(" | ").collect();
        assert!(cells.len() == 4 && cells.iter().all(|cell| !cell.is_empty()), "{figure}: {table}");
    }
}

#[test]
fn many_sessions_echo() {
    table(
        &["many", "--sessions", "70"],
        &["echoes/s", "CPU us/echo", "p50, us", "p99, us", "threads, server"],
    );
}

#[test]
fn one_session_echoes() {
    table(&["echo"], &["echoes/s", "CPU us/echo, client", "CPU us/echo, server", "p99, us"]);
}

#[test]
fn more_requests_than_a_session_allows_by_default_are_outstanding() {
    table(&["streams", "--outstanding", "150"], &["streams/s", "CPU us/stream", "peak MB, server"]);
}

#[test]
fn sessions_come_and_go() {
    table(&["connect"], &["sessions/s", "CPU us/session", "50 dials at once, ms", "peak MB, client"]);
}

#[test]
fn sessions_idle() {
    table(&["idle", "--sessions", "20"], &["peak MB, client", "peak MB, server", "threads, server"]);
}

#[test]
fn bytes_come_down_over_two_paths_and_go_up_in_three_sessions() {
    let figures = ["MB/s", "CPU s/GB", "CPU s/GB, client", "CPU s/GB, server"];
    table(&["bulk", "--paths", "2", "--size", "1MiB"], &figures);
    table(&["bulk", "--direction", "up", "--sessions", "3", "--size", "1MiB"], &figures);
}

#[test]
fn another_build_is_measured_beside_this_one() {
    let also = format!("old={PROGRAM}");
    let table = kwik_bench(&["load", "--rounds", "1", "--seconds", "0.02", "--also", &also, "echo"]);
    let head = "| | quinn | KWIK | KWIK / quinn | old | old / quinn | KWIK / old |\n";
    assert!(table.starts_with(head), "{table}");
}

#[test]
fn the_page_has_a_table_for_each_case_and_two_plots() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("PERFORMANCE.md");
    let brief = ["--rounds", "1", "--seconds", "0.02", "--largest", "2", "--size", "64KiB"];
    kwik_bench(&[&["table", "--out", out.to_str().unwrap()], &brief[..]].concat());
    let page = std::fs::read_to_string(&out).unwrap();
    for case in [
        "many --sessions 2",
        "streams --outstanding 2",
        "connect",
        "idle --sessions 2",
        "echo",
        "bulk --paths 2",
    ] {
        assert!(page.contains(&format!("`kwik-bench load {case}")), "{case}: {page}");
    }
    for plot in ["many.svg", "streams.svg"] {
        assert!(page.contains(&format!("(performance/{plot})")), "{page}");
        assert!(dir.path().join("performance").join(plot).exists(), "{plot}");
    }
}
