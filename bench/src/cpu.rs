//! What a gigabyte costs over loopback: KWIK beside plain quinn, run by run in turn.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::data::{ByteSize, Sample, scratch_dir};
use crate::kwik::{self, Kwik, Report, ServerUrl};
use crate::process::{Client, Server, median};

/// No transfer over loopback takes longer.
const RUN_LIMIT: Duration = Duration::from_secs(300);

/// Compares throughput and CPU time with plain quinn over loopback.
///
/// Server and client are processes of their own. Both read the file from memory, hash it at both ends and
/// throw it away. Time is that from the start of the client to its end; CPU time is that of both processes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    kwik: Kwik,
    /// Bytes per transfer.
    #[arg(long, default_value = "1GiB")]
    size: ByteSize,
    /// Transfers of each; the medians count.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Let quinn send from memory and hash nothing, although KWIK reads a file and hashes it.
    #[arg(long)]
    bare: bool,
    /// Leave KWIK out.
    #[arg(long)]
    only_quinn: bool,
}

/// One transfer.
#[derive(Debug, Clone, Copy)]
struct Run {
    mb_per_second: f64,
    client_cpu_per_gb: f64,
    server_cpu_per_gb: f64,
}

impl Run {
    fn new(bytes: u64, seconds: f64, client_cpu: f64, server_cpu: f64) -> Self {
        let gb = bytes as f64 / 1e9;
        Self {
            mb_per_second: gb * 1e3 / seconds,
            client_cpu_per_gb: client_cpu / gb,
            server_cpu_per_gb: server_cpu / gb,
        }
    }

    fn cpu_per_gb(&self) -> f64 {
        self.client_cpu_per_gb + self.server_cpu_per_gb
    }

    fn print(&self, name: &str) {
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} | {:.2} |",
            self.mb_per_second,
            self.cpu_per_gb(),
            self.client_cpu_per_gb,
            self.server_cpu_per_gb
        );
    }

    fn median(runs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(runs.iter().map(figure));
        Self {
            mb_per_second: of(|run| run.mb_per_second),
            client_cpu_per_gb: of(|run| run.client_cpu_per_gb),
            server_cpu_per_gb: of(|run| run.server_cpu_per_gb),
        }
    }
}

/// Runs `cpu`.
pub async fn run(args: &Args) -> Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("kwik-bench: this is no release build, its figures mean nothing");
    }
    let kwik = if args.only_quinn { None } else { Some(args.kwik.program()?) };
    let dir = scratch_dir()?;
    let sample = Sample::create(dir.path(), "sample", args.size.0)?;
    let (mut quinn_runs, mut kwik_runs) = (Vec::new(), Vec::new());
    println!("| | MB/s | CPU-s/GB | client | server |\n|---|---|---|---|---|");
    for _ in 0..args.rounds.max(1) {
        let run = quinn_run(&sample, args.bare).await?;
        run.print("quinn");
        quinn_runs.push(run);
        if let Some(kwik) = &kwik {
            let run = kwik_run(kwik, dir.path(), &sample).await?;
            run.print("KWIK");
            kwik_runs.push(run);
        }
    }
    let quinn = Run::median(&quinn_runs);
    quinn.print("**quinn, median**");
    if !kwik_runs.is_empty() {
        let kwik = Run::median(&kwik_runs);
        kwik.print("**KWIK, median**");
        println!(
            "| **KWIK / quinn** | **{:.2}** | **{:.2}** | {:.2} | {:.2} |",
            kwik.mb_per_second / quinn.mb_per_second,
            kwik.cpu_per_gb() / quinn.cpu_per_gb(),
            kwik.client_cpu_per_gb / quinn.client_cpu_per_gb,
            kwik.server_cpu_per_gb / quinn.server_cpu_per_gb
        );
    }
    Ok(())
}

async fn quinn_run(sample: &Sample, bare: bool) -> Result<Run> {
    let ourselves = std::env::current_exe().context("this program's own path is unknown")?;
    let mut serve = Command::new(&ourselves);
    serve.arg("quinn-serve");
    if bare {
        serve.args(["--bytes", &sample.bytes.to_string()]);
    } else {
        serve.arg("--file").arg(&sample.path);
    }
    let server = Server::start(serve, 1).await?;
    let mut get = Command::new(&ourselves);
    get.arg("quinn-get").args(&server.urls);
    let client = Client::start(get)?.finish(RUN_LIMIT).await?;
    Ok(Run::new(sample.bytes, client.seconds, client.cpu_seconds, server.stop().await?))
}

async fn kwik_run(kwik: &PathBuf, dir: &Path, sample: &Sample) -> Result<Run> {
    let anywhere = "127.0.0.1:0".parse()?;
    let server = Server::start(kwik::serve(Command::new(kwik), dir, [anywhere]), 1).await?;
    let urls = server.urls.iter().map(|url| ServerUrl::parse(url)).collect::<Result<Vec<_>>>()?;
    let get = kwik::get(Command::new(kwik), &urls, &sample.name(), Path::new("/dev/null"));
    let client = Client::start(get)?.finish(RUN_LIMIT).await?;
    let report = Report::parse(&client)?;
    ensure!(report.sha256 == sample.sha256, "KWIK delivered other bytes than the file's");
    Ok(Run::new(sample.bytes, client.seconds, client.cpu_seconds, server.stop().await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_per_second_and_per_gigabyte() {
        let run = Run::new(500_000_000, 2.0, 1.0, 2.0);
        assert_eq!((run.mb_per_second, run.client_cpu_per_gb, run.cpu_per_gb()), (250.0, 2.0, 6.0));
    }
}
