//! The simulator: sessions over links that fail, in virtual time, in thousands of courses of events, each from one seed.
//!
//! `KWIK_SIM_SEEDS` says how many seeds each family of situations gets (1,000 if it does not); a seed that
//! fails is printed with what replays it alone.

mod advice;
mod app;
mod burden;
mod carrier;
mod courses;
mod families;
mod history;
mod hostile;
mod link;
mod profiles;
mod rng;
mod seeds;
mod world;
