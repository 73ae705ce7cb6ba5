//! A Unix socket to listen on: found free, born with its permissions, removed at the
//! end.

use std::fmt;
use std::fs::File;
use std::io;
pub(crate) use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use codex_process_hardening::{GroupError, group_number};
use codex_trusted_path::{Kind, Missing, PathError, Place, Status, Trusted};
use rustix::fs::{Mode, RawMode};
use rustix::process::umask;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::net::loopback::BACKLOG;

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
    ForeignLink(PathBuf, PathError),
    Foreign(PathBuf, u32),
    Elsewhere(PathBuf),
    Group(GroupError),
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
                "failed to bind unix:{}: something that is not a socket is there; remove it",
                path.display()
            ),
            Self::ForeignLink(path, error) => {
                write!(f, "failed to bind unix:{}: {error}", path.display())
            }
            Self::Foreign(path, owner) => write!(
                f,
                "failed to bind unix:{}: a socket of user {owner} is there; remove it, or name one in \
                 a directory of your own",
                path.display()
            ),
            Self::Elsewhere(path) => write!(
                f,
                "failed to bind unix:{}: somebody moved the directory meanwhile",
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
            _ => None,
        }
    }
}

/// The file of the socket, removed when this is dropped if it is still ours.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    path: PathBuf,
    place: Place,
    bound: Status,
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
        let group = group_of(config)?;
        let trusted = Trusted::by_this_process();
        let place = find(path, &trusted)?;
        if is_in_the_way(path, &place, &trusted)? {
            place.remove().map_err(io)?;
        }
        let listener = with_umask(config.mode, || UnixListener::bind(path)).map_err(io)?;
        SockRef::from(&listener).listen(BACKLOG).map_err(io)?;
        // There is no way to bind in a directory that is held open, so it is looked at afterwards.
        let bound = place
            .status()
            .map_err(io)?
            .filter(|found| found.kind == Kind::Socket && trusted.includes(found.owner))
            .ok_or_else(|| UnixSocketError::Elsewhere(path.clone()))?;
        let socket = Self {
            path: path.clone(),
            place,
            bound,
        };
        if let Some(group) = group {
            socket.place.give_to_group(group).map_err(io)?;
        }
        listener.set_nonblocking(true).map_err(io)?;
        Ok((listener, socket))
    }

    /// Whether [`bind`](Self::bind) would succeed, as far as that is known without doing it.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn check(config: &UnixSocketConfig) -> Result<(), UnixSocketError> {
        group_of(config)?;
        let trusted = Trusted::by_this_process();
        let place = find(&config.path, &trusted)?;
        is_in_the_way(&config.path, &place, &trusted)?;
        place
            .may_be_changed()
            .map_err(|cause| UnixSocketError::Io(config.path.clone(), cause))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can be removed at the end by the user that this process is now.
    pub(crate) fn is_removable(&self) -> bool {
        self.place.may_be_changed().is_ok()
    }

    /// Lets this user connect, if its permissions let its owner.
    ///
    /// # Errors
    ///
    /// As those of [`bind`](Self::bind).
    pub(crate) fn give_to_user(&self, user: u32) -> Result<(), UnixSocketError> {
        let given = self.place.give_to_user(&self.bound, user);
        given.map_err(|cause| UnixSocketError::Io(self.path.clone(), cause))
    }

    /// The directory to remove it from, open.
    pub(crate) fn directory(&self) -> Option<File> {
        Some(self.place.directory().ok()?.into())
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let found = self.place.status().ok().flatten();
        if found.is_some_and(|found| found.is_same_file(&self.bound)) {
            let _ = self.place.remove();
        }
    }
}

fn group_of(config: &UnixSocketConfig) -> Result<Option<u32>, UnixSocketError> {
    let group = config.group.as_deref().map(group_number).transpose();
    group.map_err(UnixSocketError::Group)
}

/// Runs `make` while whatever socket it creates gets the permissions `mode` and no
/// more (`umask(2)`). Call it while there is one thread: the mask is the whole
/// process's.
fn with_umask<T>(mode: u32, make: impl FnOnce() -> T) -> T {
    let allowed = Mode::from_bits_truncate(RawMode::try_from(mode).unwrap_or(0));
    let all = Mode::RWXU | Mode::RWXG | Mode::RWXO;
    let before = umask(all - allowed);
    let made = make();
    umask(before);
    made
}

fn find(path: &Path, trusted: &Trusted) -> Result<Place, UnixSocketError> {
    Place::find(path, trusted, Missing::Refuse).map_err(|error| match error {
        PathError::Io(cause) => UnixSocketError::Io(path.to_owned(), cause),
        error => UnixSocketError::ForeignLink(path.to_owned(), error),
    })
}

/// Whether a socket stands there that nobody listens on any more, and that may be removed.
fn is_in_the_way(path: &Path, place: &Place, trusted: &Trusted) -> Result<bool, UnixSocketError> {
    let io = |cause| UnixSocketError::Io(path.to_owned(), cause);
    let Some(found) = place.status().map_err(io)? else {
        return Ok(false);
    };
    if found.kind != Kind::Socket {
        return Err(UnixSocketError::NotASocket(path.to_owned()));
    }
    match connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        // So many wait to be accepted that there is no room for us: somebody listens.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Err(UnixSocketError::InUse(path.to_owned()));
        }
        Err(cause) => return Err(io(cause)),
        Ok(()) => return Err(UnixSocketError::InUse(path.to_owned())),
    }
    let directory = place.directory_status().map_err(io)?;
    if !trusted.includes(found.owner) && found.owner != directory.owner {
        return Err(UnixSocketError::Foreign(path.to_owned(), found.owner));
    }
    Ok(true)
}

/// Without waiting for anybody.
fn connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

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
        UnixSocket::check(&config).unwrap();
        assert!(!config.path.exists());
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
        UnixSocket::check(&config).unwrap();
        let (_listener, _bound) = UnixSocket::bind(&config).unwrap();
        assert!(matches!(
            UnixSocket::check(&config),
            Err(UnixSocketError::InUse(_))
        ));
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

    #[test]
    fn a_dead_socket_or_a_link_of_somebody_else_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let dead = config(dir.path().join("s"));
        drop(UnixListener::bind(&dead.path).unwrap());
        fs::create_dir(dir.path().join("real")).unwrap();
        symlink("real", dir.path().join("planted")).unwrap();
        if chown(&dead.path, Some(65534), None).is_err() {
            return;
        }
        lchown(dir.path().join("planted"), Some(65534), None).unwrap();
        assert!(matches!(
            UnixSocket::bind(&dead),
            Err(UnixSocketError::Foreign(_, 65534))
        ));
        assert!(dead.path.exists());
        let behind = config(dir.path().join("planted/s"));
        assert!(matches!(
            UnixSocket::bind(&behind),
            Err(UnixSocketError::ForeignLink(..))
        ));
        assert!(!dir.path().join("real/s").exists());
    }

    #[test]
    fn it_is_removed_from_the_directory_where_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("first")).unwrap();
        fs::create_dir(at("second")).unwrap();
        let (_listener, bound) = UnixSocket::bind(&config(at("first/s"))).unwrap();
        fs::rename(at("first"), at("moved")).unwrap();
        symlink("second", at("first")).unwrap();
        fs::write(at("second/s"), "precious").unwrap();
        drop(bound);
        assert!(at("second/s").exists());
        assert!(!at("moved/s").exists());
    }
}
