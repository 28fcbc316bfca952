//! `kwik demo`: a path is cut in the midst of a transfer, and nothing happens to the transfer.
//!
//! ```text
//!            ┌── line 0: 150 Mbit/s, 10 ms ──┐
//! client  ───┤                               ├─── server        all in this process, over real sockets
//!            └── line 1: 150 Mbit/s, 10 ms ──┘
//!                 silent from a third of the way to two thirds
//! ```

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use kwik::{Address, Config, Identity, ServerConfig, Session};
use sha2::{Digest as _, Sha256};

use crate::demo_web;
use crate::display::Screen;
use crate::error::Error;
use crate::get::{Answer, Sums};
use crate::line::{DELAY_MS, Line, RATE_MBIT};
use crate::noise_files::{NoiseFile, NoiseFiles};
use crate::path_totals::Direction;
use crate::protocol::Request;
use crate::serve::Sessions;
use crate::signals::Signals;
use crate::transfer::{Report, Subject, Transfer};

const MIB: u64 = 1 << 20;

/// Shows a transfer over two lines of which one goes dead: no arguments needed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How much is transferred, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256, hide = true)]
    size: u64,
    #[command(flatten)]
    web: demo_web::WebArgs,
}

pub(crate) async fn run(args: &Args) -> Result<(), Error> {
    if args.web.is_wanted() {
        return demo_web::run(&args.web).await;
    }
    let mut signals = Signals::new().map_err(Error::Start)?;
    tokio::select! {
        shown = show(args.size.saturating_mul(MIB)) => shown,
        () = signals.next() => Err(Error::Interrupted(String::new())),
    }
}

async fn show(size: u64) -> Result<(), Error> {
    let screen = Screen::new();
    let config = ServerConfig::new(Identity::ephemeral()?);
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = kwik::listen(&[any_port; 2][..], config).await?;
    let urls = listener.urls();
    let lines = urls.iter().map(|url| Line::to(&url.parse()?).map_err(Error::Start));
    let lines = lines.collect::<Result<Vec<_>, Error>>()?;
    let [line_0, line_1] = &lines[..] else {
        return Err(Error::Start(io::Error::other("the server does not listen on two addresses")));
    };
    screen.say(format_args!(
        "A server and a client, two lines of {RATE_MBIT} Mbit/s and {DELAY_MS} ms between them, {} to transfer.",
        indicatif::BinaryBytes(size)
    ));
    let file = NoiseFile { name: "noise", bytes: size };
    let mut sessions = Sessions::new(NoiseFiles(vec![file]));
    let client = async {
        let session = connect(line_0.url(), line_1.url()).await?;
        transfer(&session, &screen, line_1, file).await
    };
    let (report, sums) = tokio::select! {
        transferred = client => transferred?,
        () = sessions.serve(&listener) => {
            return Err(Error::Start(io::Error::other("the server has stopped")));
        }
    };
    verdict(&screen, &report, &sums);
    sums.check("the file")
}

async fn connect(first: &Address, second: &Address) -> Result<Session, Error> {
    let url = first.to_string();
    let dialled = kwik::dial(&url, Config::default()).await;
    let session = dialled.map_err(|source| Error::Dial { url, source: Box::new(source) })?;
    let added = session.add_path(second).await;
    added.map_err(|source| Error::AddPath { url: second.to_string(), source })?;
    Ok(session)
}

async fn transfer(
    session: &Session,
    screen: &Screen,
    line_1: &Line,
    file: NoiseFile,
) -> Result<(Report, Sums), Error> {
    let since = Instant::now();
    let NoiseFile { name, bytes: size } = file;
    let request = Request::Get { name: name.to_owned(), offset: 0, prefix_sha256: None };
    let mut answer = Answer::to(session, &request).await?;
    let subject = Subject { name, direction: Direction::Receiving, total_bytes: size, done_bytes: 0, since };
    let transfer = Transfer::start(session, screen, subject);
    let (third, two_thirds) = (transfer.reaches(size / 3), transfer.reaches(size / 3 * 2));
    let cut = async {
        third.await;
        line_1.cut();
        screen.say(format_args!(
            "{:5.1} s  line 1 is cut: not a packet passes, and nobody is told",
            since.elapsed().as_secs_f64()
        ));
        two_thirds.await;
        line_1.restore();
        screen.say(format_args!("{:5.1} s  line 1 is whole again", since.elapsed().as_secs_f64()));
        std::future::pending().await
    };
    let sums = tokio::select! {
        sums = answer.receive(io::sink(), Sha256::new(), &transfer) => sums?,
        never = cut => never,
    };
    Ok((transfer.report(sums.stated), sums))
}

fn verdict(screen: &Screen, report: &Report, sums: &Sums) {
    for path in &report.paths {
        screen.say(format_args!(
            "path {} ({}) carried {}; {} at the end",
            path.id,
            path.remote.as_deref().unwrap_or("gone"),
            indicatif::BinaryBytes(path.bytes),
            path.state
        ));
    }
    screen.say(format_args!("sent      SHA-256 {}", sums.stated));
    screen.say(format_args!("received  SHA-256 {}", sums.arrived));
    screen.say(format_args!(
        "{}: {} in {:.1} s; path failures: {}; longest time without a byte: {:.0} ms",
        if sums.arrived == sums.stated { "EQUAL" } else { "DIFFERENT" },
        indicatif::BinaryBytes(report.bytes),
        report.seconds,
        report.path_failures,
        report.longest_stall_ms
    ));
}
