//! A server of KWIK with forwarders in front of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kwik::{CertificatePin, Identity, Listener, ServerConfig, Session};
use kwik_netem::{Forwarder, ForwarderConfig, LinkSpec, Rate};
use tokio::sync::watch;

use crate::Error;
use crate::behaviour;
use crate::command::{Application, Listen};
use crate::echo;
use crate::stream_records::StreamRecords;

pub(crate) struct Server {
    address: SocketAddr,
    pin: CertificatePin,
    lines: Mutex<Vec<Forwarder>>,
    sessions: watch::Sender<Vec<Session>>,
    pub(crate) records: Arc<StreamRecords>,
}

impl Server {
    pub(crate) async fn start(options: Listen) -> Result<Arc<Self>, Error> {
        let mut config = ServerConfig::new(Identity::ephemeral()?);
        if let Some(most) = options.max_sessions {
            config.max_sessions = most;
        }
        if let Some(origins) = options.allowed_origins {
            config.allowed_origins = origins;
        }
        let listener = kwik::listen("127.0.0.1:0", config).await?;
        let server = Arc::new(Self {
            address: *listener.local_addrs().first().ok_or("the server has no socket")?,
            pin: listener.pin(),
            lines: Mutex::default(),
            sessions: watch::Sender::default(),
            records: Arc::default(),
        });
        for _ in 0..options.lines {
            server.add_line(options.rate_mbit)?;
        }
        tokio::spawn(Arc::clone(&server).accept(listener, options.application));
        Ok(server)
    }

    pub(crate) fn pin(&self) -> CertificatePin {
        self.pin
    }

    /// Where it is without any forwarder.
    pub(crate) fn direct_url(&self) -> String {
        self.url(self.address)
    }

    fn url(&self, address: SocketAddr) -> String {
        format!("kwik://{address}?pin={}", self.pin)
    }

    // ---- lines ----

    pub(crate) fn urls(&self) -> Vec<String> {
        self.lines().iter().map(|line| self.url(line.local_addr())).collect()
    }

    /// Returns its number.
    pub(crate) fn add_line(&self, rate_mbit: Option<u64>) -> Result<usize, Error> {
        let mut spec = LinkSpec::new();
        spec.rate = rate_mbit.map(Rate::mbit);
        let line = Forwarder::start(ForwarderConfig::to(self.address).both_ways(spec))?;
        let mut lines = self.lines();
        lines.push(line);
        Ok(lines.len() - 1)
    }

    /// Does something to one line, or to all of them.
    pub(crate) fn each_line(&self, line: Option<usize>, act: impl Fn(&Forwarder)) -> Result<(), Error> {
        let lines = self.lines();
        match line {
            Some(line) => act(lines.get(line).ok_or_else(|| format!("there is no line {line}"))?),
            None => lines.iter().for_each(act),
        }
        Ok(())
    }

    pub(crate) fn authority(&self, line: usize) -> Result<String, Error> {
        let lines = self.lines();
        let line = lines.get(line).ok_or_else(|| format!("there is no line {line}"))?;
        Ok(line.local_addr().to_string())
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Forwarder>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- sessions ----

    /// Waits until there have been enough sessions, and returns the one that came at this place.
    pub(crate) async fn session(&self, place: usize) -> Result<Session, Error> {
        let mut sessions = self.sessions.subscribe();
        let sessions = sessions.wait_for(|sessions| sessions.len() > place).await?;
        sessions.get(place).cloned().ok_or_else(|| "there is no such session".into())
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.borrow().len()
    }

    async fn accept(self: Arc<Self>, listener: Listener, application: Application) {
        while let Some(session) = listener.accept().await {
            match application {
                Application::Echo => drop(tokio::spawn(echo::serve(session.clone()))),
                Application::Asked => self.serve(&session),
            }
            self.sessions.send_modify(|sessions| sessions.push(session));
        }
    }

    fn serve(&self, session: &Session) {
        let (streams, records) = (session.clone(), Arc::clone(&self.records));
        tokio::spawn(async move {
            while let Ok((send, recv)) = streams.accept_bi().await {
                tokio::spawn(behaviour::serve(Arc::clone(&records), Some(send), recv));
            }
        });
        let (streams, records) = (session.clone(), Arc::clone(&self.records));
        tokio::spawn(async move {
            while let Ok(recv) = streams.accept_uni().await {
                tokio::spawn(behaviour::serve(Arc::clone(&records), None, recv));
            }
        });
        let datagrams = session.clone();
        tokio::spawn(async move {
            while let Ok(datagram) = datagrams.recv_datagram().await {
                // It may be lost like any other.
                let _ = datagrams.send_datagram(datagram);
            }
        });
    }
}
