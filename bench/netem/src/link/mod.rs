//! Shaped links between two network namespaces, forwarded by this process (Linux, root).
//!
//! ```text
//! namespace "client"                                     namespace "server"
//!   path0 10.7.0.1/24 ─ TUN ─┐                    ┌─ TUN ─ path0 10.7.0.2/24
//!                            ├─ shaper up/down ───┤
//!   path1 10.7.1.1/24 ─ TUN ─┘  (one thread each) └─ TUN ─ path1 10.7.1.2/24
//! ```
//!
//! The kernel's own emulator (netem) is a module that many kernels lack. A thread per link that reads IP
//! packets from one TUN device and writes them to the other needs nothing but TUN, and follows the same
//! model as everything else here, so it is used everywhere. Rates count whole IP packets.
//!
//! Checked with ping and iperf3: 20, 60 and 8 ms one way gave 40.3, 120.3 and 16.3 ms; 100 and 300 Mbit/s
//! gave 97 and 293 Mbit/s of UDP payload; without a rate, TCP runs at 1.4 Gbit/s.

mod namespace;
mod nat;
mod packet;
mod topology;
mod wire;

use std::io;

pub use namespace::Namespace;
pub use topology::{PathSpec, Topology};
pub use wire::Link;

/// Why links could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Not the superuser.
    #[error("shaped links need root (network namespaces and TUN devices): run this with sudo")]
    NotRoot,
    /// `ip` did not do what it was told.
    #[error("`{command}` failed: {stderr}")]
    Command {
        /// The whole command line.
        command: String,
        /// What it said about it.
        stderr: String,
    },
    /// `ip` could not be started.
    #[error("`{command}` could not be started (it is part of the package iproute2): {source}")]
    Spawn {
        /// The whole command line.
        command: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A namespace could not be entered.
    #[error("network namespace {namespace} could not be entered: {source}")]
    Enter {
        /// Its name.
        namespace: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A TUN device could not be made.
    #[error("TUN device {device} in network namespace {namespace} could not be made: {source}")]
    Tun {
        /// Its name.
        device: String,
        /// Where.
        namespace: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The forwarding thread could not be started.
    #[error("the link's forwarding thread could not be started: {0}")]
    Thread(io::Error),
}
