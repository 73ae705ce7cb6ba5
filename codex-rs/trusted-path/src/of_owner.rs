//! A small file that its owner alone could have written, and put there.

use std::io::{self, Read};
use std::path::Path;

use crate::place::PathError;
use crate::small_file::SmallFileError;
use crate::status::{Kind, Status};
use crate::trusted::Trusted;
use crate::walk::Walk;

/// Reads a regular file of at most `most` bytes that belongs to one of `owners`, and that nobody else can write or put
/// another in the place of: neither a group, nor whoever can change a directory on the way. Links of the owners are
/// followed. Waits for nobody.
///
/// # Errors
///
/// [`SmallFileError`].
pub fn read_owned(path: &Path, owners: &Trusted, most: u64) -> Result<Vec<u8>, SmallFileError> {
    let path = std::path::absolute(path)?;
    let opened = Walk::exclusively_along(&path, owners).and_then(|mut walk| walk.walk_to_file());
    let (_place, file) = opened.map_err(|error| match error {
        PathError::NoName => SmallFileError::NotAFile,
        PathError::Io(cause) if is_missing(&cause) => SmallFileError::Missing,
        PathError::Io(cause) => SmallFileError::Io(cause),
        error => SmallFileError::ForeignLink(error),
    })?;
    let found = Status::of(&file)?;
    if found.kind != Kind::File {
        return Err(SmallFileError::NotAFile);
    }
    if !owners.includes(found.owner) {
        return Err(SmallFileError::NotOf(found.owner));
    }
    if found.is_writable_by_all() || found.is_writable_by_group() {
        return Err(SmallFileError::WritableByOthers);
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(SmallFileError::TooLarge(most));
    }
    Ok(bytes)
}

/// Also where a directory on the way is a file.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::PathBuf;

    use super::*;

    fn read(path: &Path) -> Result<Vec<u8>, SmallFileError> {
        read_owned(path, &Trusted::by_this_process(), 8)
    }

    /// A file in a directory, with their permissions.
    fn file(dir: &Path, mode: u32, of_directory: u32) -> PathBuf {
        let path = dir.join("etc/file");
        fs::create_dir_all(dir.join("etc")).unwrap();
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let etc = fs::Permissions::from_mode(of_directory);
        fs::set_permissions(dir.join("etc"), etc).unwrap();
        path
    }

    #[test]
    fn what_its_owner_alone_can_write_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), 0o644, 0o755);
        assert_eq!(read(&path).unwrap(), b"x");
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(read(&link).unwrap(), b"x");
        fs::write(&path, "123456789").unwrap();
        assert!(matches!(read(&path), Err(SmallFileError::TooLarge(8))));
        for nowhere in [dir.path().join("none"), path.join("below")] {
            assert!(matches!(read(&nowhere), Err(SmallFileError::Missing)));
        }
        let directory = read(&dir.path().join("etc"));
        assert!(matches!(directory, Err(SmallFileError::NotAFile)));
    }

    #[test]
    fn what_anybody_else_can_write_is_not() {
        for mode in [0o646, 0o664, 0o666] {
            let dir = tempfile::tempdir().unwrap();
            let refused = read(&file(dir.path(), mode, 0o755));
            assert!(
                matches!(refused, Err(SmallFileError::WritableByOthers)),
                "{mode:o}"
            );
        }
        for mode in [0o775, 0o777] {
            let dir = tempfile::tempdir().unwrap();
            let refused = read(&file(dir.path(), 0o644, mode));
            assert!(
                matches!(refused, Err(SmallFileError::ForeignLink(_))),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn what_belongs_to_somebody_else_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), 0o644, 0o755);
        if chown(&path, Some(65534), None).is_err() {
            return;
        }
        assert!(matches!(read(&path), Err(SmallFileError::NotOf(65534))));
        chown(&path, Some(0), None).unwrap();
        chown(dir.path().join("etc"), Some(65534), None).unwrap();
        assert!(matches!(read(&path), Err(SmallFileError::ForeignLink(_))));
    }
}
