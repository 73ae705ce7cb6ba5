//! A file that lines are appended to, opened anew after it was rotated.
//!
//! Its directory is held open, so that a file made later is made where the first one was, whatever became of the
//! path. Whoever can choose what the path leads to must not choose what a process of root appends to: links are not
//! followed, and a file of somebody else is refused.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use codex_trusted_path::{Kind, Missing, OFlags, PathError, Place, ReplaceableBy, Status, Trusted};

use crate::observe::log_writer::LogTarget;
use crate::observe::stderr;

const TO_APPEND: OFlags = OFlags::WRONLY
    .union(OFlags::APPEND)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);
/// Without a reader a FIFO cannot be opened for writing alone (fifo(7)).
const FIFO: OFlags = OFlags::RDWR.union(OFlags::NONBLOCK);
const NEW: OFlags = TO_APPEND.union(OFlags::CREATE).union(OFlags::EXCL);

/// What a new file may be read by: its owner, and the group that its directory or the process gives it.
const MODE: u32 = 0o640;

/// Why it is not written.
#[derive(Debug)]
pub(crate) struct LogFileError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Link,
    ForeignLink(PathError),
    SeveralNames,
    Kind,
    Foreign(u32),
    Mode(u32),
    Io(io::Error),
}

impl fmt::Display for LogFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::Link => write!(f, "{path} is a symbolic link; name the file itself"),
            Cause::ForeignLink(error) => write!(f, "{path} is not used: {error}"),
            Cause::SeveralNames => write!(
                f,
                "{path} is a file with more than one name (hard link); remove it"
            ),
            Cause::Kind => write!(f, "{path} is neither a file, a FIFO nor a character device"),
            Cause::Foreign(owner) => write!(
                f,
                "{path} belongs to user {owner}, who could change what is in it; remove it, or name a file \
                 in a directory of your own"
            ),
            Cause::Mode(mode) => write!(
                f,
                "{path} has the mode {mode:o}, so others could change what is in it; chmod go-w it"
            ),
            Cause::Io(_) => write!(f, "{path} cannot be appended to"),
        }
    }
}

impl std::error::Error for LogFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Io(cause) => Some(cause),
            _ => None,
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

/// The file, and where it is opened anew.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    place: Place,
    trusted: Trusted,
    file: File,
}

impl LogFile {
    /// Opens `path` for appending, and makes it if it is not there. It may belong to this process's user, to root, and
    /// to the user `becomes`.
    ///
    /// # Errors
    ///
    /// [`LogFileError`] names the path and what is wrong with it.
    pub(crate) fn open(path: &Path, becomes: Option<u32>) -> Result<Self, LogFileError> {
        let error = |cause| LogFileError {
            path: path.to_owned(),
            cause,
        };
        let trusted = Trusted::by_this_process();
        let place =
            Place::find(path, &trusted, Missing::Refuse).map_err(|found| error(found.into()))?;
        let trusted = match becomes {
            Some(user) => trusted.and(user),
            None => trusted,
        };
        let file = open(&place, &trusted).map_err(error)?;
        Ok(Self {
            path: path.to_owned(),
            place,
            trusted,
            file,
        })
    }

    /// From now on the file that has the name by now, which is made if there is none. If that fails, the one that
    /// was open stays. Whether it is another one.
    ///
    /// # Errors
    ///
    /// As those of [`open`](Self::open).
    pub(crate) fn reopen(&mut self) -> Result<bool, LogFileError> {
        let error = |cause| LogFileError {
            path: self.path.clone(),
            cause,
        };
        let is_as_it_was = match (self.place.status(), Status::of(&self.file)) {
            (Ok(Some(found)), Ok(open)) => found.is_same_file(&open),
            _ => false,
        };
        if !is_as_it_was {
            self.file = open(&self.place, &self.trusted).map_err(error)?;
        }
        Ok(!is_as_it_was)
    }

    /// Whether the user that this process is now can make a file in its place after it was rotated.
    pub(crate) fn may_be_made_anew(&self) -> bool {
        self.place.may_be_changed().is_ok()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory, to be held by somebody else too; `None` of something that is not rotated.
    pub(crate) fn directory(&self) -> Option<File> {
        let directory = self.place.directory().ok()?;
        self.is_file().then(|| directory.into())
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Who else can put another file in its place, if anybody can.
    pub(crate) fn replaceable_by(&self) -> Option<ReplaceableBy> {
        let by = self.place.replaceable_by(&self.trusted);
        by.ok().flatten().filter(|_| self.is_file())
    }

    fn is_file(&self) -> bool {
        Status::of(&self.file).is_ok_and(|found| found.kind == Kind::File)
    }

    /// The last bytes of the file, at most `most`, and how long it is; nothing of what is not a regular file. To be
    /// asked while files can be read.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or another one has taken its place.
    pub(crate) fn end(&self, most: u64) -> io::Result<(Vec<u8>, u64)> {
        let mut end = Vec::new();
        if Status::of(&self.file)?.kind != Kind::File {
            return Ok((end, 0));
        }
        let mut file = self.place.open(OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
        if !Status::of(&file)?.is_same_file(&Status::of(&self.file)?) {
            return Err(io::Error::other("another file has taken its place"));
        }
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        file.take(most).read_to_end(&mut end)?;
        Ok((end, length))
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LogTarget for LogFile {
    fn reopen(&mut self) -> bool {
        Self::reopen(self).unwrap_or_else(|error| {
            let error = anyhow::Error::from(error);
            stderr::line(format_args!(
                "a log was not opened anew, and goes on as it was: {error:#}"
            ));
            false
        })
    }
}

fn open(place: &Place, trusted: &Trusted) -> Result<File, Cause> {
    let file = match place.status()? {
        // Somebody else may make one in this moment: then there is an error, and not their file.
        None => place.open(NEW, MODE)?,
        Some(found) => match found.kind {
            Kind::Link => return Err(Cause::Link),
            Kind::Socket | Kind::Other => return Err(Cause::Kind),
            Kind::Fifo => place.open(FIFO, 0)?,
            Kind::File | Kind::CharacterDevice | Kind::Directory => place.open(TO_APPEND, 0)?,
        },
    };
    // What is judged is what was opened.
    let opened = Status::of(&file)?;
    if !trusted.includes(opened.owner) {
        return Err(Cause::Foreign(opened.owner));
    }
    if opened.kind == Kind::File {
        if opened.names > 1 {
            return Err(Cause::SeveralNames);
        }
        if opened.mode & 0o022 != 0 {
            return Err(Cause::Mode(opened.mode & 0o777));
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn lines_are_appended_and_a_rotated_file_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        fs::write(&path, "before\n").unwrap();
        let mut log = LogFile::open(&path, None).unwrap();
        log.write_all(b"one\n").unwrap();
        fs::rename(&path, dir.path().join("access.log.1")).unwrap();
        log.write_all(b"two\n").unwrap();
        log.reopen().unwrap();
        log.write_all(b"three\n").unwrap();
        let read = |name| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("access.log.1"), "before\none\ntwo\n");
        assert_eq!(read("access.log"), "three\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o137, 0, "{mode:o}");
    }

    #[test]
    fn what_somebody_else_could_have_put_there_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [file, link, other, open] =
            ["file", "link", "other", "open"].map(|name| dir.path().join(name));
        for path in [&file, &open] {
            fs::write(path, "").unwrap();
        }
        symlink(&file, &link).unwrap();
        fs::hard_link(&file, &other).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
        for (path, why) in [
            (&link, "symbolic link"),
            (&other, "more than one name"),
            (&open, "mode 666"),
            (&dir.path().to_owned(), "cannot be appended to"),
            (&dir.path().join("no/where"), "cannot be appended to"),
        ] {
            let error = LogFile::open(path, None).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        if std::os::unix::fs::chown(&open, Some(65534), None).is_ok() {
            fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
            let error = LogFile::open(&open, None).unwrap_err().to_string();
            assert!(error.contains("belongs to user 65534"), "{error}");
            LogFile::open(&open, Some(65534)).unwrap();
        }
    }

    #[test]
    fn a_fifo_that_nobody_reads_is_opened_and_takes_what_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let mut log = LogFile::open(&path, None).unwrap();
        assert!(log.directory().is_none());
        let mut written = 0;
        let full = loop {
            match log.write(&[b'x'; 4096]) {
                Ok(more) => written += more,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert!(written > 0);
    }
}
