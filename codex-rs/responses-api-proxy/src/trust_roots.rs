//! The certificate authorities that the upstream is checked against, and who named them.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` name them, both together if both are set, and then those of the
//! system do not count. That is what `rustls-native-certs` does too, except that it takes an empty
//! variable for the name of a file; here one counts as unset.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls_native_certs::{CertificateResult, load_certs_from_paths};

/// There is nothing to check a certificate against.
#[derive(Debug)]
pub(crate) struct NoRoots(String);

impl fmt::Display for NoRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads them, and says whom they are from: `the system`, or the variables that named them. A variable
/// that named none is mentioned with the reason.
///
/// # Errors
///
/// [`NoRoots`], with the reason of each source.
pub(crate) fn load() -> Result<(RootCertStore, String), NoRoots> {
    let named = named_by(
        env::var_os("SSL_CERT_FILE"),
        env::var_os("SSL_CERT_DIR").as_ref(),
    );
    if named.is_empty() {
        return joined(vec![of_the_system()]);
    }
    joined(named)
}

/// One of those who name authorities, and what was found there.
struct Source {
    name: &'static str,
    certificates: Vec<CertificateDer<'static>>,
    fault: Option<String>,
}

impl Source {
    fn new(name: &'static str, found: impl IntoIterator<Item = CertificateResult>) -> Self {
        let mut source = Self {
            name,
            certificates: Vec::new(),
            fault: None,
        };
        for found in found {
            source.certificates.extend(found.certs);
            let fault = found.errors.first().map(ToString::to_string);
            source.fault = source.fault.or(fault);
        }
        source
    }
}

fn named_by(file: Option<OsString>, directories: Option<&OsString>) -> Vec<Source> {
    let file = file.filter(|file| !file.is_empty()).map(PathBuf::from);
    let directories: Vec<PathBuf> = directories
        .into_iter()
        .flat_map(env::split_paths)
        .filter(|directory| !directory.as_os_str().is_empty())
        .collect();
    let file = file.map(|file| {
        let found = load_certs_from_paths(Some(&file), None);
        Source::new("SSL_CERT_FILE", [found])
    });
    let directories = (!directories.is_empty()).then(|| {
        let found = directories.iter().map(|directory| in_directory(directory));
        Source::new("SSL_CERT_DIR", found)
    });
    file.into_iter().chain(directories).collect()
}

fn in_directory(directory: &Path) -> CertificateResult {
    load_certs_from_paths(None, Some(directory))
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
    let others = directories.map(|directory| in_directory(directory));
    Source::new("the system", [first].into_iter().chain(others))
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn of_the_system() -> Source {
    Source::new("the system", [rustls_native_certs::load_native_certs()])
}

fn joined(sources: Vec<Source>) -> Result<(RootCertStore, String), NoRoots> {
    let mut roots = RootCertStore::empty();
    let (mut from, mut nothing_from) = (Vec::new(), Vec::new());
    let mut seen: Vec<CertificateDer<'static>> = Vec::new();
    for mut source in sources {
        // One odd certificate among the system's hundred is no reason to stop.
        let is_one = |certificate: &CertificateDer<'static>| {
            RootCertStore::empty().add(certificate.clone()).is_ok()
        };
        source.certificates.retain(is_one);
        if source.certificates.is_empty() {
            let fault = source
                .fault
                .unwrap_or_else(|| "no certificate in it".to_owned());
            nothing_from.push(format!("nothing from {}: {fault}", source.name));
        } else {
            from.push(source.name);
            seen.append(&mut source.certificates);
        }
    }
    seen.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
    seen.dedup();
    let _ = roots.add_parsable_certificates(seen);
    let nothing_from = nothing_from.join("; ");
    if roots.is_empty() {
        return Err(NoRoots(format!(" ({nothing_from})")));
    }
    let from = from.join(" and ");
    Ok((
        roots,
        if nothing_from.is_empty() {
            from
        } else {
            format!("{from} ({nothing_from})")
        },
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use codex_test_support::{MockUpstream, Reply};

    use super::*;

    /// Certificates of authorities, each in a file of its own.
    fn authorities<const N: usize>() -> [MockUpstream; N] {
        std::array::from_fn(|_| MockUpstream::h2(Reply::silence()))
    }

    fn from(
        file: Option<&Path>,
        directories: Option<&str>,
    ) -> Option<Result<(usize, String), String>> {
        let named = named_by(
            file.map(|file| file.as_os_str().to_owned()),
            directories.map(OsString::from).as_ref(),
        );
        let is_named = !named.is_empty();
        is_named.then(|| {
            let joined = joined(named).map_err(|error| error.to_string());
            joined.map(|(roots, from)| (roots.len(), from))
        })
    }

    #[test]
    fn each_variable_that_named_authorities_is_mentioned() {
        let [a, b, c] = authorities();
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        fs::copy(b.ca_file(), dirs[0].path().join("b.pem")).unwrap();
        fs::copy(c.ca_file(), dirs[1].path().join("c.pem")).unwrap();
        let [first, second] = [&dirs[0], &dirs[1]].map(|dir| dir.path().to_str().unwrap());
        let ca = a.ca_file();
        let file = Some(ca.as_path());
        let both = format!("{first}:{second}");
        for (file, directories, count, name) in [
            (file, None, 1, "SSL_CERT_FILE"),
            (None, Some(first), 1, "SSL_CERT_DIR"),
            (None, Some(both.as_str()), 2, "SSL_CERT_DIR"),
            (file, Some(first), 2, "SSL_CERT_FILE and SSL_CERT_DIR"),
            (file, Some(&both), 3, "SSL_CERT_FILE and SSL_CERT_DIR"),
            (file, Some(""), 1, "SSL_CERT_FILE"),
            (Some(Path::new("")), Some(first), 1, "SSL_CERT_DIR"),
        ] {
            let expected = Some(Ok((count, name.to_owned())));
            assert_eq!(from(file, directories), expected);
        }
        // The same one twice counts once.
        fs::copy(a.ca_file(), dirs[0].path().join("a.pem")).unwrap();
        let counted = from(file, Some(first)).unwrap().unwrap();
        assert_eq!(counted.0, 2);
    }

    #[test]
    fn what_is_empty_names_nobody() {
        let empty = Some(Path::new(""));
        for (file, directories) in [
            (None, None),
            (empty, None),
            (None, Some("")),
            (empty, Some("")),
            (empty, Some("::")),
        ] {
            assert_eq!(from(file, directories), None);
        }
    }

    #[test]
    fn who_named_nothing_that_can_be_read_is_mentioned_with_the_reason() {
        let [a] = authorities();
        let dir = tempfile::tempdir().unwrap();
        let empty_dir = dir.path().to_str().unwrap();
        let empty_file = tempfile::NamedTempFile::new().unwrap();
        let missing = Path::new("/nowhere/ca.pem");
        let (_, said) = from(Some(missing), a.ca_file().parent().and_then(Path::to_str))
            .unwrap()
            .unwrap();
        assert!(
            said.starts_with("SSL_CERT_DIR (nothing from SSL_CERT_FILE: ")
                && said.contains("/nowhere/ca.pem"),
            "{said}"
        );
        let (_, said) = from(Some(&a.ca_file()), Some(empty_dir)).unwrap().unwrap();
        assert_eq!(
            said,
            "SSL_CERT_FILE (nothing from SSL_CERT_DIR: no certificate in it)"
        );
        for (file, directories, says) in [
            (Some(missing), None, "No such file"),
            (Some(empty_file.path()), None, "no certificate in it"),
            (None, Some("/nowhere"), "No such file"),
            (
                Some(missing),
                Some(empty_dir),
                "nothing from SSL_CERT_DIR: no certificate in it",
            ),
        ] {
            let said = from(file, directories).unwrap().unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
