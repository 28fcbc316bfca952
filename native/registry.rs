//! The sessions of one listener: where a path that has said what it wants finds its session.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::accept_queue::AcceptQueue;
use super::admission::{Admission, SessionPermit, TooManySessions};
use super::backend::{NativeBackend, OpenRoute, Role};
use super::engine::Engine;
use super::path_driver::{DriverKey, SessionBinding};
use super::reactor::{ReactorHandle, ReactorLease};
use super::stateless_reset::ResetSecret;
use super::transport::TransportSettings;
use crate::api::CertificatePin;
use crate::api::shared::{SessionRef, Shared};
use crate::carrier::Observations;
use crate::carrier::h3::OriginPolicy;
use crate::proto::acceptor::Accepted;
use crate::proto::config::ValidConfig;
use crate::proto::memory::MemoryBudget;
use crate::proto::session::Session;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::frame::Intent;
use crate::proto::wire::id::{PathId, SessionId, Side};

/// What a listener makes its sessions of.
pub(crate) struct SessionTemplate {
    pub(crate) session: ValidConfig,
    pub(crate) settings: TransportSettings,
    pub(crate) max_memory_bytes: u64,
    /// Told to each client: `host:port`, with the certificate of this listener.
    pub(crate) advertise: Vec<String>,
    pub(crate) pin: CertificatePin,
    /// By which clients of the process before this one learn that it is gone.
    pub(crate) resets: ResetSecret,
    /// For clients that come over HTTP/3.
    pub(crate) origin_policy: Arc<OriginPolicy>,
}

/// Every session of a listener, whatever socket its paths come in on.
pub(crate) struct Registry {
    engine: Arc<Engine>,
    /// Where the sessions' tasks run. Sessions are made on workers, which have no runtime of their own.
    runtime: tokio::runtime::Handle,
    template: SessionTemplate,
    memory: Arc<MemoryBudget>,
    base: Arc<quinn_proto::ServerConfig>,
    admission: Arc<Admission>,
    members: Mutex<Members>,
    /// Somebody waits in the queue, or nobody will any more.
    news: Notify,
    /// The last session has gone.
    emptied: Notify,
}

#[derive(Default)]
struct Members {
    sessions: BTreeMap<SessionId, (Arc<Shared>, Arc<NativeBackend>)>,
    /// Not accepted by the application yet; counted among the sessions until they end.
    waiting: AcceptQueue<Arc<SessionRef>, SessionPermit>,
    /// No new sessions.
    is_draining: bool,
    /// For sessions to come, until there are none.
    sockets: Option<Arc<Vec<ReactorLease>>>,
}

impl Registry {
    /// Must be called inside a tokio runtime, whose the sessions' tasks are.
    pub(crate) fn new(
        engine: Arc<Engine>,
        template: SessionTemplate,
        base: quinn_proto::ServerConfig,
        admission: Arc<Admission>,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            runtime: tokio::runtime::Handle::current(),
            memory: MemoryBudget::new(template.max_memory_bytes),
            template,
            base: Arc::new(base),
            admission,
            members: Mutex::default(),
            news: Notify::new(),
            emptied: Notify::new(),
        })
    }

    /// What connections of the listener's sockets are set to.
    pub(crate) fn server_config(&self) -> Arc<quinn_proto::ServerConfig> {
        Arc::clone(&self.base)
    }

    /// Who is let in at all.
    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// What its socket at this address is set to.
    pub(crate) fn endpoint_config(&self, local: SocketAddr) -> quinn_proto::EndpointConfig {
        self.template.resets.endpoint_config(local)
    }

    /// Whom to let in over HTTP/3.
    pub(crate) fn origin_policy(&self) -> Arc<OriginPolicy> {
        Arc::clone(&self.template.origin_policy)
    }

    /// The configuration of one connection from `remote`, and what its congestion controller tells.
    pub(crate) fn connection_config(
        &self,
        remote: IpAddr,
    ) -> (Arc<quinn_proto::ServerConfig>, Arc<Observations>) {
        let (transport, observations) =
            self.template.settings.to_config(self.engine.clock, remote, Side::Server);
        let mut config = quinn_proto::ServerConfig::clone(&self.base);
        config.transport_config(transport);
        (Arc::new(config), observations)
    }

    /// The sockets are open: every session keeps them, so that its client can come back.
    pub(crate) fn set_sockets(&self, sockets: Arc<Vec<ReactorLease>>) {
        self.members().sockets = Some(sockets);
    }

    /// A path has said what it wants: finds or makes its session, which has the path from then on.
    pub(crate) fn admit(
        self: &Arc<Self>,
        accepted: Accepted,
        reactor: &Arc<ReactorHandle>,
        driver: DriverKey,
        remote: SocketAddr,
    ) -> Result<SessionBinding, TransportCode> {
        let open = OpenRoute { reactor: Arc::clone(reactor), driver, remote, lease: None };
        match &accepted.hello.intent {
            Intent::New => self.admit_new(accepted, open),
            Intent::Join { session, .. } => {
                let session = *session;
                let joined = self.admit_join(session, accepted, open);
                if let Err(TransportCode::BadProof) = joined {
                    self.admission.note_wrong_proof(remote, Instant::now());
                }
                joined
            }
        }
    }

    fn admit_join(
        &self,
        id: SessionId,
        accepted: Accepted,
        open: OpenRoute,
    ) -> Result<SessionBinding, TransportCode> {
        let member = self.members().sessions.get(&id).cloned();
        let (shared, backend) = member.ok_or(TransportCode::UnknownSession)?;
        let path = accepted.hello.path;
        // In one go: a session that has no path may end at any moment.
        shared.with(|session, now| {
            session.check_join(path, &accepted.hello.intent)?;
            backend.open(path, open);
            session.attach(now, accepted);
            Ok(())
        })?;
        Ok(SessionBinding { shared, backend, path })
    }

    fn admit_new(
        self: &Arc<Self>,
        accepted: Accepted,
        open: OpenRoute,
    ) -> Result<SessionBinding, TransportCode> {
        if accepted.hello.path != PathId::PRIMARY {
            return Err(TransportCode::ProtocolViolation);
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| TransportCode::Internal)?;
        let mut session = Session::server(self.template.session.clone(), seed, &accepted.hello);
        session.share_memory(&self.memory);
        let id = session.id().ok_or(TransportCode::Internal)?;
        let (binding, session_ref, evicted) = {
            let mut members = self.members();
            let Some(sockets) = members.sockets.clone().filter(|_| !members.is_draining) else {
                return Err(TransportCode::GoingAway);
            };
            let (permit, evicted) = self
                .admission
                .open_session(open.remote, id)
                .map_err(|TooManySessions| TransportCode::TooManySessions)?;
            let registry = Arc::downgrade(self);
            let role = Role::Server {
                id,
                registry,
                permit: Mutex::new(Some(permit)),
                sockets: Mutex::new(Some(sockets)),
            };
            let backend = NativeBackend::new(Arc::clone(&self.engine), self.runtime.clone(), role);
            let shared = Shared::new(session, Arc::clone(&backend) as _);
            members.sessions.insert(id, (Arc::clone(&shared), Arc::clone(&backend)));
            let session_ref = SessionRef::new(Arc::clone(&shared));
            (SessionBinding { shared, backend, path: PathId::PRIMARY }, session_ref, evicted)
        };
        if let Some(evicted) = evicted {
            self.evict(evicted);
        }
        binding.backend.open(binding.path, open);
        binding.backend.start_clock(Arc::clone(&binding.shared));
        binding.shared.with(|session, now| {
            session.attach(now, accepted);
            for (priority, authority) in (0..).zip(&self.template.advertise) {
                if session.advertise(now, authority.clone(), Some(self.template.pin.0), priority).is_err() {
                    // As many as the client takes are told it, in the order given.
                    break;
                }
            }
        });
        {
            let mut members = self.members();
            if members.sessions.contains_key(&id) {
                members.waiting.push(id, session_ref);
            }
        }
        self.news.notify_one();
        Ok(binding)
    }

    /// A session without a path ends, because its room is another's.
    pub(crate) fn evict(&self, id: SessionId) {
        let (member, waiting) = {
            let mut members = self.members();
            match members.sessions.get(&id).cloned() {
                Some(member) => (Some(member), None),
                // It has ended before.
                None => (None, members.waiting.remove(id)),
            }
        };
        if let Some((shared, _)) = member {
            shared.with(|session, now| session.evict(now));
        }
        // Without the lock: more may go with it.
        drop(waiting);
    }

    /// A session is over. One that was not accepted yet keeps its room until then, since what it has brought can still be
    /// read; but it does not take memory that those that live may need.
    pub(crate) fn remove(&self, id: SessionId, permit: Option<SessionPermit>) {
        let is_roomy = self.memory.used_bytes() <= self.template.max_memory_bytes / 2;
        let (removed, is_empty) = {
            let mut members = self.members();
            let removed = members.sessions.remove(&id);
            let waiting = if is_roomy { None } else { members.waiting.remove(id) };
            let permit = permit.and_then(|permit| members.waiting.on_ended(id, permit));
            ((removed, waiting, permit), members.sessions.is_empty())
        };
        // Without the lock: more may go with it.
        drop(removed);
        if is_empty {
            self.emptied.notify_waiters();
        }
    }

    /// The next session that was not handed out yet, alive or not; `None` when there will be no more.
    pub(crate) async fn next(&self) -> Option<(SessionId, Arc<SessionRef>)> {
        loop {
            let news = self.news.notified();
            {
                let mut members = self.members();
                if let Some(next) = members.waiting.pop() {
                    return Some(next);
                }
                if members.is_draining {
                    // Whoever else waits learns it, too.
                    self.news.notify_one();
                    return None;
                }
            }
            news.await;
        }
    }

    /// No new sessions; those that are there are asked to open no streams.
    pub(crate) fn drain(&self) {
        let sessions: Vec<_> = {
            let mut members = self.members();
            members.is_draining = true;
            members.sessions.values().cloned().collect()
        };
        self.news.notify_one();
        for (shared, _) in sessions {
            shared.with(|session, now| session.drain(now));
        }
    }

    /// No new sessions, and nobody takes those that wait: they are closed.
    pub(crate) fn close(&self) {
        let (waiting, sockets) = {
            let mut members = self.members();
            members.is_draining = true;
            (std::mem::take(&mut members.waiting), members.sockets.take())
        };
        self.news.notify_one();
        // Without the lock: sessions that close come back here.
        drop((waiting, sockets));
    }

    /// Waits until there is no session.
    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            // Registered before looking: `notify_waiters` wakes only those who wait.
            emptied.as_mut().enable();
            if self.members().sessions.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Sessions that there are.
    pub(crate) fn len(&self) -> usize {
        self.members().sessions.len()
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
