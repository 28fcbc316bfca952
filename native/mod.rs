//! The native backend: UDP sockets, worker pool, certificates, and what drives the core with them.
//!
//! ```text
//! dial, listen          what users call
//! dialler, dial_race    how a path's connection is had        registry   where a path finds its session
//! admission             who is let in, and who makes way for whom
//! backend               one session's world: its paths' drivers     session_timers   the deadlines of all sessions
//! reactor               one socket: batches in, turns for paths        path_driver   one path's turn
//! mailbox, coalescing   what other tasks want of a reactor                occupancy     what a pool's workers have to do
//! socket, recv_batch, send_batch, buffer_pool, worker_pool, timers, engine         what these stand on
//! meter                 what sessions and paths report as metrics
//! tls, certificate, validity, transport, stateless_reset               what QUIC is set to
//! ```

mod accept_queue;
mod admission;
mod backend;
mod buffer_pool;
#[cfg(test)]
mod carrier_tests;
mod certificate;
mod coalescing;
mod dial;
mod dial_error;
mod dial_race;
mod dialler;
mod engine;
mod listen;
mod mailbox;
mod meter;
mod occupancy;
mod path_driver;
mod reactor;
mod recv_batch;
mod registry;
mod resolve;
mod rotation;
mod send_batch;
mod session_timers;
mod socket;
mod stateless_reset;
mod sync;
mod timers;
mod tls;
mod transport;
mod validity;
mod worker_pool;
#[cfg(test)]
mod worker_turns;

pub use admission::{AdmissionLimits, RateLimit};
pub use buffer_pool::BufferPoolStats;
pub use certificate::{Identity, IdentityError};
pub use dial::{Config, dial};
pub use dial_error::DialError;
pub use engine::{Stats, stats};
pub use listen::{ListenError, Listener, ServerConfig, listen};
pub use socket::BindError;
pub use tls::TlsError;
pub use transport::Congestion;
pub use worker_pool::{BatchPanicked, JobPanicked, Refused, WorkerPool, WorkerPoolError, WorkerPoolStats};
