//! The demonstration in a browser, without the browser: the page, the lines, and native clients that use them.

use std::fs;
use std::path::Path;

use kwik::{Config, PathState, Session, SessionEvent, SessionEvents};

use crate::browser::cut;
use crate::scene::{Scene, sha256};

#[test]
fn the_page_is_served_with_what_browsers_need_to_know_about_it() {
    let scene = Scene::new();
    let demo = scene.demo();
    let page = demo.get("/");
    assert_eq!((page.status, &page.body[..]), (200, &b"<!doctype html>"[..]));
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let module = demo.get("/assets/core.wasm");
    assert_eq!((module.status, &module.body[..]), (200, &b"\0asm"[..]));
    assert_eq!(module.header("content-type"), "application/wasm");
    for answer in [page, module] {
        let policy = answer.header("content-security-policy");
        for rule in ["default-src 'none'", "'wasm-unsafe-eval'", "connect-src 'self' https://127.0.0.1:*"] {
            assert!(policy.contains(rule), "{policy:?}");
        }
    }
}

#[test]
fn what_is_not_part_of_the_page_is_not_found() {
    let scene = Scene::new();
    let demo = scene.demo();
    fs::write(scene.path("outside"), "secret").unwrap();
    for path in ["/nothing", "/assets", "/assets/nothing.js", "/api/nothing", "/api/lines/0"] {
        let answer = demo.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(String::from_utf8_lossy(&answer.body).contains(path.trim_start_matches('/')), "{answer:?}");
    }
    for path in ["/../outside", "/%2e%2e/outside", "/..%2foutside", "//outside", "/%00"] {
        assert_eq!(demo.get(path).status, 404, "{path}");
    }
    assert_eq!(demo.post("/").status, 405);
}

#[test]
fn the_page_learns_what_there_is() {
    let scene = Scene::new();
    let demo = scene.demo();
    let state = demo.state();
    assert_eq!(state["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(state["max_lines"], 4);
    assert_eq!(state["file"], serde_json::json!({ "name": "noise", "size": 100_000_000 }));
    assert!(state["files"].as_array().unwrap().contains(&state["file"]), "{state}");
    let lines = state["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 2);
    for (line, id) in lines.iter().zip(0..) {
        assert_eq!(line["id"], id);
        assert_eq!(
            (&line["cut"], &line["rate_mbit"], &line["delay_ms"]),
            (&false.into(), &150.into(), &10.into())
        );
        assert!(line["url"].as_str().unwrap().starts_with("kwik://127.0.0.1:"), "{line}");
    }
    assert_ne!(lines[0]["url"], lines[1]["url"]);
}

#[test]
fn lines_are_added_up_to_the_most() {
    let scene = Scene::new();
    let demo = scene.demo();
    for id in [2, 3] {
        let added = demo.post("/api/lines");
        assert_eq!(added.status, 200);
        assert_eq!(added.json()["id"], id);
        assert_eq!(demo.state()["lines"][id], added.json());
    }
    demo.post("/api/lines").refuses(409, "4 lines");
    // The last one leads to the server as well.
    scene.run(["get", &file(&demo.line_url(3), "noise-10")]).succeeds();
}

#[test]
fn a_line_that_is_not_there_is_not_cut() {
    let scene = Scene::new();
    let demo = scene.demo();
    for id in ["2", "-1", "x", "99999999999999999999"] {
        demo.post(&format!("/api/lines/{id}/cut")).refuses(404, id);
        demo.post(&format!("/api/lines/{id}/restore")).refuses(404, id);
    }
    assert_eq!(demo.cut(), [false, false]);
}

#[test]
fn all_lines_are_cut_for_a_while_and_come_back_by_themselves() {
    let scene = Scene::new();
    let demo = scene.demo();
    let answer = demo.cut_all(r#"{"seconds":0.3}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["restored_in_ms"], 300);
    assert_eq!(cut(&answer.json()), [true, true]);
    while demo.cut() != [false, false] {}
    scene.run(["get", &file(&demo.line_url(0), "noise-10")]).succeeds();
}

#[test]
fn lines_are_not_cut_for_a_time_that_is_none() {
    let scene = Scene::new();
    let demo = scene.demo();
    for seconds in ["0", "-1", "61", "1e300"] {
        demo.cut_all(&format!(r#"{{"seconds":{seconds}}}"#)).refuses(400, "up to 60 s");
    }
    for body in ["", "{", "{}", r#"{"seconds":"5"}"#] {
        let answer = demo.cut_all(body);
        assert!([400, 422].contains(&answer.status), "{answer:?}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(demo.cut(), [false, false]);
}

#[test]
fn another_site_s_page_cannot_cut_the_lines() {
    let scene = Scene::new();
    let demo = scene.demo();
    let cut_by = |origin: &str| demo.request("POST /api/lines/0/cut", &[&format!("Origin: {origin}")], "");
    for origin in ["https://example.com", "http://127.0.0.1:1", "null"] {
        cut_by(origin).refuses(403, "their own page");
    }
    assert_eq!(demo.cut(), [false, false]);
    assert_eq!(cut_by(&format!("http://{}", demo.address)).status, 200);
    assert_eq!(demo.cut(), [true, false]);
}

#[tokio::test]
async fn a_cut_line_is_silent_to_its_path_until_it_is_restored() {
    let scene = Scene::new();
    let demo = scene.demo();
    let session = kwik::dial(&demo.line_url(0), Config::default()).await.unwrap();
    let second = demo.line_url(1);
    let path = session.add_path(&second[..]).await.unwrap();
    path.ping().await.unwrap();
    let mut events = session.events();

    assert_eq!(demo.post("/api/lines/1/cut").json()["cut"], true);
    assert_eq!(demo.cut(), [false, true]);
    tokio::select! {
        answer = path.ping() => panic!("over a line that is cut: {answer:?}"),
        () = happens(&mut events, |event| *event == SessionEvent::PathSuspect(path.id())) => {}
    }
    session.path(session.paths()[0].id).ping().await.expect("the other line is whole");

    assert_eq!(demo.post("/api/lines/1/restore").json()["cut"], false);
    // It answers again, or, if that took too long, was given up and dialled anew.
    happens(&mut events, |event| {
        matches!(event, SessionEvent::PathRecovered(_) | SessionEvent::PathAdded(_))
    })
    .await;
    over(&session, &second).ping().await.unwrap();
}

/// The path by this line.
fn over(session: &Session, url: &str) -> kwik::PathHandle {
    let authority = url.trim_start_matches("kwik://").split('?').next();
    let paths = session.paths();
    let mut by_it =
        paths.iter().filter(|path| path.remote.map(|remote| remote.to_string()).as_deref() == authority);
    let path = by_it.find(|path| path.state == PathState::Active);
    session.path(path.unwrap_or_else(|| panic!("{paths:?}")).id)
}

async fn happens(events: &mut SessionEvents, what: impl Fn(&SessionEvent) -> bool) {
    while let Some(event) = events.next().await {
        if what(&event) {
            return;
        }
    }
    panic!("the session has ended");
}

#[test]
fn files_go_over_both_lines_and_arrive_as_they_are() {
    let scene = Scene::new();
    let demo = scene.demo();
    let (first, second) = (demo.line_url(0), demo.line_url(1));
    let got =
        scene.run(["get", &file(&first, "noise-10"), "--path", &second, "-o", "got", "--json"]).succeeds();
    let contents = scene.read("got");
    assert_eq!(contents.len(), 10_000_000);
    assert_eq!(got.json()["sha256"], sha256(&contents));
    assert_eq!(got.json()["paths"].as_array().unwrap().len(), 2);

    // A part is gone on with: the same file is made again.
    fs::write(scene.path("again.part"), &contents[..7_000_001]).unwrap();
    let again = scene.run(["get", &file(&second, "noise-10"), "-o", "again", "--json"]).succeeds().json();
    assert!(again["paths"][0]["bytes"].as_u64().unwrap() < 4_000_000, "{again}");
    assert!(scene.read("again") == contents);

    let put = scene.run(["put", "got", &file(&first, "anything"), "--path", &second, "--json"]).succeeds();
    assert_eq!(put.json()["sha256"], sha256(&contents));
    scene.run(["get", &file(&first, "anything")]).fails_saying(&["there is no file", "anything"]);

    let pings = scene.run(["ping", &first, "-n", "1", "--json"]).succeeds().json();
    for kind in ["ping", "stream", "datagram"] {
        assert_eq!(pings["paths"][0][kind]["answered"], 1, "{pings}");
    }
}

fn file(url: &str, name: &str) -> String {
    url.replacen('?', &format!("/{name}?"), 1)
}

#[cfg(unix)]
#[tokio::test]
async fn a_demonstration_that_is_asked_to_end_tells_its_sessions() {
    use nix::sys::signal::Signal;
    let scene = Scene::new();
    let mut demo = scene.demo();
    let session = kwik::dial(&demo.line_url(0), Config::default()).await.unwrap();
    demo.signal(Signal::SIGINT);
    let end = session.closed().await;
    assert!(end.to_string().contains("the server was stopped"), "{end}");
    assert!(demo.child.wait().unwrap().success());
    assert!(demo.last_words().ends_with("stopped\n"));
}

#[test]
fn a_port_that_is_taken_is_passed_over_unless_it_was_asked_for() {
    let scene = Scene::new();
    let demo = scene.demo();
    scene
        .run(["demo", "--web", "--page", "page", "--listen", &demo.address])
        .fails_saying(&[&demo.address, "in use"]);
    let (one, other) = (scene.demo_with(&["--page", "page"]), scene.demo_with(&["--page", "page"]));
    assert_ne!(one.address, other.address);
    assert_eq!(other.get("/").status, 200);
}

#[test]
fn a_demonstration_that_no_browser_could_use_is_refused() {
    let scene = Scene::new();
    let run = |arguments: &[&str]| scene.run([&["demo", "--web"], arguments].concat());
    fs::create_dir(scene.path("empty")).unwrap();
    run(&["--page", "empty"]).fails_saying(&["no demo page in empty", "cargo xtask www"]);
    run(&["--page", "nowhere"]).fails_saying(&["cannot serve nowhere"]);
    run(&["--page", "empty", "--listen", "0.0.0.0:0"]).fails_saying(&["empty"]);
    fs::write(scene.path("empty/index.html"), "").unwrap();
    run(&["--page", "empty", "--listen", "0.0.0.0:0"]).fails_saying(&["0.0.0.0", "HTTPS"]);
}

/// The page is built by other tools: without them, the rest of the program is built all the same.
#[test]
fn the_page_is_in_the_program_or_it_is_said_how_to_get_it_there() {
    let scene = Scene::new();
    let was_there = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www/dist/index.html").exists();
    if was_there {
        let demo = scene.demo_with(&["--listen", "127.0.0.1:0"]);
        let page = demo.get("/");
        assert_eq!((page.status, page.header("cache-control")), (200, "no-cache"));
        assert!(page.body.starts_with(b"<!"), "{page:?}");
    } else {
        scene
            .run(["demo", "--web"])
            .fails_saying(&["the demo page is not in this program", "cargo xtask www"]);
    }
}
