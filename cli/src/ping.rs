//! `kwik ping`: round trips on every path, in three ways.

use std::time::{Duration, Instant};

use kwik::{PathId, PathPolicy, Session};
use serde::Serialize;

use crate::connection::{Connection, Target};
use crate::duration::in_ms;
use crate::error::Error;
use crate::messages::{Incoming, send_request};
use crate::output::print_line;
use crate::path_totals::remote;
use crate::protocol::{ProtocolError, Request, echo_datagram};

/// What goes to and fro on a stream.
const MESSAGE: [u8; 100] = [0x2a; 100];

/// A round trip that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(3);

/// Measures round trips on each path: of the session's own ping, on a stream, and by datagram.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Round trips of each kind on each path.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    paths: Vec<PathReport>,
}

#[derive(Debug, Serialize)]
struct PathReport {
    id: u64,
    remote: Option<String>,
    ping: Summary,
    stream: Summary,
    datagram: Summary,
}

/// Round trips of one kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
struct Summary {
    sent: usize,
    answered: usize,
    min_ms: f64,
    median_ms: f64,
    max_ms: f64,
}

pub(crate) async fn run(args: &Args) -> Result<(), Error> {
    let mut connection = Connection::open(&args.target).await?;
    connection.all_paths().await?;
    let session = connection.session.clone();
    let work = measure(&session, args.count);
    let report = connection.run(work, |_| {}).await?;
    if args.json {
        // Numbers and texts: there is nothing that cannot be written.
        print_line(serde_json::to_string(&report).unwrap_or_default());
    } else {
        report.paths.iter().for_each(PathReport::print);
    }
    match report.paths.iter().map(PathReport::unanswered).sum() {
        0 => Ok(()),
        unanswered => Err(Error::Unanswered(unanswered)),
    }
}

async fn measure(session: &Session, count: u32) -> Result<Report, Error> {
    let mut paths = Vec::new();
    for path in session.paths() {
        paths.push(PathReport {
            id: path.id.0,
            remote: remote(&path),
            ping: pings(session, path.id, count).await?,
            stream: stream(session, path.id, count).await?,
            datagram: datagrams(session, path.id, count).await?,
        });
    }
    Ok(Report { paths })
}

async fn pings(session: &Session, path: PathId, count: u32) -> Result<Summary, Error> {
    let mut trips = Vec::new();
    for _ in 0..count {
        trips.push(match tokio::time::timeout(PATIENCE, session.ping(path)).await {
            Ok(trip) => Some(trip?),
            Err(_) => None,
        });
    }
    Ok(Summary::of(&trips))
}

async fn stream(session: &Session, path: PathId, count: u32) -> Result<Summary, Error> {
    let (mut send, recv) = session.open_bi().await?;
    send.set_policy(PathPolicy::Pin(path));
    let mut incoming = Incoming::new(recv);
    send_request(&mut send, &Request::Echo { path: path.0 }).await?;
    let mut trips = Vec::new();
    for _ in 0..count {
        let asked = Instant::now();
        let trip = async {
            send.write_all(&MESSAGE).await?;
            let mut left = MESSAGE.len();
            while left > 0 {
                left -= incoming.chunk(left).await?.ok_or(ProtocolError::EndsEarly)?.len();
            }
            Ok::<_, Error>(asked.elapsed())
        };
        match tokio::time::timeout(PATIENCE, trip).await {
            Ok(trip) => trips.push(Some(trip?)),
            Err(_) => {
                // The bytes are still on their way: no further trip on this stream would mean anything.
                trips.resize(count as usize, None);
                break;
            }
        }
    }
    Ok(Summary::of(&trips))
}

async fn datagrams(session: &Session, path: PathId, count: u32) -> Result<Summary, Error> {
    let mut trips = Vec::new();
    for token in 0..u64::from(count) {
        let message = echo_datagram(path, token);
        let asked = Instant::now();
        session.send_datagram_with(message.clone(), PathPolicy::Pin(path))?;
        let trip = async {
            // Late answers to earlier ones are passed over.
            while session.recv_datagram().await? != message {}
            Ok::<_, Error>(asked.elapsed())
        };
        trips.push(match tokio::time::timeout(PATIENCE, trip).await {
            Ok(trip) => Some(trip?),
            Err(_) => None,
        });
    }
    Ok(Summary::of(&trips))
}

impl Summary {
    fn of(trips: &[Option<Duration>]) -> Self {
        let mut answered: Vec<f64> = trips.iter().flatten().copied().map(in_ms).collect();
        answered.sort_by(f64::total_cmp);
        let at = |index: usize| answered.get(index).copied().unwrap_or_default();
        Self {
            sent: trips.len(),
            answered: answered.len(),
            min_ms: at(0),
            median_ms: at(answered.len() / 2),
            max_ms: at(answered.len().saturating_sub(1)),
        }
    }

    fn line(&self) -> String {
        let Self { sent, answered, min_ms, median_ms, max_ms } = self;
        format!("{min_ms:8.2} {median_ms:8.2} {max_ms:8.2} ms, {answered} of {sent} answered")
    }
}

impl PathReport {
    fn print(&self) {
        let Self { id, remote, ping, stream, datagram } = self;
        print_line(format_args!("path {id} {}", remote.as_deref().unwrap_or_default()));
        print_line(format_args!("              least   median     most"));
        print_line(format_args!("  ping     {}", ping.line()));
        print_line(format_args!("  stream   {}", stream.line()));
        print_line(format_args!("  datagram {}", datagram.line()));
    }

    fn unanswered(&self) -> usize {
        [self.ping, self.stream, self.datagram].iter().map(|summary| summary.sent - summary.answered).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_knows_what_was_not_answered() {
        let trips = [5, 1, 3].map(|ms| Some(Duration::from_millis(ms)));
        let summary = Summary::of(&[&trips[..], &[None]].concat());
        let expected = Summary { sent: 4, answered: 3, min_ms: 1.0, median_ms: 3.0, max_ms: 5.0 };
        assert_eq!(summary, expected);
        assert_eq!(Summary::of(&[None]), Summary { sent: 1, ..Summary::default() });
    }
}
