//! Who a server is: a certificate chain and its private key.
//!
//! From files, from memory, or made on the spot for development: a certificate that lasts as long as
//! browsers accept one they were only told the hash of (WebTransport `serverCertificateHashes`: ECDSA
//! P-256, two weeks at most), kept on disk so that its pin survives a restart.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::validity::Validity;
use crate::api::CertificatePin;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One day less than browsers accept, for clocks that differ.
const DEVELOPMENT_VALIDITY: Duration = Duration::from_secs(13 * DAY.as_secs());

/// A certificate that ends sooner than this is replaced when it is loaded.
const RENEW_BEFORE: Duration = Duration::from_secs(2 * DAY.as_secs());

/// A certificate begins this long before it was made, for clients whose clocks are slow.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// Certificate and key in one file, so that one rename replaces both at once.
const DEVELOPMENT_FILE: &str = "kwik-development.pem";

/// Held while the file is made: of two processes that start together one makes it, both use it.
const DEVELOPMENT_LOCK: &str = "kwik-development.lock";

/// A server's certificate chain and private key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// An identity could not be loaded or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done to it.
        action: &'static str,
        /// Which it is.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Something is not PEM, or not the PEM that was expected in it.
    #[error("{origin} is not usable: {source}")]
    Pem {
        /// The file, or what was given in memory.
        origin: String,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// There is no certificate where one was expected.
    #[error("{origin} holds no certificate")]
    NoCertificate {
        /// The file, or what was given in memory.
        origin: String,
    },
    /// A private key in DER is in no known format.
    #[error("the private key is neither PKCS#8, PKCS#1 nor SEC1 in DER")]
    KeyFormat,
    /// A development certificate could not be made.
    #[error("cannot make a development certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

impl Identity {
    /// Loads a certificate chain (the server's own certificate first) and a private key from PEM files.
    /// They may be the same file.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or holds no certificate or no key.
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, IdentityError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let read = |path: &Path| fs::read(path).map_err(io_error("read", path));
        Self::parse((&read(chain)?, &chain.display().to_string()), (&read(key)?, &key.display().to_string()))
    }

    /// Takes a certificate chain (the server's own certificate first) and a private key from PEM.
    ///
    /// # Errors
    ///
    /// When there is no certificate or no key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        Self::parse((chain, "the certificate chain"), (key, "the private key"))
    }

    /// Takes a certificate chain (the server's own certificate first) and a private key (PKCS#8, PKCS#1
    /// or SEC1) from DER.
    ///
    /// # Errors
    ///
    /// When the chain is empty or the key is in none of these formats.
    pub fn from_der(chain: Vec<Vec<u8>>, key: Vec<u8>) -> Result<Self, IdentityError> {
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate { origin: "the certificate chain".to_owned() });
        }
        let key = PrivateKeyDer::try_from(key).map_err(|_| IdentityError::KeyFormat)?;
        Ok(Self { chain: chain.into_iter().map(CertificateDer::from).collect(), key })
    }

    /// An identity for `localhost`, `127.0.0.1` and `::1`, self-signed, kept in `directory`.
    ///
    /// It is made when there is none, or when the one there ends within two days; otherwise it is the
    /// same again, in this process or another. It is valid for 13 days, and browsers take it by its
    /// [`pin`](Self::pin). The key is readable by its owner only.
    ///
    /// Blocks on the file system, and while another process makes the same identity.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written.
    pub fn development(directory: impl AsRef<Path>) -> Result<Self, IdentityError> {
        Self::development_at(directory.as_ref(), SystemTime::now())
    }

    /// As [`development`](Self::development), but made anew and kept in memory only: for tests and examples. Its
    /// pin is another each time.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn ephemeral() -> Result<Self, IdentityError> {
        Ok(generate(SystemTime::now())?.1)
    }

    /// The SHA-256 of the server's own certificate.
    pub fn pin(&self) -> CertificatePin {
        // Every constructor checks that there is a certificate; without one no pin would match.
        CertificatePin::of(self.chain.first().map_or(&[][..], |certificate| certificate))
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    fn parse(chain: (&[u8], &str), key: (&[u8], &str)) -> Result<Self, IdentityError> {
        let unusable = |origin: &str| {
            let origin = origin.to_owned();
            move |source| IdentityError::Pem { origin, source }
        };
        let certificates = CertificateDer::pem_slice_iter(chain.0)
            .collect::<Result<Vec<_>, _>>()
            .map_err(unusable(chain.1))?;
        if certificates.is_empty() {
            return Err(IdentityError::NoCertificate { origin: chain.1.to_owned() });
        }
        let key = PrivateKeyDer::from_pem_slice(key.0).map_err(unusable(key.1))?;
        Ok(Self { chain: certificates, key })
    }

    fn development_at(directory: &Path, now: SystemTime) -> Result<Self, IdentityError> {
        fs::create_dir_all(directory).map_err(io_error("create the directory", directory))?;
        let lock_path = directory.join(DEVELOPMENT_LOCK);
        let lock = File::create(&lock_path).map_err(io_error("create", &lock_path))?;
        lock.lock().map_err(io_error("lock", &lock_path))?;
        // Unlocked when `lock` is closed, on every way out.

        let path = directory.join(DEVELOPMENT_FILE);
        if path.exists() {
            match Self::from_pem_files(&path, &path) {
                Ok(identity) if identity.is_fresh(now) => return Ok(identity),
                Ok(_) => tracing::info!(path = %path.display(), "renewing the development certificate"),
                Err(error) => tracing::warn!(%error, "replacing a development certificate that is unusable"),
            }
        }
        let (pem, identity) = generate(now)?;
        replace_private_file(&path, &pem)?;
        tracing::info!(path = %path.display(), pin = %identity.pin(), "made a development certificate");
        Ok(identity)
    }

    fn is_fresh(&self, now: SystemTime) -> bool {
        let now = since_1970(now);
        self.chain
            .first()
            .and_then(|certificate| Validity::of(certificate))
            .is_some_and(|validity| validity.contains(now) && validity.contains(now + RENEW_BEFORE))
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("pin", &self.pin())
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// A new development certificate with its key, as PEM and ready to use.
fn generate(now: SystemTime) -> Result<(String, Identity), IdentityError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = rcgen::CertificateParams::new(names)?;
    let begin = rcgen::date_time_ymd(1970, 1, 1) + since_1970(now).saturating_sub(BACKDATED);
    params.not_before = begin;
    params.not_after = begin + DEVELOPMENT_VALIDITY;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "KWIK development certificate");
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    let pem = certificate.pem() + &key.serialize_pem();
    let identity = Identity::from_der(vec![certificate.der().to_vec()], key.serialize_der())?;
    Ok((pem, identity))
}

/// Puts a file that only its owner may read in place of `path`, whole or not at all.
fn replace_private_file(path: &Path, contents: &str) -> Result<(), IdentityError> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", &temporary)(error));
        }
        _ => {} // gone, or never there: left behind by a process that was killed
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(contents.as_bytes())?;
        file.sync_all()
    });
    written.map_err(io_error("write", &temporary))?;
    fs::rename(&temporary, path).map_err(io_error("replace", path))
}

/// Where the user's programs keep their state: `$XDG_STATE_HOME` or `~/.local/state`, on Windows `%LOCALAPPDATA%`;
/// where there is none of these, the directory for temporary files.
pub(super) fn state_directory() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME")
        .or_else(|| variable("LOCALAPPDATA"))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    state.unwrap_or_else(std::env::temp_dir).join("kwik")
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::Io { action, path, source }
}

/// A clock before 1970 counts as 1970.
fn since_1970(now: SystemTime) -> Duration {
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own for one test, removed afterwards.
    struct TestDirectory(PathBuf);

    impl TestDirectory {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("kwik-{test}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for TestDirectory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    #[test]
    fn a_development_identity_stays_the_same_until_it_is_about_to_end() {
        let directory = TestDirectory::new("renewal");
        let first = Identity::development_at(&directory.0, now()).unwrap();
        let later = Identity::development_at(&directory.0, now() + 10 * DAY).unwrap();
        assert_eq!(later.pin(), first.pin());
        let renewed = Identity::development_at(&directory.0, now() + 11 * DAY).unwrap();
        assert_ne!(renewed.pin(), first.pin());
        let clock_set_back = Identity::development_at(&directory.0, now()).unwrap();
        assert_ne!(clock_set_back.pin(), renewed.pin(), "not valid yet is not valid");
    }

    #[test]
    fn a_development_certificate_is_one_browsers_accept_by_its_hash() {
        let (_, identity) = generate(now()).unwrap();
        let validity = Validity::of(&identity.chain[0]).unwrap();
        assert!(validity.contains(since_1970(now())));
        assert!(validity.not_after - validity.not_before < 14 * DAY);
        // id-ecPublicKey with prime256v1 (RFC 5480 §2.1.1)
        let p256 = [
            0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
            0x07,
        ];
        assert!(identity.chain[0].windows(p256.len()).any(|window| window == p256));
    }

    #[test]
    fn two_who_make_it_at_once_get_the_same_identity() {
        let directory = TestDirectory::new("race");
        let pins: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Identity::development_at(&directory.0, now()).unwrap().pin()))
                .collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(pins.iter().all(|pin| *pin == pins[0]), "{pins:?}");
    }

    #[test]
    fn a_broken_development_file_is_replaced() {
        let directory = TestDirectory::new("broken");
        fs::create_dir_all(&directory.0).unwrap();
        fs::write(directory.0.join(DEVELOPMENT_FILE), "half a fi").unwrap();
        fs::write(directory.0.join("kwik-development.new"), "left by a crash").unwrap();
        let made = Identity::development_at(&directory.0, now()).unwrap();
        assert_eq!(Identity::development_at(&directory.0, now()).unwrap().pin(), made.pin());
    }

    #[test]
    fn an_ephemeral_identity_is_fresh_and_another_each_time() {
        let identity = Identity::ephemeral().unwrap();
        assert!(identity.is_fresh(SystemTime::now()));
        assert_ne!(identity.pin(), Identity::ephemeral().unwrap().pin());
    }

    #[cfg(unix)]
    #[test]
    fn the_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = TestDirectory::new("mode");
        Identity::development_at(&directory.0, now()).unwrap();
        let mode = fs::metadata(directory.0.join(DEVELOPMENT_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn files_and_memory_give_the_same_identity() {
        let directory = TestDirectory::new("formats");
        let made = Identity::development_at(&directory.0, now()).unwrap();
        let path = directory.0.join(DEVELOPMENT_FILE);
        let pem = fs::read(&path).unwrap();
        assert_eq!(Identity::from_pem_files(&path, &path).unwrap().pin(), made.pin());
        assert_eq!(Identity::from_pem(&pem, &pem).unwrap().pin(), made.pin());
        let chain = vec![made.chain[0].to_vec()];
        assert_eq!(Identity::from_der(chain, made.key.secret_der().to_vec()).unwrap().pin(), made.pin());
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn errors_name_the_file_and_what_is_missing_in_it() {
        let directory = TestDirectory::new("errors");
        fs::create_dir_all(&directory.0).unwrap();
        let (missing, empty) = (directory.0.join("missing.pem"), directory.0.join("empty.pem"));
        fs::write(&empty, "").unwrap();
        let error = Identity::from_pem_files(&missing, &empty).unwrap_err();
        assert!(matches!(&error, IdentityError::Io { path, .. } if *path == missing));
        let error = Identity::from_pem_files(&empty, &empty).unwrap_err();
        assert!(matches!(&error, IdentityError::NoCertificate { origin } if origin.ends_with("empty.pem")));
        let (pem, _) = generate(now()).unwrap();
        let no_key = pem.split("-----BEGIN PRIVATE").next().unwrap();
        assert!(matches!(
            Identity::from_pem(pem.as_bytes(), no_key.as_bytes()),
            Err(IdentityError::Pem { .. })
        ));
        assert!(matches!(Identity::from_der(vec![vec![0]], vec![1, 2, 3]), Err(IdentityError::KeyFormat)));
        assert!(matches!(Identity::from_der(vec![], vec![]), Err(IdentityError::NoCertificate { .. })));
    }
}
