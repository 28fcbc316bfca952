//! Access policy of a server: the path that a request has to name, and the origins of pages that may connect.

use std::borrow::Cow;

use url::{Host, Origin, Url};

use super::status::Status;
use crate::proto::wire::limits::WELL_KNOWN;

/// An origin that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no origin: write it as browsers do, such as \"https://example.com\", or \"*\" for every page"
)]
pub struct OriginError(String);

/// Which path sessions are asked for at, and whose pages may open one.
#[derive(Debug, Default)]
pub(crate) struct OriginPolicy {
    /// `None`: pages of the host that they ask, whatever the port.
    origins: Option<Origins>,
}

#[derive(Debug)]
enum Origins {
    Any,
    These(Vec<Origin>),
}

impl OriginPolicy {
    /// For pages of these origins. None given: those of the same host as the server. `*`: all.
    pub(crate) fn new(origins: &[String]) -> Result<Self, OriginError> {
        if origins.is_empty() {
            return Ok(Self::default());
        }
        if origins.iter().any(|origin| origin == "*") {
            return Ok(Self { origins: Some(Origins::Any) });
        }
        let read = |text: &String| origin(text).ok_or_else(|| OriginError(text.clone()));
        let origins = origins.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { origins: Some(Origins::These(origins)) })
    }

    /// The status that a request for a session gets.
    pub(super) fn check(&self, request: &SessionRequest<'_>) -> Status {
        // A query says nothing here.
        if request.path.split('?').next() != Some(WELL_KNOWN) {
            return Status::NotFound;
        }
        let is_allowed = match request.origins {
            // No page: browsers always say whose they are.
            [] => true,
            [origin] => str::from_utf8(origin).is_ok_and(|origin| self.allows(origin, &request.host)),
            _ => false,
        };
        if is_allowed { Status::Ok } else { Status::Forbidden }
    }

    fn allows(&self, page: &str, asked: &Host) -> bool {
        match &self.origins {
            Some(Origins::Any) => true,
            Some(Origins::These(allowed)) => origin(page).is_some_and(|page| allowed.contains(&page)),
            None => Url::parse(page)
                .is_ok_and(|page| page.host().is_some_and(|page| is_same_host(&page.to_owned(), asked))),
        }
    }
}

/// What a request for a session asks.
#[derive(Debug)]
pub(super) struct SessionRequest<'a> {
    pub(super) host: Host,
    pub(super) path: &'a str,
    pub(super) origins: &'a [Cow<'static, [u8]>],
}

/// An origin as browsers write it: scheme, host, perhaps a port, and nothing else.
fn origin(text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok()?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    Some(url.origin()).filter(|origin| is_bare && !text.ends_with('/') && origin.is_tuple())
}

/// All names of this machine are one.
fn is_same_host(page: &Host, asked: &Host) -> bool {
    page == asked || is_loopback(page) && is_loopback(asked)
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}
