//! A name in a directory that is held open.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    Access, AtFlags, Gid, Mode, OFlags, Uid, accessat, chownat, openat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::replaceable::ReplaceableBy;
use crate::status::Status;
use crate::trusted::Trusted;
use crate::walk::Walk;

/// What becomes of a directory on the way that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is made: mode 0755 and no more than the umask lets through.
    Make,
    /// It is an error.
    Refuse,
}

/// Why a path leads to no place.
#[derive(Debug)]
pub enum PathError {
    /// A symbolic link of a user who is not trusted is on the way.
    ForeignLink(PathBuf, u32),
    /// Somebody who is not trusted can put something else into a directory on the way.
    Replaceable(PathBuf, ReplaceableBy),
    /// The path ends in no name.
    NoName,
    /// A directory cannot be looked up or made.
    Io(io::Error),
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignLink(link, owner) => write!(
                f,
                "{} is a symbolic link of user {owner}, who decides where it leads; name the place \
                 itself",
                link.display()
            ),
            Self::Replaceable(directory, by) => write!(
                f,
                "{by} can put another file into {}, or in its place; name a file in a directory that root or \
                 you alone can write, all the way down to it",
                directory.display()
            ),
            Self::NoName => f.write_str("the path ends in no file name"),
            Self::Io(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for PathError {}

impl From<Errno> for PathError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// A name in a directory that is held open: whatever happens to the path meanwhile, it stays there.
#[derive(Debug)]
pub struct Place {
    pub(crate) directory: OwnedFd,
    pub(crate) name: OsString,
}

impl Place {
    /// Walks to the last directory of the path. What the name in it stands for is not looked at.
    ///
    /// # Errors
    ///
    /// [`PathError`].
    pub fn find(path: &Path, trusted: &Trusted, missing: Missing) -> Result<Self, PathError> {
        Walk::along(path, trusted, missing)?.walk_to_last()
    }

    /// The same, but enters no directory that a user who is not trusted can change, or a group: nobody else can put
    /// something else there.
    ///
    /// # Errors
    ///
    /// [`PathError`].
    pub fn find_exclusively(path: &Path, trusted: &Trusted) -> Result<Self, PathError> {
        let path = std::path::absolute(path).map_err(PathError::Io)?;
        Walk::exclusively_along(&path, trusted)?.walk_to_last()
    }

    /// As [`find`](Self::find), and follows links of trusted users in the place of the last name, too. The file is
    /// open for reading, without waiting for anybody.
    ///
    /// # Errors
    ///
    /// [`PathError`]; a file that cannot be opened is [`PathError::Io`].
    pub(crate) fn find_file(path: &Path, trusted: &Trusted) -> Result<(Self, File), PathError> {
        Walk::along(path, trusted, Missing::Refuse)?.walk_to_file()
    }

    /// What stands there, if anything does; a link is not followed.
    ///
    /// # Errors
    ///
    /// Those of `fstatat(2)`.
    pub fn status(&self) -> io::Result<Option<Status>> {
        match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens what stands there, which must not be a link; the mode is for what is made.
    ///
    /// # Errors
    ///
    /// Those of `openat(2)`.
    pub fn open(&self, flags: OFlags, mode: u32) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        #[allow(
            clippy::useless_conversion,
            reason = "the type differs from system to system"
        )]
        let mode = Mode::from_raw_mode(mode.try_into().unwrap_or(0o600));
        Ok(openat(&self.directory, &self.name, flags, mode)?.into())
    }

    /// Removes what stands there, which must not be a directory.
    ///
    /// # Errors
    ///
    /// Those of `unlinkat(2)`.
    pub fn remove(&self) -> io::Result<()> {
        Ok(unlinkat(&self.directory, &self.name, AtFlags::empty())?)
    }

    /// Whether this process may make, replace and remove what stands there: it may write the directory. In
    /// a sticky one (sticky(7)) only what is its own, which is not looked at.
    ///
    /// # Errors
    ///
    /// Those of `access(2)`, such as `EACCES` and `EROFS`.
    pub fn may_be_changed(&self) -> io::Result<()> {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        Ok(accessat(&self.directory, ".", access, AtFlags::empty())?)
    }

    /// Gives what stands there, but not what a link leads to, to a group.
    ///
    /// # Errors
    ///
    /// Those of `fchownat(2)`.
    pub fn give_to_group(&self, group: u32) -> io::Result<()> {
        let group = Some(Gid::from_raw(group));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(chownat(&self.directory, &self.name, None, group, flags)?)
    }

    /// Gives the file `found`, and nothing that somebody may have put in its place since, to another user.
    ///
    /// # Errors
    ///
    /// Those of `openat(2)` and `fchownat(2)`; `ENOENT` if something else stands there by now.
    #[cfg(target_os = "linux")]
    pub fn give_to_user(&self, found: &Status, user: u32) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.directory, &self.name, flags, Mode::empty())?;
        if !Status::of(&file)?.is_same_file(found) {
            return Err(Errno::NOENT.into());
        }
        let user = Some(Uid::from_raw(user));
        Ok(chownat(&file, "", user, None, AtFlags::EMPTY_PATH)?)
    }

    /// Gives what stands there, but not what a link leads to, to another user: a file cannot be held on to here without
    /// being opened, so `found` is not looked at.
    ///
    /// # Errors
    ///
    /// Those of `fchownat(2)`.
    #[cfg(not(target_os = "linux"))]
    pub fn give_to_user(&self, _found: &Status, user: u32) -> io::Result<()> {
        let user = Some(Uid::from_raw(user));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(chownat(&self.directory, &self.name, user, None, flags)?)
    }

    /// What stands around it.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub fn directory_status(&self) -> io::Result<Status> {
        Status::of(&self.directory)
    }

    /// Who besides trusted users can put something else there. A group that may write the directory is not looked at.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub fn replaceable_by(&self, trusted: &Trusted) -> io::Result<Option<ReplaceableBy>> {
        let directory = self.directory_status()?;
        Ok(if directory.is_writable_by_all() {
            Some(ReplaceableBy::EveryUser)
        } else if trusted.includes(directory.owner) {
            None
        } else {
            Some(ReplaceableBy::User(directory.owner))
        })
    }

    /// Whether both are one name in one directory, or what stands in both is one file.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub(crate) fn is_same_as(&self, other: &Self) -> io::Result<bool> {
        let directory = self.directory_status()?;
        if self.name == other.name && directory.is_same_file(&other.directory_status()?) {
            return Ok(true);
        }
        Ok(match (self.status()?, other.status()?) {
            (Some(one), Some(other)) => one.is_same_file(&other),
            _ => false,
        })
    }

    /// The directory, to be held by somebody else too.
    ///
    /// # Errors
    ///
    /// When there are too many descriptors.
    pub fn directory(&self) -> io::Result<OwnedFd> {
        self.directory.try_clone()
    }

    /// The name in it.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.name
    }
}

#[cfg(test)]
mod tests;
