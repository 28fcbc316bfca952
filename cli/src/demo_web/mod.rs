//! `kwik demo --web`: lines that can be cut under the transfers of a browser.
//!
//! ```text
//!           ┌── HTTP (TCP, 127.0.0.1:8080): the page, and an API that cuts lines and restores them
//! browser ──┤
//!           └── WebTransport (UDP) ──┬── line 0: 150 Mbit/s, 10 ms ──┬── KWIK server
//!                                    ├── line 1: 150 Mbit/s, 10 ms ──┤
//!                                    └── more, when they are asked for ┘
//! ```
//!
//! HTTP does not go by the lines: it works while all of them are cut.

mod api;
mod files;
mod lines;
mod page;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use kwik::{Address, Identity, Listener, ServerConfig};
use tokio::net::TcpListener;

use crate::error::Error;
use crate::line::{DELAY_MS, RATE_MBIT};
use crate::noise_files::NoiseFiles;
use crate::output::print_line;
use crate::serve::Sessions;
use crate::signals::Signals;

use files::FILES;
use lines::{Lines, MAX_LINES};
use page::Page;

/// Where the page is, if nobody says otherwise and nobody else is there.
const DEFAULT_PORT: u16 = 8080;

/// So many ports are tried, before the system chooses one.
const PORTS_TRIED: u16 = 20;

/// The demonstration in a browser.
#[derive(Debug, clap::Args)]
pub(crate) struct WebArgs {
    /// Show it on a page in a browser instead, with buttons that cut the lines and restore them.
    #[arg(long, conflicts_with = "size")]
    web: bool,
    /// Where the page is, as IP:PORT; by default 127.0.0.1:8080, or the next port that is free.
    #[arg(long, value_name = "ADDR", requires = "web")]
    listen: Option<SocketAddr>,
    /// Take the page from this directory instead of from inside the program, for those who change the page.
    #[arg(long, value_name = "DIR", requires = "web")]
    page: Option<PathBuf>,
}

impl WebArgs {
    pub(crate) fn is_wanted(&self) -> bool {
        self.web
    }
}

pub(crate) async fn run(args: &WebArgs) -> Result<(), Error> {
    let mut signals = Signals::new().map_err(Error::Start)?;
    let page = Page::find(args.page.as_deref())?;
    let http = bind(args.listen).await?;
    let address = http.local_addr().map_err(Error::Start)?;
    let listener = listen(address).await?;
    let lines = start_lines(&listener).await?;
    announce(address, &lines);

    let router = Router::new().merge(api::router(Arc::clone(&lines))).merge(page::router(page));
    let mut sessions = Sessions::new(NoiseFiles(FILES.to_vec()));
    let ended = tokio::select! {
        () = signals.next() => Ok(()),
        () = sessions.serve(&listener) => Ok(()),
        served = axum::serve(http, router).into_future() => {
            served.map_err(|source| Error::Page { address, source })
        }
    };
    sessions.cut_off().await;
    // Up to here, what is said to clients needs them.
    drop(lines);
    print_line("stopped");
    ended
}

/// The server behind the lines, for the page alone. Its certificate is one that browsers take by its hash, and as new
/// as the lines.
async fn listen(page: SocketAddr) -> Result<Listener, Error> {
    let mut config = ServerConfig::new(Identity::ephemeral()?);
    config.allowed_origins = vec![format!("http://{page}"), format!("http://localhost:{}", page.port())];
    Ok(kwik::listen((Ipv4Addr::LOCALHOST, 0), config).await?)
}

async fn start_lines(listener: &Listener) -> Result<Arc<Lines>, Error> {
    let no_address = || Error::Start(io::Error::other("the server has no address"));
    let server: Address = listener.urls().first().ok_or_else(no_address)?.parse()?;
    let started = tokio::task::spawn_blocking(move || Lines::to(server)).await;
    Ok(Arc::new(started.map_err(|_| Error::Panicked)?.map_err(Error::Start)?))
}

/// Binds the address that was asked for, or one near the usual one.
async fn bind(wanted: Option<SocketAddr>) -> Result<TcpListener, Error> {
    if let Some(address) = wanted {
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback(address.ip()));
        }
        return TcpListener::bind(address).await.map_err(|source| Error::Page { address, source });
    }
    for port in DEFAULT_PORT..DEFAULT_PORT + PORTS_TRIED {
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            return Ok(listener);
        }
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpListener::bind(address).await.map_err(|source| Error::Page { address, source })
}

fn announce(page: SocketAddr, lines: &Lines) {
    print_line(format_args!("Open http://{page}/ in a browser.\n"));
    print_line(format_args!(
        "The page has a KWIK session with a server in this program, over these lines of {RATE_MBIT} Mbit/s and \
         {DELAY_MS} ms each:"
    ));
    // As the page calls them.
    for (line, letter) in lines.list().iter().zip('A'..) {
        print_line(format_args!("  Line {letter}  {}", line.url));
    }
    print_line(format_args!(
        "\
Download and Upload send a file over all of them at once, and compare its SHA-256 at both ends. Cut silences a
line in the midst of it, Cut all every line for 5 s, Restore makes one whole again; Add a line makes a further
one, up to {MAX_LINES}. The program goes by the same lines: kwik get 'kwik://.../noise?pin=...' --path 'kwik://...'

Ctrl-C stops it."
    ));
}
