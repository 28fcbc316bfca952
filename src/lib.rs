//! KWIK: one session, many paths.

// Until the session exists, nothing but the tests uses the native foundations.
#[cfg(feature = "native")]
#[path = "../native/mod.rs"]
#[allow(dead_code)]
mod native;

#[cfg(feature = "native")]
pub use native::*;
