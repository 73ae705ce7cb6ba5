//! A Unix socket to listen on: found free, born with its permissions, removed at the
//! end.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown};
pub(crate) use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use codex_process_hardening::{UserError, born_with, group_number};
use socket2::{Domain, SockAddr, Socket, Type};

/// Where to listen, and who may connect.
#[derive(Clone, Debug)]
pub(crate) struct UnixSocketConfig {
    pub(crate) path: PathBuf,
    /// Permission bits; to connect takes write permission (unix(7)).
    pub(crate) mode: u32,
    pub(crate) group: Option<String>,
}

/// Why it cannot be listened on.
#[derive(Debug)]
pub(crate) enum UnixSocketError {
    InUse(PathBuf),
    NotASocket(PathBuf),
    Group(UserError),
    Io(PathBuf, io::Error),
}

impl fmt::Display for UnixSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(
                f,
                "failed to bind unix:{}: another process listens there",
                path.display()
            ),
            Self::NotASocket(path) => write!(
                f,
                "failed to bind unix:{}: something that is no socket is there; remove it",
                path.display()
            ),
            Self::Group(_) => f.write_str("--socket-group"),
            Self::Io(path, _) => write!(f, "failed to bind unix:{}", path.display()),
        }
    }
}

impl std::error::Error for UnixSocketError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Group(cause) => Some(cause),
            Self::Io(_, cause) => Some(cause),
            Self::InUse(_) | Self::NotASocket(_) => None,
        }
    }
}

/// The file of the socket, removed when this is dropped if it is still ours.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    path: PathBuf,
    identity: (u64, u64),
}

impl UnixSocket {
    /// Listens at the path. A socket that nobody listens on any more makes way.
    ///
    /// # Errors
    ///
    /// [`UnixSocketError`] names the path and what is wrong with it.
    pub(crate) fn bind(config: &UnixSocketConfig) -> Result<(UnixListener, Self), UnixSocketError> {
        let path = &config.path;
        let io = |cause| UnixSocketError::Io(path.clone(), cause);
        let group = config
            .group
            .as_deref()
            .map(group_number)
            .transpose()
            .map_err(UnixSocketError::Group)?;
        make_way(path)?;
        let listener = born_with(config.mode, || UnixListener::bind(path)).map_err(io)?;
        let bound = Self {
            path: path.clone(),
            identity: identity(path).map_err(io)?,
        };
        if group.is_some() {
            // Not through a link that somebody put there meanwhile.
            lchown(path, None, group).map_err(io)?;
        }
        listener.set_nonblocking(true).map_err(io)?;
        Ok((listener, bound))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn make_way(path: &Path) -> Result<(), UnixSocketError> {
    let found = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(found) => found,
    };
    if !found.file_type().is_socket() {
        return Err(UnixSocketError::NotASocket(path.to_owned()));
    }
    match connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|cause| UnixSocketError::Io(path.to_owned(), cause))
        }
        // So many wait to be accepted that there is no room for us: somebody listens.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(UnixSocketError::InUse(path.to_owned()))
        }
        Err(cause) => Err(UnixSocketError::Io(path.to_owned(), cause)),
        Ok(()) => Err(UnixSocketError::InUse(path.to_owned())),
    }
}

/// Without waiting for anybody.
fn connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn config(path: PathBuf) -> UnixSocketConfig {
        UnixSocketConfig {
            path,
            mode: 0o620,
            group: None,
        }
    }

    #[test]
    fn it_has_the_mode_asked_for_and_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path().join("s"));
        let (_listener, bound) = UnixSocket::bind(&config).unwrap();
        let mode = fs::metadata(&config.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o620);
        drop(bound);
        assert!(!config.path.exists());
    }

    #[test]
    fn a_stale_socket_makes_way_and_a_live_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path().join("s"));
        drop(UnixListener::bind(&config.path).unwrap());
        let (_listener, _bound) = UnixSocket::bind(&config).unwrap();
        assert!(matches!(
            UnixSocket::bind(&config),
            Err(UnixSocketError::InUse(_))
        ));
    }

    #[test]
    fn whatever_else_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path().join("s"));
        fs::write(&config.path, "precious").unwrap();
        assert!(matches!(
            UnixSocket::bind(&config),
            Err(UnixSocketError::NotASocket(_))
        ));
        assert_eq!(fs::read_to_string(&config.path).unwrap(), "precious");
    }
}
