//! The load over KWIK.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use kwik::{AppCode, Config, Identity, RecvStream, SendStream, ServerConfig};

use super::case::Case;
use super::protocol;
use super::session::{Dialer, Reader, Session, Writer};
use crate::rival;

/// Serves on as many sockets as the case has paths, and says where. Must be called inside a tokio runtime.
///
/// TLS tickets cannot be turned off at a KWIK server; its clients never use one.
pub(crate) async fn listen(case: &Case) -> Result<Vec<String>> {
    let (certificate, key) = rival::certificate()?;
    let identity = Identity::from_der(vec![certificate.to_vec()], key.secret_pkcs8_der().to_vec())?;
    let mut config = ServerConfig::new(identity);
    config.session.max_streams_bidi = config.session.max_streams_bidi.max(case.streams());
    // One host may have 49/64 of them: enough by default for 12,544.
    config.max_sessions = config.max_sessions.max(2 * case.sessions());
    let addresses = vec![super::ANYWHERE; case.paths()];
    let listener = kwik::listen(&addresses[..], config).await?;
    let urls = listener.urls();
    tokio::spawn(async move {
        while let Some(session) = listener.accept().await {
            tokio::spawn(protocol::serve(session));
        }
    });
    Ok(urls)
}

/// Dials one server, at all of its addresses. Which sockets are used is left to KWIK.
#[derive(Debug, Clone)]
pub(crate) struct KwikDialer {
    urls: Arc<[String]>,
}

impl KwikDialer {
    pub(crate) fn new(urls: &[String]) -> Self {
        Self { urls: urls.into() }
    }
}

impl Dialer for KwikDialer {
    type Session = kwik::Session;

    async fn dial(&self) -> Result<kwik::Session> {
        let (first, others) = self.urls.split_first().context("the server has no address")?;
        let session = kwik::dial(first, Config::default()).await?;
        for url in others {
            session.add_path(url.as_str()).await?;
        }
        Ok(session)
    }
}

impl Session for kwik::Session {
    type Writer = SendStream;
    type Reader = RecvStream;

    async fn open(&self) -> Result<(SendStream, RecvStream)> {
        Ok(self.open_bi().await?)
    }

    async fn accept(&self) -> Result<(SendStream, RecvStream)> {
        Ok(self.accept_bi().await?)
    }

    fn end(&self) {
        self.close(AppCode::new(0), b"");
    }
}

impl Writer for SendStream {
    async fn write_all(&mut self, data: &[u8]) -> Result<()> {
        Ok(self.write_all(data).await?)
    }

    async fn write_chunk(&mut self, chunk: Bytes) -> Result<()> {
        Ok(self.write_chunk(chunk).await?)
    }

    fn finish(&mut self) -> Result<()> {
        Ok(self.finish()?)
    }
}

impl Reader for RecvStream {
    async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<()> {
        Ok(self.read_exact(buffer).await?)
    }

    async fn read_chunk(&mut self) -> Result<Option<Bytes>> {
        Ok(self.read_chunk(usize::MAX).await?)
    }
}
