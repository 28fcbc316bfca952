//! The whole run: starts the processes, lets the networks fail, and judges.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::child::{Account, Child};
use crate::counts::DialTimes;
use crate::fault::{Fault, Targets};
use crate::judge::{FIGURES, violations};
use crate::load::QUIET_END;
use crate::network::Network;
use crate::plot;

/// Sessions that share two paths, and fail together.
const SESSIONS_PER_NETWORK: usize = 10;

/// What the whole run is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long the load lasts.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// What the faults are drawn from; by default the time.
    #[arg(long)]
    seed: Option<u64>,
    /// Sessions that live through the whole run. Six of them are busy.
    #[arg(long, default_value_t = 200)]
    sessions: usize,
    /// Where the picture goes.
    #[arg(long, default_value = "target/soak")]
    out: PathBuf,
}

pub(crate) async fn run(args: &Args) -> Result<()> {
    let seed =
        args.seed.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()));
    let seconds = (args.minutes * 60.0) as u64;
    ensure!(seconds >= 20, "20 s at least: --minutes 0.34");
    ensure!(args.sessions >= 7, "7 sessions at least: six are busy");
    println!("soak: {} sessions, {seconds} s, --seed {seed}", args.sessions);

    let mut server = Child::start(["serve"])?;
    let urls = server.urls().await?;
    let stop_server = server.take_stdin();
    let server = tokio::spawn(server.account());
    let servers = [address(&urls[0])?, address(&urls[1])?];
    let networks: Vec<_> = (0..args.sessions.div_ceil(SESSIONS_PER_NETWORK))
        .map(|_| Network::start(servers))
        .collect::<Result<_>>()?;

    let mut load = Child::start(load_arguments(args.sessions, seed, seconds, &urls, &networks)?)?;
    let _stdin = load.take_stdin();
    let mut load = tokio::spawn(load.account());
    let load = tokio::select! {
        faults = fail(seed, seconds, args.sessions, &networks, &urls[0]) => {
            faults?;
            (&mut load).await??
        }
        // Too early, and therefore an error.
        ended = &mut load => ended??,
    };
    drop(stop_server);
    let server = server.await??;
    conclude(args, seed, &server, &load)
}

/// Of `kwik://ADDRESS?pin=...`.
fn address(url: &str) -> Result<SocketAddr> {
    let address = url.strip_prefix("kwik://").and_then(|rest| rest.split('?').next());
    address.and_then(|address| address.parse().ok()).with_context(|| format!("no address is in {url}"))
}

fn load_arguments(
    sessions: usize,
    seed: u64,
    seconds: u64,
    urls: &[String],
    networks: &[Network],
) -> Result<Vec<String>> {
    let (seed, seconds, sessions) = (seed.to_string(), seconds.to_string(), sessions.to_string());
    let direct = urls.join(",");
    let words =
        ["load", "--seed", &seed, "--seconds", &seconds, "--sessions", &sessions, "--direct", &direct];
    let mut arguments: Vec<_> = words.map(str::to_owned).into();
    let pin = urls[0].split_once('?').context("the server's address has no pin")?.1;
    for network in networks {
        let urls = network.addresses().map(|address| format!("kwik://{address}?{pin}"));
        arguments.extend(["--network".to_owned(), urls.join(",")]);
    }
    Ok(arguments)
}

/// Every second's fault, as far as it is not the clients' own.
async fn fail(seed: u64, seconds: u64, sessions: usize, networks: &[Network], url: &str) -> Result<()> {
    let begin = Instant::now();
    let targets = Targets { sessions, networks: networks.len() };
    let mut doomed = Child::start(["doomed", url])?;
    let mut silences = JoinSet::new();
    for second in 1..seconds.saturating_sub(QUIET_END.as_secs()) {
        sleep_until(begin + Duration::from_secs(second)).await;
        let fault = Fault::at(seed, second, targets);
        println!("{second:5} s: {fault:?}");
        match fault {
            Fault::PathCut { network, path, lasting } => {
                silences.spawn(networks[network].clone().silence(Some(path), lasting));
            }
            Fault::Outage { network, lasting } => {
                silences.spawn(networks[network].clone().silence(None, lasting));
            }
            Fault::ProcessKilled => {
                let ran = doomed.kill().await?;
                ensure!(ran, "the process to be killed has ended by itself");
                doomed = Child::start(["doomed", url])?;
            }
            _ => {}
        }
    }
    silences.join_all().await;
    doomed.kill().await?;
    Ok(())
}

fn conclude(args: &Args, seed: u64, server: &Account, load: &Account) -> Result<()> {
    let processes = [("server", server), ("clients", load)];
    println!();
    for (name, account) in processes {
        let (megabytes, delay) = (account.end.checked_bytes / 1_000_000, account.longest_delay_seconds());
        println!("{name}: {megabytes} MB checked; the machine let it wait for up to {delay:.1} s");
        for (event, count) in &account.end.events {
            println!("    {count:>9} {event}");
        }
        if let Some(DialTimes { count, median_ms, p99_ms, max_ms }) = account.end.dial_times {
            println!(
                "    {count:>9} fresh dials: {median_ms} ms in the middle, p99 {p99_ms} ms, at most {max_ms} ms"
            );
        }
        let left = account.end.live_bytes as f64 / 1e6;
        println!("    live heap when all sessions are over: {left:.1} MB");
        for figure in &FIGURES {
            if let Some(trend) = figure.trend(account) {
                let tenths: Vec<_> =
                    figure.tenths(account).iter().map(|average| format!("{average:.0}")).collect();
                let tenths = tenths.join(" ");
                let (figure, unit) = (figure.name, figure.unit);
                println!(
                    "    {figure}: {:.1} {unit} on average, {:+.1} in all; {tenths}",
                    trend.mean, trend.rise
                );
            }
        }
    }
    std::fs::create_dir_all(&args.out)?;
    let picture = args.out.join(format!("soak-{seed}.svg"));
    plot::write(&picture, &format!("{} sessions, seed {seed}", args.sessions), &processes)?;
    println!("picture: {}", picture.display());

    let found: Vec<_> = processes.iter().flat_map(|(name, account)| violations(name, account)).collect();
    for violation in &found {
        println!("VIOLATION: {violation}");
    }
    let again = format!("--minutes {} --sessions {} --seed {seed}", args.minutes, args.sessions);
    ensure!(found.is_empty(), "{} violations; once more: cargo xtask soak {again}", found.len());
    println!("nothing lost, nothing wrong, nothing grows");
    Ok(())
}
