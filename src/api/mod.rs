//! What users hold: sessions, halves of streams, paths.
//!
//! These handles are the same with every backend. They know the sans-IO session of [`proto`](crate::proto) and,
//! of the world, only what the `Backend` trait says: no socket, no thread, no clock.
//!
//! All of them are `Send` and `Sync` (but not on wasm32, where they belong to one thread) and can be used from any
//! task. Every method that waits says what happens when its future is dropped before it is done. None of them blocks
//! a thread, apart from the time that the session's lock is held, which no input or output happens under.

mod address;
mod events;
mod io_error;
mod path;
mod pending_replies;
mod recv_stream;
mod send_stream;
mod session;
pub(crate) mod shared;
mod subscribers;
#[cfg(test)]
mod tests;
mod trace;
pub(crate) mod waiters;

pub use address::{Address, CertificatePin};
pub use events::SessionEvents;
pub use path::{PathHandle, Standby};
pub use recv_stream::{ReadExactError, ReadToEndError, RecvStream};
pub use send_stream::SendStream;
pub use session::{AdviceId, Session};
