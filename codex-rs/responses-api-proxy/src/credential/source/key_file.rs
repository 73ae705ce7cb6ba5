//! A file with a key: opened only if nobody else could have written or read it.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::key_source::KeyFile;

/// The longest file, in bytes: a key, and what an editor may add. A pipe has room for as much.
const LONGEST: i64 = 16 * 1024;

/// So many links may lead from one to the next, as many as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Why a file is not read. Its content is not looked at.
#[derive(Debug)]
pub(crate) enum KeyFileError {
    /// The way to it, in words.
    Path(String),
    Io(io::Error),
    /// The service manager had nothing to put there.
    NoCredential,
    NotAFile,
    TooLong,
    Owner(u32),
    /// Its permissions let others read or write it.
    Mode(u32),
    /// Its group may read it, and is not the one that this process runs as.
    Group {
        group: u32,
        own: u32,
    },
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(why) => f.write_str(why),
            Self::Io(cause) if cause.kind() == io::ErrorKind::NotFound => {
                f.write_str("there is no such file")
            }
            Self::Io(cause) => cause.fmt(f),
            Self::NoCredential => f.write_str(
                "systemd has found no key to load for this service; codex-proxy-setup asks for one and keeps it, as does \
                 systemd-creds encrypt",
            ),
            Self::NotAFile => f.write_str("it is not a regular file"),
            Self::TooLong => write!(f, "it is longer than {LONGEST} bytes; a key is one line"),
            Self::Owner(user) => write!(
                f,
                "it belongs to user {user}, who could read the key or put another one there; chown root it"
            ),
            Self::Mode(mode) => write!(
                f,
                "its mode is {mode:o}, so others can read the key or replace it; chmod 600 it"
            ),
            Self::Group { group, own } => write!(
                f,
                "group {group} can read it, and this process runs as group {own}; chgrp {own} it (in a pod: fsGroup and \
                 runAsGroup {own}), or chmod 600 it"
            ),
        }
    }
}

/// Opens the file, and gives its length in bytes. The path is walked anew each time, by links of trusted users only
/// and through directories that nobody else can write, so that a file that was replaced is found: by another file, or
/// by another link, as Kubernetes does. The file itself has to be root's or our own: whoever started this by sudo(8)
/// may lay the way to it, but what is theirs can be read by their other processes.
///
/// # Errors
///
/// [`KeyFileError`].
pub(crate) fn open_key_file(key_file: &KeyFile) -> Result<(File, usize), KeyFileError> {
    use codex_trusted_path::{Kind, OFlags, Place, Status, Trusted};

    let trusted = Trusted::by_this_process();
    let mut path = key_file.path.clone();
    for _ in 0..=MOST_LINKS {
        let place = Place::find_exclusively(&path, &trusted)
            .map_err(|error| KeyFileError::Path(with_causes(&error)))?;
        let there = place.status().map_err(KeyFileError::Io)?;
        let there = there.ok_or_else(|| {
            if key_file.is_credential {
                return KeyFileError::NoCredential;
            }
            KeyFileError::Io(io::ErrorKind::NotFound.into())
        })?;
        if there.kind == Kind::Link {
            if !trusted.includes(there.owner) {
                return Err(KeyFileError::Owner(there.owner));
            }
            path = led_to(&place, &path).map_err(KeyFileError::Io)?;
            continue;
        }
        // A FIFO would be waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = place.open(flags, 0).map_err(KeyFileError::Io)?;
        let found = Status::of(&file).map_err(KeyFileError::Io)?;
        if found.kind != Kind::File {
            return Err(KeyFileError::NotAFile);
        }
        Reader::this_process().may_trust(&found, key_file.is_credential)?;
        if found.size > LONGEST {
            return Err(KeyFileError::TooLong);
        }
        let length = usize::try_from(found.size).map_err(|_| KeyFileError::NotAFile)?;
        return Ok((file, length));
    }
    Err(KeyFileError::Io(io::Error::from_raw_os_error(libc::ELOOP)))
}

/// Who reads the file.
struct Reader {
    user: u32,
    group: u32,
}

impl Reader {
    fn this_process() -> Self {
        Self {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
        }
    }

    /// Whether nobody else could have read or written the file. To a reader who is not root, root can give it by the
    /// group alone, as Kubernetes does (`fsGroup`): that has to be the reader's own, which nobody else need be in.
    fn may_trust(
        &self,
        found: &codex_trusted_path::Status,
        is_credential: bool,
    ) -> Result<(), KeyFileError> {
        if ![0, self.user].contains(&found.owner) {
            return Err(KeyFileError::Owner(found.owner));
        }
        let is_for_a_group = found.owner == 0 && self.user != 0 && found.mode & 0o077 == 0o040;
        if is_for_a_group && !is_credential {
            let (group, own) = (found.group, self.group);
            return if group == own {
                Ok(())
            } else {
                Err(KeyFileError::Group { group, own })
            };
        }
        // Where there are access control lists, the bits of the group are their mask (acl(5)).
        let others = if is_credential { 0o007 } else { 0o077 };
        if found.mode & others != 0 {
            return Err(KeyFileError::Mode(found.mode & 0o777));
        }
        Ok(())
    }
}

/// What the link in this place, at the end of a path, leads to.
fn led_to(place: &codex_trusted_path::Place, path: &Path) -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt;

    let target = rustix::fs::readlinkat(place.directory()?, place.name(), Vec::new())?;
    let target = PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes()));
    Ok(path.parent().unwrap_or(Path::new("")).join(target))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn read(path: &Path) -> Result<String, String> {
        let file = KeyFile {
            path: path.to_owned(),
            is_credential: false,
        };
        let (mut file, length) = open_key_file(&file).map_err(|error| error.to_string())?;
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), length);
        Ok(text)
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_a_private_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        assert!(read(&file).unwrap_err().contains("no such file"));
        for (mode, is_read) in [
            (0o600, true),
            (0o400, true),
            (0o640, false),
            (0o604, false),
            (0o620, false),
            (0o602, false),
        ] {
            write(&file, "sk-key\n", mode);
            assert_eq!(read(&file).is_ok(), is_read, "{mode:o}");
            fs::remove_file(&file).unwrap();
        }
        write(&file, &"k".repeat(20_000), 0o600);
        assert!(read(&file).unwrap_err().contains("longer than 16384"));
        assert!(read(dir.path()).unwrap_err().contains("regular file"));
        let credential = KeyFile {
            path: file.clone(),
            is_credential: true,
        };
        write(&file, "sk-key", 0o440);
        assert!(open_key_file(&credential).is_ok());
        write(&file, "sk-key", 0o444);
        assert!(open_key_file(&credential).is_err());
        fs::remove_file(&file).unwrap();
        let said = open_key_file(&credential).unwrap_err().to_string();
        assert!(said.contains("codex-proxy-setup"), "{said}");
    }

    #[test]
    fn a_file_of_root_s_may_be_read_by_the_group_of_a_reader_who_is_not_root() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write(&path, "sk-key", 0o440);
        let file = fs::File::open(&path).unwrap();
        let found = |owner, group, mode| {
            let mut found = codex_trusted_path::Status::of(&file).unwrap();
            (found.owner, found.group, found.mode) = (owner, group, mode);
            found
        };
        let [proxy, root] = [(65532, 65532), (0, 0)].map(|(user, group)| Reader { user, group });
        for mode in [0o440, 0o640] {
            assert!(proxy.may_trust(&found(0, 65532, mode), false).is_ok());
            let why = proxy.may_trust(&found(0, 2000, mode), false).unwrap_err();
            let why = why.to_string();
            assert!(
                why.contains("group 2000") && why.contains("fsGroup"),
                "{why}"
            );
            // Root needs no group to read it, and nobody could tell who else is in that of another user.
            assert!(root.may_trust(&found(0, 0, mode), false).is_err());
            assert!(proxy.may_trust(&found(65532, 65532, mode), false).is_err());
        }
        for mode in [0o444, 0o460, 0o660, 0o450] {
            assert!(
                proxy.may_trust(&found(0, 65532, mode), false).is_err(),
                "{mode:o}"
            );
        }
        assert!(proxy.may_trust(&found(0, 0, 0o400), false).is_ok());
        assert!(proxy.may_trust(&found(65534, 65532, 0o440), false).is_err());
    }

    /// Whoever can write a directory can put another file of root's in the place of the key, or a key of before.
    #[test]
    fn a_directory_that_somebody_else_can_write_is_not_entered() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let file = inner.join("key");
        write(&file, "sk-key", 0o600);
        let set_mode = |mode| {
            fs::set_permissions(&inner, fs::Permissions::from_mode(mode)).unwrap();
        };
        for (mode, who) in [(0o777, "every user"), (0o775, "group ")] {
            set_mode(mode);
            let why = read(&file).unwrap_err();
            assert!(why.starts_with(who) && why.contains("inner"), "{why}");
        }
        // As the volumes of Kubernetes are: others can add files, and replace none of ours.
        set_mode(0o1777);
        assert_eq!(read(&file).unwrap(), "sk-key");
        set_mode(0o755);
        if std::os::unix::fs::chown(&inner, Some(65534), None).is_ok() {
            let why = read(&file).unwrap_err();
            assert!(why.starts_with("user 65534 can put another file"), "{why}");
        }
    }

    /// As Kubernetes replaces the files of a secret: one link is exchanged, and all files are new.
    #[test]
    fn a_link_that_is_exchanged_leads_to_the_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        for (version, key) in [("..1", "sk-first"), ("..2", "sk-second")] {
            fs::create_dir(dir.join(version)).unwrap();
            write(&dir.join(version).join("key"), key, 0o400);
        }
        symlink("..1", dir.join("..data")).unwrap();
        symlink("..data/key", dir.join("key")).unwrap();
        assert_eq!(read(&dir.join("key")).unwrap(), "sk-first");
        symlink("..2", dir.join("..tmp")).unwrap();
        fs::rename(dir.join("..tmp"), dir.join("..data")).unwrap();
        assert_eq!(read(&dir.join("key")).unwrap(), "sk-second");
        symlink("loop", dir.join("loop")).unwrap();
        assert!(read(&dir.join("loop")).is_err());
    }
}
