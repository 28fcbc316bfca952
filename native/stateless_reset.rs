//! Keys by which a server that has restarted says so (stateless resets, RFC 9000 section 10.3).
//!
//! A client whose server is a new process learns so by the answer to its next packet, instead of by silence. For that
//! the new process has to make the same reset tokens and know the old one's connection ids, so both keys come from
//! what the two have in common: the server's private key, and the address that the socket is bound to.
//!
//! The address is part of it because a token must not be had from another endpoint than the one whose connection it
//! ends (RFC 9000 section 21.11): a packet that is sent to another socket of the same server gets no answer. Servers
//! that share certificate *and* address (anycast) could be made to reset one another's paths by someone who sees a
//! connection id and can reach the wrong one; a session survives that, as it survives any loss of a path.

use std::net::SocketAddr;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use quinn_proto::crypto::{CryptoError, HmacKey};
use quinn_proto::{EndpointConfig, HashedConnectionIdGenerator};
use sha2::{Digest, Sha256};

use super::certificate::Identity;

/// Keep the uses of the private key apart.
const RESET_CONTEXT: &[u8] = b"kwik stateless reset";
const CONNECTION_ID_CONTEXT: &[u8] = b"kwik connection id";

/// What the keys of a server's sockets are made of.
#[derive(Clone)]
pub(crate) struct ResetSecret([u8; 32]);

impl ResetSecret {
    /// The same for every process with this identity.
    pub(crate) fn of(identity: &Identity) -> Self {
        Self(Sha256::digest(identity.key().secret_der()).into())
    }

    /// How the endpoint at this address is set up.
    pub(crate) fn endpoint_config(&self, local: SocketAddr) -> EndpointConfig {
        let reset_key = ResetKey(self.derive(RESET_CONTEXT, local));
        let [a, b, c, d, e, f, g, h, ..] = self.derive(CONNECTION_ID_CONTEXT, local);
        let id_key = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let mut config = EndpointConfig::new(Arc::new(reset_key));
        config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id_key)));
        config
    }

    fn derive(&self, context: &[u8], local: SocketAddr) -> [u8; 32] {
        mac(&self.0).chain_update(context).chain_update(local.to_string()).finalize().into_bytes().into()
    }
}

/// HMAC-SHA256 for quinn-proto.
struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&mac(&self.0).chain_update(data).finalize().into_bytes());
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        mac(&self.0).chain_update(data).verify_slice(signature).map_err(|_| CryptoError)
    }
}

fn mac(key: &[u8; 32]) -> Hmac<Sha256> {
    // RFC 2104 section 2: a key shorter than the block of the hash is filled up with zeros.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::new(&block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(secret: &ResetSecret, local: &str) -> [u8; 32] {
        secret.derive(RESET_CONTEXT, local.parse().unwrap())
    }

    #[test]
    fn a_process_with_the_same_key_and_address_has_the_same_keys_and_nobody_else() {
        let identity = Identity::ephemeral().unwrap();
        let (before, after) = (ResetSecret::of(&identity), ResetSecret::of(&identity.clone()));
        assert_eq!(token(&before, "192.0.2.1:4433"), token(&after, "192.0.2.1:4433"));
        assert_ne!(token(&before, "192.0.2.1:4433"), token(&before, "192.0.2.1:4434"));
        let other = ResetSecret::of(&Identity::ephemeral().unwrap());
        assert_ne!(token(&before, "192.0.2.1:4433"), token(&other, "192.0.2.1:4433"));
    }

    #[test]
    fn a_signature_is_verified_and_a_wrong_one_is_not() {
        let key = ResetKey([7; 32]);
        let mut signature = [0; 32];
        key.sign(b"id", &mut signature);
        assert!(key.verify(b"id", &signature).is_ok());
        assert!(key.verify(b"other", &signature).is_err());
    }
}
