//! The browser backend: WebTransport sessions as paths, in the thread that dials, a page's or a web worker's.
//!
//! ```text
//!   session (core) <--- Browser: one timer, hints of the network's return
//!                          |
//!                        Path: one WebTransport; a task fills it when it has room
//!                          |
//!                        Lane: one stream each way; a task writes, two functions read
//! ```
//!
//! A browser tells nothing of its connections: no rtt, no window, no acknowledgement. So the core measures by itself.

mod address;
mod backend;
mod bindings;
mod carrier;
mod dial;
mod environment;
#[cfg(feature = "npm")]
mod exports;
mod gather;
mod lane;
mod path;
mod read_lane;
mod signal;

pub use dial::{Config, DialError, dial};
