//! The file of `--ledger`: opened as the proxy's own, which nobody else can read or change.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
#[cfg(unix)]
use anyhow::bail;

/// Opens the file for reading and writing, and makes it if it is not there. It may belong to the user `becomes` too, and
/// a new one does.
///
/// # Errors
///
/// When it cannot be opened, or somebody else could read or change it.
#[cfg(unix)]
pub(crate) fn open(path: &Path, becomes: Option<u32>) -> anyhow::Result<File> {
    use codex_trusted_path::{Kind, Missing, OFlags, Place, Status, Trusted};

    let of = || format!("--ledger {}", path.display());
    let trusted = Trusted::by_this_process();
    let place = Place::find(path, &trusted, Missing::Refuse).with_context(of)?;
    let trusted = match becomes {
        Some(user) => trusted.and(user),
        None => trusted,
    };
    let old = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY;
    let new = old | OFlags::CREATE | OFlags::EXCL;
    let is_new = place.status().with_context(of)?.is_none();
    let file = place
        .open(if is_new { new } else { old }, 0o600)
        .with_context(of)?;
    if is_new && becomes.is_some() {
        std::os::unix::fs::fchown(&file, becomes, None).with_context(of)?;
    }
    let found = Status::of(&file).with_context(of)?;
    if found.kind != Kind::File {
        bail!("{} is not a regular file", of());
    }
    if !trusted.includes(found.owner) {
        bail!(
            "{} belongs to user {}, who could change what was spent; name another file",
            of(),
            found.owner
        );
    }
    if found.mode & 0o077 != 0 {
        bail!(
            "{} has the mode {:o}, so others could read or change what was spent; chmod 600 it",
            of(),
            found.mode & 0o777
        );
    }
    Ok(file)
}

/// Opens the file for reading and writing, and makes it if it is not there.
///
/// # Errors
///
/// When it cannot be opened.
#[cfg(not(unix))]
pub(crate) fn open(path: &Path, _becomes: Option<u32>) -> anyhow::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let of = || format!("--ledger {}", path.display());
    options.open(path).with_context(of)
}
