//! A line of the demonstrations: a way to their server that can be cut.

use std::io;
use std::net::SocketAddr;

use kwik::Address;
use kwik_netem::{Forwarder, ForwarderConfig, LinkSpec, Rate};

/// What a line carries in each direction.
pub(crate) const RATE_MBIT: u64 = 150;
/// How long it takes from one end to the other.
pub(crate) const DELAY_MS: u64 = 10;

/// A shaped way to a server on this machine, with an address of its own.
#[derive(Debug)]
pub(crate) struct Line {
    forwarder: Forwarder,
    url: Address,
}

impl Line {
    /// A new line to `server`, whose host has to be an IP address.
    pub(crate) fn to(server: &Address) -> io::Result<Self> {
        let target = SocketAddr::new(server.host.parse().map_err(io::Error::other)?, server.port);
        let spec = LinkSpec::new().rate(Rate::mbit(RATE_MBIT)).delay_ms(DELAY_MS);
        let forwarder = Forwarder::start(ForwarderConfig::to(target).both_ways(spec))?;
        let mut url = server.clone();
        url.port = forwarder.local_addr().port();
        Ok(Self { forwarder, url })
    }

    /// What clients dial to reach the server by this line.
    pub(crate) fn url(&self) -> &Address {
        &self.url
    }

    /// From now on not a packet passes, and nobody is told.
    pub(crate) fn cut(&self) {
        self.forwarder.silence();
    }

    /// The line is whole again.
    pub(crate) fn restore(&self) {
        self.forwarder.restore();
    }
}
