//! The file for the answer: looked at before anything is asked, changed only by a whole answer.
//!
//! A regular file is replaced in one step by another beside it, so that nobody reads half an answer
//! and a full disk costs nothing. What is not a regular file is written to, and so is a file whose
//! owner or further names a replacement would lose, or whose directory takes no other: there a
//! failure on the way leaves a part.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::command::exit::Stop;

/// Where the answer goes.
#[derive(Debug)]
pub(crate) struct LastMessage {
    /// As it was given, for messages.
    path: PathBuf,
    file: File,
    /// The file itself, whatever links lead to it.
    target: PathBuf,
    /// Whether it was not there before, and so has to go if nothing is written to it.
    is_new: bool,
}

impl LastMessage {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(crate) fn open(path: &Path) -> Result<Self, Stop> {
        let fault = |cause| cannot_write(path, &cause);
        let is_new = fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fault)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            target: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            is_new,
        })
    }

    /// Writes the answer.
    ///
    /// # Errors
    ///
    /// It cannot be written; a regular file is then as it was, where it could be replaced.
    pub(crate) fn write(mut self, text: &str) -> Result<(), Stop> {
        let outcome = match self.file.metadata() {
            Ok(found) if found.is_file() => match Replacement::beside(&self.target, &found) {
                Some(other) => other.take_the_place_of(&self.target, text),
                None => self
                    .file
                    .set_len(0)
                    .and_then(|()| self.file.write_all(text.as_bytes())),
            },
            _ => self.file.write_all(text.as_bytes()),
        };
        if outcome.is_ok() {
            self.is_new = false;
        }
        outcome.map_err(|cause| cannot_write(&self.path, &cause))
    }
}

impl Drop for LastMessage {
    fn drop(&mut self) {
        if self.is_new {
            let _ = fs::remove_file(&self.target);
        }
    }
}

/// A file that goes away unless it takes another's place.
struct Replacement {
    path: PathBuf,
    file: File,
}

impl Replacement {
    /// `None` where there can be none that is like the file it is to replace.
    fn beside(target: &Path, found: &Metadata) -> Option<Self> {
        let name = target.file_name()?.to_string_lossy();
        let path = target.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .ok()?;
        let other = Self { path, file };
        let is_like_it = other.file.set_permissions(found.permissions()).is_ok()
            && other
                .file
                .metadata()
                .is_ok_and(|made| has_same_owner(&made, found));
        is_like_it.then_some(other)
    }

    fn take_the_place_of(mut self, target: &Path, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        fs::rename(&self.path, target)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // Not there any more if all went well.
        let _ = fs::remove_file(&self.path);
    }
}

/// And no other names.
#[cfg(unix)]
fn has_same_owner(made: &Metadata, found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (made.uid(), made.gid()) == (found.uid(), found.gid()) && found.nlink() == 1
}

#[cfg(not(unix))]
fn has_same_owner(_made: &Metadata, _found: &Metadata) -> bool {
    true
}

fn cannot_write(path: &Path, cause: &io::Error) -> Stop {
    Stop::Failed(format!("could not write {}: {cause}", path.display()))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn write(path: &Path, text: &str) {
        assert!(LastMessage::open(path).unwrap().write(text).is_ok());
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_behind_its_links() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("x"), directory.path().join("link"));
        fs::write(&path, "an older and longer one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("x", &link).unwrap();
        let before = fs::metadata(&path).unwrap();
        write(&link, "new");
        let after = fs::metadata(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_ne!(before.ino(), after.ino());
        assert_eq!(after.mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_with_two_names_keeps_both() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("x"), directory.path().join("y"));
        fs::write(&path, "an older and longer one").unwrap();
        fs::hard_link(&path, &other).unwrap();
        write(&path, "new");
        assert_eq!(fs::read_to_string(&other).unwrap(), "new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_new_file_goes_away_without_an_answer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        drop(LastMessage::open(&path).unwrap());
        assert!(!path.exists());
        write(&path, "new");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        drop(LastMessage::open(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
