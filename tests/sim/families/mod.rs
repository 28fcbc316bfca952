//! Families of situations: each over many seeds.

mod paths;
mod streams;
