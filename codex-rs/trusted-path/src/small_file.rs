//! A small file that leads somewhere, read only if nobody else could have written it.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use crate::place::{PathError, Place};
use crate::status::{Kind, Status};
use crate::trusted::Trusted;

/// Why it is not read.
#[derive(Debug)]
pub enum SmallFileError {
    /// There is none.
    Missing,
    /// The way to it is not to be trusted.
    ForeignLink(PathError),
    /// It is a device, a pipe, a directory.
    NotAFile,
    /// It belongs to this user, who is none of those it may belong to.
    Foreign(u32),
    /// Every user may write it.
    WritableByAll,
    /// It belongs to this user, and not to who alone may have it.
    NotOf(u32),
    /// Others than its owner may write it.
    WritableByOthers,
    /// It is longer than so many bytes.
    TooLarge(u64),
    /// It cannot be read.
    Io(io::Error),
}

impl fmt::Display for SmallFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is not there"),
            Self::ForeignLink(error) => error.fmt(f),
            Self::NotAFile => f.write_str("it is not a regular file"),
            Self::Foreign(owner) => write!(
                f,
                "it belongs to user {owner}, and not to you, to root or to the owner of its \
                 directory, so it may lead to somebody else; name another, or have root look at it \
                 and chown it"
            ),
            Self::WritableByAll => f.write_str(
                "every user of this host can write it, so it may lead to somebody else; look at it, \
                 then chmod go-w it",
            ),
            Self::NotOf(owner) => write!(
                f,
                "it belongs to user {owner}, who could change it; have root look at it and chown it"
            ),
            Self::WritableByOthers => f.write_str(
                "others than its owner can write it; have root look at it, then chmod go-w it",
            ),
            Self::TooLarge(most) => write!(f, "it is longer than {most} bytes"),
            Self::Io(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for SmallFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<io::Error> for SmallFileError {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

/// What such a file says, and who answers for it.
#[derive(Clone, Debug)]
pub struct SmallFile {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Whoever this process trusts, its owner and the owner of its directory.
    pub trusted: Trusted,
    /// When it was written last, by the clock of the file system.
    pub written: SystemTime,
}

/// Reads a regular file of at most `most` bytes that belongs to the user of this process, to root, to
/// who became root by sudo(8), or to the owner of its directory, and that not everybody can write.
/// Links of trusted users are followed. Waits for nobody.
///
/// # Errors
///
/// [`SmallFileError`].
pub fn read_small(path: &Path, most: u64) -> Result<SmallFile, SmallFileError> {
    let trusted = Trusted::by_this_process();
    let (place, file) = Place::find_file(path, &trusted).map_err(|error| match error {
        PathError::ForeignLink(..) | PathError::Replaceable(..) => {
            SmallFileError::ForeignLink(error)
        }
        PathError::NoName => SmallFileError::NotAFile,
        PathError::Io(cause) if cause.kind() == io::ErrorKind::NotFound => SmallFileError::Missing,
        // What open(2) says of a socket.
        PathError::Io(cause) if cause.raw_os_error() == Some(NO_DEVICE) => SmallFileError::NotAFile,
        PathError::Io(cause) => SmallFileError::Io(cause),
    })?;
    let found = Status::of(&file)?;
    if found.kind != Kind::File {
        return Err(SmallFileError::NotAFile);
    }
    let directory_owner = place.directory_status()?.owner;
    if !trusted.includes(found.owner) && found.owner != directory_owner {
        return Err(SmallFileError::Foreign(found.owner));
    }
    if found.is_writable_by_all() {
        return Err(SmallFileError::WritableByAll);
    }
    let written = file.metadata()?.modified()?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(SmallFileError::TooLarge(most));
    }
    Ok(SmallFile {
        bytes,
        trusted: trusted.and(found.owner).and(directory_owner),
        written,
    })
}

const NO_DEVICE: i32 = rustix::io::Errno::NXIO.raw_os_error();

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    fn read(path: &Path) -> Result<Vec<u8>, SmallFileError> {
        read_small(path, 8).map(|found| found.bytes)
    }

    fn file(dir: &tempfile::TempDir, content: &str) -> PathBuf {
        let path = dir.path().join("file");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    #[test]
    fn a_file_of_ours_is_read_up_to_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&file(&dir, "")).unwrap(), b"");
        assert_eq!(read(&file(&dir, "12345678")).unwrap(), b"12345678");
        assert!(matches!(
            read(&file(&dir, "123456789")),
            Err(SmallFileError::TooLarge(8))
        ));
        assert!(matches!(
            read(Path::new("/nowhere/file")),
            Err(SmallFileError::Missing)
        ));
    }

    #[test]
    fn what_is_no_file_is_not_read_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let socket = dir.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let link = dir.path().join("link");
        symlink("/dev/zero", &link).unwrap();
        for path in [&fifo, &socket, &link, Path::new("/dev/zero"), dir.path()] {
            assert!(
                matches!(read(path), Err(SmallFileError::NotAFile)),
                "{path:?}"
            );
        }
    }

    #[test]
    fn it_belongs_to_us_to_root_or_to_the_owner_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, "x");
        if chown(&path, Some(65534), None).is_err() {
            return;
        }
        assert!(matches!(read(&path), Err(SmallFileError::Foreign(65534))));
        chown(dir.path(), Some(65534), None).unwrap();
        assert_eq!(read(&path).unwrap(), b"x");
        chown(&path, Some(65533), None).unwrap();
        assert!(matches!(read(&path), Err(SmallFileError::Foreign(65533))));
    }

    #[test]
    fn what_everybody_can_write_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, "x");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(read(&path), Err(SmallFileError::WritableByAll)));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        assert_eq!(read(&path).unwrap(), b"x");
    }
}
