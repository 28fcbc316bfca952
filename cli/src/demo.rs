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

use kwik::{Address, Config, Identity, Listener, ServerConfig, Session};
use kwik_netem::{Forwarder, ForwarderConfig, LinkSpec, Rate};
use sha2::{Digest as _, Sha256};

use crate::display::Screen;
use crate::error::Error;
use crate::get::{Answer, Sums};
use crate::ledger::Direction;
use crate::noise::Noise;
use crate::protocol::{Incoming, Request};
use crate::serve::send_file;
use crate::signals::Signals;
use crate::transfer::{Report, Subject, Transfer};

/// Each line's, in both directions.
const LINE: LinkSpec = LinkSpec::new().rate(Rate::mbit(150)).delay_ms(10);

const MIB: u64 = 1 << 20;

/// Shows a transfer over two lines of which one goes dead: no arguments needed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How much is transferred, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256, hide = true)]
    size: u64,
}

/// The two lines between client and server.
#[derive(Debug)]
struct Lines {
    forwarders: [Forwarder; 2],
    urls: [Address; 2],
}

pub(crate) async fn run(args: &Args) -> Result<(), Error> {
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
    let lines = Lines::between(&listener)?;
    screen.say(format_args!(
        "A server and a client, two lines of 150 Mbit/s and 10 ms between them, {} to transfer.",
        indicatif::BinaryBytes(size)
    ));
    let server = tokio::spawn(async move { serve(&listener, size).await });
    let session = connect(&lines).await?;
    let (report, sums) = transfer(&session, &screen, &lines, size).await?;
    server.abort();
    verdict(&screen, &report, &sums);
    sums.check("the file")
}

impl Lines {
    fn between(listener: &Listener) -> Result<Self, Error> {
        let servers = listener.urls().iter().map(|url| url.parse()).collect::<Result<Vec<Address>, _>>()?;
        let [first, second] = &servers[..] else {
            return Err(Error::Start(io::Error::other("the server does not listen on two addresses")));
        };
        let start = |server: &Address| {
            let target = SocketAddr::new(server.host.parse().map_err(io::Error::other)?, server.port);
            let forwarder = Forwarder::start(ForwarderConfig::to(target).both_ways(LINE))?;
            let mut url = server.clone();
            url.port = forwarder.local_addr().port();
            Ok::<_, io::Error>((forwarder, url))
        };
        let ((line_0, url_0), (line_1, url_1)) =
            (start(first).map_err(Error::Start)?, start(second).map_err(Error::Start)?);
        Ok(Self { forwarders: [line_0, line_1], urls: [url_0, url_1] })
    }

    fn line_1(&self) -> &Forwarder {
        &self.forwarders[1]
    }
}

/// Sends the same noise to whoever asks.
async fn serve(listener: &Listener, size: u64) -> Result<(), Error> {
    while let Some(session) = listener.accept().await {
        while let Ok((mut send, recv)) = session.accept_bi().await {
            Incoming::new(recv).request().await?;
            send_file(&mut send, Noise::new(size), size).await?;
        }
    }
    Ok(())
}

async fn connect(lines: &Lines) -> Result<Session, Error> {
    let [first, second] = lines.urls.each_ref().map(ToString::to_string);
    let dialled = kwik::dial(&first, Config::default()).await;
    let session = dialled.map_err(|source| Error::Dial { url: first, source: Box::new(source) })?;
    let added = session.add_path(&second).await;
    added.map_err(|source| Error::AddPath { url: second, source })?;
    Ok(session)
}

async fn transfer(
    session: &Session,
    screen: &Screen,
    lines: &Lines,
    size: u64,
) -> Result<(Report, Sums), Error> {
    let since = Instant::now();
    let request = Request::Get { name: "noise".to_owned(), offset: 0, prefix_sha256: None };
    let mut answer = Answer::to(session, &request).await?;
    let subject =
        Subject { name: "noise", direction: Direction::Receiving, total_bytes: size, done_bytes: 0, since };
    let transfer = Transfer::start(session, screen, subject);
    let (third, two_thirds) = (transfer.reaches(size / 3), transfer.reaches(size / 3 * 2));
    let cut = async {
        third.await;
        lines.line_1().silence();
        screen.say(format_args!(
            "{:5.1} s  line 1 is cut: not a packet passes, and nobody is told",
            since.elapsed().as_secs_f64()
        ));
        two_thirds.await;
        lines.line_1().restore();
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
