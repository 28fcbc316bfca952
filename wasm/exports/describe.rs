//! Rust's values as the page's plain objects, and its options as Rust's.

use std::fmt::Display;
use std::time::Duration;

use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::*;

use crate::proto::config::SessionConfig;
use crate::proto::error::{ReadError, SessionError, WriteError};
use crate::proto::event::{PathAddress, SessionEvent};
use crate::proto::paths::path::PathState;
use crate::proto::session::{PathInfo, SessionStats};
use crate::proto::wire::code::AppCode;
use crate::wasm::bindings::object;
use crate::wasm::dial::DialError;

/// A number of JavaScript's: exact up to 2^53; anything that is no such number becomes the nearest one that is.
pub(super) fn u64_of(number: f64) -> u64 {
    number as u64
}

/// A code of the page's, which has checked it. The largest, 2^62 - 1, is 2^62 as a number of JavaScript's.
pub(super) fn code_of(number: f64) -> AppCode {
    AppCode::from_wire(u64_of(number))
}

/// What is thrown: `{kind, message, code?}`.
pub(super) fn failure(kind: &str, error: &dyn Display, code: Option<AppCode>) -> JsValue {
    let mut members = vec![("kind", kind.into()), ("message", error.to_string().into())];
    members.extend(code.map(|code| ("code", (code.as_u64() as f64).into())));
    object(&members).into()
}

pub(super) fn dial_failure(error: &DialError) -> JsValue {
    match error {
        DialError::Config(error) => failure("option", error, None),
        error => failure("session", error, None),
    }
}

pub(super) fn session_failure(error: &SessionError) -> JsValue {
    failure("session", error, None)
}

pub(super) fn read_failure(error: &ReadError) -> JsValue {
    match error {
        ReadError::Reset { code, .. } => failure("stream", error, Some(*code)),
        ReadError::Closed { .. } => failure("closed", error, None),
        ReadError::Session(error) => session_failure(error),
    }
}

pub(super) fn write_failure(error: &WriteError) -> JsValue {
    match error {
        WriteError::Stopped { code, .. } => failure("stream", error, Some(*code)),
        WriteError::Closed { .. } => failure("closed", error, None),
        WriteError::Session(error) => session_failure(error),
    }
}

/// `{closeCode, reason}` of a session that was closed, by either end.
pub(super) fn closing(end: &SessionError) -> Result<Object, JsValue> {
    let (code, reason) = match end {
        SessionError::LocallyClosed { code, .. } => (code, String::new()),
        SessionError::ClosedByPeer { code, reason } => (code, String::from_utf8_lossy(reason).into_owned()),
        error => return Err(session_failure(error)),
    };
    Ok(object(&[("closeCode", (code.as_u64() as f64).into()), ("reason", reason.into())]))
}

/// `{type, path?, message?}`.
pub(super) fn event(event: &SessionEvent) -> Object {
    let (name, path, message) = match event {
        SessionEvent::PathAdded(path) => ("pathadded", Some(path), None),
        SessionEvent::PathSuspect(path) => ("pathsuspect", Some(path), None),
        SessionEvent::PathRecovered(path) => ("pathrecovered", Some(path), None),
        SessionEvent::PathLost(path, loss) => ("pathlost", Some(path), Some(loss.to_string())),
        SessionEvent::Suspended => ("suspended", None, None),
        SessionEvent::Resumed => ("resumed", None, None),
        SessionEvent::Advised(address) => ("pathadvised", None, Some(url(address))),
        SessionEvent::Draining => ("draining", None, None),
    };
    let mut members = vec![("type", name.into())];
    members.extend(path.map(|path| ("path", (path.0 as f64).into())));
    members.extend(message.map(|message| ("message", message.into())));
    object(&members)
}

fn url(address: &PathAddress) -> String {
    format!("kwik://{}", address.authority)
}

/// One of the page's `KwikPath`s. Times are in milliseconds.
pub(super) fn path(info: &PathInfo) -> Object {
    let state = match info.state {
        PathState::Opening => "opening",
        PathState::Active => "active",
        PathState::Standby => "standby",
        PathState::Suspect => "suspect",
        PathState::Closing => "closing",
        PathState::Closed => "closed",
    };
    let mut members = vec![
        ("id", (info.id.0 as f64).into()),
        ("state", state.into()),
        ("url", info.address.as_ref().map(url).unwrap_or_default().into()),
        ("rate", (info.rate_bytes_per_s as f64).into()),
        ("bytesInFlight", (info.in_flight_bytes as f64).into()),
        ("bytesSent", (info.sent_bytes as f64).into()),
        ("bytesReceived", (info.received_bytes as f64).into()),
        ("bytesReinjected", (info.reinjected_bytes as f64).into()),
    ];
    members.extend(info.rtt.map(|rtt| ("rtt", (rtt.as_secs_f64() * 1e3).into())));
    object(&members)
}

/// The page's `KwikStats`, without its paths.
pub(super) fn stats(stats: &SessionStats) -> Object {
    object(&[
        ("bytesSent", (stats.sent_bytes as f64).into()),
        ("bytesReceived", (stats.delivered_bytes as f64).into()),
        ("bytesReinjected", (stats.reinjected_bytes as f64).into()),
        ("bytesRetransmitted", (stats.retransmitted_bytes as f64).into()),
        ("bytesRetained", (stats.retained_bytes as f64).into()),
        ("bytesBuffered", (stats.buffered_bytes as f64).into()),
        ("openStreams", (stats.open_streams as f64).into()),
        ("droppedDatagrams", (stats.dropped_datagrams as f64).into()),
        ("pathFailures", (stats.path_failures as f64).into()),
        ("resumes", (stats.resumes as f64).into()),
    ])
}

/// The page's `KwikOptions`, as far as they concern the session; what is not there has its default. Ranges are checked
/// with those of all configurations.
pub(super) fn config(options: &Object) -> Result<SessionConfig, JsValue> {
    let member = |name: &str| Reflect::get(options, &name.into()).unwrap_or_default();
    let duration = |name: &str, default: Duration| match member(name).as_f64() {
        Some(ms) => Duration::try_from_secs_f64(ms / 1e3)
            .map_err(|_| failure("option", &format!("{name}: no time"), None)),
        None => Ok(default),
    };
    // Of its connections a page learns by acknowledgements and reports alone.
    let mut config = SessionConfig { lone_path_ack_delay: Duration::ZERO, ..SessionConfig::default() };
    if let Some(name) = member("scheduler").as_string() {
        config.scheduler = name.parse().map_err(|error| failure("option", &error, None))?;
    }
    config.resume_timeout = duration("resumeTimeout", config.resume_timeout)?;
    config.path_timeout = duration("pathTimeout", config.path_timeout)?;
    config.handshake_timeout = duration("handshakeTimeout", config.handshake_timeout)?;
    config.max_paths = match member("maxPaths").as_f64() {
        Some(max) if max.fract() == 0.0 && max >= 0.0 => max as usize,
        Some(max) => return Err(failure("option", &format!("maxPaths: {max} is no whole number"), None)),
        None => config.max_paths,
    };
    Ok(config)
}
