//! The file of the audit log: of one process at a time, and appended to only where its chain goes on.

use std::fmt;
use std::fs::TryLockError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use codex_audit_log::{Chain, LONGEST_LINE, LineHash};

use crate::observe::log_file::{LogFile, LogFileError};
use crate::observe::log_writer::LogTarget;
use crate::observe::stderr;

/// Why it is not appended to.
#[derive(Debug)]
pub(crate) enum AuditFileError {
    File(LogFileError),
    /// Another process has it.
    InUse(PathBuf),
    /// It ends in the middle of a line.
    CutOff(PathBuf),
    /// It does not end in a line of an audit log.
    NotAnAuditLog(PathBuf),
    /// It cannot be locked, or its end cannot be read.
    Io(PathBuf, io::Error),
}

impl fmt::Display for AuditFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::InUse(path) => write!(
                f,
                "{} is written by another process, such as a proxy that has not ended yet; wait for its end, or name \
                 another file",
                path.display()
            ),
            Self::CutOff(path) => write!(
                f,
                "{0} ends in the middle of a line, as after a full disk; look at it with `codex responses-api-proxy \
                 audit verify {0}`, then move it away and start again",
                path.display()
            ),
            Self::NotAnAuditLog(path) => write!(
                f,
                "{0} does not end in a line of an audit log, so no chain can go on there; look at it with `codex \
                 responses-api-proxy audit verify {0}` and move it away, or name another file",
                path.display()
            ),
            Self::Io(path, _) => write!(
                f,
                "the end of {} cannot be locked and read, and its chain goes on there",
                path.display()
            ),
        }
    }
}

impl std::error::Error for AuditFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(error) => error.source(),
            Self::Io(_, cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<LogFileError> for AuditFileError {
    fn from(error: LogFileError) -> Self {
        Self::File(error)
    }
}

/// The file, locked if it is one.
#[derive(Debug)]
pub(crate) struct AuditFile(LogFile);

impl AuditFile {
    /// Opens `path` as [`LogFile::open`] does, and finds where its chain goes on.
    ///
    /// # Errors
    ///
    /// [`AuditFileError`] says what to do.
    pub(crate) fn open(path: &Path, becomes: Option<u32>) -> Result<(Self, Chain), AuditFileError> {
        let this = Self(LogFile::open(path, becomes)?);
        let io = |cause| AuditFileError::Io(path.to_owned(), cause);
        this.lock().map_err(|error| match error {
            TryLockError::WouldBlock => AuditFileError::InUse(path.to_owned()),
            TryLockError::Error(cause) => io(cause),
        })?;
        // The line, and a line feed before and behind it.
        let most = LONGEST_LINE as u64 + 2;
        let (end, length) = this.0.end(most).map_err(io)?;
        let last = match end.split_last() {
            None => LineHash::NONE,
            Some((b'\n', lines)) => {
                let from = memchr::memrchr(b'\n', lines).map(|before| before + 1);
                let is_whole = from.is_some() || length <= most;
                let line = lines.get(from.unwrap_or(0)..).unwrap_or_default();
                match LineHash::in_line(line) {
                    Some(_) if is_whole => LineHash::of(line),
                    _ => return Err(AuditFileError::NotAnAuditLog(path.to_owned())),
                }
            }
            Some(_) => return Err(AuditFileError::CutOff(path.to_owned())),
        };
        Ok((this, Chain::behind(last)))
    }

    pub(crate) fn log(&self) -> &LogFile {
        &self.0
    }

    /// A FIFO or a device is not locked: what comes out of it is in nobody's order but its reader's.
    fn lock(&self) -> Result<(), TryLockError> {
        match self.is_file() {
            true => self.0.file().try_lock(),
            false => Ok(()),
        }
    }

    fn is_file(&self) -> bool {
        let found = self.0.file().metadata();
        found.is_ok_and(|found| found.is_file())
    }

    /// Waits until the disk has what was written.
    fn sync(&self) -> io::Result<()> {
        match self.is_file() {
            true => self.0.file().sync_data(),
            false => Ok(()),
        }
    }
}

impl Write for AuditFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sync()
    }
}

impl LogTarget for AuditFile {
    fn reopen(&mut self) -> bool {
        if let Err(error) = self.sync() {
            stderr::line(format_args!(
                "--audit-log: the disk may not have the end of the rotated file: {error}"
            ));
        }
        let is_new = LogTarget::reopen(&mut self.0);
        if is_new && self.lock().is_err() {
            stderr::line(format_args!(
                "--audit-log: another process writes {} too, and the lines of both will not be a chain",
                self.0.path().display()
            ));
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;

    fn log(lines: usize) -> (Vec<u8>, Chain) {
        let mut chain = Chain::behind(LineHash::NONE);
        let mut log = Vec::new();
        for number in 0..lines {
            let object = format!("{{\"number\":{number}}}");
            assert!(chain.append(object.as_bytes(), &mut log));
        }
        (log, chain)
    }

    #[test]
    fn a_chain_goes_on_behind_the_last_line_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        for lines in [0, 1, 2, 2_000] {
            let (log, expected) = log(lines);
            fs::write(&path, &log).unwrap();
            let (_file, chain) = AuditFile::open(&path, None).unwrap();
            assert_eq!(chain.last(), expected.last(), "{lines}");
        }
        let mut longest = b"{\"a\":\"".to_vec();
        longest.resize(LONGEST_LINE - 76, b'x');
        longest.extend(b"\"}");
        let (mut log, mut chain) = log(1);
        assert!(chain.append(&longest, &mut log));
        fs::write(&path, &log).unwrap();
        let (_file, found) = AuditFile::open(&path, None).unwrap();
        assert_eq!(found.last(), chain.last());
    }

    #[test]
    fn a_file_that_does_not_end_in_a_line_of_an_audit_log_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let (whole, _) = log(3);
        let cut = &whole[..whole.len() - 1];
        for (text, why) in [
            (cut, "in the middle of a line"),
            (&whole[..whole.len() - 9], "in the middle of a line"),
            (&[&whole[..], b"\n"].concat(), "does not end in a line"),
            (&[&whole[..], b"{}\n"].concat(), "does not end in a line"),
            (&[&[b'x'; 20_000][..], cut, b"\n"].concat(), ""),
            (
                &[&whole[..], &[b'x'; 20_000], b"\n"].concat(),
                "does not end",
            ),
        ] {
            fs::write(&path, text).unwrap();
            match AuditFile::open(&path, None) {
                Ok(_) => assert_eq!(why, ""),
                Err(error) => assert!(error.to_string().contains(why), "{error}"),
            }
            assert_eq!(fs::read(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_file_has_one_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let first = AuditFile::open(&path, None).unwrap();
        let error = AuditFile::open(&path, None).unwrap_err();
        assert!(matches!(error, AuditFileError::InUse(_)), "{error}");
        drop(first);
        AuditFile::open(&path, None).unwrap();
    }
}
