//! Tests of failures: each is reported in one line that says why, and leaves nothing half-done.

use std::fs;

use crate::scene::{Scene, random_bytes};

const BYTES: usize = 1_000_000;
const WRONG_PIN: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

#[test]
fn an_address_that_is_none_is_refused_before_anything_happens() {
    let scene = Scene::new();
    for (url, word) in [
        ("nonsense", "kwik://HOST:PORT"),
        ("http://127.0.0.1:1/x", "kwik://HOST:PORT"),
        ("https://127.0.0.1:1/x", "is not a valid path"),
        ("https://127.0.0.1:1", "names no file"),
        ("kwik://127.0.0.1:99999/x", "99999"),
        ("kwik://127.0.0.1:1/x?pin=short", "short"),
        ("kwik://127.0.0.1:1", "names no file"),
    ] {
        scene.run(["get", url]).fails_saying(&[word]);
    }
    scene.run(["get", "kwik://127.0.0.1:1/x", "--path", "nonsense"]).fails_saying(&["nonsense"]);
    assert_eq!(scene.names_in("."), ["served"]);
}

#[test]
fn a_host_that_is_not_known_is_named() {
    let scene = Scene::new();
    scene.run(["get", "kwik://no-such-host.invalid/x"]).fails_saying(&["no-such-host.invalid"]);
}

#[test]
fn a_server_with_another_certificate_is_not_talked_to() {
    let scene = Scene::new();
    scene.write_random("served/file", BYTES);
    let server = scene.serve_one(&[]);
    let (url, pin) = server.urls[0].split_once("?pin=").unwrap();
    let address = url.trim_start_matches("kwik://");
    let wrong = format!("{url}/file?pin={WRONG_PIN}");
    scene.run(["get", &wrong]).fails_saying(&[address, "certificate", pin]);
    scene.run(["ping", &server.urls[0], "--path", &wrong]).fails_saying(&["path", address]);
    // An additional path that fails is reported, and the transfer goes on without it.
    let got =
        scene.run(["get", &server.file("file"), "--path", &format!("{url}?pin={WRONG_PIN}")]).succeeds();
    drop(got);
    assert_eq!(scene.read("file"), random_bytes(BYTES));
}

#[test]
fn what_is_not_served_cannot_be_got() {
    let scene = Scene::new();
    scene.write_random("outside", 10);
    fs::create_dir(scene.path("served/directory")).unwrap();
    let server = scene.serve_one(&[]);
    for name in ["missing", "directory", "directory/missing"] {
        scene.run(["get", &server.file(name), "-o", "got"]).fails_saying(&["there is no file", name]);
    }
    for name in ["../outside", "directory/../../outside", "..", "directory/.."] {
        scene.run(["get", &server.file(name), "-o", "got"]).fails_saying(&["refuses", name]);
    }
    let absolute = format!("/{}", scene.path("outside").display());
    scene.run(["get", &server.file(&absolute), "-o", "got"]).fails_saying(&["refuses"]);
    assert!(!scene.path("got").exists() && !scene.path("got.part").exists());
}

#[cfg(unix)]
#[test]
fn no_symbolic_link_leads_out() {
    let scene = Scene::new();
    scene.write_random("outside", 10);
    std::os::unix::fs::symlink("../outside", scene.path("served/link")).unwrap();
    std::os::unix::fs::symlink("..", scene.path("served/up")).unwrap();
    let server = scene.serve_one(&["--writable"]);
    for name in ["link", "up/outside"] {
        scene.run(["get", &server.file(name), "-o", "got"]).fails_saying(&["there is no file"]);
    }
    scene.run(["put", "outside", &server.file("up/new")]).fails_saying(&["there is no file"]);
    assert!(!scene.path("new").exists());
}

#[test]
fn a_file_that_the_server_may_not_take_is_not_put() {
    let scene = Scene::new();
    scene.write_random("file", BYTES);
    let server = scene.serve_one(&[]);
    scene.run(["put", "file", &server.urls[0]]).fails_saying(&["--writable"]);
    drop(server);
    let server = scene.serve_one(&["--writable"]);
    scene.run(["put", "file", &server.file("../file")]).fails_saying(&["refuses"]);
    scene.run(["put", "file", &server.file("nowhere/file")]).fails_saying(&["there is no file", "nowhere"]);
    scene.run(["put", "missing", &server.urls[0]]).fails_saying(&["cannot read missing"]);
    scene.run(["put", "served", &server.urls[0]]).fails_saying(&["cannot read served"]);
    assert_eq!(scene.names_in("served"), [""; 0]);
}

#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let scene = Scene::new();
    scene.write_random("served/file", BYTES);
    let server = scene.serve_one(&[]);
    scene.run(["get", &server.file("file"), "-o", "nowhere/file"]).fails_saying(&["nowhere/file"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let scene = Scene::new();
    scene.write_random("served/file", BYTES);
    let server = scene.serve_one(&[]);
    scene.run(["get", &server.file("file"), "-o", "/dev/full"]).fails_saying(&["/dev/full", "No space left"]);
}

#[test]
fn a_download_that_is_under_way_is_not_disturbed_by_another() {
    let scene = Scene::new();
    scene.write_random("served/file", BYTES);
    let server = scene.serve_one(&[]);
    let part = fs::File::create(scene.path("file.part")).unwrap();
    part.lock().unwrap();
    scene.run(["get", &server.file("file")]).fails_saying(&["file.part", "another download"]);
    assert!(!scene.path("file").exists());
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let scene = Scene::new();
    scene.write_random("file", 10);
    let listen = ["--listen", "127.0.0.1:0"];
    let serve = |arguments: &[&str]| scene.run([&["serve"], arguments, &listen].concat());
    serve(&["nowhere"]).fails_saying(&["cannot serve nowhere"]);
    serve(&["file"]).fails_saying(&["cannot serve file"]);
    serve(&["served", "--cert", "nothing", "--key", "nothing"]).fails_saying(&["cannot read nothing"]);
    serve(&["served", "--cert", "file", "--key", "file"]).fails_saying(&["file"]);
    serve(&["served", "--allow-origin", "example.com"]).fails_saying(&["example.com", "is no origin"]);

    let server = scene.serve_one(&[]);
    let address = server.urls[0].trim_start_matches("kwik://").split('?').next().unwrap();
    scene.run(["serve", "served", "--listen", address]).fails_saying(&[address, "in use"]);
}
