//! KWIK: one session, many paths.
//!
//! [`dial`] opens a [`Session`] with a server, [`listen`] makes one. A session gives reliable streams and
//! unreliable datagrams, carried by any number of *paths*: they survive the end of any of them.
//!
//! The same code runs natively, on QUIC over UDP, and in browsers (wasm32), on WebTransport; there is no `listen` there.

pub mod proto;

cfg_if::cfg_if! {
    if #[cfg(all(feature = "native", not(target_arch = "wasm32")))] {
        mod carrier;
        #[path = "../native/mod.rs"]
        mod native;

        pub use native::*;
    } else if #[cfg(all(feature = "browser", target_arch = "wasm32"))] {
        #[path = "../wasm/mod.rs"]
        mod wasm;

        pub use wasm::*;
    }
}

cfg_if::cfg_if! {
    if #[cfg(any(
        all(feature = "native", not(target_arch = "wasm32")),
        all(feature = "browser", target_arch = "wasm32")
    ))] {
        mod api;

        pub use api::*;

        pub use proto::code::TransportCode;
        pub use proto::config::{PathPolicy, SessionConfig, Window};
        pub use proto::error::{
            AddressError, AppCode, DatagramError, OpenError, PathError, ReadError, SessionError, WriteError,
        };
        pub use proto::event::{PathAddress, PathLoss, SessionEvent};
        pub use proto::id::{Dir, PathId, SessionId, Side, StreamId};
        pub use proto::path::PathState;
        pub use proto::scheduler::{
            Copies, EarliestCompletion, PathView, Scheduler, SchedulerKind, Verdict, Work,
        };
        pub use proto::session::{PathInfo, SessionStats};
    }
}
