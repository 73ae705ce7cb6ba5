//! What a proxy in production has to load before it can trust an upstream.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where systems have them: Debian, Fedora, SUSE and Alpine.
const FILES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// A file beside this one with the system's certificate authorities and those of this one.
///
/// # Errors
/// When the system has none, or the file cannot be written.
pub(super) fn with(own: &Path) -> Result<PathBuf> {
    let found = FILES.into_iter().find(|file| Path::new(file).is_file());
    let found = found.context("no certificate authorities on this system (ca-certificates)")?;
    let mut all = std::fs::read(found).with_context(|| format!("cannot read {found}"))?;
    all.extend(std::fs::read(own)?);
    let file = own.with_file_name("authorities.pem");
    std::fs::write(&file, all).context("the file of certificate authorities")?;
    Ok(file)
}
