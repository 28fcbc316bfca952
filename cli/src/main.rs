//! `kwik`: files over KWIK sessions, round trips of their paths, and a demonstration.

mod blocks;
mod connection;
mod demo;
mod demo_web;
mod destination;
mod digest;
mod display;
mod duration;
mod error;
mod get;
mod line;
mod messages;
mod noise;
mod noise_files;
mod output;
mod path_totals;
mod ping;
mod protocol;
mod put;
mod root;
mod serve;
mod signals;
mod transfer;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::filter::LevelFilter;

use crate::error::Error;

/// One session, many paths: nothing is lost when a path dies.
#[derive(Debug, Parser)]
#[command(name = "kwik", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say more about what happens, on standard error: -v, -vv, -vvv.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::Args),
    Get(get::Args),
    Put(put::Args),
    Ping(ping::Args),
    Demo(demo::Args),
}

/// How long threads that are reading or writing files may take to notice that it is over.
const THREADS_GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(match cli.verbose {
            0 => LevelFilter::OFF,
            1 => LevelFilter::INFO,
            2 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
        .init();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When standard error is gone, the exit code is all that can be said.
            let _ = writeln!(std::io::stderr(), "kwik: {}", error.line());
            ExitCode::from(if matches!(error, Error::Interrupted(_)) { 130 } else { 1 })
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    let runtime = runtime(&command).map_err(Error::Start)?;
    let result = runtime.block_on(async {
        match &command {
            Command::Serve(args) => serve::run(args).await,
            Command::Get(args) => get::run(args).await,
            Command::Put(args) => put::run(args).await,
            Command::Ping(args) => ping::run(args).await,
            Command::Demo(args) => demo::run(args).await,
        }
    });
    runtime.shutdown_timeout(THREADS_GRACE);
    result
}

/// A client's one session is best driven by one thread, without hops; a server and the demonstration have
/// several.
fn runtime(command: &Command) -> std::io::Result<Runtime> {
    let mut builder = match command {
        Command::Serve(_) | Command::Demo(_) => Builder::new_multi_thread(),
        Command::Get(_) | Command::Put(_) | Command::Ping(_) => Builder::new_current_thread(),
    };
    builder.enable_all().build()
}
