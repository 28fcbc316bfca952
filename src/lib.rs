//! KWIK: one session, many paths.

// Until the native backend uses it, nothing but the tests calls the inner half.
#[cfg(feature = "native")]
#[allow(dead_code)]
pub mod api;
pub mod proto;

cfg_if::cfg_if! {
    if #[cfg(all(feature = "native", not(target_arch = "wasm32")))] {
        // Until the reactor exists, nothing but the tests uses the native foundations.
        #[path = "../native/mod.rs"]
        #[allow(dead_code)]
        mod native;

        pub use native::*;
    }
}
