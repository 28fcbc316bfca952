//! `kwik serve`: the files below a directory.

mod client;
mod request;
mod session;
mod sessions;
mod store;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kwik::{Identity, Listener, ServerConfig};

use crate::error::Error;
use crate::output::print_line;
use crate::root::Root;
use crate::signals::Signals;

pub(crate) use sessions::Sessions;
pub(crate) use store::{Source, Store, Upload};

use store::{Access, Directory};

/// Where a server listens when it is not told: all addresses of both families.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 4433);

/// Serves the files below a directory, and nothing else.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is served.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Where to listen, as IP:PORT; may be given several times.
    #[arg(long, value_name = "ADDR", default_values_t = [DEFAULT_LISTEN])]
    listen: Vec<SocketAddr>,
    /// A further HOST:PORT by which clients can reach this server, told to them; may be given several times.
    #[arg(long, value_name = "ADDR")]
    advertise: Vec<String>,
    /// Whose pages may connect, as browsers say it (SCHEME://HOST:PORT), or * for everybody's; may be given several
    /// times. By default those of this server's own host.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// The certificate chain, PEM; without it a certificate for development is made and kept.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// How long a session without any path is kept.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = crate::duration::parse)]
    resume_timeout: Duration,
    /// Threads for packet work; by default as many as there are cores, but at least 4.
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Write the addresses to this file once clients can come.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Let clients store files.
    #[arg(long)]
    writable: bool,
}

pub(crate) async fn run(args: &Args) -> Result<(), Error> {
    let mut signals = Signals::and_hangups().map_err(Error::Start)?;
    let root = Root::new(&args.directory).map_err(Error::file("serve", &args.directory))?;
    let access = if args.writable { Access::Writable } else { Access::ReadOnly };
    let mut sessions = Sessions::new(Directory { root, access });
    let listener = kwik::listen(&args.listen[..], config(args)?).await?;
    announce(&listener, args.ready_file.as_deref())?;
    tokio::select! {
        () = sessions.serve(&listener) => return Ok(()),
        () = signals.next() => {}
    }
    tracing::info!(sessions = listener.sessions(), "draining");
    listener.drain();
    let ended = async {
        sessions.ended().await;
        listener.idle().await;
    };
    tokio::select! {
        () = ended => return Ok(()),
        () = signals.next() => {}
    }
    let cut_off = sessions.cut_off().await;
    Err(Error::Interrupted(format!("; {cut_off} sessions were cut off")))
}

fn config(args: &Args) -> Result<ServerConfig, Error> {
    let mut config = match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => ServerConfig::new(Identity::from_pem_files(cert, key)?),
        _ => ServerConfig::development()?,
    };
    config.session.resume_timeout = args.resume_timeout;
    config.workers = args.workers;
    config.advertise.clone_from(&args.advertise);
    config.allowed_origins.clone_from(&args.allow_origin);
    Ok(config)
}

/// Says that clients can come, and where to.
fn announce(listener: &Listener, ready_file: Option<&Path>) -> Result<(), Error> {
    let lines: String = listener.urls().iter().map(|url| format!("listening {url}\n")).collect();
    print_line(lines.trim_end());
    match ready_file {
        Some(path) => write_whole(path, &lines).map_err(Error::file("write", path)),
        None => Ok(()),
    }
}

/// Whoever waits for the file finds all of it.
fn write_whole(path: &Path, contents: &str) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(contents.as_bytes())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
