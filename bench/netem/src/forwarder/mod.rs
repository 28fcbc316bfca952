//! A UDP forwarder between a client and a server, all on this machine's own sockets.
//!
//! ```text
//! client A ──> ┌────────────┐ ──(a socket for A)──> ┌────────┐
//!              │ local_addr │                       │ target │
//! client B ──> └────────────┘ ──(a socket for B)──> └────────┘
//! ```
//!
//! Delays run on tokio's clock, which has a grain of a millisecond: a packet comes out up to some 1.2 ms
//! late (10 ms each way gave pings of 22 ms). Where that matters, use a `link`.
//!
//! Nothing is ever closed: a silenced forwarder is the cable that was pulled, not the server that said no.

mod direction_pipe;
mod port;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::link_switch::{Counters, Direction, LinkSwitches};
use crate::shaper::LinkSpec;
use direction_pipe::DirectionPipe;
use port::{Batch, Port};

/// Where a [`Forwarder`] listens, where it forwards to, and what it does on the way.
#[derive(Debug, Clone)]
pub struct ForwarderConfig {
    /// Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Who gets what the clients send.
    pub target: SocketAddr,
    /// From client to target. Lengths are those of UDP payloads.
    pub up: LinkSpec,
    /// From target to client, shared by all clients.
    pub down: LinkSpec,
}

impl ForwarderConfig {
    /// A forwarder on a free port of the loopback interface that changes nothing.
    pub fn to(target: SocketAddr) -> Self {
        let loopback = if target.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        Self {
            listen: loopback.parse().unwrap_or(target),
            target,
            up: LinkSpec::new(),
            down: LinkSpec::new(),
        }
    }

    /// Uses `spec` in both directions (with another seed for each).
    pub fn both_ways(self, spec: LinkSpec) -> Self {
        let down = spec.seed(spec.seed.wrapping_add(1 << 32));
        Self { up: spec, down, ..self }
    }
}

/// Forwards datagrams on a thread of its own until dropped.
///
/// ```
/// # use kwik_netem::{Direction, Forwarder, ForwarderConfig};
/// # use std::net::UdpSocket;
/// # fn main() -> std::io::Result<()> {
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let forwarder = Forwarder::start(ForwarderConfig::to(server.local_addr()?))?;
///
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", forwarder.local_addr())?;
/// assert_eq!(server.recv(&mut [0; 16])?, 5);
/// assert_eq!(forwarder.counters(Direction::Up).bytes, 5);
///
/// forwarder.silence(); // and now the client can call as it likes
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Forwarder {
    local_addr: SocketAddr,
    switches: Arc<LinkSwitches>,
    /// Dropped to stop the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Binds the listening socket and starts forwarding.
    pub fn start(config: ForwarderConfig) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listen = {
            let _entered = runtime.enter();
            Port::bind(config.listen)?
        };
        let local_addr = listen.local_addr()?;
        let switches = Arc::new(LinkSwitches::default());
        let (stop, stopped) = oneshot::channel();
        let in_thread = Arc::clone(&switches);
        let thread = std::thread::Builder::new().name("kwik-netem-forwarder".into()).spawn(move || {
            let tasks = LocalSet::new();
            tasks.spawn_local(forward(config, listen, in_thread));
            // Either the sender is dropped or it was never used: both mean stop.
            let _ = tasks.block_on(&runtime, stopped);
        })?;
        Ok(Self { local_addr, switches, stop: Some(stop), thread: Some(thread) })
    }

    /// What clients send to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// From now on drops everything both ways, also what is under way. When this returns, nothing more
    /// comes out.
    pub fn silence(&self) {
        self.silence_direction(Direction::Up);
        self.silence_direction(Direction::Down);
    }

    /// Silences one direction only.
    pub fn silence_direction(&self, direction: Direction) {
        self.switches.get(direction).turn_off();
    }

    /// Ends every silence.
    pub fn restore(&self) {
        self.switches.up.turn_on();
        self.switches.down.turn_on();
    }

    /// What has come out so far.
    pub fn counters(&self, direction: Direction) -> Counters {
        self.switches.get(direction).counters()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has already been printed; there is nothing to save here.
            let _ = thread.join();
        }
    }
}

/// Carries what clients send to the target, and starts a task per client for the way back.
async fn forward(config: ForwarderConfig, listen: Port, switches: Arc<LinkSwitches>) {
    let listen = Rc::new(listen);
    let up = DirectionPipe::start(config.up, Direction::Up, Arc::clone(&switches));
    let down = DirectionPipe::start(config.down, Direction::Down, switches);
    let mut upstreams: HashMap<SocketAddr, Rc<Port>> = HashMap::new();
    let mut batch = Batch::new();
    loop {
        if listen.recv(&mut batch).await.is_err() {
            // An ICMP error about some client (Windows reports those): the next datagram may be fine.
            tokio::task::yield_now().await;
            continue;
        }
        for train in batch.trains() {
            let upstream = match upstreams.get(&train.from) {
                Some(upstream) => upstream,
                None => {
                    let Ok(upstream) = open_upstream(&config, &listen, train.from, &down) else { continue };
                    upstreams.entry(train.from).or_insert(upstream)
                }
            };
            up.carry(upstream, config.target, train).await;
        }
    }
}

/// Opens the socket that stands for `client` towards the target.
fn open_upstream(
    config: &ForwarderConfig,
    listen: &Rc<Port>,
    client: SocketAddr,
    down: &Rc<DirectionPipe>,
) -> io::Result<Rc<Port>> {
    let any_port = SocketAddr::new(config.listen.ip(), 0);
    let upstream = Rc::new(Port::bind(any_port)?);
    let (target, receiver) = (config.target, Rc::clone(&upstream));
    let (listen, down) = (Rc::clone(listen), Rc::clone(down));
    tokio::task::spawn_local(async move {
        let mut batch = Batch::new();
        loop {
            if receiver.recv(&mut batch).await.is_err() {
                tokio::task::yield_now().await;
                continue;
            }
            for train in batch.trains().filter(|train| train.from == target) {
                down.carry(&listen, client, train).await;
            }
        }
    });
    Ok(upstream)
}
