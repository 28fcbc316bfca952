//! `kwik-bench`: see `kwik-bench --help`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
#[cfg(target_os = "linux")]
use kwik_bench::load;
use kwik_bench::{browser, cpu, failover, forward, rival};
use tokio::signal::unix::{SignalKind, signal};

/// Measures KWIK: against plain quinn, on shaped links, and while paths die.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Cpu(cpu::Args),
    #[cfg(target_os = "linux")]
    Load(load::Args),
    #[cfg(target_os = "linux")]
    Table(load::TableArgs),
    #[cfg(target_os = "linux")]
    Profiles(kwik_bench::profiles::Args),
    #[cfg(target_os = "linux")]
    Rig(kwik_bench::rig::Args),
    Failover(failover::Args),
    Forward(forward::Args),
    BrowserServe(browser::ServeArgs),
    QuinnServe(rival::ServeArgs),
    QuinnGet(rival::GetArgs),
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    LoadServe(load::ServeArgs),
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    LoadDrive(load::DriveArgs),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kwik-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match &command {
        Command::Forward(args) => return forward::run(args),
        #[cfg(target_os = "linux")]
        Command::Rig(args) => return kwik_bench::rig::run(args),
        #[cfg(target_os = "linux")]
        Command::LoadServe(args) => return load::serve(args),
        #[cfg(target_os = "linux")]
        Command::LoadDrive(args) => return load::drive(args),
        _ => {}
    }
    let runtime = tokio::runtime::Runtime::new().context("tokio's runtime could not be started")?;
    // What a measurement has started or made (children, namespaces) is gone when its future is dropped,
    // so an interrupt needs no cleaning up of its own.
    runtime.block_on(async {
        tokio::select! {
            result = dispatch(command) => result,
            result = interrupted() => result,
        }
    })
}

async fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Cpu(args) => cpu::run(&args).await,
        #[cfg(target_os = "linux")]
        Command::Profiles(args) => kwik_bench::profiles::run(&args).await,
        Command::Failover(args) => failover::run(&args).await,
        Command::Forward(args) => forward::run(&args),
        #[cfg(target_os = "linux")]
        Command::Rig(args) => kwik_bench::rig::run(&args),
        Command::BrowserServe(args) => browser::serve(&args).await,
        Command::QuinnServe(args) => rival::serve(&args).await,
        Command::QuinnGet(args) => rival::get(&args).await,
        #[cfg(target_os = "linux")]
        Command::Load(args) => load::run(&args).await,
        #[cfg(target_os = "linux")]
        Command::Table(args) => load::write_page(&args).await,
        #[cfg(target_os = "linux")]
        Command::LoadServe(args) => load::serve(&args),
        #[cfg(target_os = "linux")]
        Command::LoadDrive(args) => load::drive(&args),
    }
}

/// Ends, as a failure, when the user or the system asks us to stop.
async fn interrupted() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    bail!("interrupted")
}
