//! Whom a server lets in: which path, and pages of which origins.

use url::{Host, Origin, Url};
use web_transport_proto::{ConnectRequest, http::StatusCode};

use crate::proto::limits::WELL_KNOWN;

/// An origin that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no origin: write it as browsers do, such as \"https://example.com\", or \"*\" for every page"
)]
pub struct OriginError(String);

/// Who may open a session.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// `None`: pages of the host that they ask.
    origins: Option<Origins>,
}

#[derive(Debug)]
enum Origins {
    Any,
    These(Vec<Origin>),
}

impl Gate {
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

    /// The answer to a request for a session.
    pub(crate) fn judge(&self, request: &ConnectRequest) -> StatusCode {
        if request.url.path() != WELL_KNOWN {
            return StatusCode::NOT_FOUND;
        }
        let mut origins = request.headers.get_all("origin").iter();
        let is_allowed = match (origins.next(), origins.next()) {
            // No page: browsers always say whose they are.
            (None, _) => true,
            (Some(origin), None) => origin.to_str().is_ok_and(|origin| self.allows(origin, &request.url)),
            (Some(_), Some(_)) => false,
        };
        if is_allowed { StatusCode::OK } else { StatusCode::FORBIDDEN }
    }

    fn allows(&self, page: &str, asked: &Url) -> bool {
        match &self.origins {
            Some(Origins::Any) => true,
            Some(Origins::These(allowed)) => origin(page).is_some_and(|page| allowed.contains(&page)),
            None => Url::parse(page).is_ok_and(|page| is_same_host(&page, asked)),
        }
    }
}

/// An origin as browsers write it: scheme, host, perhaps a port, and nothing else.
fn origin(text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok()?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    Some(url.origin()).filter(|origin| is_bare && !text.ends_with('/') && origin.is_tuple())
}

/// The ports may differ. All names of this machine are one.
fn is_same_host(page: &Url, asked: &Url) -> bool {
    match (page.host(), asked.host()) {
        (Some(page), Some(asked)) => page == asked || is_loopback(&page) && is_loopback(&asked),
        _ => false,
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}
