//! A session with a server, over one address or several.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use kwik::{Address, AppCode, Config, PathHandle, SchedulerKind, Session};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::signals::Signals;

/// How long a server may take to hear that a session is over.
const GOODBYE_TIME: Duration = Duration::from_secs(2);

/// Which server, and by which ways.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// Where the server is: kwik://HOST:PORT/NAME?pin=PIN
    #[arg(value_name = "URL")]
    url: String,
    /// A further address of the same server: kwik://HOST:PORT. Without a pin it takes that of URL.
    #[arg(long = "path", value_name = "URL")]
    paths: Vec<String>,
    /// Which path carries the next bytes.
    #[arg(long, value_name = "NAME", default_value = SchedulerKind::NAMES[0],
          value_parser = PossibleValuesParser::new(SchedulerKind::NAMES))]
    scheduler: String,
}

impl Target {
    /// As it was given.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The server's first address.
    pub(crate) fn address(&self) -> Result<Address, Error> {
        Ok(self.url.parse()?)
    }

    /// Its other addresses, with pins.
    fn further(&self) -> Result<Vec<Address>, Error> {
        let first = self.address()?;
        let further = self.paths.iter().map(|url| {
            let mut address: Address = url.parse()?;
            if address.pins.is_empty() {
                address.pins.clone_from(&first.pins);
            }
            Ok(address)
        });
        further.collect()
    }
}

/// A session, and paths that may still be on their way.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) session: Session,
    pending: JoinSet<Result<PathHandle, Error>>,
}

impl Connection {
    /// Connects to the first address, and begins to add the others: they join when they can.
    pub(crate) async fn open(target: &Target) -> Result<Self, Error> {
        // What is wrong with any address is said before anything happens.
        let further = target.further()?;
        let mut config = Config::default();
        // clap has checked the name.
        config.session.scheduler = target.scheduler.parse().unwrap_or_default();
        let mut address = target.address()?;
        // A name is for the file protocol: the server's address has none.
        address.name = None;
        let url = address.to_string();
        let dialled = kwik::dial(&url, config).await;
        let session = dialled.map_err(|source| Error::Dial { url, source: Box::new(source) })?;
        let mut pending = JoinSet::new();
        for address in further {
            pending.spawn(add_path(session.clone(), address));
        }
        Ok(Self { session, pending })
    }

    /// Waits for all paths; one that cannot be added is an error.
    pub(crate) async fn all_paths(&mut self) -> Result<(), Error> {
        while let Some(added) = self.pending.join_next().await {
            added.map_err(|_| Error::Panicked)??;
        }
        Ok(())
    }

    /// Does `work`, with the paths there are, until it is done or a signal comes. A path that cannot be added is
    /// told to `warn`, and missed by nobody.
    pub(crate) async fn run<T>(
        mut self,
        work: impl Future<Output = Result<T, Error>>,
        warn: impl Fn(&Error),
    ) -> Result<T, Error> {
        let mut signals = Signals::new().map_err(Error::Start)?;
        let mut work = std::pin::pin!(work);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                () = signals.next() => break Err(Error::Interrupted(String::new())),
                Some(added) = self.pending.join_next() => match added {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => warn(&error),
                    Err(_) => break Err(Error::Panicked),
                },
            }
        };
        self.end().await;
        result
    }

    /// Says goodbye, so that the server need not wait for us.
    async fn end(mut self) {
        self.pending.abort_all();
        self.session.close(AppCode::new(0), b"done");
        // A server that does not hear it finds out by itself.
        let _ = tokio::time::timeout(GOODBYE_TIME, self.session.closed()).await;
    }
}

async fn add_path(session: Session, address: Address) -> Result<PathHandle, Error> {
    let added = session.add_path(&address).await;
    added.map_err(|source| Error::AddPath { url: address.to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    const OTHER: &str = "A7DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

    fn target(url: &str, paths: &[&str]) -> Target {
        Target {
            url: url.to_owned(),
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
            scheduler: SchedulerKind::NAMES[0].to_owned(),
        }
    }

    #[test]
    fn a_path_without_a_pin_takes_that_of_the_first_address() {
        let with_pin = format!("kwik://c:3?pin={OTHER}");
        let target = target(&format!("kwik://a:1/file?pin={PIN}"), &["kwik://b:2", &with_pin]);
        let further: Vec<_> = target.further().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(further, [format!("kwik://b:2?pin={PIN}"), with_pin]);
    }

    #[test]
    fn one_bad_address_is_enough_to_refuse_all() {
        assert!(matches!(target("kwik://a:1", &["b:2"]).further(), Err(Error::Address(_))));
        assert!(matches!(target("a:1", &[]).further(), Err(Error::Address(_))));
    }
}
