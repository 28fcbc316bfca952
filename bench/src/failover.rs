//! A transfer over two paths, and what becomes of it when one falls silent, or both for a while.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kwik_netem::{Direction, Forwarder, ForwarderConfig, LinkSpec, Rate, parse_delay};

use crate::data::{ByteSize, Sample, scratch_dir, sha256_of};
use crate::kwik::{self, Kwik, Report, ServerUrl};
use crate::process::{Client, Server};

/// How often the progress is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Silences paths in the middle of a transfer and checks that nothing is lost.
///
/// Two forwarders stand between client and server. At half of the bytes the busier one falls silent for
/// good, or with --outage both for that time. The file has to arrive whole, and the client has to know
/// what happened.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    kwik: Kwik,
    /// Of the file.
    #[arg(long, default_value = "1GiB")]
    size: ByteSize,
    /// One way, on each path.
    #[arg(long, value_parser = parse_delay, default_value = "10ms")]
    delay: Duration,
    /// Of each path; unlimited by default.
    #[arg(long)]
    rate: Option<Rate>,
    /// Silence both paths for so long, instead of one for good.
    #[arg(long, value_parser = parse_delay)]
    outage: Option<Duration>,
    /// The whole transfer may take so long.
    #[arg(long, value_parser = parse_delay, default_value = "300s")]
    limit: Duration,
}

/// Runs `failover`.
pub async fn run(args: &Args) -> Result<()> {
    let kwik = args.kwik.program()?;
    let (served, received) = (scratch_dir()?, scratch_dir()?);
    let sample = Sample::create(served.path(), "sample", args.size.0)?;
    let output = received.path().join("sample");

    let listen = free_addresses()?;
    let forwarders = [start_forwarder(args, listen[0])?, start_forwarder(args, listen[1])?];
    let mut serve = kwik::serve(Command::new(&kwik), served.path(), listen);
    // Whatever addresses the server tells its clients lead through the forwarders too.
    for forwarder in &forwarders {
        serve.args(["--advertise", &forwarder.local_addr().to_string()]);
    }
    let server = Server::start(serve, 2).await?;
    let url = ServerUrl::parse(server.urls.first().context("the server names no address")?)?;
    let urls = forwarders.each_ref().map(|forwarder| url.at(forwarder.local_addr()));

    let get = kwik::get(Command::new(&kwik), &urls, &sample.name(), &output);
    let client = Client::start(get)?.finish(args.limit);
    tokio::pin!(client);
    tokio::select! {
        finished = &mut client => bail!("the transfer ended before anything was silenced: {finished:?}"),
        result = break_midway(&forwarders, args) => result?,
    }
    let report = Report::parse(&client.await?)?;
    check(args, &report, &sample, &output)
}

/// Two addresses that are free now. The server gets them right away; the forwarders need to know them
/// before it runs, and it has to know the forwarders.
fn free_addresses() -> Result<[SocketAddr; 2]> {
    let sockets = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    Ok([sockets[0].local_addr()?, sockets[1].local_addr()?])
}

fn start_forwarder(args: &Args, target: SocketAddr) -> Result<Forwarder> {
    let spec = LinkSpec { delay: args.delay, rate: args.rate, ..LinkSpec::new() };
    Forwarder::start(ForwarderConfig::to(target).both_ways(spec)).context("a forwarder could not be started")
}

/// Waits for half of the bytes, then does the damage (and repairs it, if it is an outage).
async fn break_midway(forwarders: &[Forwarder; 2], args: &Args) -> Result<()> {
    let bytes = || forwarders.each_ref().map(|forwarder| forwarder.counters(Direction::Down).bytes);
    while bytes().iter().sum::<u64>() < args.size.0 / 2 {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    let [first, second] = bytes();
    println!("at half of the file: path 0 has carried {first} bytes, path 1 {second} bytes");
    ensure!(first > 0 && second > 0, "only one path was used, so that this would prove nothing");
    match args.outage {
        None => {
            let busier = usize::from(second > first);
            forwarders[busier].silence();
            println!("path {busier} is silent from now on");
        }
        Some(outage) => {
            forwarders.iter().for_each(Forwarder::silence);
            println!("both paths are silent for {outage:?}");
            tokio::time::sleep(outage).await;
            forwarders.iter().for_each(Forwarder::restore);
        }
    }
    Ok(())
}

fn check(args: &Args, report: &Report, sample: &Sample, output: &Path) -> Result<()> {
    println!(
        "{:.1} MB/s, {} path failures, {} resumes, longest stall {} ms, {} bytes reinjected",
        report.bytes as f64 / 1e6 / report.seconds,
        report.path_failures,
        report.resumes,
        report.longest_stall_ms,
        report.paths.iter().map(|path| path.reinjected_bytes).sum::<u64>()
    );
    ensure!(report.sha256 == sample.sha256, "the client reports another SHA-256 than the file's");
    ensure!(sha256_of(output)? == sample.sha256, "the file that was written is not the one that was served");
    ensure!(report.path_failures >= 1, "a path fell silent and the client did not notice");
    if args.outage.is_some() {
        ensure!(report.resumes >= 1, "every path fell silent and the client reports no resumption");
    }
    println!("the file arrived whole");
    Ok(())
}
