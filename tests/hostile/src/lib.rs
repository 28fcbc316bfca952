//! Peers that write KWIK's wire by hand, and what a server or client has to do about them.
//!
//! ```text
//!   peer      plain quinn: connections, lanes and frames in any order, written with `wire`
//!   lossy     quinn-proto driven by hand: what a case wants to be lost is lost
//!   victim    kwik, in a process of its own, so that its memory can be read and its panics be seen
//!   innocent  a client of kwik's own beside it: echoes and fresh dials, none of which may be lost
//!   siege     the three together, and the line that a case prints
//! ```
//!
//! `wire` and `code` were written from docs/PROTOCOL.md alone: whatever is wrong in kwik's own encoder, or missing in
//! that text, is not shared. The cases are in `tests/wire` (one peer, one broken rule, the code that must come back)
//! and `tests/floods` (much of something, beside an innocent client).

pub mod code;
pub mod innocent;
pub mod lossy;
pub mod peer;
pub mod siege;
pub mod victim;
pub mod wire;
