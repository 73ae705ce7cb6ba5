//! The mock upstream's certificates: a CA of its own and a leaf that is good or bad in one way.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// The files of [`Identity::write_pem`].
#[cfg(unix)]
pub(crate) const CERTIFICATE_FILE: &str = "certificate.pem";
#[cfg(unix)]
pub(crate) const KEY_FILE: &str = "key.pem";

/// What the mock upstream shows as its certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// For 127.0.0.1, localhost and api.openai.com, signed by the CA in the file.
    #[default]
    Good,
    /// Good, until the year 2001.
    Expired,
    /// Good, for another host.
    WrongName,
    /// Good, for whatever this is: any ASCII.
    Named(&'static str),
    /// Signed by a CA that is not in the file.
    UnknownCa,
    /// Signed by itself.
    SelfSigned,
}

/// A certificate at work, and the file that makes clients trust its CA.
pub(crate) struct Identity {
    dir: TempDir,
    leaf: CertificateDer<'static>,
    #[cfg(unix)]
    leaf_pem: String,
    #[cfg(unix)]
    key_pem: String,
    key: PrivateKeyDer<'static>,
}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    pub(crate) fn new(kind: Certificate) -> Self {
        let trusted = authority("the mock's CA");
        let dir = tempfile::Builder::new()
            .prefix("mock-ca-")
            .tempdir()
            .expect("a directory");
        std::fs::write(dir.path().join("ca.pem"), trusted.pem()).expect("the CA file");

        let names = match kind {
            Certificate::WrongName => vec!["elsewhere.example".to_owned()],
            Certificate::Named(name) => vec![name.to_owned()],
            _ => ["127.0.0.1", "localhost", "api.openai.com"]
                .map(str::to_owned)
                .to_vec(),
        };
        let mut params = CertificateParams::new(names).expect("names for a certificate");
        params
            .distinguished_name
            .push(DnType::CommonName, "mock upstream");
        if kind == Certificate::Expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().expect("a key pair");
        let leaf = match kind {
            Certificate::SelfSigned => params.self_signed(&key),
            Certificate::UnknownCa => params.signed_by(&key, &authority("a stranger's CA")),
            _ => params.signed_by(&key, &trusted),
        };
        let leaf = leaf.expect("a certificate");
        Self {
            dir,
            leaf: leaf.der().clone(),
            #[cfg(unix)]
            leaf_pem: leaf.pem(),
            #[cfg(unix)]
            key_pem: key.serialize_pem(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }

    /// The CA as PEM; lives as long as `self`.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Writes certificate and key to a directory, for a server that is a program of its own.
    #[cfg(unix)]
    pub(crate) fn write_pem(&self, to: &Path) -> std::io::Result<()> {
        std::fs::write(to.join(CERTIFICATE_FILE), &self.leaf_pem)?;
        std::fs::write(to.join(KEY_FILE), &self.key_pem)
    }

    /// Copies the CA to where someone else wants it.
    pub(crate) fn copy_ca(&self, to: &Path) -> std::io::Result<()> {
        std::fs::copy(self.ca_file(), to).map(drop)
    }

    /// Serves this certificate and the given application protocols.
    pub(crate) fn acceptor(&self, alpn: &[&str]) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.leaf.clone()], self.key.clone_key())
            .expect("a certificate that fits its key");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().expect("a key pair");
    CertifiedIssuer::self_signed(params, key).expect("a CA certificate")
}
