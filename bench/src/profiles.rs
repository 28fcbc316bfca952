//! KWIK on ten pairs of links: is using both worth it, and is it ever worse than the better one alone?

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kwik_netem::link::{Namespace, PathSpec, Topology};
use kwik_netem::{LinkSpec, PROFILES, Profile, Rate};
use serde::Deserialize;

use crate::data::{ByteSize, Sample, scratch_dir};
use crate::kwik::{self, Kwik, Report, ServerUrl};
use crate::process::{Client, Finished, Server, median};

/// The port of every server, in its own namespace.
const PORT: u16 = 4433;
/// What both paths together carry in this time is the default size.
const DEFAULT_SECONDS: f64 = 9.0;
/// The invariant: both paths reach at least this much of the better one alone.
const LEAST_OF_BEST: f64 = 0.97;

/// Measures goodput over path A, path B and both, on links with delay, rate, jitter and loss.
///
/// Needs root. Fails if both together are ever slower than 0.97 x the better path alone. The lesser path
/// alone carries a file that is smaller in proportion to its rate: it only enters the sum.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    kwik: Kwik,
    /// Only this profile (may be repeated).
    #[arg(long, value_name = "NAME", value_parser = find_profile)]
    profile: Vec<&'static Profile>,
    /// Of the file; by default what both paths together carry in about 9 s.
    #[arg(long)]
    size: Option<ByteSize>,
    /// Transfers of each kind; the medians count.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Send from the client to the server.
    #[arg(long)]
    upload: bool,
    /// Given to the client.
    #[arg(long, conflicts_with = "upload")]
    scheduler: Option<String>,
    /// A single transfer may take so long.
    #[arg(long, value_parser = kwik_netem::parse_delay, default_value = "300s")]
    limit: Duration,
    /// Measure plain quinn over path A and path B, and nothing else.
    #[arg(long, conflicts_with_all = ["upload", "scheduler"])]
    only_quinn: bool,
}

fn find_profile(name: &str) -> Result<&'static Profile> {
    Profile::named(name).with_context(|| {
        let names: Vec<_> = PROFILES.iter().map(|profile| profile.name).collect();
        format!("no such profile; there are {}", names.join(", "))
    })
}

/// Goodput of one profile in Mbit/s.
#[derive(Debug, Clone, Copy)]
struct Row {
    alone: [f64; 2],
    both: f64,
}

impl Row {
    fn of_sum(&self) -> f64 {
        self.both / (self.alone[0] + self.alone[1])
    }

    fn of_best(&self) -> f64 {
        self.both / self.alone[0].max(self.alone[1])
    }
}

/// Runs `profiles`.
pub async fn run(args: &Args) -> Result<()> {
    let chosen: Vec<_> =
        if args.profile.is_empty() { PROFILES.iter().collect() } else { args.profile.clone() };
    let mut broken = Vec::new();
    println!(
        "| profile | A Mbit/s | B Mbit/s | both | both / sum | both / best |\n|---|---|---|---|---|---|"
    );
    for profile in chosen {
        let bench = Bench::new(args, profile)?;
        let mut alone = [0.0; 2];
        for (k, goodput) in (0..).zip(&mut alone) {
            *goodput = bench.goodput(&[k]).await?;
        }
        if args.only_quinn {
            println!("| {} | {:.1} | {:.1} | | | |", profile.name, alone[0], alone[1]);
            continue;
        }
        let row = Row { alone, both: bench.goodput(&[0, 1]).await? };
        println!(
            "| {} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} |",
            profile.name,
            alone[0],
            alone[1],
            row.both,
            row.of_sum(),
            row.of_best()
        );
        if row.of_best() < LEAST_OF_BEST {
            broken.push(profile.name);
        }
    }
    if !broken.is_empty() {
        bail!("both paths are slower than {LEAST_OF_BEST} x the better one alone on: {}", broken.join(", "));
    }
    Ok(())
}

/// What a loss-based congestion controller can reach on a link, roughly: its rate, or with random loss the
/// square-root law of Mathis et al. (1997). Only sizes are chosen by it.
fn expected_bits_per_second(spec: &LinkSpec) -> f64 {
    let rate = spec.rate.map_or(1e9, |rate| Rate::as_bits_per_second(rate) as f64);
    let loss = spec.loss.probability();
    if loss == 0.0 {
        return rate;
    }
    let packet_bits = 1400.0 * 8.0;
    let rtt = 2.0 * spec.delay.as_secs_f64();
    rate.min(1.22 * packet_bits / (rtt * loss.sqrt()))
}

/// One profile, ready to be measured.
struct Bench<'a> {
    args: &'a Args,
    profile: &'a Profile,
    program: PathBuf,
    /// The bytes for path A alone, path B alone, and both.
    sizes: [u64; 3],
}

impl<'a> Bench<'a> {
    fn new(args: &'a Args, profile: &'a Profile) -> Result<Self> {
        let program = if args.only_quinn { std::env::current_exe()? } else { args.kwik.program()? };
        let [a, b] = profile.paths.each_ref().map(expected_bits_per_second);
        let both = match args.size {
            Some(size) => size.0,
            None => ((a + b) / 8.0 * DEFAULT_SECONDS) as u64,
        };
        let in_proportion = |rate: f64| (both as f64 * rate / a.max(b)) as u64;
        Ok(Self { args, profile, program, sizes: [in_proportion(a), in_proportion(b), both] })
    }

    /// The median goodput in Mbit/s over the given paths.
    async fn goodput(&self, paths: &[u8]) -> Result<f64> {
        let size = match paths {
            [k] => self.sizes[usize::from(*k)],
            _ => self.sizes[2],
        };
        let mut figures = Vec::new();
        for round in 0..self.args.rounds.max(1) {
            let figure = self.transfer(paths, size, round as u64).await;
            figures.push(figure.with_context(|| format!("{} over paths {paths:?}", self.profile.name))?);
        }
        Ok(median(figures))
    }

    /// One transfer over fresh links.
    async fn transfer(&self, paths: &[u8], size: u64, round: u64) -> Result<f64> {
        let specs = self.profile.paths.map(|spec| PathSpec::symmetric(spec.seed(spec.seed + 16 * round)));
        let net = Topology::create(&specs)?;
        let (source, sink) = (scratch_dir()?, scratch_dir()?);
        let sample = Sample::create(source.path(), "sample", size)?;
        let listen: Vec<SocketAddr> = paths.iter().map(|&k| (net.server_addr(k), PORT).into()).collect();
        let transfer = Transfer { bench: self, net: &net, sample: &sample, listen };
        let (bytes, seconds) = if self.args.only_quinn {
            transfer.quinn().await?
        } else if self.args.upload {
            transfer.upload(sink.path()).await?
        } else {
            transfer.download(source.path()).await?
        };
        Ok(bytes as f64 * 8.0 / 1e6 / seconds)
    }
}

struct Transfer<'a> {
    bench: &'a Bench<'a>,
    net: &'a Topology,
    sample: &'a Sample,
    listen: Vec<SocketAddr>,
}

impl Transfer<'_> {
    async fn download(&self, dir: &Path) -> Result<(u64, f64)> {
        let server = self.start_kwik(dir, &[]).await?;
        let urls = server_urls(&server)?;
        let client = self.program_in(self.net.client());
        let mut get = kwik::get(client, &urls, &self.sample.name(), Path::new("/dev/null"));
        if let Some(scheduler) = &self.bench.args.scheduler {
            get.args(["--scheduler", scheduler]);
        }
        self.judge(&self.run(get).await?)
    }

    async fn upload(&self, dir: &Path) -> Result<(u64, f64)> {
        let server = self.start_kwik(dir, &["--writable"]).await?;
        let urls = server_urls(&server)?;
        let client = self.program_in(self.net.client());
        let put = kwik::put(client, &urls, &self.sample.path, "uploaded");
        self.judge(&self.run(put).await?)
    }

    async fn quinn(&self) -> Result<(u64, f64)> {
        /// The part of what `quinn-get` prints that counts here.
        #[derive(Deserialize)]
        struct Got {
            bytes: u64,
            seconds: f64,
        }
        let mut serve = self.program_in(self.net.server());
        serve.arg("quinn-serve").arg("--file").arg(&self.sample.path);
        for addr in &self.listen {
            serve.args(["--listen", &addr.to_string()]);
        }
        let server = Server::start(serve, 1).await?;
        let mut get = self.program_in(self.net.client());
        get.arg("quinn-get").args(&server.urls);
        let got: Got = serde_json::from_str(&self.run(get).await?.stdout)?;
        Ok((got.bytes, got.seconds))
    }

    async fn start_kwik(&self, dir: &Path, more: &[&str]) -> Result<Server> {
        let mut serve = kwik::serve(self.program_in(self.net.server()), dir, self.listen.iter().copied());
        serve.args(more);
        Server::start(serve, self.listen.len()).await
    }

    async fn run(&self, client: Command) -> Result<Finished> {
        Client::start(client)?.finish(self.bench.args.limit).await
    }

    fn program_in(&self, namespace: &Namespace) -> Command {
        namespace.command(&self.bench.program)
    }

    /// The bytes and seconds of a transfer that went well.
    fn judge(&self, finished: &Finished) -> Result<(u64, f64)> {
        let report = Report::parse(finished)?;
        ensure!(report.sha256 == self.sample.sha256, "other bytes arrived than were sent");
        Ok((report.bytes, report.seconds))
    }
}

fn server_urls(server: &Server) -> Result<Vec<ServerUrl>> {
    server.urls.iter().map(|url| ServerUrl::parse(url)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_compares_both_paths_with_their_sum_and_with_the_better_one() {
        let row = Row { alone: [40.0, 10.0], both: 45.0 };
        assert_eq!((row.of_sum(), row.of_best()), (0.9, 1.125));
    }

    #[test]
    fn what_a_link_can_carry_is_its_rate_unless_loss_says_less() {
        let clean = LinkSpec::new().rate(Rate::mbit(50)).delay_ms(20);
        assert_eq!(expected_bits_per_second(&clean), 50e6);
        let lossy = expected_bits_per_second(&clean.loss_permille(5));
        assert!((4.5e6..5.5e6).contains(&lossy), "{lossy}");
    }
}
