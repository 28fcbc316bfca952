//! What the page asks for over HTTP, in JSON.
//!
//! ```text
//! GET  /api/demo                            -> the version, the lines, the files
//! POST /api/lines                           -> a new line; 409 when there are enough
//! POST /api/lines/ID/cut                    -> the line; not a packet passes from now on
//! POST /api/lines/ID/restore                -> the line
//! POST /api/lines/cut-all {"seconds":5}     -> {"lines":[...],"restored_in_ms":5000}
//! ```
//!
//! What fails is answered with a status and `{"error":"..."}`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::files::FILES;
use super::lines::{AddError, LineInfo, Lines, MAX_LINES};
use crate::noise_files::NoiseFile;

/// The longest time that all lines are cut. Sessions without any path end after half of it: that can be seen, too.
const MAX_OUTAGE: Duration = Duration::from_secs(60);

/// Everything below `/api`.
pub(super) fn router(lines: Arc<Lines>) -> Router {
    Router::new()
        .route("/api/demo", get(demo))
        .route("/api/lines", post(add))
        .route("/api/lines/cut-all", post(cut_all))
        .route("/api/lines/{id}/cut", post(cut))
        .route("/api/lines/{id}/restore", post(restore))
        .layer(from_fn(only_from_here))
        .with_state(lines)
}

/// What there is.
#[derive(Debug, Serialize)]
struct Demo {
    version: &'static str,
    lines: Vec<LineInfo>,
    max_lines: usize,
    file: NoiseFile,
    files: [NoiseFile; FILES.len()],
}

/// What a request for `cut-all` says.
#[derive(Debug, Deserialize)]
struct CutAll {
    seconds: f64,
}

/// What is said to it.
#[derive(Debug, Serialize)]
struct AllCut {
    lines: Vec<LineInfo>,
    restored_in_ms: u64,
}

/// A request that cannot be done, and why.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    reason: String,
}

async fn demo(State(lines): State<Arc<Lines>>) -> Json<Demo> {
    Json(Demo {
        version: env!("CARGO_PKG_VERSION"),
        lines: lines.list(),
        max_lines: MAX_LINES,
        file: FILES[0],
        files: FILES,
    })
}

async fn add(State(lines): State<Arc<Lines>>) -> Result<Json<LineInfo>, Refusal> {
    let added = tokio::task::spawn_blocking(move || lines.add()).await;
    match added {
        Ok(added) => Ok(Json(added?)),
        Err(panicked) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, panicked)),
    }
}

async fn cut(State(lines): State<Arc<Lines>>, Path(id): Path<String>) -> Result<Json<LineInfo>, Refusal> {
    known(&id, |id| lines.cut(id))
}

async fn restore(State(lines): State<Arc<Lines>>, Path(id): Path<String>) -> Result<Json<LineInfo>, Refusal> {
    known(&id, |id| lines.restore(id))
}

/// Does something to the line that a request names.
fn known(id: &str, act: impl FnOnce(usize) -> Option<LineInfo>) -> Result<Json<LineInfo>, Refusal> {
    let line = id.parse().ok().and_then(act);
    line.map(Json).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("there is no line {id:?}")))
}

async fn cut_all(
    State(lines): State<Arc<Lines>>,
    request: Result<Json<CutAll>, JsonRejection>,
) -> Result<Json<AllCut>, Refusal> {
    let Json(CutAll { seconds }) =
        request.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    let time = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| (1..=MAX_OUTAGE.as_millis()).contains(&time.as_millis()));
    let time = time.ok_or_else(|| {
        let reason = format!("lines cannot be cut for {seconds} s, but for up to {} s", MAX_OUTAGE.as_secs());
        Refusal::new(StatusCode::BAD_REQUEST, reason)
    })?;
    let outage = lines.cut_all();
    let answer = AllCut { lines: lines.list(), restored_in_ms: time.as_millis() as u64 };
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        lines.end(outage);
    });
    Ok(Json(answer))
}

/// A page of somebody else's in the same browser can send requests here, too: its origin is not ours.
async fn only_from_here(request: Request, next: Next) -> Result<Response, Refusal> {
    if is_foreign(request.headers()) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "the lines are cut by their own page only"));
    }
    Ok(next.run(request).await)
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(HeaderValue::as_bytes);
    let Some(origin) = text(header::ORIGIN) else { return false };
    origin.strip_prefix(b"http://") != text(header::HOST)
}

impl Refusal {
    fn new(status: StatusCode, reason: impl ToString) -> Self {
        Self { status, reason: reason.to_string() }
    }
}

impl From<AddError> for Refusal {
    fn from(error: AddError) -> Self {
        let status = match error {
            AddError::TooMany => StatusCode::CONFLICT,
            AddError::Start(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({ "error": self.reason }))).into_response()
    }
}
