//! Happy eyeballs (RFC 8305): all addresses of a name, begun one after another, and the first that answers wins.
//!
//! ```text
//! resolve --> attempt 1 ----------------x
//!             | 250 ms   attempt 2 -------------> won: the path is the session's
//!             |          | 250 ms   attempt 3 --x called off
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn_proto::{ConnectError, ConnectionError};
use tokio::sync::{mpsc, oneshot};

use super::backend::{NativeBackend, OpenRoute};
use super::dial_error::DialError;
use super::dialler::{self, Dialler};
use super::path_driver::{DriverKey, SessionBinding};
use super::reactor::{Connect, Order, ReactorHandle, ReactorLease};
use super::resolve::resolve;
use crate::api::Address;
use crate::api::shared::Shared;
use crate::carrier::h3::Ended;
use crate::proto::event::{PathAddress, Scheme};
use crate::proto::wire::id::PathId;

/// Between one attempt and the next (RFC 8305 section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// One address being tried. Its driver has it until it is decided.
pub(crate) struct Attempt {
    backend: Arc<NativeBackend>,
    shared: Arc<Shared>,
    path: PathId,
    lease: ReactorLease,
    socket_index: usize,
    remote: SocketAddr,
    failures: mpsc::UnboundedSender<DialError>,
}

impl Attempt {
    /// The handshake is done. Gives the session that the path is part of from now on, unless another attempt was
    /// faster or nobody wants the path any more.
    pub(crate) fn succeeded(
        self,
        reactor: &Arc<ReactorHandle>,
        driver: DriverKey,
        remote: SocketAddr,
    ) -> Option<SessionBinding> {
        let open = OpenRoute {
            reactor: Arc::clone(reactor),
            driver,
            remote,
            lease: Some((self.lease.clone(), self.socket_index)),
        };
        let won = self.backend.win(self.path, open);
        won.then(|| SessionBinding {
            shared: Arc::clone(&self.shared),
            backend: Arc::clone(&self.backend),
            path: self.path,
        })
    }

    /// The connection could not be had.
    pub(crate) fn failed(self, reason: ConnectionError) {
        // The race may be over and its receiver gone.
        let _ = self.failures.send(DialError::from_connection(self.remote, reason));
    }

    /// The connection is there, and no session is to be had on it.
    pub(crate) fn refused(self, reason: &Ended) {
        // As above.
        let _ = self.failures.send(DialError::from_http(self.remote, reason));
    }

    /// The connection could not even be begun.
    pub(crate) fn impossible(self, reason: ConnectError) {
        let error = DialError::Failed { remote: self.remote, reason: reason.to_string() };
        let _ = self.failures.send(error);
    }
}

/// Dials a path and tells the session how it went.
pub(crate) async fn run(
    backend: Arc<NativeBackend>,
    shared: Arc<Shared>,
    path: PathId,
    address: PathAddress,
    socket_index: usize,
    cancelled: oneshot::Receiver<()>,
) {
    let Some(dialler) = backend.dialler() else { return };
    let mut race = Race {
        backend: &backend,
        dialler,
        shared: &shared,
        path,
        socket_index,
        begun: Vec::new(),
        failures: Vec::new(),
    };
    let failure = tokio::select! {
        failure = race.run(&address) => Some(failure),
        // An attempt has won, or nobody wants the path any more.
        _ = cancelled => None,
    };
    race.call_off();
    // The attempt that wins leaves the race without a word, too, which may be heard before the cancellation.
    if let Some(error) = failure.filter(|_| backend.is_dialling(path)) {
        let reason = error.to_string();
        tracing::debug!(%path, authority = %address.authority, reason, "a path could not be dialled");
        dialler.note_failure(error);
        shared.with(|session, now| session.path_failed(now, path, reason));
    }
}

struct Race<'a> {
    backend: &'a Arc<NativeBackend>,
    dialler: &'a Dialler,
    shared: &'a Arc<Shared>,
    path: PathId,
    socket_index: usize,
    begun: Vec<(ReactorLease, DriverKey)>,
    failures: Vec<DialError>,
}

impl Race<'_> {
    /// Tries all addresses; returns when all have failed.
    async fn run(&mut self, address: &PathAddress) -> DialError {
        match self.try_all(address).await {
            Err(error) => error,
            Ok(()) => {
                let most_telling = self.failures.drain(..).max_by_key(DialError::weight);
                most_telling.unwrap_or(DialError::Abandoned)
            }
        }
    }

    async fn try_all(&mut self, address: &PathAddress) -> Result<(), DialError> {
        let target: Address = format!("kwik://{}", address.authority).parse()?;
        let mut remotes = resolve(&target).await?;
        if let Some(local) = address.local {
            remotes.retain(|remote| remote.is_ipv4() == local.is_ipv4());
        }
        if remotes.is_empty() {
            return Err(DialError::NoAddress { host: target.host });
        }
        self.shared.with(|session, _| session.admit_remotes(self.path, &mut remotes));
        if remotes.is_empty() {
            return Err(DialError::Misadvised { host: target.host });
        }
        let (sender, mut failures) = mpsc::unbounded_channel();
        for remote in remotes {
            self.begin(address, &target.host, remote, sender.clone())?;
            // The next one begins when this one has had its head start, or when all so far have failed.
            let _ = tokio::time::timeout(HEAD_START, self.all_failed(&mut failures)).await;
        }
        drop(sender);
        self.all_failed(&mut failures).await;
        Ok(())
    }

    async fn all_failed(&mut self, failures: &mut mpsc::UnboundedReceiver<DialError>) {
        while self.failures.len() < self.begun.len() {
            // No more to come: the attempts are gone without a word, with their runtime.
            let Some(failure) = failures.recv().await else { return };
            self.failures.push(failure);
        }
    }

    fn begin(
        &mut self,
        address: &PathAddress,
        host: &str,
        remote: SocketAddr,
        failures: mpsc::UnboundedSender<DialError>,
    ) -> Result<(), DialError> {
        let engine = self.backend.engine();
        let tls = self.dialler.tls(&address.pins, address.scheme)?;
        let lease = dialler::socket(engine, address.local, self.socket_index)?;
        let (config, observations) = self.dialler.connection_config(engine.clock, tls, remote.ip());
        let attempt = Attempt {
            backend: Arc::clone(self.backend),
            shared: Arc::clone(self.shared),
            path: self.path,
            lease: lease.clone(),
            socket_index: self.socket_index,
            remote,
            failures,
        };
        tracing::debug!(path = %self.path, %remote, host, "dialling");
        let driver = DriverKey::new();
        let web_transport = (address.scheme == Scheme::Https).then(|| address.authority.clone());
        let server_name = host.to_owned();
        let connect = Connect { driver, config, observations, remote, server_name, web_transport, attempt };
        // A reactor that is gone takes no order: then there is no attempt that could answer.
        lease.handle().order(Order::Connect(Box::new(connect))).map_err(|_| DialError::Abandoned)?;
        self.begun.push((lease, driver));
        Ok(())
    }

    /// Closes what was begun and has not won.
    fn call_off(&mut self) {
        for (lease, driver) in self.begun.drain(..) {
            if !self.backend.has_driver(self.path, driver) {
                let order = Order::Close { driver, code: 0, reason: Bytes::new() };
                // A reactor that is gone has nothing to close.
                let _ = lease.handle().order(order);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::api::Session;
    use crate::api::shared::SessionRef;
    use crate::native::backend::Role;
    use crate::native::engine::Engine;
    use crate::native::transport::TransportSettings;
    use crate::native::{Identity, ServerConfig, listen};
    use crate::proto::config::ValidConfig;
    use crate::proto::event::{PathLoss, SessionEvent};
    use crate::proto::session;

    /// A session whose core can be spoken to.
    async fn dial_by_hand(url: &str) -> (Session, Arc<Shared>) {
        let address: Address = url.parse().unwrap();
        let engine = Engine::shared(None).unwrap();
        let now = engine.clock.time(std::time::Instant::now());
        let dialler = Dialler::new(TransportSettings::default(), Vec::new());
        let runtime = tokio::runtime::Handle::current();
        let backend = NativeBackend::new(engine, runtime, Role::Client(dialler));
        let core =
            session::Session::client(now, ValidConfig::default(), [1; 32], PathAddress::from(&address));
        let shared = Shared::new(core, Arc::clone(&backend) as _);
        backend.start_clock(Arc::clone(&shared));
        (Session::opened(SessionRef::new(Arc::clone(&shared))).await.unwrap(), shared)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_advised_host_is_not_dialled_at_an_address_where_the_server_may_not_send_anyone() {
        let config = ServerConfig::new(Identity::ephemeral().unwrap());
        let listener = listen("127.0.0.1:0".parse::<SocketAddr>().unwrap(), config).await.unwrap();
        let url = &listener.urls()[0];
        let ((client, shared), server) = tokio::join!(dial_by_hand(url), listener.accept());
        let mut events = client.events();
        let mut next_loss = async || loop {
            if let SessionEvent::PathLost(_, loss) = events.next().await.unwrap() {
                return loss;
            }
        };
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let silent = silent.local_addr().unwrap().to_string();
        // Kept: a session ends with its last handle.
        let server = server.unwrap();
        let _advice = server.advertise(&silent, None, 0).unwrap();
        assert_eq!(next_loss().await, PathLoss::NotOpened);
        // As if the server were on the internet, and the host were a name that leads to this machine.
        shared.with(|session, _| session.path_remote(PathId::PRIMARY, [1, 1, 1, 1].into()));
        let reason = next_loss().await.to_string();
        assert!(reason.contains("no IP address that it may send its clients to"), "{reason}");
        assert_eq!(client.stats().advice_not_followed.address, 1);
    }
}
