//! The hostile end: connections over plain quinn, and lanes on which anything may be written.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use quinn::rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use quinn::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use quinn::rustls::{self, ClientConfig, DigitallySignedStruct, SignatureScheme};
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};

use crate::code;
use crate::wire::{self, CONTROL_LANE, Credentials, Frame, kind};

/// The ALPN of a path over QUIC (section 2.1).
const ALPN: &[u8] = b"kwik/1";

/// Longer than anything here should take on a machine that does a lot else, so that a case that hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a part of a case, and fails when it takes longer than anything should.
pub async fn patiently<T>(what: &str, part: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, part).await.unwrap_or_else(|_| panic!("it hangs: {what}"))
}

/// Whoever it is will do: this peer has nothing to lose.
#[derive(Debug)]
struct TrustAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC is TLS 1.3".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client that trusts anybody and speaks `kwik/1`.
pub(crate) fn client_config(transport: Arc<TransportConfig>) -> quinn::ClientConfig {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(TrustAnybody(Arc::clone(&provider)));
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("TLS 1.3")));
    config.transport_config(transport);
    config
}

/// Bytes on their way.
const WIDE: u64 = 1 << 30;

/// Wide open: what holds this peer back is its victim's limits, never its own.
fn transport(send_window: u64) -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(10_000_u32.into())
        .max_concurrent_uni_streams(10_000_u32.into())
        .send_window(send_window)
        .datagram_send_buffer_size(1 << 16)
        .keep_alive_interval(Some(Duration::from_secs(2)));
    Arc::new(transport)
}

/// A socket from which hostile clients reach one server.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    server: SocketAddr,
}

impl Client {
    /// From this machine's usual address.
    pub fn of(server: SocketAddr) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, server)
    }

    /// From an address of its own: all of 127.0.0.0/8 is loopback.
    pub fn from(address: Ipv4Addr, server: SocketAddr) -> Self {
        Self::with_send_window(address, server, WIDE)
    }

    /// One that goes on writing only when all but so many bytes have arrived: what is written on several lanes arrives
    /// about in the order in which it was written.
    pub fn with_send_window(address: Ipv4Addr, server: SocketAddr, send_window: u64) -> Self {
        let mut endpoint = Endpoint::client((IpAddr::V4(address), 0).into()).expect("a socket");
        endpoint.set_default_client_config(client_config(transport(send_window)));
        Self { endpoint, server }
    }

    /// A connection on which nothing is said.
    ///
    /// # Errors
    ///
    /// When the server refuses it, or does not answer.
    pub async fn connect(&self) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.endpoint.connect(self.server, "localhost")?.await?)
    }

    /// A connection whose first bidirectional lane begins with these bytes.
    pub async fn begin(&self, bytes: &[u8]) -> Path {
        patiently("connecting", async {
            let connection = self.connect().await.expect("a connection");
            let (mut control, replies) = connection.open_bi().await.expect("the first lane");
            control.write_all(bytes).await.expect("the first bytes");
            Path::new(connection, control, replies)
        })
        .await
    }

    /// A path with a control lane that begins with these frames.
    pub async fn greet(&self, frames: &[u8]) -> Path {
        self.begin(&[&[CONTROL_LANE], frames].concat()).await
    }

    /// A path that has opened a session.
    pub async fn open(&self) -> (Path, Credentials) {
        let mut path = self.greet(&wire::hello_new()).await;
        let credentials = path.until(kind::ACCEPT).await.credentials();
        (path, credentials)
    }

    /// A path that asks to join a session.
    pub async fn ask_to_join(&self, credentials: &Credentials, id: u64) -> Path {
        self.greet(&wire::hello_join(&credentials.session, id, &credentials.proof(id))).await
    }

    /// A path that has joined a session.
    pub async fn join(&self, credentials: &Credentials, id: u64) -> Path {
        let mut path = self.ask_to_join(credentials, id).await;
        path.until(kind::ACCEPT).await;
        path
    }
}

/// A hostile server, to which clients can be lured.
#[derive(Debug)]
pub struct Trap {
    endpoint: Endpoint,
    certificate: Vec<u8>,
}

impl Trap {
    /// Set on loopback.
    pub fn set() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = made.cert.der().to_vec();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring speaks TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate.clone())], key)
            .expect("a certificate and its key");
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let crypto = Arc::new(QuicServerConfig::try_from(tls).expect("TLS 1.3"));
        let mut config = quinn::ServerConfig::with_crypto(crypto);
        config.transport_config(transport(WIDE));
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
        Self { endpoint, certificate }
    }

    /// What a victim dials.
    pub fn url(&self) -> String {
        let address = self.endpoint.local_addr().expect("an address");
        format!("kwik://{address}?pin={}", kwik::CertificatePin::of(&self.certificate))
    }

    /// The next path of a victim, and its HELLO. Nothing has been said to it.
    pub async fn catch(&self) -> (Path, Frame) {
        patiently("waiting for a victim", async {
            let incoming = self.endpoint.accept().await.expect("the trap is open");
            let connection = incoming.await.expect("a connection");
            let (control, replies) = connection.accept_bi().await.expect("a control lane");
            let mut path = Path::new(connection, control, replies);
            let hello = path.until(kind::HELLO).await;
            (path, hello)
        })
        .await
    }

    /// The first path of a victim, which has been accepted.
    pub async fn welcome(&self) -> (Path, Credentials) {
        let (mut path, _) = self.catch().await;
        let credentials = Credentials { session: [1; 16], resume_key: [2; 32], nonce: [3; 16] };
        path.say(&[&[CONTROL_LANE], &wire::accept(1, &credentials)[..]].concat()).await;
        (path, credentials)
    }
}

/// One connection with its control lane.
#[derive(Debug)]
pub struct Path {
    /// What it is made of.
    pub connection: Connection,
    /// This end's direction of the control lane.
    pub control: SendStream,
    replies: RecvStream,
    unread: Vec<u8>,
    has_begun: bool,
}

impl Path {
    fn new(connection: Connection, control: SendStream, replies: RecvStream) -> Self {
        Self { connection, control, replies, unread: Vec::new(), has_begun: false }
    }

    /// Writes on the control lane, whatever comes of it: a victim that has closed already is no surprise.
    pub async fn say(&mut self, bytes: &[u8]) {
        let _ = patiently("writing", self.control.write_all(bytes)).await;
    }

    /// Opens a unidirectional lane that begins with these bytes, whatever comes of it.
    pub async fn uni(&self, bytes: &[u8]) -> SendStream {
        let mut lane = patiently("opening a lane", self.connection.open_uni()).await.expect("a lane");
        let _ = patiently("writing", lane.write_all(bytes)).await;
        lane
    }

    /// The same with a bidirectional lane.
    pub async fn bi(&self, bytes: &[u8]) -> (SendStream, RecvStream) {
        let mut lane = patiently("opening a lane", self.connection.open_bi()).await.expect("a lane");
        let _ = patiently("writing", lane.0.write_all(bytes)).await;
        lane
    }

    /// Sends a whole unidirectional lane.
    pub async fn whole_lane(&self, bytes: &[u8]) {
        // Resetting is what quinn does with a lane that is dropped unfinished.
        let _ = self.uni(bytes).await.finish();
    }

    /// The next frame of the control lane; `None` at its end, or that of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if !self.has_begun && !self.unread.is_empty() {
                assert_eq!(self.unread.remove(0), CONTROL_LANE, "each direction begins with its type");
                self.has_begun = true;
            }
            if self.has_begun
                && let Some(frame) = Frame::read(&mut self.unread)
            {
                return Some(frame);
            }
            let piece = patiently("reading", self.replies.read_chunk(usize::MAX, true)).await.ok()??;
            self.unread.extend_from_slice(&piece.bytes);
        }
    }

    /// The next frame of this type; others before it are passed over.
    pub async fn until(&mut self, kind: u64) -> Frame {
        loop {
            match self.next().await {
                Some(frame) if frame.kind == kind => return frame,
                Some(_) => {}
                None => panic!("no frame {kind:#x} came, {:?}", self.connection.close_reason()),
            }
        }
    }

    /// The victim blames this peer: the session ends with a CLOSE of this code, and the carrier with the same.
    #[track_caller]
    pub fn is_blamed(mut self, expected: u64) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let [flags, code] = self.until(kind::CLOSE).await.fields();
            assert_eq!((flags, code), (0, expected), "CLOSE, expected at {place}");
            assert_eq!(self.carrier_code().await, expected, "the carrier's code, expected at {place}");
        }
    }

    /// The victim refuses the path: it says REJECT with this code, and the carrier is closed with the same.
    #[track_caller]
    pub fn is_refused(mut self, expected: u64) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let [code] = self.until(kind::REJECT).await.fields();
            assert_eq!(code, expected, "REJECT, expected at {place}");
            assert_eq!(self.carrier_code().await, expected, "the carrier's code, expected at {place}");
        }
    }

    /// The code with which the victim closes the carrier.
    pub async fn carrier_code(&self) -> u64 {
        match patiently("waiting for the end", self.connection.closed()).await {
            ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            other => panic!("not closed with a code: {other}"),
        }
    }

    /// The path still works: a PING behind everything that was said is answered.
    pub async fn is_served(&mut self) {
        let token = 0x0123_4567;
        self.say(&wire::numbers(kind::PING, &[token])).await;
        loop {
            let [answered] = self.until(kind::PONG).await.fields();
            if answered == token {
                return;
            }
        }
    }

    /// Asks the victim to stop sending on its direction of the control lane.
    pub fn stop_reading(&mut self) {
        // Told already, when the lane has ended.
        let _ = self.replies.stop(VarInt::from_u32(0));
    }

    /// Ends the path without a word of KWIK.
    pub fn cut(&self) {
        self.connection.close(VarInt::from_u32(code::NO_ERROR as u32), b"");
    }
}
