//! The execution of the tests' commands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kwik::{AppCode, SessionError, SessionStats};
use kwik_netem::Forwarder;
use serde_json::{Value, json};

use crate::Error;
use crate::behaviour::{self, Halves, Incoming, Request};
use crate::command::Command;
use crate::raw;
use crate::server::Server;

/// The servers that were started.
#[derive(Default)]
pub(crate) struct Control {
    servers: Mutex<Vec<Arc<Server>>>,
}

impl Control {
    pub(crate) async fn obey(&self, command: Command) -> Result<Value, Error> {
        match command {
            Command::Listen(options) => self.listen(Server::start(options).await?),
            Command::ListenRaw {} => raw::listen(),
            Command::AddLine { server, rate_mbit } => {
                let server = self.server(server)?;
                let line = server.add_line(rate_mbit)?;
                Ok(json!({ "line": line, "url": server.urls().get(line) }))
            }
            Command::Silence { server, line } => self.each_line(server, line, Forwarder::silence),
            Command::Restore { server, line } => self.each_line(server, line, Forwarder::restore),
            Command::Progress { server, name } => Ok(self.server(server)?.records.record(&name).progress()),
            Command::Outcome { server, name } => {
                let record = self.server(server)?.records.record(&name);
                Ok(record.outcome().await)
            }
            Command::Release { server, name } => {
                self.server(server)?.records.record(&name).release();
                Ok(Value::Null)
            }
            command => self.obey_about_session(command).await,
        }
    }

    async fn obey_about_session(&self, command: Command) -> Result<Value, Error> {
        match command {
            Command::Accepted { server, session } => {
                let server = self.server(server)?;
                server.session(session).await?;
                Ok(json!(server.session_count()))
            }
            Command::Open { server, session, bidirectional, request } => {
                self.open(server, session, bidirectional, request).await
            }
            Command::Datagram { server, session, text } => {
                self.session(server, session).await?.send_datagram(text.into())?;
                Ok(Value::Null)
            }
            Command::Close { server, session, code, reason } => {
                self.session(server, session).await?.close(AppCode::try_from(code)?, reason.as_bytes());
                Ok(Value::Null)
            }
            Command::Closed { server, session } => {
                Ok(describe_end(&self.session(server, session).await?.closed().await))
            }
            Command::Drain { server, session } => {
                self.session(server, session).await?.drain();
                Ok(Value::Null)
            }
            Command::Advertise { server, session, line } => {
                let authority = self.server(server)?.authority(line)?;
                self.session(server, session).await?.advertise(&authority, None, 0)?;
                Ok(Value::Null)
            }
            Command::Stats { server, session } => {
                Ok(describe_stats(&self.session(server, session).await?.stats()))
            }
            command => Err(format!("{command:?} is for nobody").into()),
        }
    }

    fn listen(&self, server: Arc<Server>) -> Result<Value, Error> {
        let mut servers = self.servers();
        let (pin, urls, direct) = (server.pin().to_string(), server.urls(), server.direct_url());
        servers.push(server);
        Ok(json!({ "server": servers.len() - 1, "pin": pin, "urls": urls, "direct": direct }))
    }

    async fn open(
        &self,
        server: usize,
        session: usize,
        bidirectional: bool,
        request: Request,
    ) -> Result<Value, Error> {
        let records = Arc::clone(&self.server(server)?.records);
        let session = self.session(server, session).await?;
        let halves = if bidirectional {
            let (mut send, recv) = session.open_bi().await?;
            // The page learns of a stream with its first bytes.
            send.write_all(b"opened\n").await?;
            Halves { send: Some(send), recv: Some(Incoming::new(recv)) }
        } else {
            Halves { send: Some(session.open_uni().await?), recv: None }
        };
        tokio::spawn(async move { behaviour::perform(&records, request, halves).await });
        Ok(Value::Null)
    }

    fn each_line(
        &self,
        server: usize,
        line: Option<usize>,
        act: impl Fn(&Forwarder),
    ) -> Result<Value, Error> {
        self.server(server)?.each_line(line, act)?;
        Ok(Value::Null)
    }

    async fn session(&self, server: usize, session: usize) -> Result<kwik::Session, Error> {
        self.server(server)?.session(session).await
    }

    fn server(&self, place: usize) -> Result<Arc<Server>, Error> {
        let server = self.servers().get(place).cloned();
        server.ok_or_else(|| format!("there is no server {place}").into())
    }

    fn servers(&self) -> MutexGuard<'_, Vec<Arc<Server>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe_end(end: &SessionError) -> Value {
    match end {
        SessionError::ClosedByPeer { code, reason } => {
            json!({ "closedByPeer": { "code": code.as_u64(), "reason": String::from_utf8_lossy(reason) } })
        }
        SessionError::LocallyClosed { code, undelivered_bytes } => {
            json!({ "closedHere": { "code": code.as_u64(), "undelivered": undelivered_bytes } })
        }
        other => json!({ "other": other.to_string() }),
    }
}

fn describe_stats(stats: &SessionStats) -> Value {
    json!({
        "delivered": stats.delivered_bytes,
        "sent": stats.sent_bytes,
        "retained": stats.retained_bytes,
        "buffered": stats.buffered_bytes,
        "openStreams": stats.open_streams,
        "pathFailures": stats.path_failures,
        "resumes": stats.resumes,
    })
}
