//! The certificate authorities that a server is checked against, and who named them.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` name them, both together if both are set, and then those of the
//! system do not count. That is what `rustls-native-certs` does too, except that it takes an empty
//! variable for the name of a file; here one counts as unset. And it passes over a file that cannot be
//! read: for [`load`] that is an error, because whoever named it takes it to be in force.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls_native_certs::{CertificateResult, ErrorKind, load_certs_from_paths};

use crate::environment::{self, SSL_CERT_DIR, SSL_CERT_FILE};

/// The authorities, and whom they are from.
#[derive(Debug)]
pub struct TlsRoots {
    /// The authorities themselves.
    pub store: RootCertStore,
    /// `the system`, or the variables that named them; what was left out of what they named is mentioned
    /// with the reason.
    pub source: String,
}

/// Why certificates cannot be checked as asked for.
#[derive(Debug)]
pub struct NoRoots {
    /// What was to be checked.
    peer: &'static str,
    /// There are others.
    in_part: bool,
    /// The reason of each source.
    reasons: String,
}

impl fmt::Display for NoRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, reasons, .. } = self;
        if self.in_part {
            return write!(
                f,
                "certificate authorities that were named cannot be had ({reasons}); correct the \
                 variable, or unset it"
            );
        }
        write!(
            f,
            "no certificate authorities to check {peer} against ({reasons}); install \
             ca-certificates or point SSL_CERT_FILE to a PEM file"
        )
    }
}

impl std::error::Error for NoRoots {}

/// Reads them. What is named is in force, or it is an error. `peer` is what an error calls the server that
/// was to be checked, such as `the upstream`.
///
/// # Errors
///
/// [`NoRoots`], with the reason of each source: there are none, or a file that was named has none or is
/// broken, or a directory that was named cannot be read.
pub fn load(peer: &'static str) -> Result<TlsRoots, NoRoots> {
    joined(peer, sources())
}

/// Reads as many as there are. What is named and cannot be had is passed over. `peer` as for [`load`].
///
/// # Errors
///
/// [`NoRoots`] if there are none at all, with the reason of each source.
pub fn load_available(peer: &'static str) -> Result<TlsRoots, NoRoots> {
    joined(peer, tolerated(sources()))
}

fn sources() -> Vec<Source> {
    let named = named_by(
        environment::path(SSL_CERT_FILE),
        environment::path(SSL_CERT_DIR).as_ref(),
    );
    if named.is_empty() {
        return vec![of_the_system()];
    }
    named
}

/// The same, where none that is broken is a reason to stop.
fn tolerated(mut sources: Vec<Source>) -> Vec<Source> {
    for source in &mut sources {
        source.is_refused = false;
    }
    sources
}

/// Who names them where no variable does.
const THE_SYSTEM: &str = "the system";

/// What is wrong with a source that can be read.
const NOT_ONE: &str = "no certificate in it";

/// One of those who name authorities, and what was found there.
struct Source {
    name: &'static str,
    certificates: Vec<CertificateDer<'static>>,
    fault: Option<String>,
    /// It is not what its name says, or cannot be read.
    is_refused: bool,
}

impl Source {
    fn new(name: &'static str, found: impl IntoIterator<Item = CertificateResult>) -> Self {
        let mut source = Self {
            name,
            certificates: Vec::new(),
            fault: None,
            is_refused: false,
        };
        for found in found {
            source.certificates.extend(found.certs);
            source.fault = source.fault.or_else(|| found.errors.first().map(reason));
        }
        source
    }

    /// Each file on its own, so that one that is broken is named.
    fn add_directory(&mut self, directory: &Path) {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                self.is_refused = true;
                self.fault = Some(of_file(directory, &error.to_string()));
                return;
            }
        };
        for file in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            // A link that leads nowhere is none either: `openssl rehash` leaves them behind.
            if fs::metadata(&file).is_ok_and(|found| found.is_file()) {
                let found = load_certs_from_paths(Some(&file), None);
                self.certificates.extend(found.certs);
                let fault = found
                    .errors
                    .first()
                    .map(|error| of_file(&file, &reason(error)));
                if self.fault.is_none() {
                    self.fault = fault;
                }
            }
        }
    }

    fn refused(name: &'static str, fault: &str) -> Self {
        Self {
            name,
            certificates: Vec::new(),
            fault: Some(fault.to_owned()),
            is_refused: true,
        }
    }
}

fn named_by(file: Option<OsString>, directories: Option<&OsString>) -> Vec<Source> {
    let file = file.filter(|file| !file.is_empty()).map(PathBuf::from);
    let directories: Vec<PathBuf> = directories
        .into_iter()
        .flat_map(env::split_paths)
        .filter(|directory| !directory.as_os_str().is_empty())
        .collect();
    let file = file.map(|file| match fs::metadata(&file) {
        // Anything else might never end.
        Ok(found) if !found.is_file() => Source::refused(SSL_CERT_FILE, "it is not a regular file"),
        _ => {
            let found = load_certs_from_paths(Some(&file), None);
            let mut source = Source::new(SSL_CERT_FILE, [found]);
            source.fault = source.fault.map(|fault| of_file(&file, &fault));
            source.is_refused = source.fault.is_some() || source.certificates.is_empty();
            source
        }
    });
    let directories = (!directories.is_empty()).then(|| {
        let mut source = Source::new(SSL_CERT_DIR, []);
        for directory in &directories {
            source.add_directory(directory);
        }
        source
    });
    file.into_iter().chain(directories).collect()
}

/// What is wrong, without a word of what is in the file.
fn reason(error: &rustls_native_certs::Error) -> String {
    match &error.kind {
        ErrorKind::Io { inner, .. } => inner.to_string(),
        ErrorKind::Os(error) => error.to_string(),
        _ => "a certificate in it is broken".to_owned(),
    }
}

fn of_file(file: &Path, fault: &str) -> String {
    format!("{}: {fault}", file.display())
}

/// By the same two calls as in `rustls-native-certs`, which cannot be asked while a variable is set
/// and empty.
#[cfg(all(unix, not(target_os = "macos")))]
fn of_the_system() -> Source {
    let places = openssl_probe::probe();
    let mut directories = places.cert_dir.iter();
    // In one go: the file is often one of those in the directory, and then it is read once.
    let first = load_certs_from_paths(
        places.cert_file.as_deref(),
        directories.next().map(PathBuf::as_path),
    );
    let others = directories.map(|directory| load_certs_from_paths(None, Some(directory)));
    Source::new(THE_SYSTEM, [first].into_iter().chain(others))
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn of_the_system() -> Source {
    Source::new(THE_SYSTEM, [rustls_native_certs::load_native_certs()])
}

fn joined(peer: &'static str, sources: Vec<Source>) -> Result<TlsRoots, NoRoots> {
    let mut roots = RootCertStore::empty();
    let (mut from, mut nothing_from, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let is_refused = sources.iter().any(|source| source.is_refused);
    let mut seen: Vec<CertificateDer<'static>> = Vec::new();
    for mut source in sources {
        // One odd certificate among the system's hundred is not a reason to stop.
        let is_one = |certificate: &CertificateDer<'static>| {
            RootCertStore::empty().add(certificate.clone()).is_ok()
        };
        let count = source.certificates.len();
        source.certificates.retain(is_one);
        let odd = count - source.certificates.len();
        let name = source.name;
        if source.certificates.is_empty() || source.is_refused {
            let fault = source.fault.unwrap_or_else(|| NOT_ONE.to_owned());
            nothing_from.push(format!("nothing from {name}: {fault}"));
            continue;
        }
        from.push(name);
        if name != THE_SYSTEM {
            left_out.extend((odd > 0).then(|| format!("{odd} of {name} that cannot be used")));
            left_out.extend(source.fault);
        }
        seen.append(&mut source.certificates);
    }
    seen.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
    seen.dedup();
    let _ = roots.add_parsable_certificates(seen);
    let mut remarks = nothing_from;
    if roots.is_empty() || is_refused {
        return Err(NoRoots {
            peer,
            in_part: !roots.is_empty(),
            reasons: remarks.join("; "),
        });
    }
    if !left_out.is_empty() {
        remarks.push(format!("left out: {}", left_out.join(", ")));
    }
    let mut source = from.join(" and ");
    if !remarks.is_empty() {
        source.push_str(&format!(" ({})", remarks.join("; ")));
    }
    Ok(TlsRoots {
        store: roots,
        source,
    })
}

#[cfg(test)]
mod tests;
