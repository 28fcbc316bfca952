//! TLS for QUIC: whom a client trusts, and what a server shows.
//!
//! TLS 1.3 only, and always with *ring*, named explicitly: the process's default provider belongs to
//! the application. AES-128 comes first because it is the fastest where the CPU has instructions for
//! AES, and as strong as the rest of the handshake.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

use super::certificate::Identity;
use super::validity::Validity;
use crate::api::CertificatePin;

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The platform has no certificate authorities, or none that can be read.
    #[error("no usable certificate authorities on this system ({problems}): install them, or pin the server")]
    NoPlatformRoots {
        /// What went wrong with reading them.
        problems: String,
    },
    /// A certificate authority given by the user is not usable.
    #[error("certificate authority number {index} (from 0) is not usable: {source}")]
    Root {
        /// Its place among those given.
        index: usize,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The server's certificate and key are not usable together, or not at all.
    #[error("the server's certificate or key is not usable: {0}")]
    Identity(#[source] rustls::Error),
    /// The cryptography lacks something QUIC needs.
    #[error("the TLS provider does not fit QUIC: {0}")]
    Provider(#[source] rustls::Error),
    /// The cryptography lacks the cipher of QUIC's first packets.
    #[error("the TLS provider does not fit QUIC: {0}")]
    InitialCipher(#[from] NoInitialCipherSuite),
}

/// Whom a client trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The certificate authorities of the platform.
    #[default]
    Platform,
    /// These certificate authorities (in DER) besides those of the platform.
    Roots(Vec<Vec<u8>>),
    /// The servers with these certificates and nobody else, whatever name they have.
    Pins(Vec<CertificatePin>),
}

/// The client's side of TLS, offering these protocols.
///
/// Reads the platform's certificate authorities from disk unless pins are given: keep the result.
pub(crate) fn client_config(trust: &Trust, alpn: &[&[u8]]) -> Result<QuicClientConfig, TlsError> {
    let provider = provider();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Provider)?;
    let builder = match trust {
        Trust::Platform => builder.with_root_certificates(roots(&[])?),
        Trust::Roots(extra) => builder.with_root_certificates(roots(extra)?),
        Trust::Pins(pins) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinVerifier { pins: pins.clone(), provider })),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config.try_into()?)
}

/// The server's side of TLS, accepting these protocols, the first it likes best.
pub(crate) fn server_config(identity: &Identity, alpn: &[&[u8]]) -> Result<QuicServerConfig, TlsError> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Provider)?
        .with_no_client_auth()
        .with_single_cert(identity.chain().to_vec(), identity.key())
        .map_err(TlsError::Identity)?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config.try_into()?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            TLS13_AES_128_GCM_SHA256,
            TLS13_AES_256_GCM_SHA384,
            TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..ring::default_provider()
    })
}

/// The platform's certificate authorities and the extra ones. The platform's may be missing or partly
/// broken as long as something is left to trust.
fn roots(extra: &[Vec<u8>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (index, root) in extra.iter().enumerate() {
        let root = CertificateDer::from(root.as_slice());
        roots.add(root).map_err(|source| TlsError::Root { index, source })?;
    }
    let platform = rustls_native_certs::load_native_certs();
    for error in &platform.errors {
        tracing::warn!(%error, "some of the platform's certificate authorities cannot be read");
    }
    let (_, unusable) = roots.add_parsable_certificates(platform.certs);
    tracing::debug!(roots = roots.len(), unusable, "certificate authorities loaded");
    if roots.is_empty() {
        let problems: Vec<_> = platform.errors.iter().map(ToString::to_string).collect();
        let problems = if problems.is_empty() { "none found".to_owned() } else { problems.join("; ") };
        return Err(TlsError::NoPlatformRoots { problems });
    }
    Ok(roots)
}

/// Trusts exactly the certificates it was told the hashes of. As in browsers
/// (`serverCertificateHashes`) the name in the certificate does not matter and its dates do.
#[derive(Debug)]
struct PinVerifier {
    pins: Vec<CertificatePin>,
    provider: Arc<CryptoProvider>,
}

/// The server's certificate is another than the address says.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate is not a pinned one: its pin is {presented}")]
struct NotPinned {
    presented: CertificatePin,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // A pin is no secret: the comparison need not be in constant time.
        let presented = CertificatePin::of(end_entity);
        if !self.pins.contains(&presented) {
            return Err(CertificateError::Other(OtherError(Arc::new(NotPinned { presented }))).into());
        }
        let validity = Validity::of(end_entity).ok_or(CertificateError::BadEncoding)?;
        let since_1970 = Duration::from_secs(now.as_secs());
        if validity.contains(since_1970) {
            Ok(ServerCertVerified::assertion())
        } else if since_1970 < validity.not_before {
            Err(CertificateError::NotValidYet.into())
        } else {
            Err(CertificateError::Expired.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Instant;

    use bytes::BytesMut;
    use quinn_proto::{
        ClientConfig, Connection, ConnectionError, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig,
        Event, ServerConfig, Transmit, TransportErrorCode,
    };

    use super::*;
    use crate::proto::wire::limits::ALPN;

    fn identity_valid(from: (i32, u8, u8), until: (i32, u8, u8)) -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let certificate = params.self_signed(&key).unwrap();
        Identity::from_der(vec![certificate.der().to_vec()], key.serialize_der()).unwrap()
    }

    fn identity() -> Identity {
        identity_valid((2020, 1, 1), (2090, 1, 1))
    }

    /// One end of a connection in memory.
    struct End {
        endpoint: Endpoint,
        connection: Option<(ConnectionHandle, Connection)>,
    }

    impl End {
        fn new(server: Option<QuicServerConfig>) -> Self {
            let server = server.map(|tls| Arc::new(ServerConfig::with_crypto(Arc::new(tls))));
            let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), server, true, None);
            Self { endpoint, connection: None }
        }

        /// Takes in `datagrams`, and answers.
        fn exchange(&mut self, now: Instant, datagrams: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
            let mut answers = Vec::new();
            let mut buffer = Vec::new();
            for datagram in datagrams {
                let data = BytesMut::from(&datagram[..]);
                match self.endpoint.handle(now, peer(), None, None, data, &mut buffer) {
                    Some(DatagramEvent::NewConnection(incoming)) => {
                        let accepted = self.endpoint.accept(incoming, now, &mut buffer, None);
                        match accepted {
                            Ok(connection) => self.connection = Some(connection),
                            Err(error) => answers.extend(error.response.map(|t| take(&mut buffer, &t))),
                        }
                    }
                    Some(DatagramEvent::ConnectionEvent(_, event)) => {
                        if let Some((_, connection)) = &mut self.connection {
                            connection.handle_event(event);
                        }
                    }
                    Some(DatagramEvent::Response(transmit)) => answers.push(take(&mut buffer, &transmit)),
                    None => {}
                }
            }
            if let Some((handle, connection)) = &mut self.connection {
                while let Some(event) = connection.poll_endpoint_events() {
                    if let Some(event) = self.endpoint.handle_event(*handle, event) {
                        connection.handle_event(event);
                    }
                }
                while let Some(transmit) = connection.poll_transmit(now, 1, &mut buffer) {
                    answers.push(take(&mut buffer, &transmit));
                }
            }
            answers
        }

        fn outcome(&mut self) -> Option<Result<(), ConnectionError>> {
            let (_, connection) = self.connection.as_mut()?;
            std::iter::from_fn(|| connection.poll()).find_map(|event| match event {
                Event::Connected => Some(Ok(())),
                Event::ConnectionLost { reason } => Some(Err(reason)),
                _ => None,
            })
        }
    }

    fn peer() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 4433).into()
    }

    fn take(buffer: &mut Vec<u8>, transmit: &Transmit) -> Vec<u8> {
        let mut datagram = std::mem::take(buffer);
        datagram.truncate(transmit.size);
        datagram
    }

    /// A handshake over QUIC: what the client says of it, and the protocol the two agreed on.
    fn handshake(client: QuicClientConfig, server: QuicServerConfig) -> Result<Vec<u8>, ConnectionError> {
        let now = Instant::now();
        let (mut client_end, mut server_end) = (End::new(None), End::new(Some(server)));
        let config = ClientConfig::new(Arc::new(client));
        client_end.connection = Some(client_end.endpoint.connect(now, config, peer(), "localhost").unwrap());
        let mut datagrams = Vec::new();
        for _ in 0..20 {
            let to_server = client_end.exchange(now, std::mem::take(&mut datagrams));
            if let Some(outcome) = client_end.outcome() {
                let (_, connection) = client_end.connection.as_ref().unwrap();
                let data = connection.crypto_session().handshake_data();
                return outcome.map(|()| {
                    let data = data.unwrap().downcast::<quinn_proto::crypto::rustls::HandshakeData>();
                    data.unwrap().protocol.unwrap()
                });
            }
            datagrams = server_end.exchange(now, to_server);
        }
        panic!("the handshake came to no end");
    }

    fn dial(trust: &Trust, identity: &Identity) -> Result<Vec<u8>, ConnectionError> {
        handshake(client_config(trust, &[ALPN]).unwrap(), server_config(identity, &[ALPN, b"h3"]).unwrap())
    }

    /// The alert a handshake ended with (RFC 8446 §6), and what was said about it.
    fn alert(result: Result<Vec<u8>, ConnectionError>) -> (u8, String) {
        match result.unwrap_err() {
            ConnectionError::TransportError(error) => {
                let alert = (0..=u8::MAX).find(|&alert| error.code == TransportErrorCode::crypto(alert));
                (alert.unwrap(), error.reason)
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_pinned_server_is_trusted_whoever_signed_its_certificate() {
        let identity = identity();
        let pins = vec![CertificatePin([0; 32]), identity.pin()];
        assert_eq!(dial(&Trust::Pins(pins), &identity).unwrap(), ALPN);
    }

    #[test]
    fn a_server_with_another_certificate_is_refused_and_its_pin_is_told() {
        let (expected, impostor) = (identity(), identity());
        let (_, reason) = alert(dial(&Trust::Pins(vec![expected.pin()]), &impostor));
        assert!(reason.contains(&impostor.pin().to_string()), "{reason}");
        alert(dial(&Trust::Pins(vec![]), &impostor));
    }

    #[test]
    fn a_pinned_certificate_is_refused_outside_its_dates() {
        let expired = identity_valid((2020, 1, 1), (2020, 1, 14));
        assert_eq!(alert(dial(&Trust::Pins(vec![expired.pin()]), &expired)).0, 45);
        let future = identity_valid((2090, 1, 1), (2090, 1, 14));
        let (_, reason) = alert(dial(&Trust::Pins(vec![future.pin()]), &future));
        assert!(reason.contains("NotValidYet") || reason.contains("not valid yet"), "{reason}");
    }

    /// Knowing the certificate (everybody does) is not having its key.
    #[test]
    fn a_pinned_certificate_shown_without_its_key_is_refused() {
        let (victim, thief) = (identity(), identity());
        let stolen = rustls::sign::CertifiedKey::new(
            victim.chain().to_vec(),
            rustls::crypto::ring::sign::any_supported_type(&thief.key()).unwrap(),
        );
        let resolver = rustls::sign::SingleCertAndKey::from(stolen);
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![ALPN.to_vec()];
        let client = client_config(&Trust::Pins(vec![victim.pin()]), &[ALPN]).unwrap();
        let decrypt_error = 51;
        assert_eq!(alert(handshake(client, config.try_into().unwrap())).0, decrypt_error);
    }

    #[test]
    fn an_extra_authority_vouches_for_its_servers_and_only_for_them() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority of our own");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        let trust = Trust::Roots(vec![authority.der().to_vec()]);

        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let vouched = Identity::from_der(vec![certificate.der().to_vec()], key.serialize_der()).unwrap();
        assert_eq!(dial(&trust, &vouched).unwrap(), ALPN);
        let unknown_ca = 48;
        assert_eq!(alert(dial(&trust, &identity())).0, unknown_ca);
    }

    #[test]
    fn ends_that_speak_no_common_protocol_do_not_connect() {
        let identity = identity();
        let client = client_config(&Trust::Pins(vec![identity.pin()]), &[b"other/1"]).unwrap();
        let result = handshake(client, server_config(&identity, &[ALPN]).unwrap());
        assert!(result.is_err(), "{result:?}");
    }

    #[test]
    fn unusable_material_is_refused_when_it_is_given() {
        let nonsense = Trust::Roots(vec![vec![1, 2, 3]]);
        assert!(matches!(client_config(&nonsense, &[]), Err(TlsError::Root { index: 0, .. })));
        let (one, other) = (identity(), identity());
        let chain = vec![one.chain()[0].to_vec()];
        let mixed = Identity::from_der(chain, other.key().secret_der().to_vec()).unwrap();
        assert!(matches!(server_config(&mixed, &[]), Err(TlsError::Identity(_))));
    }
}
