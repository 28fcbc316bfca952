//! The client, in a process of its own: one run of one case over one contender.
//!
//! It starts its server, opens all sessions, lets each do some work, and then measures for a while. CPU time is that of
//! this while only.

mod bulk;
mod connect;
mod echoes;
mod establish;
mod idle;
mod requests;
mod window;

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::case::Case;
use super::over_kwik::KwikDialer;
use super::over_quinn::QuinnDialer;
use super::report::{Mark, Report};
use super::serve::MARK;
use super::session::Dialer;
use super::usage::Usage;
use super::{Contender, parse_seconds, runtime};
use crate::process::Server;

/// Measures one case over one contender once, and prints the figures as JSON. It starts its own server.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Over what.
    contender: Contender,
    /// How long is measured.
    #[arg(long, value_parser = parse_seconds)]
    seconds: Duration,
    #[command(subcommand)]
    case: Case,
}

/// Runs `load-drive`. Does not return, unless it fails.
pub fn run(args: &Args) -> Result<()> {
    let report = runtime()?.block_on(measure(args))?;
    println!("{}", serde_json::to_string(&report)?);
    // Sessions may be there by the thousand: nobody waits until they are taken apart.
    std::process::exit(0)
}

async fn measure(args: &Args) -> Result<Report> {
    let mut serve = std::process::Command::new(std::env::current_exe()?);
    serve.arg("load-serve").arg(args.contender.word()).args(args.case.words());
    let addresses = match args.contender {
        Contender::Kwik => args.case.paths(),
        Contender::Quinn => 1,
    };
    let mut server = Server::start(serve, addresses).await?;
    let urls = server.urls.clone();
    let report = match args.contender {
        Contender::Kwik => drive(&KwikDialer::new(&urls), &mut server, args).await,
        Contender::Quinn => drive(&QuinnDialer::new(&args.case, &urls)?, &mut server, args).await,
    };
    server.stop().await?;
    report
}

async fn drive(dialer: &impl Dialer, server: &mut Server, args: &Args) -> Result<Report> {
    match args.case {
        Case::Many { sessions } => echoes::drive(dialer, server, sessions as usize, args.seconds).await,
        Case::Echo => echoes::drive(dialer, server, 1, args.seconds).await,
        Case::Streams { outstanding } => {
            requests::drive(dialer, server, outstanding as usize, args.seconds).await
        }
        Case::Connect => connect::drive(dialer, server, args.seconds).await,
        Case::Idle { sessions } => idle::drive(dialer, server, sessions as usize, args.seconds).await,
        Case::Bulk(bulk) => bulk::drive(dialer, server, bulk).await,
    }
}

/// What both processes have used so far. The server comes first, at the beginning and at the end, so that both accounts
/// span the same time.
async fn mark(server: &mut Server) -> Result<Mark> {
    let answer = server.ask(MARK).await?;
    let server = serde_json::from_str(&answer).with_context(|| format!("the server answered `{answer}`"))?;
    Ok(Mark { client: Usage::own()?, server })
}
