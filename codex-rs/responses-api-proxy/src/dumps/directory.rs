//! The directory that dumps are written to: whose it may be, and what is in it at the start.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use codex_trusted_path::{Directory, Kind, Missing, PathError, Place, Status, Trusted};
use rustix::process::geteuid;

use crate::dumps::name::DumpName;

/// What a dump may be read and written by: its owner alone.
const MODE: u32 = 0o600;

/// Why dumps are not written there.
#[derive(Debug)]
pub(crate) struct DumpDirectoryError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Link,
    ForeignLink(PathError),
    NoName,
    Kind,
    Foreign(u32),
    Unwritable { owner: u32, user: u32 },
    Mode(u32),
    Locked,
    NoLocks(io::Error),
    Make(io::Error),
    Io(io::Error),
}

impl fmt::Display for DumpDirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::Link => write!(
                f,
                "{path} is a symbolic link; name the directory that it leads to"
            ),
            Cause::ForeignLink(error) => write!(f, "{path} is not used: {error}"),
            Cause::NoName => write!(
                f,
                "{path} does not end in the name of a directory; write the whole path"
            ),
            Cause::Kind => write!(f, "{path} is not a directory; name one"),
            Cause::Foreign(owner) => write!(
                f,
                "{path} belongs to user {owner}, who could read what others send; name a directory of your own"
            ),
            Cause::Unwritable { owner, user } => write!(
                f,
                "{path} belongs to user {owner}, and the proxy runs as user {user}, who cannot write it; \
                 chown {user} it, or let the proxy make it"
            ),
            Cause::Mode(mode) => write!(
                f,
                "{path} has the mode {mode:o}, so others could put files into it; chmod 700 it"
            ),
            Cause::Locked => write!(
                f,
                "another proxy writes its dumps to {path}; name another directory"
            ),
            Cause::NoLocks(_) => write!(
                f,
                "{path} is on a file system where it cannot be kept from other proxies (flock); name a directory \
                 on a local disk"
            ),
            Cause::Make(_) => write!(
                f,
                "{path} cannot be made (the directory above it has to be there)"
            ),
            Cause::Io(_) => write!(f, "{path} cannot be used"),
        }
    }
}

impl std::error::Error for DumpDirectoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::NoLocks(cause) | Cause::Make(cause) | Cause::Io(cause) => Some(cause),
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
            PathError::NoName => Self::NoName,
            PathError::Io(cause) => Self::Io(cause),
        }
    }
}

/// The directory, open; no other proxy writes to it.
#[derive(Debug)]
pub(crate) struct DumpDirectory {
    path: PathBuf,
    directory: Directory,
}

/// Dumps that are there already, and their lengths in bytes.
pub(super) type Found = Vec<(DumpName, u64)>;

impl DumpDirectory {
    /// Opens it, makes it if it is not there, and removes what an earlier proxy left unfinished. It has to belong to
    /// the user that the proxy runs as: this process's, or the user `becomes`.
    ///
    /// # Errors
    ///
    /// [`DumpDirectoryError`] names the path, what is wrong with it, and what to do.
    pub(super) fn open(
        path: &Path,
        becomes: Option<u32>,
    ) -> Result<(Self, Found), DumpDirectoryError> {
        let error = |cause| DumpDirectoryError {
            path: path.to_owned(),
            cause,
        };
        let directory = find(path, becomes).map_err(error)?;
        judge(&directory, becomes).map_err(error)?;
        match directory.lock() {
            Ok(true) => {}
            Ok(false) => return Err(error(Cause::Locked)),
            Err(cause) => return Err(error(Cause::NoLocks(cause))),
        }
        let found = look_through(&directory).map_err(|cause| error(cause.into()))?;
        let path = path.to_owned();
        Ok((Self { path, directory }, found))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory, to be held by somebody else too.
    pub(crate) fn handle(&self) -> Option<File> {
        self.directory.handle().ok()
    }

    /// # Errors
    ///
    /// Those of `openat(2)`.
    pub(super) fn create_new(&self, name: &str) -> io::Result<File> {
        self.directory.create_new(OsStr::new(name), MODE)
    }

    /// # Errors
    ///
    /// Those of `renameat(2)`.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.directory.rename(OsStr::new(from), OsStr::new(to))
    }

    /// # Errors
    ///
    /// Those of `unlinkat(2)`.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.directory.remove(OsStr::new(name))
    }
}

fn find(path: &Path, becomes: Option<u32>) -> Result<Directory, Cause> {
    let place = Place::find(path, &Trusted::by_this_process(), Missing::Refuse)?;
    match place.status()? {
        None => Directory::make(&place, becomes).map_err(Cause::Make),
        Some(Status {
            kind: Kind::Link, ..
        }) => Err(Cause::Link),
        Some(Status {
            kind: Kind::Directory,
            ..
        }) => Ok(Directory::open(&place)?),
        Some(_) => Err(Cause::Kind),
    }
}

/// What is judged is what was opened.
fn judge(directory: &Directory, becomes: Option<u32>) -> Result<(), Cause> {
    let opened = directory.status()?;
    let here = geteuid().as_raw();
    let user = becomes.unwrap_or(here);
    if ![0, here, user].contains(&opened.owner) {
        return Err(Cause::Foreign(opened.owner));
    }
    if opened.mode & 0o022 != 0 {
        return Err(Cause::Mode(opened.mode & 0o7777));
    }
    // In the sandbox root has no power over the files of others either.
    if opened.owner != user {
        return Err(Cause::Unwritable {
            owner: opened.owner,
            user,
        });
    }
    Ok(())
}

fn look_through(directory: &Directory) -> io::Result<Found> {
    let mut found = Vec::new();
    let mut unfinished = Vec::new();
    directory.each_name(|name| {
        let Some(name) = name.to_str() else {
            return;
        };
        if let Some(dump) = DumpName::parse(name) {
            found.push((dump, 0));
        } else if DumpName::is_unfinished(name) {
            unfinished.push(name.to_owned());
        }
    })?;
    for name in unfinished {
        directory.remove(OsStr::new(&name))?;
    }
    // What has our names and is something else, such as a link, is left alone.
    found.retain_mut(|(name, size)| {
        let status = directory.status_of(OsStr::new(&name.to_string()));
        let is_file = status.as_ref().is_ok_and(|found| found.kind == Kind::File);
        *size = status.map_or(0, |found| u64::try_from(found.size).unwrap_or(0));
        is_file
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn refusal(path: &Path, becomes: Option<u32>) -> String {
        DumpDirectory::open(path, becomes).unwrap_err().to_string()
    }

    fn with_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn one_that_is_not_there_is_made_and_those_above_it_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dumps");
        let (_, found) = DumpDirectory::open(&path, None).unwrap();
        assert_eq!(found, []);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let deep = dir.path().join("no/where/dumps");
        assert!(refusal(&deep, None).contains("cannot be used"));
        assert!(!dir.path().join("no").exists());
    }

    #[test]
    fn one_that_others_could_use_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [real, link, file] = ["real", "link", "file"].map(|name| dir.path().join(name));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        fs::write(&file, "").unwrap();
        assert!(refusal(&link, None).contains("is a symbolic link"));
        assert!(refusal(&dir.path().join("link/"), None).contains("is a symbolic link"));
        assert!(refusal(&file, None).contains("is not a directory"));
        assert!(refusal(Path::new("."), None).contains("write the whole path"));
        for mode in [0o770, 0o702, 0o1777] {
            with_mode(&real, mode);
            let refusal = refusal(&real, None);
            assert!(refusal.contains(&format!("mode {mode:o}")), "{refusal}");
        }
        with_mode(&real, 0o755);
        let open = DumpDirectory::open(&real, None).unwrap();
        assert!(refusal(&real, None).contains("another proxy"));
        drop(open);
        if chown(&real, Some(65534), None).is_ok() {
            assert!(refusal(&real, None).contains("belongs to user 65534"));
            assert!(refusal(&real, Some(7)).contains("belongs to user 65534"));
            DumpDirectory::open(&real, Some(65534)).unwrap();
            chown(&real, Some(0), None).unwrap();
            assert!(refusal(&real, Some(65534)).contains("chown 65534"));
        }
    }

    #[test]
    fn what_was_left_unfinished_is_removed_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let dump = "000001-1795893034154-request.json";
        fs::write(at(dump), "12345").unwrap();
        for name in [
            ".000002-1795893034154-response.json.text",
            "notes",
            ".notes.text",
        ] {
            fs::write(at(name), "x").unwrap();
        }
        symlink("notes", at("000003-1795893034154-request.json")).unwrap();
        let (_, found) = DumpDirectory::open(dir.path(), None).unwrap();
        assert_eq!(found, [(DumpName::parse(dump).unwrap(), 5)]);
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let expected = [
            ".notes.text",
            dump,
            "000003-1795893034154-request.json",
            "notes",
        ];
        assert_eq!(left, expected);
    }
}
