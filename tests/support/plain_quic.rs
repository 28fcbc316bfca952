//! Plain QUIC, for clients that do by hand what KWIK's would not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use kwik::{Identity, Listener, ServerConfig};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::rustls::pki_types::CertificateDer;
use quinn::rustls::{ClientConfig, RootCertStore};

use super::listen_on;

/// A server, and an endpoint that trusts it and speaks `alpn` with it.
pub(crate) async fn server_and_plain_quic(alpn: &[u8]) -> (Listener, quinn::Endpoint) {
    let (identity, plain) = identity_and_plain_quic();
    let listener = listen_on(1, ServerConfig::new(identity)).await;
    (listener, plain.endpoint(alpn, Ipv4Addr::LOCALHOST.into()))
}

/// A server's identity, and what trusts it.
pub(crate) fn identity_and_plain_quic() -> (Identity, PlainQuic) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().to_vec();
    let identity = Identity::from_der(vec![certificate.clone()], made.signing_key.serialize_der()).unwrap();
    (identity, PlainQuic { certificate })
}

/// Makes endpoints that trust one server.
pub(crate) struct PlainQuic {
    certificate: Vec<u8>,
}

impl PlainQuic {
    /// An endpoint on this address of this machine, which speaks `alpn`.
    pub(crate) fn endpoint(&self, alpn: &[u8], local: IpAddr) -> quinn::Endpoint {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.certificate.clone())).unwrap();
        let provider = Arc::new(quinn::rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&quinn::rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.to_vec()];
        let mut quic = quinn::Endpoint::client(SocketAddr::new(local, 0)).unwrap();
        let tls = QuicClientConfig::try_from(tls).unwrap();
        quic.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
        quic
    }
}
