//! A client that does as it is told, and sees what comes of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use kwik::PathId;
use kwik::proto::wire::frame::{Frame, Hello, Intent, Parameters};
use kwik::proto::wire::lane::put_control_header;
use kwik::proto::wire::limits::VERSION;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt};

use crate::wire::{Header, control, lane};
use crate::{Do, From, Must, otherwise};

/// Longer than any answer takes: a case that waits for what does not come fails after it.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) struct Peer {
    connection: Connection,
    bi: BTreeMap<usize, (SendStream, RecvStream)>,
    uni: BTreeMap<usize, SendStream>,
}

impl Peer {
    pub(crate) async fn connect(quic: &quinn::Endpoint, server: SocketAddr, from: From) -> Self {
        let connection = quic.connect(server, "localhost").unwrap().await.unwrap();
        let mut peer = Self { connection, bi: BTreeMap::new(), uni: BTreeMap::new() };
        if from != From::Nothing {
            peer.perform(Do::Uni(0, control(b""))).await;
        }
        if matches!(from, From::Open | From::Bound) {
            peer.perform(Do::Bi(0, Header::connect().frame())).await;
            assert_eq!(peer.status(0).await, Ok(200));
        }
        if from == From::Bound {
            peer.perform(Do::Bi(1, hello())).await;
            let (_, recv) = peer.bi.get_mut(&1).unwrap();
            recv.read_chunk(usize::MAX, true).await.unwrap().expect("ACCEPT");
        }
        peer
    }

    /// Does it, unless the connection is gone already.
    pub(crate) async fn perform(&mut self, step: Do) {
        match step {
            Do::Bi(at, bytes) => {
                if let Some((send, _)) = self.bidirectional(at).await {
                    let _ = send.write_all(&bytes).await;
                }
            }
            Do::Uni(at, bytes) => {
                if let Some(send) = self.unidirectional(at).await {
                    let _ = send.write_all(&bytes).await;
                }
            }
            Do::FinishBi(at) => {
                if let Some((send, _)) = self.bidirectional(at).await {
                    let _ = send.finish();
                }
            }
            Do::FinishUni(at) => {
                if let Some(send) = self.unidirectional(at).await {
                    let _ = send.finish();
                }
            }
            Do::ResetBi(at) => {
                if let Some((send, _)) = self.bidirectional(at).await {
                    let _ = send.reset(VarInt::from_u32(0x10c));
                }
            }
            Do::ResetUni(at) => {
                if let Some(send) = self.unidirectional(at).await {
                    let _ = send.reset(VarInt::from_u32(0x10c));
                }
            }
            Do::StopControl => {
                if let Ok(mut recv) = self.connection.accept_uni().await {
                    let _ = recv.stop(VarInt::from_u32(0));
                }
            }
            Do::Settle => self.goes_on().await.unwrap(),
            Do::Datagram(bytes) => drop(self.connection.send_datagram(bytes.into())),
        }
    }

    async fn bidirectional(&mut self, at: usize) -> Option<&mut (SendStream, RecvStream)> {
        while self.bi.len() <= at {
            self.bi.insert(self.bi.len(), self.connection.open_bi().await.ok()?);
        }
        self.bi.get_mut(&at)
    }

    async fn unidirectional(&mut self, at: usize) -> Option<&mut SendStream> {
        while self.uni.len() <= at {
            self.uni.insert(self.uni.len(), self.connection.open_uni().await.ok()?);
        }
        self.uni.get_mut(&at)
    }

    /// Whether that happens; if not, what does.
    pub(crate) async fn observe(mut self, must: Must) -> Result<(), String> {
        let seen = tokio::time::timeout(PATIENCE, self.look_for(must)).await;
        match seen {
            Ok(Ok(())) if matches!(must, Must::Close(_)) => Ok(()),
            Ok(Ok(())) => match tokio::time::timeout(PATIENCE, self.goes_on()).await {
                Ok(outcome) => outcome,
                Err(_) => otherwise("no answer to a request that followed"),
            },
            Ok(Err(happened)) => Err(happened),
            Err(_) => otherwise("nothing"),
        }
    }

    async fn look_for(&mut self, must: Must) -> Result<(), String> {
        match must {
            Must::Close(code) => match self.connection.closed().await {
                ConnectionError::ApplicationClosed(close) if u64::from(close.error_code) == code => Ok(()),
                ConnectionError::ApplicationClosed(close) => otherwise(u64::from(close.error_code)),
                error => otherwise(error),
            },
            Must::Answer(at, expected) => match self.status(at).await {
                Ok(status) if status == expected => Ok(()),
                other => otherwise(format!("{other:?}")),
            },
            Must::Reset(at, code) => self.reset(at, code).await,
            Must::StopUni(at, code) => {
                let send = self.uni.get_mut(&at).ok_or("the stream is gone")?;
                is_stopped(send, code).await
            }
            Must::Reject(at, code) => {
                self.reset(at, code).await?;
                let (send, _) = self.bi.get_mut(&at).ok_or("the stream is gone")?;
                is_stopped(send, code).await
            }
            Must::GoOn => Ok(()),
        }
    }

    async fn reset(&mut self, at: usize, code: u64) -> Result<(), String> {
        let (_, recv) = self.bi.get_mut(&at).ok_or("the stream is gone")?;
        match recv.read_chunk(usize::MAX, true).await {
            Err(ReadError::Reset(reset)) if u64::from(reset) == code => Ok(()),
            other => otherwise(other),
        }
    }

    /// The status that a request is answered with.
    async fn status(&mut self, at: usize) -> Result<u16, String> {
        let (_, recv) = self.bidirectional(at).await.ok_or("the connection is gone")?;
        let mut answer = Vec::new();
        loop {
            // All that the server writes is a literal.
            let mut parts = answer.windows(11).filter_map(|it| it.strip_prefix(b":status\x03"));
            if let Some(status) = parts.next() {
                return String::from_utf8_lossy(status).parse().or_else(otherwise);
            }
            match recv.read_chunk(usize::MAX, true).await {
                Ok(Some(chunk)) => answer.extend_from_slice(&chunk.bytes),
                other => return otherwise(other),
            }
        }
    }

    /// Whether a request that follows is answered.
    async fn goes_on(&mut self) -> Result<(), String> {
        let next = self.bi.len();
        if let Some((send, _)) = self.bidirectional(next).await {
            let _ = send.write_all(&Header::get().frame()).await;
        }
        match self.status(next).await {
            Ok(404) => Ok(()),
            Ok(other) => otherwise(other),
            Err(_) => otherwise(self.connection.close_reason()),
        }
    }
}

async fn is_stopped(send: &mut SendStream, expected: u64) -> Result<(), String> {
    match send.stopped().await {
        Ok(Some(code)) if u64::from(code) == expected => Ok(()),
        other => otherwise(other),
    }
}

/// The control lane of a session that is new.
fn hello() -> Vec<u8> {
    let mut hello = BytesMut::from(&lane(0x41, 0, "")[..]);
    put_control_header(&mut hello);
    let parameters = Parameters { max_paths: 8, resume_timeout_ms: 30_000, ..Parameters::default() };
    Frame::Hello(Hello { versions: vec![VERSION], path: PathId::PRIMARY, intent: Intent::New, parameters })
        .encode(&mut hello);
    hello.to_vec()
}
