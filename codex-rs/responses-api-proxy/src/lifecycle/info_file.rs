//! The file that server info is written to: whose it may be, what it may hold, and removed at the end.
//!
//! Written in place, with one write: codex-action makes the file beforehand, in a directory where we may
//! not make or rename one. Whoever can choose what the path leads to must not choose what a root process
//! overwrites, and whoever owns the file can write another port into it later, so both are asked whose
//! they are. What is in it is read whole: only server info, or nothing, is overwritten.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use codex_server_info::{MAX_BYTES, ServerInfo};
use codex_trusted_path::{Kind, Missing, OFlags, PathError, Place, ReplaceableBy, Status, Trusted};

/// How long a FIFO may be without a reader: a script starts both at once.
const READER_WITHIN: Duration = Duration::from_secs(2);
const READER_ASKED_EVERY: Duration = Duration::from_millis(10);

const TO_WRITE: OFlags = OFlags::WRONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
const TO_READ_AND_WRITE: OFlags = OFlags::RDWR.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
const NEW: OFlags = OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL);

/// Why the file is not written.
#[derive(Debug)]
pub(crate) enum Cause {
    Link,
    ForeignLink(PathError),
    SeveralNames,
    Kind,
    Foreign(u32),
    NotOurs,
    NoReader,
    Io(io::Error),
}

impl fmt::Display for Cause {
    /// The end of a sentence that begins with the name of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => f.write_str("is a symbolic link; name the file itself"),
            Self::ForeignLink(error) => write!(f, "is not used: {error}"),
            Self::SeveralNames => {
                f.write_str("is a file with more than one name (hard link); remove it")
            }
            Self::Kind => f.write_str("is neither a file, a FIFO nor a character device"),
            Self::Foreign(owner) => write!(
                f,
                "belongs to user {owner}, who could send callers elsewhere; remove it, or name a file \
                 in a directory of your own"
            ),
            Self::NotOurs => {
                f.write_str("holds something else than server info; remove it or name another file")
            }
            Self::NoReader => f.write_str("is a FIFO that nobody reads; start its reader first"),
            Self::Io(_) => f.write_str("cannot be written"),
        }
    }
}

impl From<io::Error> for Cause {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

impl From<PathError> for Cause {
    fn from(error: PathError) -> Self {
        match error {
            PathError::ForeignLink(..) | PathError::Replaceable(..) => Self::ForeignLink(error),
            PathError::NoName => Self::Kind,
            PathError::Io(cause) => Self::Io(cause),
        }
    }
}

/// The file: opened early, written once there is something to say. When this is dropped it is removed
/// if it still says it, or if it was made here and never said anything.
#[derive(Debug)]
pub(crate) struct InfoFile {
    place: Place,
    /// Closed once it is written: the reader of a FIFO waits for that.
    file: Option<File>,
    /// The regular file, to be emptied where it cannot be removed.
    emptied: Option<File>,
    /// As it was when we made it.
    made: Option<Status>,
    /// The regular file as it was when we had written it; only while nobody wrote it after us is it
    /// ours to remove.
    written: Option<Status>,
    /// Somebody else who can put another file in its place.
    replaceable_by: Option<ReplaceableBy>,
}

impl InfoFile {
    /// Opens `path` for writing, parents made as needed, and judges what it is. A private one is a new
    /// file that its owner alone can read.
    ///
    /// # Errors
    ///
    /// [`Cause`].
    pub(crate) fn open(path: &Path, private: bool) -> Result<Self, Cause> {
        let trusted = Trusted::by_this_process();
        let place = Place::find(path, &trusted, Missing::Make)?;
        let found = place.status()?;
        let (file, is_new) = match &found {
            None => (make(&place, private)?, true),
            Some(found) => {
                let file = open_found(&place, found, &trusted)?;
                match (private, found.kind) {
                    (false, _) => (file, false),
                    (true, Kind::File) => {
                        // Whoever had the old file open would read the token in it.
                        place.remove()?;
                        (make(&place, private)?, true)
                    }
                    (true, _) => return Err(Cause::Kind),
                }
            }
        };
        let status = Status::of(&file)?;
        let is_file = status.kind == Kind::File;
        let mut opened = Self {
            made: is_new.then_some(status),
            place,
            file: Some(file),
            emptied: None,
            written: None,
            replaceable_by: None,
        };
        if is_file {
            opened.replaceable_by = opened.place.replaceable_by(&trusted)?;
        }
        Ok(opened)
    }

    /// Whether [`open`](Self::open) would succeed, as far as that is known without making or changing
    /// anything, and without an end for the reader of a FIFO.
    ///
    /// # Errors
    ///
    /// [`Cause`].
    pub(crate) fn check(path: &Path, private: bool) -> Result<(), Cause> {
        let trusted = Trusted::by_this_process();
        let place = match Place::find(path, &trusted, Missing::Refuse) {
            // Its directory will be made.
            Err(PathError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        match place.status()? {
            None => Ok(place.may_be_changed()?),
            Some(found) => match found.kind {
                Kind::Fifo | Kind::CharacterDevice if private => Err(Cause::Kind),
                Kind::Fifo | Kind::CharacterDevice => Ok(()),
                _ => open_found(&place, &found, &trusted).map(drop),
            },
        }
    }

    /// Writes the line in the place of what was there, once.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`; a file that was made here is then removed, any other left empty.
    pub(crate) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let is_file = Status::of(&file)?.kind == Kind::File;
        if is_file {
            file.set_len(0)?;
        }
        let written = match file.write(line) {
            Ok(written) if written < line.len() => Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => Ok(()),
            Err(cause) => Err(cause),
        };
        if let Err(cause) = written {
            if is_file {
                // Half a line would be taken for something that is not server info.
                let _ = file.set_len(0);
            }
            return Err(cause);
        }
        if is_file {
            self.written = Some(Status::of(&file)?);
            self.emptied = Some(file);
        }
        Ok(())
    }

    /// Whether it can be removed at the end by the user that this process is now. If not it is emptied.
    pub(crate) fn is_removable(&self) -> bool {
        let is_file = |file: &File| Status::of(file).is_ok_and(|found| found.kind == Kind::File);
        !self.file.as_ref().is_some_and(is_file) || self.place.may_be_changed().is_ok()
    }

    /// The directory to remove it from, open.
    pub(crate) fn directory(&self) -> Option<File> {
        let is_file = Status::of(self.file.as_ref()?).ok()?.kind == Kind::File;
        let directory = self.place.directory().ok()?;
        is_file.then(|| directory.into())
    }

    /// Who else can put another file in its place, if anybody can.
    pub(crate) fn replaceable_by(&self) -> Option<ReplaceableBy> {
        self.replaceable_by
    }
}

impl Drop for InfoFile {
    fn drop(&mut self) {
        let Ok(Some(found)) = self.place.status() else {
            return;
        };
        // Another proxy may have been told the same path.
        let is_ours = match (&self.written, &self.made) {
            (Some(written), _) => found.is_unwritten(written),
            (None, Some(made)) => found.is_same_file(made) && found.size == 0,
            (None, None) => false,
        };
        // Not being allowed to remove it (codex-action gives the file to root, and `--user` leaves a
        // directory of root's) is not an error: then it says nothing any more, as before.
        if is_ours
            && self.place.remove().is_err()
            && let Some(file) = &self.emptied
        {
            let _ = file.set_len(0);
        }
    }
}

/// A file that is new, and not to be written by others whatever the umask says.
fn make(place: &Place, private: bool) -> io::Result<File> {
    let mode = if private { 0o600 } else { 0o644 };
    place.open(NEW, mode)
}

/// Opens what stands there, if it is ours to overwrite. It may have changed since it was found, so what
/// is judged is what was opened.
fn open_found(place: &Place, found: &Status, trusted: &Trusted) -> Result<File, Cause> {
    let mut file = match found.kind {
        Kind::Link => return Err(Cause::Link),
        Kind::Socket | Kind::Other => return Err(Cause::Kind),
        // Only a regular file is read too: a FIFO that is open both ways has no end.
        Kind::File => place.open(TO_READ_AND_WRITE, 0)?,
        Kind::Fifo => open_fifo(place)?,
        // As a directory it says so.
        Kind::CharacterDevice | Kind::Directory => place.open(TO_WRITE, 0)?,
    };
    let opened = Status::of(&file)?;
    if !opened.is_same_file(found) {
        return Err(Cause::Io(io::ErrorKind::ResourceBusy.into()));
    }
    if !trusted.includes(opened.owner) && opened.owner != place.directory_status()?.owner {
        return Err(Cause::Foreign(opened.owner));
    }
    if opened.kind == Kind::File {
        if opened.names > 1 {
            return Err(Cause::SeveralNames);
        }
        refuse_other_content(&mut file)?;
    }
    Ok(file)
}

/// Waits for a reader, though not for ever as `open(2)` would.
fn open_fifo(place: &Place) -> Result<File, Cause> {
    let started = Instant::now();
    loop {
        match place.open(TO_WRITE, 0) {
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
                if started.elapsed() > READER_WITHIN {
                    return Err(Cause::NoReader);
                }
                std::thread::sleep(READER_ASKED_EVERY);
            }
            opened => return Ok(opened?),
        }
    }
}

fn refuse_other_content(file: &mut File) -> Result<(), Cause> {
    let mut content = Vec::new();
    Read::by_ref(file)
        .take(MAX_BYTES + 1)
        .read_to_end(&mut content)?;
    file.rewind()?;
    if content.is_empty() || ServerInfo::is_all_of(&content) {
        Ok(())
    } else {
        Err(Cause::NotOurs)
    }
}

#[cfg(test)]
mod tests;
