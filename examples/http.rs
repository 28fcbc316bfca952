//! An axum application behind KWIK: each bidirectional stream carries one HTTP/1.1 connection. A hyper client
//! fetches a thousand resources at once; the session's limit of open streams decides how many are under way.
//!
//! `cargo run --release --example http`

use std::error::Error;
use std::time::Instant;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use kwik::{AppCode, Config, Identity, ServerConfig, Session};
use tokio::task::JoinSet;

const RESOURCES: usize = 1_000;

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let identity = Identity::ephemeral()?;
    let listener = kwik::listen("127.0.0.1:0", ServerConfig::new(identity)).await?;
    let url = listener.urls().swap_remove(0);
    let app = Router::new().route("/square/{number}", get(square));
    tokio::spawn(async move {
        while let Some(session) = listener.accept().await {
            tokio::spawn(serve(session, app.clone()));
        }
    });

    let session = kwik::dial(&url, Config::default()).await?;
    let started = Instant::now();
    let mut requests = JoinSet::new();
    for number in 0..RESOURCES {
        requests.spawn(fetch_and_check(session.clone(), number));
    }
    while let Some(checked) = requests.join_next().await {
        checked??;
    }
    println!("{RESOURCES} resources over one session in {:.1?}", started.elapsed());
    session.close(AppCode::new(0), b"done");
    session.closed().await;
    Ok(())
}

async fn square(Path(number): Path<u64>) -> String {
    format!("{number} x {number} = {}", number * number)
}

/// Answers what comes on the streams of a session, as `axum::serve` does for the connections of a TCP listener.
async fn serve(session: Session, app: Router) {
    while let Ok((send, recv)) = session.accept_bi().await {
        let stream = TokioIo::new(tokio::io::join(recv, send));
        let app = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            if let Err(error) = hyper::server::conn::http1::Builder::new().serve_connection(stream, app).await
            {
                eprintln!("a connection failed: {error}");
            }
        });
    }
}

async fn fetch_and_check(session: Session, number: usize) -> Result<(), BoxError> {
    // Waits while the server has as many streams open as it allows.
    let (send, recv) = session.open_bi().await?;
    let stream = TokioIo::new(tokio::io::join(recv, send));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = tokio::spawn(connection);

    let request = Request::get(format!("/square/{number}"))
        .header("host", "kwik.example")
        .header("connection", "close") // a stream costs nothing: one for each request
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.await??;

    let expected = format!("{number} x {number} = {}", number * number);
    if status == StatusCode::OK && body == expected.as_bytes() {
        Ok(())
    } else {
        Err(format!("/square/{number}: {status}, {body:?}").into())
    }
}
