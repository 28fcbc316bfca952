//! A load test that looks for what only time and numbers show: `cargo xtask soak`.
//!
//! A server and a client, processes of their own, have hundreds of sessions of all kinds; fresh ones are dialled beside
//! them; a fault drawn from a seed happens each second. Every byte is checked, nothing may panic, no dial may be
//! lost, and memory, descriptors and threads have to stay flat.

mod child;
mod counts;
mod doomed;
mod exchange;
mod fault;
mod heap;
mod judge;
mod load;
mod member;
mod message;
mod network;
mod pattern;
mod plot;
mod run;
mod serve;
mod trend;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

/// Sockets of the server: two paths of a session, each to one of its own.
const SOCKETS: usize = 2;

/// Puts a server under load and faults, and looks whether anything is lost or grows.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    run: run::Args,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What the processes that the program starts do.
#[derive(Debug, Subcommand)]
enum Part {
    #[command(hide = true)]
    Serve,
    #[command(hide = true)]
    Load(load::Args),
    #[command(hide = true)]
    Doomed { url: String },
}

fn main() -> ExitCode {
    counts::COUNTS.watch_panics();
    match start(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: &Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("tokio's runtime could not be started")?;
    let result = runtime.block_on(async {
        match &cli.part {
            None => run::run(&cli.run).await,
            Some(Part::Serve) => serve::run(SOCKETS).await,
            Some(Part::Load(args)) => load::run(args).await,
            Some(Part::Doomed { url }) => doomed::run(url).await,
        }
    });
    // The thread that reads standard input cannot be stopped.
    runtime.shutdown_background();
    result
}
