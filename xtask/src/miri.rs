//! `cargo xtask miri`: what is `unsafe`, and the mechanisms around it, in an interpreter that sees every wrong access.
//!
//! It cannot run system calls, so the other `unsafe` of the tree (`setsockopt` in `native/socket.rs`) is not among
//! them, and it is slow, so the simulator is not either.

use std::process::Command;

use crate::run::{output, run};
use crate::{Error, in_repository};

/// Tests of the modules that lend out memory, or hand on slices of it.
const MODULES: [&str; 3] = ["native::buffer_pool", "proto::assembler", "proto::send_buffer"];

pub(crate) fn check() -> Result<(), Error> {
    if output(Command::new("cargo").args(["+nightly", "miri", "--version"])).is_none() {
        println!("NOT CHECKED: there is no Miri (rustup +nightly component add miri rust-src)");
        return Ok(());
    }
    let mut miri = Command::new("cargo");
    miri.args(["+nightly", "miri", "test", "-p", "kwik-transport", "--lib", "--"]).args(MODULES);
    // proptest writes its failures to a file; a few cases are enough for an interpreter.
    miri.current_dir(in_repository(""))
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", "4");
    run(&mut miri)
}
