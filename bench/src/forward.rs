//! A forwarder for use by hand: silence a path while something else runs over it.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kwik_netem::{Direction, Forwarder, ForwarderConfig, LinkSpec, Loss, Rate, parse_delay};

/// Forwards UDP to TARGET, and obeys lines on standard input: silence, restore, count, quit.
///
/// Prints `forwarding ADDR` first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Who gets what clients send.
    #[arg(long)]
    target: SocketAddr,
    /// Where clients send to; by default a free port of the loopback interface.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// One way, for example 10ms.
    #[arg(long, value_parser = parse_delay, default_value = "0ms")]
    delay: Duration,
    /// The delay wavers by so much both ways, for example 2ms.
    #[arg(long, value_parser = parse_delay, default_value = "0ms")]
    jitter: Duration,
    /// Per direction, for example 50mbit.
    #[arg(long)]
    rate: Option<Rate>,
    /// Per direction, for example 0.5%.
    #[arg(long, default_value = "0%")]
    loss: Loss,
    /// Where the random numbers start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs `forward`.
pub fn run(args: &Args) -> Result<()> {
    let spec = LinkSpec {
        rate: args.rate,
        delay: args.delay,
        jitter: args.jitter,
        loss: args.loss,
        seed: args.seed,
        ..LinkSpec::new()
    };
    let mut config = ForwarderConfig::to(args.target).both_ways(spec);
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    let listen = config.listen;
    let forwarder = Forwarder::start(config).with_context(|| format!("cannot listen on {listen}"))?;
    println!("forwarding {}", forwarder.local_addr());
    for line in std::io::stdin().lock().lines() {
        match line?.trim() {
            "silence" => forwarder.silence(),
            "restore" => forwarder.restore(),
            "count" => {
                for direction in [Direction::Up, Direction::Down] {
                    println!("{direction:?} {:?}", forwarder.counters(direction));
                }
            }
            "quit" => break,
            other => eprintln!("`{other}` is none of: silence, restore, count, quit"),
        }
    }
    Ok(())
}
