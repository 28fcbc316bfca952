//! KWIK: one session, many paths.

// Until the native backend uses it, nothing but the tests calls the inner half.
#[cfg(any(feature = "native", all(feature = "browser", target_arch = "wasm32")))]
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
    } else if #[cfg(all(feature = "browser", target_arch = "wasm32"))] {
        #[path = "../wasm/mod.rs"]
        mod wasm;

        pub use wasm::*;
    }
}
