//! Measurements that answer two questions: what does KWIK cost beside plain quinn, and what do several
//! paths give on links as they are outside.
//!
//! Programs are measured, not functions: server and client are processes of their own, started, timed and
//! accounted for by [`process`]. KWIK is known only by the command line of `kwik` ([`kwik`]), the rival is
//! a small pair over quinn ([`rival`]). Under [`load`], KWIK and quinn are libraries below the same program. Only the
//! [`rig`] has both ends in its own process: it asks what becomes of a transfer on a bad network, not what it costs.

pub mod browser;
pub mod cpu;
pub mod data;
pub mod failover;
pub mod forward;
pub mod kwik;
#[cfg(target_os = "linux")]
pub mod load;
pub mod process;
#[cfg(target_os = "linux")]
pub mod profiles;
#[cfg(target_os = "linux")]
pub mod rig;
pub mod rival;
