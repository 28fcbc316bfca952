//! Two machines and the links between them.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::wire::End;
use super::{Link, LinkError, Namespace};
use crate::shaper::LinkSpec;

/// The two directions of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathSpec {
    /// From the client to the server.
    pub up: LinkSpec,
    /// From the server to the client.
    pub down: LinkSpec,
    /// Between client and link stands a NAT, which forgets all its mappings as often as this: the client's packets
    /// then come from another port.
    pub nat_forgets_every: Option<Duration>,
}

impl PathSpec {
    /// The same both ways, with another seed for each.
    pub const fn symmetric(spec: LinkSpec) -> Self {
        let down = spec.seed(spec.seed.wrapping_add(1 << 32));
        Self { up: spec, down, nat_forgets_every: None }
    }
}

/// A client and a server namespace joined by any number of links.
///
/// On path `k` the client is `10.7.k.1` and the server `10.7.k.2`. All of it is gone when this is dropped.
///
/// ```no_run
/// # use kwik_netem::{LinkSpec, Rate, link::{PathSpec, Topology}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let line = PathSpec::symmetric(LinkSpec::new().rate(Rate::mbit(50)).delay_ms(20));
/// let net = Topology::create(&[line, line])?;
/// let ping = net.client().command("ping").args(["-c", "3", &net.server_addr(1).to_string()]).status()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Topology {
    // Before the namespaces, so that the devices go first.
    links: Vec<Link>,
    client: Namespace,
    server: Namespace,
}

impl Topology {
    /// Makes namespaces, devices and links; up to 256 paths.
    pub fn create(paths: &[PathSpec]) -> Result<Self, LinkError> {
        static CREATED: AtomicU32 = AtomicU32::new(0);
        let serial = CREATED.fetch_add(1, Ordering::Relaxed);
        let client = Namespace::create(&format!("{serial}-client"))?;
        let server = Namespace::create(&format!("{serial}-server"))?;
        let connect = |(k, path): (u8, &PathSpec)| {
            let end =
                |namespace, host| End { namespace, device: device(k), addr: Ipv4Addr::new(10, 7, k, host) };
            Link::start(end(&client, 1), end(&server, 2), path)
        };
        let links = (0..=u8::MAX).zip(paths).map(connect).collect::<Result<_, _>>()?;
        Ok(Self { links, client, server })
    }

    /// Where clients run.
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// Where servers run.
    pub fn server(&self) -> &Namespace {
        &self.server
    }

    /// Gives the client another address on path `k`, and takes the old one away: `10.7.k.HOST`, with a `host` from 3
    /// to 254 that it has not had.
    pub fn move_client(&self, k: u8, host: u8) -> Result<(), LinkError> {
        let (device, addr) = (device(k), format!("{}/24", Ipv4Addr::new(10, 7, k, host)));
        self.client.ip(&["address", "flush", "dev", &device])?;
        self.client.ip(&["address", "add", &addr, "dev", &device])
    }

    /// The client's address on path `k`, until it is moved.
    pub fn client_addr(&self, k: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 7, k, 1)
    }

    /// The server's address on path `k`.
    pub fn server_addr(&self, k: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 7, k, 2)
    }

    /// The links, in the order of their paths.
    pub fn links(&self) -> &[Link] {
        &self.links
    }
}

/// What a path's network interface is called, at both ends.
fn device(k: u8) -> String {
    format!("path{k}")
}
