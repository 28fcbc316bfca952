//! The server, in a process of its own.

use std::io::BufRead as _;

use anyhow::Result;

use super::case::Case;
use super::usage::Usage;
use super::{Contender, over_kwik, over_quinn, runtime};

/// What a driver asks: the answer is a [`Usage`] as JSON.
pub(crate) const MARK: &str = "mark";

/// Answers what `load-drive` sends. Prints `listening URL` for each of its addresses, then obeys lines on standard
/// input, as long as there are any: `mark` makes it say what it has used so far.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Over what.
    contender: Contender,
    #[command(subcommand)]
    case: Case,
}

/// Runs `load-serve`. Does not return.
pub fn run(args: &Args) -> Result<()> {
    let runtime = runtime()?;
    let urls = runtime.block_on(async {
        match args.contender {
            Contender::Kwik => over_kwik::listen(&args.case).await,
            Contender::Quinn => over_quinn::listen(&args.case),
        }
    })?;
    for url in urls {
        println!("listening {url}");
    }
    // On this thread, which has nothing else to do: an answer waits for no session.
    for line in std::io::stdin().lock().lines() {
        match line?.trim() {
            MARK => println!("{}", serde_json::to_string(&Usage::own()?)?),
            other => eprintln!("load-serve: `{other}` is not {MARK}"),
        }
    }
    // Sessions may be there by the thousand: nobody waits until they are taken apart.
    std::process::exit(0)
}
