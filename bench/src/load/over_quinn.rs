//! The load over plain quinn, set to what KWIK does by default: keep-alives, windows, socket buffers, a pinned
//! certificate. Bulk transfers are an exception: there both contenders have their own defaults.

use std::net::UdpSocket;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use nix::sys::socket::{setsockopt, sockopt};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::rustls::client::Resumption;
use quinn::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use quinn::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use quinn::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use quinn::rustls::version::TLS13;
use quinn::rustls::{self, CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use quinn::{
    Connection, Endpoint, EndpointConfig, RecvStream, SendStream, TokioRuntime, TransportConfig, VarInt,
};

use super::case::Case;
use super::protocol;
use super::session::{Dialer, Reader, Session, Writer};
use crate::rival;

/// What KWIK asks of the kernel for each of its sockets.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Serves, and says where. Must be called inside a tokio runtime.
pub(crate) fn listen(case: &Case) -> Result<Vec<String>> {
    let (certificate, key) = rival::certificate()?;
    let mut tls = rival::server_tls(certificate.clone(), key)?;
    tls.send_tls13_tickets = 0;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport(case)?);
    let endpoint = endpoint(case, Some(config))?;
    let url = rival::url(endpoint.local_addr()?, &certificate);
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                match incoming.await {
                    Ok(connection) => protocol::serve(connection).await,
                    Err(error) => eprintln!("load-serve: {error}"),
                }
            });
        }
    });
    Ok(vec![url])
}

fn endpoint(case: &Case, server: Option<quinn::ServerConfig>) -> Result<Endpoint> {
    let socket = UdpSocket::bind(super::ANYWHERE)?;
    if !case.keeps_defaults() {
        setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BUFFER_BYTES)?;
        setsockopt(&socket, sockopt::SndBuf, &SOCKET_BUFFER_BYTES)?;
    }
    Ok(Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime))?)
}

fn transport(case: &Case) -> Result<Arc<TransportConfig>> {
    let mut transport = rival::transport();
    if !case.keeps_defaults() {
        let kwik = kwik::Config::default();
        let session = kwik.session;
        transport
            .keep_alive_interval(kwik.keep_alive)
            .stream_receive_window(VarInt::from_u64(session.stream_receive_window.max_bytes)?)
            .receive_window(VarInt::from_u64(session.session_receive_window.max_bytes)?)
            .send_window(session.session_send_buffer_bytes as u64)
            .max_concurrent_bidi_streams(VarInt::from_u64(case.streams().max(session.max_streams_bidi))?);
    }
    Ok(Arc::new(transport))
}

/// Dials one server from one socket.
#[derive(Debug, Clone)]
pub(crate) struct QuinnDialer {
    endpoint: Endpoint,
    server: std::net::SocketAddr,
}

impl QuinnDialer {
    /// Must be called inside a tokio runtime.
    pub(crate) fn new(case: &Case, urls: &[String]) -> Result<Self> {
        let (server, certificate) = rival::parse_url(urls.first().context("the server has no address")?)?;
        let provider = rival::provider();
        let mut tls = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { certificate, provider }))
            .with_no_client_auth();
        tls.alpn_protocols = vec![rival::ALPN.to_vec()];
        tls.resumption = Resumption::disabled();
        let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        config.transport_config(transport(case)?);
        let mut endpoint = endpoint(case, None)?;
        endpoint.set_default_client_config(config);
        Ok(Self { endpoint, server })
    }
}

impl Dialer for QuinnDialer {
    type Session = Connection;

    async fn dial(&self) -> Result<Connection> {
        Ok(self.endpoint.connect(self.server, rival::SERVER_NAME)?.await?)
    }
}

impl Session for Connection {
    type Writer = SendStream;
    type Reader = RecvStream;

    async fn open(&self) -> Result<(SendStream, RecvStream)> {
        Ok(self.open_bi().await?)
    }

    async fn accept(&self) -> Result<(SendStream, RecvStream)> {
        Ok(self.accept_bi().await?)
    }

    fn end(&self) {
        self.close(VarInt::from_u32(0), b"");
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
        Ok(self.read_chunk(usize::MAX, true).await?.map(|chunk| chunk.bytes))
    }
}

/// Trusts one certificate, as KWIK's clients do: a chain that is verified would be a signature more for each dial.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *end_entity == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
