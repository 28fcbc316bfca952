//! Tests of a server's life, from its start to signals that end it.

use std::fs;
#[cfg(unix)]
use std::process::Stdio;

use crate::scene::{Scene, await_file};

#[test]
fn the_ready_file_has_what_was_printed() {
    let scene = Scene::new();
    let listen = ["--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--ready-file", "ready"];
    let server = scene.serve(&listen);
    await_file(&scene.path("ready"));
    let ready = fs::read_to_string(scene.path("ready")).unwrap();
    let expected: String = server.urls.iter().map(|url| format!("listening {url}\n")).collect();
    assert_eq!(ready, expected);
    assert!(server.urls[1].starts_with("kwik://[::1]:"), "{ready}");
}

#[test]
fn a_server_of_all_addresses_prints_one_that_can_be_dialled() {
    let scene = Scene::new();
    scene.write_random("served/file", 10);
    let server = scene.serve(&["--listen", "[::]:0"]);
    scene.run(["get", &server.file("file")]).succeeds();
    let port = server.urls[0].rsplit_once(':').unwrap().1.split('?').next().unwrap();
    let pin = server.urls[0].split('?').nth(1).unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        scene.run(["get", &format!("kwik://{host}:{port}/file?{pin}")]).succeeds();
    }
}

#[test]
fn a_server_keeps_its_development_certificate() {
    let scene = Scene::new();
    let pin = |url: &str| url.split("?pin=").nth(1).unwrap().to_owned();
    let first = pin(&scene.serve_one(&[]).urls[0]);
    assert_eq!(pin(&scene.serve_one(&[]).urls[0]), first);
}

#[cfg(unix)]
#[test]
fn a_server_that_is_asked_to_end_does_so_when_nobody_is_there() {
    use nix::sys::signal::Signal;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let scene = Scene::new();
        let mut server = scene.serve_one(&[]);
        server.signal(signal);
        assert!(server.child.wait().unwrap().success(), "{signal}");
    }
}

/// A client whose output goes to a pipe that is not read yet: its transfer is under way and stays so.
#[cfg(unix)]
#[test]
fn a_server_that_is_asked_to_end_finishes_what_it_has_begun() {
    use nix::sys::signal::Signal;
    let scene = Scene::new();
    let contents = scene.write_random("served/file", 30_000_000);
    let mut server = scene.serve_one(&[]);
    let (mut client, mut pipe) = slow_client(&scene, &server.file("file"));
    let first = pipe.read_some();
    server.signal(Signal::SIGTERM);
    let got = [first, pipe.read_all()].concat();
    assert!(got == contents, "{} bytes", got.len());
    assert!(client.wait().unwrap().success());
    assert!(server.child.wait().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_server_that_is_asked_twice_ends_at_once() {
    use nix::sys::signal::Signal;
    let scene = Scene::new();
    scene.write_random("served/file", 30_000_000);
    let mut server = scene.serve_one(&[]);
    let (mut client, mut pipe) = slow_client(&scene, &server.file("file"));
    pipe.read_some();
    server.signal(Signal::SIGTERM);
    // Until the server has got the first, a second one is the same as the first.
    while server.child.try_wait().unwrap().is_none() {
        server.signal(Signal::SIGTERM);
        std::thread::yield_now();
    }
    assert!(!server.child.wait().unwrap().success());
    drop(pipe);
    assert!(!client.wait().unwrap().success());
}

/// The server finds out by itself that the client is gone.
#[cfg(unix)]
#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    use nix::sys::signal::Signal;
    let scene = Scene::new();
    let contents = scene.write_random("file", 200_000_000);
    let mut server = scene.serve_one(&["--writable", "--resume-timeout", "100ms"]);
    let mut client = scene.kwik(["put", "file", &server.urls[0]]).stdout(Stdio::null()).spawn().unwrap();
    while scene.names_in("served").is_empty() {
        std::thread::yield_now();
    }
    client.kill().unwrap();
    client.wait().unwrap();
    server.signal(Signal::SIGTERM);
    assert!(server.child.wait().unwrap().success());
    // On a very fast machine it may have been done already; but never in part.
    match &scene.names_in("served")[..] {
        [] => {}
        names => assert!(names == ["file"] && scene.read("served/file") == contents, "{names:?}"),
    }
}

/// An interrupted download leaves its part, from which the next one goes on.
#[cfg(unix)]
#[test]
fn an_interrupted_download_goes_on_where_it_was() {
    use nix::sys::signal::{Signal, kill};
    let scene = Scene::new();
    let contents = scene.write_random("served/file", 200_000_000);
    let server = scene.serve_one(&[]);
    let client = scene.kwik(["get", &server.file("file")]).stderr(Stdio::piped()).spawn().unwrap();
    await_file(&scene.path("file.part"));
    kill(nix::unistd::Pid::from_raw(client.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let output = client.wait_with_output().unwrap();
    // On a very fast machine it may have been done already.
    if !output.status.success() {
        assert_eq!(output.status.code(), Some(130));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains("the same command goes on with file.part"), "{stderr}");
        assert!(!scene.path("file").exists());
        scene.run(["get", &server.file("file")]).succeeds();
    }
    assert!(scene.read("file") == contents);
}

#[cfg(unix)]
#[test]
fn a_server_whose_terminal_goes_stays() {
    use nix::sys::signal::Signal;
    let scene = Scene::new();
    let contents = scene.write_random("served/file", 1_000_000);
    let mut server = scene.serve_one(&[]);
    server.signal(Signal::SIGHUP);
    scene.run(["get", &server.file("file")]).succeeds();
    assert!(scene.read("file") == contents);
    assert!(server.child.try_wait().unwrap().is_none());
    // A further SIGHUP must not end the wait for the signals that do end the server.
    server.signal(Signal::SIGHUP);
    server.signal(Signal::SIGTERM);
    assert!(server.child.wait().unwrap().success());
}

/// The new process answers the client's next packet with a stateless reset, so that the client comes back at once and
/// hears that nobody knows its session.
#[cfg(unix)]
#[test]
fn a_server_that_restarts_is_told_to_its_client_with_the_way_on() {
    use std::io::Read as _;
    let scene = Scene::new();
    let contents = scene.write_random("served/file", 200_000_000);
    let server = scene.serve_one(&[]);
    let address = server.urls[0].trim_start_matches("kwik://").split('?').next().unwrap().to_owned();
    let file = server.file("file");
    let mut client = scene.kwik(["get", &file]).stderr(Stdio::piped()).spawn().unwrap();
    await_file(&scene.path("file.part"));
    drop(server);
    let server = scene.serve(&["--listen", &address]);
    let status = client.wait().unwrap();
    // On a very fast machine it may have been done already.
    if !status.success() {
        let mut stderr = String::new();
        client.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let expected = "unknown session; run the same command again to go on from file.part";
        assert!(stderr.contains(expected), "{stderr}");
        assert_eq!(server.file("file"), file);
        scene.run(["get", &file]).succeeds();
    }
    assert!(scene.read("file") == contents);
}

#[cfg(unix)]
struct Pipe(fs::File);

#[cfg(unix)]
impl Pipe {
    fn read_some(&mut self) -> Vec<u8> {
        use std::io::Read as _;
        let mut some = vec![0; 1000];
        self.0.read_exact(&mut some).unwrap();
        some
    }

    fn read_all(&mut self) -> Vec<u8> {
        use std::io::Read as _;
        let mut all = Vec::new();
        self.0.read_to_end(&mut all).unwrap();
        all
    }
}

/// A download into a pipe: it goes on as the pipe is read.
#[cfg(unix)]
fn slow_client(scene: &Scene, url: &str) -> (std::process::Child, Pipe) {
    let path = scene.path("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let client = scene.kwik(["get", url, "-o", "pipe"]).stderr(Stdio::null()).spawn().unwrap();
    (client, Pipe(fs::File::open(&path).unwrap()))
}
