//! KWIK: one session, many paths.
//!
//! [`dial`] opens a [`Session`] with a server, `listen` makes one. A session gives reliable streams and
//! unreliable datagrams, carried by any number of *paths*: they survive the end of any of them.
//!
//! The same code runs natively, on QUIC over UDP, and in browsers (wasm32), on WebTransport; there is no `listen` there.
//!
//! # Watching it
//!
//! Events of [`tracing`](https://docs.rs/tracing), all of targets below `kwik`, tell at level `debug` of sessions that
//! open and close, of paths that are dialled, added, suspect, back and lost, of suspensions and resumptions.
//!
//! The native backend counts through the [`metrics`](https://docs.rs/metrics) facade:
//!
//! | name | what | label |
//! |---|---|---|
//! | `kwik_sessions`, `kwik_sessions_total` | sessions there are, those that are opening included; all so far | `side` |
//! | `kwik_paths` | paths whose connection is there | `side` |
//! | `kwik_path_failures_total`, `kwik_resumes_total` | as in `SessionStats` | `side` |
//! | `kwik_sent_bytes_total`, `kwik_delivered_bytes_total` | bytes of streams sent first, and read | `side` |
//! | `kwik_reinjected_bytes_total`, `kwik_retransmitted_bytes_total` | bytes sent again | `side` |
//! | `kwik_dropped_datagrams_total` | datagrams dropped for want of room | `side` |
//! | `kwik_advice_not_followed_total` | a server's advice that its client did not follow | `reason`: `address`, `taken_back`, `room`, `budget` |
//! | `kwik_paths_refused_total` | paths that a server refused, with a code | |
//! | `kwik_admission_half_open` | connections of a server that belong to no session (yet) | |
//! | `kwik_admission_retried_total` | clients that had to prove their addresses first | |
//! | `kwik_admission_ignored_total` | first packets of clients that got no answer | `reason` |
//! | `kwik_admission_evicted_total` | half-open paths and suspended sessions that made way for others | `what` |
//! | `kwik_admission_sessions_refused_total` | sessions for which there was no room | `reason` |
//! | `kwik_admission_wrong_proofs_total` | joins with a wrong proof | |
//! | `kwik_udp_send_lost_total` | datagrams that the kernel did not take | `reason` |
//! | `kwik_buffer_pool_hits_total`, `kwik_buffer_pool_misses_total` | memory used again, and new | |
//! | `kwik_worker_pool_workers`, `kwik_worker_pool_queued` | threads, jobs that wait | |
//! | `kwik_worker_pool_executed_total`, `_dropped_total`, `_panicked_total`, `_busy_nanoseconds_total` | jobs | |
//!
//! `side` is `client` or `server`. What comes from `SessionStats` is added about once a second while a session is busy,
//! and when it ends.

pub mod proto;

/// What the fuzz targets in `fuzz/` feed, beside what is public.
#[cfg(fuzzing)]
pub mod fuzzing {
    #[cfg(all(feature = "native", not(target_arch = "wasm32")))]
    pub use crate::carrier::h3::fuzzing::FuzzedH3;
    pub use crate::proto::fuzzing::{FuzzedAssembler, FuzzedRanges, Kept};
}

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

        pub use proto::wire::code::{AppCode, CodeTooLarge, TransportCode};
        pub use proto::config::{ConfigError, PathPolicy, SessionConfig, Window};
        pub use proto::error::{
            AdvertiseError,
            AddressError, DatagramError, OpenError, PathError, ReadError, SessionError, WriteError,
        };
        pub use proto::event::{PathAddress, PathLoss, Scheme, SessionEvent};
        pub use proto::wire::id::{Dir, PathId, SessionId, Side, StreamId};
        pub use proto::paths::path::PathState;
        pub use proto::scheduler::{
            Copies, EarliestCompletion, PathView, Scheduler, SchedulerKind, Verdict, Work,
        };
        pub use proto::session::{AdviceNotFollowed, PathInfo, SessionStats};

        /// The examples of the README are compiled with the other examples.
        #[cfg(doctest)]
        #[doc = include_str!("../README.md")]
        struct Readme;
    }
}
