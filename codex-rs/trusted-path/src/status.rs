//! What is in a place, as `fstat(2)` tells it.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{FileType, Mode, Stat, fstat};

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe (`fifo(7)`).
    Fifo,
    /// A character device.
    CharacterDevice,
    /// A socket of this host (`unix(7)`).
    Socket,
    /// Anything else.
    Other,
}

/// What it is, whose, and whether it is still the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What kind of thing it is.
    pub kind: Kind,
    /// Its owner.
    pub owner: u32,
    /// Its group.
    pub group: u32,
    /// Its permissions, the sticky bit included.
    pub mode: u32,
    /// How many names it has.
    pub names: u64,
    /// Its length, in bytes.
    pub size: i64,
    identity: (u64, u64),
    modified: (i64, i64),
}

impl Status {
    /// Of something that is open.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(fstat(file)?.into())
    }

    /// Whether both are of one file, whatever happened to it in between.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        self.kind == other.kind && self.identity == other.identity
    }

    /// Whether both are of one file that was not written in between; its owner and mode may differ.
    #[must_use]
    pub fn is_unwritten(&self, since: &Self) -> bool {
        self.is_same_file(since) && (self.size, self.modified) == (since.size, since.modified)
    }

    /// Whether every user may write it; in a sticky directory they may not replace what is there.
    #[must_use]
    pub fn is_writable_by_all(&self) -> bool {
        self.mode & 0o002 != 0 && !self.is_sticky_directory()
    }

    /// The same for its group. Where there is an access control list (acl(5)) this is so if anybody in it besides
    /// the owner may write it.
    pub(crate) fn is_writable_by_group(&self) -> bool {
        self.mode & 0o020 != 0 && !self.is_sticky_directory()
    }

    fn is_sticky_directory(&self) -> bool {
        self.kind == Kind::Directory && self.mode & 0o1000 != 0
    }
}

impl From<Stat> for Status {
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types differ from system to system; none loses anything"
    )]
    fn from(stat: Stat) -> Self {
        let mode = Mode::from_raw_mode(stat.st_mode);
        Self {
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Directory,
                FileType::Symlink => Kind::Link,
                FileType::Fifo => Kind::Fifo,
                FileType::CharacterDevice => Kind::CharacterDevice,
                FileType::Socket => Kind::Socket,
                _ => Kind::Other,
            },
            owner: stat.st_uid,
            group: stat.st_gid,
            mode: mode.bits() as u32,
            names: stat.st_nlink as u64,
            size: stat.st_size as i64,
            identity: (stat.st_dev as u64, stat.st_ino as u64),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        }
    }
}
