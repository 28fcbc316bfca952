//! Tests with many clients at once.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::scene::{Finished, Scene, Server};

const BIG_BYTES: usize = 64_000_000;
const BIG_CLIENTS: usize = 3;
const SMALL_GETS: usize = 100;

/// Each small file is fetched by a program of its own, so each needs a session of its own.
#[test]
fn no_small_get_fails_beside_three_big_ones() {
    let scene = Scene::new();
    scene.write_random("served/big", BIG_BYTES);
    let small = scene.write_random("served/small", 1_000);
    let stderr = fs::File::create(scene.path("stderr")).unwrap();
    let server = scene.serve_saying(&["--listen", "127.0.0.1:0"], Stdio::from(stderr));

    let (done, big_gets) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failed = std::thread::scope(|threads| {
        let big_clients: Vec<_> = (0..BIG_CLIENTS)
            .map(|client| {
                threads.spawn({
                    let (scene, server, done, big_gets) = (&scene, &server, &done, &big_gets);
                    move || get_until(scene, server, client, done, big_gets)
                })
            })
            .collect();
        let failed = (0..SMALL_GETS).find_map(|number| get_small(&scene, &server, number, &small));
        done.store(true, Ordering::Relaxed);
        big_clients.into_iter().find_map(|client| client.join().unwrap()).or(failed)
    });
    println!("{SMALL_GETS} small gets beside {} big ones", big_gets.into_inner());
    assert_eq!(failed, None);
    assert_eq!(fs::read_to_string(scene.path("stderr")).unwrap(), "");
}

/// Gets the big file again and again; the first failure, if there is one.
fn get_until(
    scene: &Scene,
    server: &Server,
    client: usize,
    done: &AtomicBool,
    gets: &AtomicUsize,
) -> Option<String> {
    let name = format!("big-{client}");
    while !done.load(Ordering::Relaxed) {
        let got = scene.run(["get", &server.file("big"), "-o", &name]);
        if let Some(failure) = failure(&got) {
            return Some(failure);
        }
        fs::remove_file(scene.path(&name)).unwrap();
        gets.fetch_add(1, Ordering::Relaxed);
    }
    None
}

/// What went wrong with one small file.
fn get_small(scene: &Scene, server: &Server, number: usize, contents: &[u8]) -> Option<String> {
    let name = format!("small-{number}");
    let got = scene.run(["get", &server.file("small"), "-o", &name]);
    failure(&got)
        .map(|failure| format!("small get {number}: {failure}"))
        .or_else(|| (scene.read(&name) != contents).then(|| format!("{name} is not what was served")))
}

/// What a program said, if it failed.
fn failure(finished: &Finished) -> Option<String> {
    let output = &finished.0;
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
