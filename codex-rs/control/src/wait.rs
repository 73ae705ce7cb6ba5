//! Waits until a proxy is ready.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use codex_server_info::Address;

use crate::connection::Connection;
use crate::error::ControlError;
use crate::place::{Place, control_of};
use crate::watch::Watch;

/// Between the file of a socket and whoever listens on it there is no event: so often it is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// How long a port of this host may take to accept.
const CONNECT: Duration = Duration::from_secs(1);

/// What one look has found.
enum Look {
    Ready,
    /// Something has to happen first to the file that was named. With what is missing.
    NotYet(String),
    /// No event says when it will be. With what is missing.
    Almost(String),
}

impl Look {
    /// Of another file than the one that is watched.
    fn unannounced(self) -> Self {
        match self {
            Self::NotYet(missing) => Self::Almost(missing),
            look => look,
        }
    }
}

/// Waits until the proxy is ready, so long at most.
///
/// # Errors
///
/// It is not, or this user will never find out.
pub(crate) fn wait(place: &Place, timeout: Duration) -> Result<(), ControlError> {
    let until = Instant::now().checked_add(timeout);
    loop {
        let left = until.map_or(timeout, |until| {
            until.saturating_duration_since(Instant::now())
        });
        let file = match place {
            Place::Socket(file) | Place::ServerInfo(file) => file,
        };
        // Before the look: what happens after it is not missed.
        let watch = Watch::around(file);
        let (missing, limit) = match look(place, left)? {
            Look::Ready => return Ok(()),
            Look::NotYet(missing) => (missing, left),
            Look::Almost(missing) => (missing, left.min(AGAIN)),
        };
        if left.is_zero() {
            return Err(ControlError::NotReady(missing, timeout));
        }
        let changed = watch.and_then(|watch| watch.changed_within(limit));
        if changed.is_err() {
            std::thread::sleep(left.min(AGAIN));
        }
    }
}

fn look(place: &Place, left: Duration) -> Result<Look, ControlError> {
    match place {
        Place::Socket(path) => answers(path, left),
        Place::ServerInfo(file) => {
            let found = match codex_server_info::read(file) {
                Ok(found) => found,
                Err(error) => return Ok(Look::NotYet(error.to_string())),
            };
            match control_of(&found) {
                Ok(path) => answers(&path, left).map(Look::unannounced),
                Err(ControlError::NoControl(..)) => Ok(accepts(&found.address)),
                Err(error) => Ok(Look::NotYet(error.to_string())),
            }
        }
    }
}

/// A proxy that listens already answers as soon as it is ready.
fn answers(path: &Path, left: Duration) -> Result<Look, ControlError> {
    let asked = Connection::open(path, left).and_then(|mut connection| connection.status(false));
    match asked {
        Ok(_) => Ok(Look::Ready),
        Err(error @ (ControlError::NoSocket(_) | ControlError::NotASocket(_))) => {
            Ok(Look::NotYet(error.to_string()))
        }
        // Whoever makes it does not listen yet, has given up its start, or takes longer than is left.
        Err(
            error @ (ControlError::NobodyListens(_)
            | ControlError::Io(..)
            | ControlError::NotAnAnswer(_)
            | ControlError::Silent(..)),
        ) => Ok(Look::Almost(error.to_string())),
        Err(error) => Err(error),
    }
}

fn accepts(address: &Address) -> Look {
    let connected = match address {
        Address::Port(port) => {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            TcpStream::connect_timeout(&address, CONNECT).map(drop)
        }
        Address::Socket(path) => connect(path),
    };
    match connected {
        Ok(()) => Look::Ready,
        Err(error) => Look::Almost(format!("{address} does not accept connections: {error}")),
    }
}

#[cfg(unix)]
fn connect(path: &Path) -> io::Result<()> {
    std::os::unix::net::UnixStream::connect(path).map(drop)
}

#[cfg(not(unix))]
fn connect(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
