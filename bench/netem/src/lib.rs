//! An emulated network that KWIK's tests and measurements run over.
//!
//! - [`Forwarder`] stands between a client and a server on loopback sockets. It can be silenced and
//!   restored, counts what passes, and can delay, limit and lose packets. It needs no privileges.
//! - [`link`] (Linux, root) joins two network namespaces by shaped links, so that unmodified programs
//!   meet delay, rate, jitter, loss and a bounded queue below the socket.
//! - [`Shaper`] is the model under both: a plain struct with time and seed passed in.
//! - [`Impairment`]s are what else goes wrong: packets that overtake one another, come twice, come changed, are too
//!   long, or meet a link that is silent. Both kinds of link take any number of them.
//! - [`PROFILES`] are pairs of links, from two equal ones to a congested pair of radios.

mod delay_line;
mod forwarder;
mod impairment;
#[cfg(target_os = "linux")]
pub mod link;
mod link_switch;
mod profiles;
mod rng;
mod shaper;
mod units;

pub use forwarder::{Forwarder, ForwarderConfig};
pub use impairment::Impairment;
pub use link_switch::{Counters, Direction};
pub use profiles::{PROFILES, Profile};
pub use shaper::{DropReason, JitterOrder, LinkSpec, Shaper, Verdict};
pub use units::{Loss, Rate, UnitError, parse_delay};
