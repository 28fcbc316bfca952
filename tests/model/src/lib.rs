//! Two real sessions over connections of which every step is a choice.
//!
//! [`Pair`] is driven by `tests/every_course.rs`, which tries every choice up to a depth, and by the fuzz target `pair`,
//! which lets libFuzzer choose. It checks at every step that streams deliver what was written, in order and once, that
//! a datagram comes at most once, and that neither session blames the other; and [`Pair::come_to_rest`] checks that
//! from wherever the choices have led, everything is delivered or both ends know that the session is over.

mod app;
mod pair;
mod wire;

pub use app::Call;
pub use pair::{Pair, Setting, Step};
