//! A directory that is held open, and the files in it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, Dir, FlockOperation, Mode, OFlags, Uid, fchown, flock, mkdirat, openat, renameat,
    statat, unlinkat,
};
use rustix::io::Errno;

use crate::place::Place;
use crate::status::Status;

/// What a directory that is made may be used by: its owner alone.
const PRIVATE: Mode = Mode::RWXU;

/// A directory that is held open: whatever happens to the path that led to it, files are made, renamed and
/// removed in this one.
#[derive(Debug)]
pub struct Directory(OwnedFd);

impl Directory {
    /// Opens the directory in this place, which must not be a link.
    ///
    /// # Errors
    ///
    /// Those of `openat(2)`: `ELOOP` or `ENOTDIR` where it is something else.
    pub fn open(place: &Place) -> io::Result<Self> {
        let directory = place.open(OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
        Ok(Self(directory.into()))
    }

    /// Makes one in this place, mode 0700, for a user if it is not to be that of this process, and opens it.
    ///
    /// # Errors
    ///
    /// Those of `mkdirat(2)`, such as `EEXIST`, and of `fchown(2)`.
    pub fn make(place: &Place, owner: Option<u32>) -> io::Result<Self> {
        mkdirat(place.directory()?, place.name(), PRIVATE)?;
        let made = Self::open(place)?;
        if let Some(owner) = owner {
            fchown(&made.0, Some(Uid::from_raw(owner)), None)?;
        }
        Ok(made)
    }

    /// What it is, and whose.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub fn status(&self) -> io::Result<Status> {
        Status::of(&self.0)
    }

    /// What stands in it under a name; a link is not followed.
    ///
    /// # Errors
    ///
    /// Those of `fstatat(2)`.
    pub fn status_of(&self, name: &OsStr) -> io::Result<Status> {
        Ok(statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?.into())
    }

    /// Keeps it for this process until it ends (`flock(2)`). False if another one has it.
    ///
    /// # Errors
    ///
    /// Those of `flock(2)`: not every file system has locks.
    pub fn lock(&self) -> io::Result<bool> {
        match flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Calls `each` with every name in it, in no order.
    ///
    /// # Errors
    ///
    /// Those of `openat(2)` and `getdents(2)`.
    pub fn each_name(&self, mut each: impl FnMut(&OsStr)) -> io::Result<()> {
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                each(name);
            }
        }
        Ok(())
    }

    /// Makes a file, to be written; what is there already, a link included, is an error.
    ///
    /// # Errors
    ///
    /// Those of `openat(2)`, such as `EEXIST`.
    pub fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        #[allow(
            clippy::useless_conversion,
            reason = "the type differs from system to system"
        )]
        let mode = Mode::from_raw_mode(mode.try_into().unwrap_or(0o600));
        Ok(openat(&self.0, name, flags, mode)?.into())
    }

    /// Gives a file another name in it, in the place of what has that name.
    ///
    /// # Errors
    ///
    /// Those of `renameat(2)`.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a file, or a link to one.
    ///
    /// # Errors
    ///
    /// Those of `unlinkat(2)`.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// The directory, to be held by somebody else too.
    ///
    /// # Errors
    ///
    /// When there are too many descriptors.
    pub fn handle(&self) -> io::Result<File> {
        Ok(self.0.try_clone()?.into())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    use crate::place::Missing;
    use crate::trusted::Trusted;

    use super::*;

    fn place(path: &Path) -> Place {
        Place::find(path, &Trusted::by_this_process(), Missing::Refuse).unwrap()
    }

    #[test]
    fn it_is_made_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made");
        Directory::make(&place(&path), None).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o700);
        let again = Directory::make(&place(&path), None).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let other = dir.path().join("other");
        if Directory::make(&place(&other), Some(65534)).is_ok() {
            assert_eq!(fs::metadata(&other).unwrap().uid(), 65534);
        }
    }

    #[test]
    fn what_is_not_a_directory_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        symlink(dir.path(), dir.path().join("link")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        for name in ["link", "file", "nothing"] {
            assert!(Directory::open(&place(&dir.path().join(name))).is_err());
        }
    }

    #[test]
    fn files_are_made_renamed_and_removed_in_the_one_that_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("held")).unwrap();
        fs::create_dir(at("swapped")).unwrap();
        let directory = Directory::open(&place(&at("held"))).unwrap();
        fs::rename(at("held"), at("elsewhere")).unwrap();
        symlink("swapped", at("held")).unwrap();
        let name = OsStr::new;
        let mut file = directory.create_new(name("a"), 0o600).unwrap();
        file.write_all(b"text").unwrap();
        assert!(directory.create_new(name("a"), 0o600).is_err());
        directory.rename(name("a"), name("b")).unwrap();
        symlink("b", at("elsewhere/link")).unwrap();
        assert!(directory.create_new(name("link"), 0o600).is_err());
        let mut names = Vec::new();
        directory
            .each_name(|name| names.push(name.to_owned()))
            .unwrap();
        names.sort();
        assert_eq!(names, ["b", "link"]);
        assert_eq!(directory.status_of(name("b")).unwrap().size, 4);
        directory.remove(name("b")).unwrap();
        assert!(!at("elsewhere/b").exists());
        assert_eq!(fs::read_dir(at("swapped")).unwrap().count(), 0);
    }

    #[test]
    fn two_do_not_hold_one_lock() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Directory::open(&place(dir.path())).unwrap();
        let (first, second) = (open(), open());
        assert!(first.lock().unwrap());
        assert!(!second.lock().unwrap());
        drop(first);
        assert!(second.lock().unwrap());
    }
}
