//! Tests of file transfers between real programs, in both directions.

use std::fs;

use crate::scene::{Scene, random_bytes, sha256};

const BYTES: usize = 5_000_003;

#[test]
fn a_file_is_got_as_it_is_and_under_its_own_name() {
    let scene = Scene::new();
    let contents = scene.write_random("served/file", BYTES);
    let server = scene.serve_one(&[]);
    let got = scene.run(["get", &server.file("file")]).succeeds();
    assert!(got.stdout().contains(&sha256(&contents)), "{}", got.stdout());
    assert_eq!(scene.read("file"), contents);
    assert_eq!(scene.names_in("."), ["file", "served", "state"], "no part is left");
}

#[test]
fn files_in_directories_empty_files_and_other_names() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("served/a/b")).unwrap();
    scene.write_random("served/a/b/file", 10);
    scene.write_random("served/empty", 0);
    fs::create_dir(scene.path("here")).unwrap();
    let server = scene.serve_one(&[]);
    scene.run(["get", &server.file("a/b/file"), "-o", "here"]).succeeds();
    assert_eq!(scene.read("here/file"), random_bytes(10));
    scene.run(["get", &server.file("empty"), "-o", "nothing"]).succeeds();
    assert_eq!(scene.read("nothing"), b"");
}

#[test]
fn a_file_comes_over_two_paths_and_the_report_tells_of_both() {
    let scene = Scene::new();
    let contents = scene.write_random("served/file", 50_000_000);
    let server = scene.serve(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    let second = server.urls[1].split('?').next().unwrap();
    let got = scene.run(["get", &server.file("file"), "--path", second, "-o", "got", "--json"]).succeeds();
    assert_eq!(scene.read("got"), contents);

    let report = got.json();
    assert_eq!(report["bytes"], 50_000_000);
    assert_eq!(report["sha256"], sha256(&contents));
    assert_eq!(report["path_failures"], 0);
    assert_eq!(report["resumes"], 0);
    assert!(report["seconds"].as_f64().unwrap() > 0.0);
    assert!(report["longest_stall_ms"].is_f64());
    let paths = report["paths"].as_array().unwrap();
    assert_eq!(paths.len(), 2, "{report}");
    let mut carried_bytes = 0;
    for (path, id) in paths.iter().zip(0..) {
        assert_eq!(path["id"], id);
        assert!(server.urls[id].contains(path["remote"].as_str().unwrap()), "{report}");
        assert!(path["reinjected_bytes"].is_u64());
        assert!(path["rtt_ms"].is_f64());
        assert_eq!(path["state"], "active");
        carried_bytes += path["bytes"].as_u64().unwrap();
    }
    assert!(carried_bytes >= 50_000_000, "{report}");
}

#[test]
fn a_file_is_put_whole_and_replaces_another() {
    let scene = Scene::new();
    fs::write(scene.path("served/name"), "old").unwrap();
    let contents = scene.write_random("file", BYTES);
    let server = scene.serve(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--writable"]);
    let put =
        scene.run(["put", "file", &server.file("name"), "--path", &server.urls[1], "--json"]).succeeds();
    assert_eq!(scene.read("served/name"), contents);
    assert_eq!(put.json()["sha256"], sha256(&contents));
    scene.run(["put", "file", &server.urls[0]]).succeeds();
    assert_eq!(scene.names_in("served"), ["file", "name"], "no part is left");
}

#[test]
fn a_part_is_gone_on_with() {
    let scene = Scene::new();
    let contents = scene.write_random("served/file", BYTES);
    let server = scene.serve_one(&[]);
    fs::write(scene.path("file.part"), &contents[..4_000_000]).unwrap();
    let got = scene.run(["get", &server.file("file"), "--json"]).succeeds();
    assert_eq!(scene.read("file"), contents);
    let report = got.json();
    assert_eq!(report["bytes"], BYTES);
    let carried_bytes = report["paths"][0]["bytes"].as_u64().unwrap();
    assert!(carried_bytes < 1_100_000, "only the rest was carried: {report}");
}

#[test]
fn a_part_that_is_no_part_of_the_file_is_begun_anew() {
    let scene = Scene::new();
    let contents = scene.write_random("served/file", BYTES);
    let server = scene.serve_one(&[]);
    for part in [random_bytes(1_000), random_bytes(BYTES + 1), [&contents[..], b"!"].concat()] {
        fs::write(scene.path("file.part"), part).unwrap();
        scene.run(["get", &server.file("file")]).succeeds();
        assert_eq!(scene.read("file"), contents);
        assert!(!scene.path("file.part").exists());
    }
    // All of it was there already.
    fs::write(scene.path("file.part"), &contents).unwrap();
    scene.run(["get", &server.file("file")]).succeeds();
    assert_eq!(scene.read("file"), contents);
}

#[cfg(unix)]
#[test]
fn a_device_takes_a_download() {
    let scene = Scene::new();
    scene.write_random("served/file", BYTES);
    let server = scene.serve_one(&[]);
    scene.run(["get", &server.file("file"), "-o", "/dev/null"]).succeeds();
}

#[test]
fn round_trips_are_measured_on_every_path_in_three_ways() {
    let scene = Scene::new();
    let server = scene.serve(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    let url = &server.urls[0];
    let report = scene.run(["ping", url, "--path", &server.urls[1], "-n", "5", "--json"]).succeeds().json();
    let paths = report["paths"].as_array().unwrap();
    assert_eq!(paths.len(), 2, "{report}");
    for path in paths {
        for kind in ["ping", "stream", "datagram"] {
            let summary = &path[kind];
            assert_eq!((&summary["sent"], &summary["answered"]), (&5.into(), &5.into()), "{report}");
            let ms = |figure: &str| summary[figure].as_f64().unwrap();
            assert!(0.0 < ms("min_ms") && ms("min_ms") <= ms("median_ms") && ms("median_ms") <= ms("max_ms"));
        }
    }
    let text = scene.run(["ping", url, "-n", "1"]).succeeds().stdout();
    assert!(text.contains("1 of 1 answered"), "{text}");
}

#[test]
fn the_demonstration_loses_a_path_and_not_a_byte() {
    let scene = Scene::new();
    let shown = scene.run(["demo", "--size", "8"]).succeeds().stdout();
    for words in ["line 1 is cut", "line 1 is whole again", "EQUAL"] {
        assert!(shown.contains(words), "{shown}");
    }
    let sums: Vec<_> = shown.lines().filter_map(|line| line.split("SHA-256 ").nth(1)).collect();
    assert_eq!(sums.len(), 2, "{shown}");
    assert_eq!(sums[0], sums[1]);
}
