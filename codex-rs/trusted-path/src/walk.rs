//! The way along a path, directory by directory.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::place::{Missing, PathError, Place};
use crate::replaceable::ReplaceableBy;
use crate::status::{Kind, Status};
use crate::trusted::Trusted;

/// As many links as the kernel follows on one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// To look things up in a directory takes no permission to list it.
#[cfg(target_os = "linux")]
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// On the way: a directory that is held open, and the names that are still ahead.
pub(crate) struct Walk<'a> {
    directory: OwnedFd,
    ahead: VecDeque<OsString>,
    /// The way so far, for messages.
    behind: PathBuf,
    links: usize,
    trusted: &'a Trusted,
    missing: Missing,
    /// Whether every directory has to be one that trusted users alone can change.
    exclusively: bool,
}

impl<'a> Walk<'a> {
    /// Begins at the path's beginning.
    pub(crate) fn along(
        path: &Path,
        trusted: &'a Trusted,
        missing: Missing,
    ) -> Result<Self, PathError> {
        let mut walk = Self {
            directory: openat(CWD, ".", DIRECTORY, Mode::empty())?,
            ahead: VecDeque::new(),
            behind: PathBuf::new(),
            links: 0,
            trusted,
            missing,
            exclusively: false,
        };
        walk.turn_to(path)?;
        Ok(walk)
    }

    /// Begins at the beginning of an absolute path, and enters no directory that somebody who is not trusted can
    /// change.
    pub(crate) fn exclusively_along(path: &Path, trusted: &'a Trusted) -> Result<Self, PathError> {
        let mut walk = Self {
            directory: openat(CWD, "/", DIRECTORY, Mode::empty())?,
            ahead: VecDeque::new(),
            behind: PathBuf::from("/"),
            links: 0,
            trusted,
            missing: Missing::Refuse,
            exclusively: true,
        };
        walk.turn_to(path)?;
        Ok(walk)
    }

    /// Puts the names of a path before those that are ahead.
    fn turn_to(&mut self, path: &Path) -> Result<(), PathError> {
        let mut names = VecDeque::new();
        for component in path.components() {
            match component {
                Component::RootDir => {
                    self.directory = openat(CWD, "/", DIRECTORY, Mode::empty())?;
                    self.behind = PathBuf::from("/");
                    self.refuse_if_replaceable()?;
                }
                Component::ParentDir => names.push_back("..".into()),
                Component::Normal(name) => names.push_back(name.to_owned()),
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
        names.append(&mut self.ahead);
        self.ahead = names;
        Ok(())
    }

    /// Enters all directories but leaves the last name.
    pub(crate) fn walk_to_last(&mut self) -> Result<Place, PathError> {
        while let Some(name) = self.ahead.pop_front() {
            if !self.ahead.is_empty() {
                self.enter(name)?;
            } else if name == ".." {
                return Err(PathError::NoName);
            } else {
                let directory = self.directory.try_clone().map_err(PathError::Io)?;
                return Ok(Place { directory, name });
            }
        }
        Err(PathError::NoName)
    }

    /// Goes on to the file, by links of trusted users also where its name is one, and opens it for reading,
    /// without waiting for anybody.
    pub(crate) fn walk_to_file(&mut self) -> Result<(Place, File), PathError> {
        loop {
            let place = self.walk_to_last()?;
            let to_read = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            match place.open(to_read, 0) {
                Ok(file) => return Ok((place, file)),
                Err(error) => match place.status().map_err(PathError::Io)? {
                    Some(found) if found.kind == Kind::Link => self.follow(&place.name)?,
                    _ => return Err(PathError::Io(error)),
                },
            }
        }
    }

    fn enter(&mut self, name: OsString) -> Result<(), PathError> {
        let directory = match self.open_directory(&name) {
            Err(Errno::NOENT) if self.missing == Missing::Make => {
                match mkdirat(&self.directory, &name, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => self.open_directory(&name)?,
                    Err(error) => return Err(error.into()),
                }
            }
            // Not a directory, or a link to whatever.
            Err(Errno::NOTDIR | Errno::LOOP) => return self.follow(&name),
            opened => opened?,
        };
        self.directory = directory;
        self.behind.push(&name);
        self.refuse_if_replaceable()
    }

    /// In a sticky directory (sticky(7)) others can put no file in the place of one of a trusted user, and whose the
    /// next directory, link or file is, is looked at in its turn.
    fn refuse_if_replaceable(&self) -> Result<(), PathError> {
        if !self.exclusively {
            return Ok(());
        }
        let found = Status::of(&self.directory).map_err(PathError::Io)?;
        let by = if !self.trusted.includes(found.owner) {
            ReplaceableBy::User(found.owner)
        } else if found.is_writable_by_all() {
            ReplaceableBy::EveryUser
        } else if found.is_writable_by_group() {
            ReplaceableBy::Group(found.group)
        } else {
            return Ok(());
        };
        Err(PathError::Replaceable(self.behind.clone(), by))
    }

    fn open_directory(&self, name: &OsStr) -> rustix::io::Result<OwnedFd> {
        openat(
            &self.directory,
            name,
            DIRECTORY | OFlags::NOFOLLOW,
            Mode::empty(),
        )
    }

    /// Goes on where a link leads, if it is one of a trusted user's.
    pub(crate) fn follow(&mut self, name: &OsStr) -> Result<(), PathError> {
        let look = || -> Result<Status, PathError> {
            Ok(statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)?.into())
        };
        let link = look()?;
        if link.kind != Kind::Link {
            return Err(Errno::NOTDIR.into());
        }
        if !self.trusted.includes(link.owner) {
            return Err(PathError::ForeignLink(self.behind.join(name), link.owner));
        }
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = readlinkat(&self.directory, name, Vec::new())?;
        // A link never changes; another may have taken its place between the two calls.
        if look()? != link {
            return Err(Errno::AGAIN.into());
        }
        self.turn_to(Path::new(&OsString::from_vec(target.into_bytes())))
    }
}
