//! A file that says who may do what: read only if nobody else could have changed it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest file, in bytes: ten thousand tokens.
const MOST: u64 = 1024 * 1024;

/// Where it is, and whose it may be.
#[derive(Clone, Debug)]
pub(crate) struct TrustedFile {
    path: PathBuf,
    #[cfg(unix)]
    trusted: codex_trusted_path::Trusted,
}

impl TrustedFile {
    /// Whose it may be is settled now: later the proxy may be the user `becomes`, and no longer root.
    pub(crate) fn new(path: &Path, becomes: Option<u32>) -> Self {
        #[cfg(not(unix))]
        let _ = becomes;
        Self {
            path: path.to_owned(),
            #[cfg(unix)]
            trusted: {
                let now = codex_trusted_path::Trusted::by_this_process();
                match becomes {
                    Some(user) => now.and(user),
                    None => now,
                }
            },
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The text of it.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is not a file, is too long, or could have been written by somebody else.
    pub(crate) fn read(&self) -> io::Result<String> {
        text_of(self.open()?)
    }

    /// The same of a file that holds a secret.
    ///
    /// # Errors
    ///
    /// As those of [`read`](Self::read), and when everybody can read it.
    pub(crate) fn read_secret(&self) -> io::Result<String> {
        let file = self.open()?;
        #[cfg(unix)]
        {
            let mode = codex_trusted_path::Status::of(&file)?.mode;
            if mode & 0o007 != 0 {
                return Err(io::Error::other(format!(
                    "its mode is {:o}, so every user of this host can read it; chmod o-rwx it",
                    mode & 0o777
                )));
            }
        }
        text_of(file)
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true);
        // A FIFO would be waited for.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(
            &mut options,
            libc::O_NONBLOCK | libc::O_NOCTTY,
        );
        let file = options.open(&self.path)?;
        self.refuse_what_others_write(&file)?;
        Ok(file)
    }

    #[cfg(unix)]
    fn refuse_what_others_write(&self, file: &File) -> io::Result<()> {
        use codex_trusted_path::{Kind, Status};

        let found = Status::of(file)?;
        if found.kind != Kind::File {
            return Err(io::Error::other("it is not a regular file"));
        }
        if !self.trusted.includes(found.owner) {
            return Err(io::Error::other(format!(
                "it belongs to user {}, who could allow anything; chown root it",
                found.owner
            )));
        }
        if found.mode & 0o022 != 0 {
            return Err(io::Error::other(format!(
                "its mode is {:o}, so others could allow themselves anything; chmod go-w it",
                found.mode & 0o777
            )));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn refuse_what_others_write(&self, _file: &File) -> io::Result<()> {
        Ok(())
    }
}

fn text_of(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MOST + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= MOST) {
        Ok(text)
    } else {
        Err(io::Error::other(format!("it is longer than {MOST} bytes")))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    #[test]
    fn a_file_that_others_can_write_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        fs::write(&path, "text").unwrap();
        let read = |becomes| TrustedFile::new(&path, becomes).read();
        for (mode, is_read) in [
            (0o600, true),
            (0o644, true),
            (0o640, true),
            (0o664, false),
            (0o602, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(None).is_ok(), is_read, "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        if chown(&path, Some(65534), None).is_ok() {
            assert!(read(None).unwrap_err().to_string().contains("user 65534"));
            assert_eq!(read(Some(65534)).unwrap(), "text");
        }
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        for path in [&fifo, Path::new("/dev/zero"), dir.path()] {
            assert!(TrustedFile::new(path, None).read().is_err(), "{path:?}");
        }
    }
}
