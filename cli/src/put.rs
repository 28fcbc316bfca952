//! `kwik put`: a file to a server.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use kwik::{SendStream, Session, WriteError};
use sha2::{Digest as _, Sha256};

use crate::blocks::Blocks;
use crate::connection::{Connection, Target};
use crate::digest::Digest;
use crate::display::Screen;
use crate::error::Error;
use crate::get::Sums;
use crate::messages::{Incoming, send_line, send_request};
use crate::path_totals::Direction;
use crate::protocol::{GAVE_UP, ProtocolError, Reply, Request, Trailer};
use crate::transfer::{Report, Subject, Transfer};

/// Stores a file on a server that was started with --writable.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to send.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Print one JSON object with the figures at the end.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> Result<(), Error> {
    let name = remote_name(args.target.address()?.name, &args.file)
        .ok_or_else(|| Error::NoName { url: args.target.url().to_owned() })?;
    let path = args.file.clone();
    let opened = tokio::task::spawn_blocking(move || open(&path)).await.map_err(|_| Error::Panicked)?;
    let (file, size) = opened.map_err(Error::file("read", &args.file))?;
    let connection = Connection::open(&args.target).await?;
    let session = connection.session.clone();
    let screen = Screen::new();
    let work = async {
        let stored = store(&session, &screen, &name, file, size).await;
        stored.map_err(|error| error.of_file("read", &args.file))
    };
    let report = connection.run(work, |error| screen.warn(error)).await;
    let report = report.map_err(|error| error.with_way_on(None))?;
    screen.say(if args.json { report.json() } else { report.line(&name) });
    Ok(())
}

/// The name that the URL has; if it has none or that of a directory, the file's own.
fn remote_name(in_url: Option<String>, file: &Path) -> Option<String> {
    match in_url {
        Some(name) if !name.ends_with('/') => Some(name),
        directory => Some(directory.unwrap_or_default() + file.file_name()?.to_str()?),
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok((file, metadata.len()))
}

async fn store(
    session: &Session,
    screen: &Screen,
    name: &str,
    file: File,
    size: u64,
) -> Result<Report, Error> {
    let since = Instant::now();
    let (mut send, recv) = session.open_bi().await?;
    let mut incoming = Incoming::new(recv);
    send_request(&mut send, &Request::Put { name: name.to_owned(), size }).await?;
    let Reply::Ready {} = incoming.reply().await? else {
        return Err(ProtocolError::Unexpected("something else than a go-ahead is sent").into());
    };
    let subject = Subject { name, direction: Direction::Sending, total_bytes: size, done_bytes: 0, since };
    let transfer = Transfer::start(session, screen, subject);
    let own = match send_file(&mut send, file, size, &transfer).await {
        // The server says why it wants no more.
        Err(Error::Write(WriteError::Stopped { .. })) => return Err(refusal(incoming.reply().await)),
        sent => sent?,
    };
    let Reply::Stored { sha256 } = incoming.reply().await? else {
        return Err(ProtocolError::Unexpected("something else than a receipt is sent").into());
    };
    Sums { arrived: sha256, stated: own }.check(name)?;
    Ok(transfer.report(own))
}

fn refusal(reply: Result<Reply, Error>) -> Error {
    match reply {
        Err(error) => error,
        Ok(_) => ProtocolError::Unexpected("the server stops reading and does not say why").into(),
    }
}

async fn send_file(
    send: &mut SendStream,
    file: File,
    size: u64,
    transfer: &Transfer,
) -> Result<Digest, Error> {
    let mut blocks = Blocks::read(file, size, Sha256::new());
    while let Some(block) = blocks.next().await {
        let (bytes, asked) = (block.len() as u64, Instant::now());
        send.write_chunk(block).await?;
        transfer.progressed(bytes, asked.elapsed());
    }
    let sha256 = match blocks.digest().await {
        Ok(sha256) => sha256,
        Err(error) => {
            // A stream that is over already needs no reset.
            let _ = send.reset(GAVE_UP);
            return Err(error.into());
        }
    };
    send_line(send, &Trailer::Sent { sha256 }).await?;
    send.finish()?;
    Ok(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_name_gets_that_of_the_file() {
        let name = |in_url: Option<&str>| remote_name(in_url.map(str::to_owned), Path::new("/tmp/file.txt"));
        assert_eq!(name(None).unwrap(), "file.txt");
        assert_eq!(name(Some("deep/")).unwrap(), "deep/file.txt");
        assert_eq!(name(Some("deep/other")).unwrap(), "deep/other");
        assert_eq!(remote_name(None, Path::new("..")), None);
    }
}
