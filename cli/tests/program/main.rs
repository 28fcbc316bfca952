//! The real program, run by situations: what it does with files, what it says when it cannot.

mod browser;
mod failures;
mod many;
mod scene;
mod serving;
mod transfers;
mod web;
