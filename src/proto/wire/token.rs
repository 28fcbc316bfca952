//! The proof that a path may join a session (docs/PROTOCOL.md section 3.3).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::frame::Credentials;
use super::id::{PathId, SessionId};

/// Keeps this use of the key apart from any later one.
const CONTEXT: &[u8] = b"kwik/1 join";

/// What a client puts into the HELLO that joins `path` to `session`.
pub fn proof(credentials: &Credentials, session: SessionId, path: PathId) -> [u8; 32] {
    mac(credentials, session, path).finalize().into_bytes().into()
}

/// Whether `proof` is the one for this path, in a time that does not depend on where it is wrong.
pub fn verify(credentials: &Credentials, session: SessionId, path: PathId, proof: &[u8; 32]) -> bool {
    mac(credentials, session, path).verify_slice(proof).is_ok()
}

fn mac(credentials: &Credentials, session: SessionId, path: PathId) -> Hmac<Sha256> {
    // RFC 2104 section 2: a key shorter than the block of the hash is filled up with zeros.
    let mut key = [0; 64];
    key[..32].copy_from_slice(&credentials.resume_key);
    Hmac::new(&key.into())
        .chain_update(CONTEXT)
        .chain_update(session.0)
        .chain_update(path.0.to_be_bytes())
        .chain_update(credentials.nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: Credentials = Credentials { resume_key: [7; 32], nonce: [9; 16] };
    const SESSION: SessionId = SessionId([1; 16]);

    #[test]
    fn the_proof_is_the_hmac_of_the_specification() {
        let mut message = b"kwik/1 join".to_vec();
        message.extend_from_slice(&[1; 16]);
        message.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 3]);
        message.extend_from_slice(&[9; 16]);
        let expected = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap().chain_update(message).finalize();
        assert_eq!(proof(&CREDENTIALS, SESSION, PathId(3)), *expected.into_bytes());
    }

    #[test]
    fn a_proof_is_good_for_its_own_path_session_and_key_only() {
        let proof = proof(&CREDENTIALS, SESSION, PathId(3));
        assert!(verify(&CREDENTIALS, SESSION, PathId(3), &proof));
        assert!(!verify(&CREDENTIALS, SESSION, PathId(4), &proof));
        assert!(!verify(&CREDENTIALS, SessionId([2; 16]), PathId(3), &proof));
        let other_nonce = Credentials { nonce: [8; 16], ..CREDENTIALS };
        assert!(!verify(&other_nonce, SESSION, PathId(3), &proof));
        let other_key = Credentials { resume_key: [8; 32], ..CREDENTIALS };
        assert!(!verify(&other_key, SESSION, PathId(3), &proof));
    }

    #[test]
    fn one_wrong_bit_anywhere_is_enough() {
        let good = proof(&CREDENTIALS, SESSION, PathId(3));
        for bit in 0..256 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(&CREDENTIALS, SESSION, PathId(3), &bad));
        }
    }
}
