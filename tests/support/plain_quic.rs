//! Plain QUIC, for clients that do by hand what KWIK's would not.

use std::net::SocketAddr;
use std::sync::Arc;

use kwik::{Identity, Listener, ServerConfig};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::rustls::pki_types::CertificateDer;
use quinn::rustls::{ClientConfig, RootCertStore};

use super::listen_on;

/// A server, and an endpoint that trusts it and speaks `alpn` with it.
pub(crate) async fn server_and_plain_quic(alpn: &[u8]) -> (Listener, quinn::Endpoint) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().to_vec();
    let identity = Identity::from_der(vec![certificate.clone()], made.signing_key.serialize_der()).unwrap();
    let listener = listen_on(1, ServerConfig::new(identity)).await;

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate)).unwrap();
    let provider = Arc::new(quinn::rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&quinn::rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let mut quic = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let tls = QuicClientConfig::try_from(tls).unwrap();
    quic.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    (listener, quic)
}
