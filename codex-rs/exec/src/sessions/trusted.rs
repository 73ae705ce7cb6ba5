//! Which files are believed to be the caller's own: a session is sent to a model, and written to.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a rollout file to read from it and add to it. A link in its place is not followed.
///
/// # Errors
///
/// Those of `open(2)`; `PermissionDenied`, and why, for a file that others write.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    as_it_is(&mut options);
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Opens a rollout file to read from it.
///
/// # Errors
///
/// The same.
pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    as_it_is(&mut options);
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Makes a file for its owner alone.
///
/// # Errors
///
/// Those of `open(2)`, also where there is one already.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true);
    for_owner(&mut options);
    options.open(path)
}

/// Opens a lock file, or makes it.
///
/// # Errors
///
/// Those of `open(2)`.
pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    as_it_is(&mut options);
    for_owner(&mut options);
    options.open(path)
}

/// Makes directories for their owner alone, where there are none.
///
/// # Errors
///
/// Those of `mkdir(2)`.
pub(super) fn make_directories(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn for_owner(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn for_owner(_options: &mut OpenOptions) {}

/// Without following a link, and without waiting for a pipe's other end.
#[cfg(unix)]
fn as_it_is(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    if let Ok(flags) = i32::try_from(flags.bits()) {
        options.custom_flags(flags);
    }
}

#[cfg(not(unix))]
fn as_it_is(_options: &mut OpenOptions) {}

fn check(found: &Metadata) -> io::Result<()> {
    let refused = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if !found.is_file() {
        return refused("it is not a regular file");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return refused("it belongs to somebody else");
        }
        if found.mode() & 0o002 != 0 {
            return refused("everybody can write it");
        }
    }
    Ok(())
}
