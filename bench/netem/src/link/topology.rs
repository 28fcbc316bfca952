//! Two machines and the links between them.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

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
}

impl PathSpec {
    /// The same both ways, with another seed for each.
    pub const fn symmetric(spec: LinkSpec) -> Self {
        Self { up: spec, down: spec.seed(spec.seed.wrapping_add(1 << 32)) }
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
            let end = |namespace, host| End {
                namespace,
                device: format!("path{k}"),
                addr: Ipv4Addr::new(10, 7, k, host),
            };
            Link::start(end(&client, 1), end(&server, 2), path.up, path.down)
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

    /// The client's address on path `k`.
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
