//! KWIK: one session, many paths.

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
