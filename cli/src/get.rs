//! `kwik get`: a file from a server.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use kwik::Session;
use sha2::Sha256;

use crate::blocks::{BlockWriter, receive};
use crate::connection::{Connection, Target};
use crate::destination::Destination;
use crate::digest::Digest;
use crate::display::Screen;
use crate::error::Error;
use crate::messages::{Incoming, send_request};
use crate::path_totals::{Direction, PathReport};
use crate::protocol::{Carried, ProtocolError, Reply, Request};
use crate::transfer::{Report, Subject, Transfer};

/// Gets a file. An interrupted download leaves FILE.part and goes on from there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Where it goes; by default its own name, here.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print one JSON object with the figures at the end.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> Result<(), Error> {
    let address = args.target.address()?;
    let name = address.name.ok_or_else(|| Error::NoName { url: args.target.url().to_owned() })?;
    let destination = Destination::new(args.output.as_deref(), &name);
    let connection = Connection::open(&args.target).await?;
    let session = connection.session.clone();
    let screen = Screen::new();
    let work = async {
        let mut report = fetch(&session, &screen, &name, &destination).await?;
        // The file is there: a server that says no more, because it drains, does not change that.
        if args.json
            && let Ok(carried) = ask_for_copies(&session).await
        {
            add_copies(&mut report.paths, &carried);
        }
        Ok(report)
    };
    let report = connection.run(work, |error| screen.warn(error)).await.map_err(|error| match error {
        Error::Interrupted(_) => Error::Interrupted(
            destination
                .left_over()
                .map_or(String::new(), |part| format!("; the same command goes on with {}", part.display())),
        ),
        other => other.with_way_on(destination.left_over()),
    })?;
    let line = if args.json { report.json() } else { report.line(&destination.path().display().to_string()) };
    screen.say(line);
    Ok(())
}

/// Gets a file into its destination.
async fn fetch(session: &Session, screen: &Screen, name: &str, to: &Destination) -> Result<Report, Error> {
    let part = blocking(to, Destination::look_for_part).await?;
    let since = Instant::now();
    let continued = part.bytes > 0;
    let request = Request::Get {
        name: name.to_owned(),
        offset: part.bytes,
        prefix_sha256: continued.then(|| part.digest()),
    };
    let mut answer = Answer::to(session, &request).await?;
    if ![0, part.bytes].contains(&answer.offset) {
        return Err(ProtocolError::Unexpected("the file begins where it was not asked for").into());
    }
    let offset = answer.offset;
    let (file, hasher) = blocking(to, move |to| to.open(part, offset)).await?;
    let subject = Subject {
        name,
        direction: Direction::Receiving,
        total_bytes: answer.size,
        done_bytes: offset,
        since,
    };
    let transfer = Transfer::start(session, screen, subject);
    let sums =
        answer.receive(file, hasher, &transfer).await.map_err(|error| error.of_file("write", to.path()))?;
    if let Err(mismatch) = sums.check(name) {
        blocking(to, Destination::discard).await?;
        return Err(mismatch);
    }
    blocking(to, Destination::keep).await?;
    Ok(transfer.report(sums.stated))
}

/// Does what blocks where it may.
async fn blocking<T: Send + 'static>(
    destination: &Destination,
    work: impl FnOnce(&Destination) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let destination = destination.clone();
    tokio::task::spawn_blocking(move || work(&destination)).await.map_err(|_| Error::Panicked)?
}

/// A file that a server has begun to send.
#[derive(Debug)]
pub(crate) struct Answer {
    incoming: Incoming,
    pub(crate) size: u64,
    pub(crate) offset: u64,
}

/// What the server says the file is, and what it is that has arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) arrived: Digest,
    pub(crate) stated: Digest,
}

impl Answer {
    /// Asks for a file.
    pub(crate) async fn to(session: &Session, request: &Request) -> Result<Self, Error> {
        let (mut send, recv) = session.open_bi().await?;
        send_request(&mut send, request).await?;
        send.finish()?;
        let mut incoming = Incoming::new(recv);
        match incoming.reply().await? {
            Reply::Sending { size, offset } if offset <= size => Ok(Self { incoming, size, offset }),
            _ => Err(ProtocolError::Unexpected("something else than a file is sent").into()),
        }
    }

    /// Takes the bytes in, up to the last, and what is stated about them.
    pub(crate) async fn receive<W: Write + Send + 'static>(
        &mut self,
        target: W,
        hasher: Sha256,
        transfer: &Transfer,
    ) -> Result<Sums, Error> {
        let mut writer = BlockWriter::new(target, hasher);
        let bytes = self.size - self.offset;
        receive(&mut self.incoming, bytes, &mut writer, |bytes, waited| transfer.progressed(bytes, waited))
            .await?;
        let (_, arrived) = writer.finish().await?;
        let stated = self.incoming.trailer().await?;
        Ok(Sums { arrived, stated })
    }
}

impl Sums {
    /// Whether what arrived is what was sent.
    pub(crate) fn check(&self, name: &str) -> Result<(), Error> {
        let Self { arrived, stated } = *self;
        if arrived == stated {
            Ok(())
        } else {
            Err(Error::Mismatch { name: name.to_owned(), arrived, stated })
        }
    }
}

/// Only the sender knows which of its bytes were copies.
pub(crate) async fn ask_for_copies(session: &Session) -> Result<Vec<Carried>, Error> {
    let (mut send, recv) = session.open_bi().await?;
    send_request(&mut send, &Request::Paths {}).await?;
    send.finish()?;
    match Incoming::new(recv).reply().await? {
        Reply::Paths { carried } => Ok(carried),
        _ => Err(ProtocolError::Unexpected("something else than figures of paths is sent").into()),
    }
}

fn add_copies(paths: &mut [PathReport], carried: &[Carried]) {
    for path in paths {
        if let Some(carried) = carried.iter().find(|carried| carried.path == path.id) {
            path.reinjected_bytes = carried.reinjected_bytes;
        }
    }
}
