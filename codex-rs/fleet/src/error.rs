//! What goes wrong with the server.

use std::fmt;
use std::io;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::health::Concern;

/// Why the server has not answered as it should.
#[derive(Debug)]
pub enum StoreError {
    /// There is no connection to be had.
    Connect(io::Error),
    /// It does not take the user or the password.
    Refused(RedisError),
    /// The connection is lost, or the server has answered with an error.
    Server(RedisError),
    /// It answers nothing for so long.
    Timeout,
    /// It answers something else than it was asked for.
    Answer,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Refused(error) => write!(
                f,
                "it does not take the user or the password ({error}); check --ledger-password-file, and the user in --ledger"
            ),
            Self::Server(error) => match (error.kind(), error.code()) {
                (ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask), _) => f.write_str(
                    "it is one of a cluster and has not all of the keys; name a server that has, or a proxy of the cluster",
                ),
                (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => write!(f, "{}", Concern::Replica),
                (_, Some("OOM")) => f.write_str(
                    "its memory is full; raise maxmemory, or give the limits a server of their own",
                ),
                (_, Some("WRONGTYPE")) => f.write_str(
                    "somebody else uses the names of its keys; give these proxies another --ledger-prefix",
                ),
                _ => write!(f, "{error}"),
            },
            Self::Timeout => f.write_str("it does not answer"),
            Self::Answer => f.write_str("its answer is not one of a Redis or Valkey server"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Refused(error),
            _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => {
                Self::Refused(error)
            }
            _ if error.is_timeout() => Self::Timeout,
            _ => Self::Server(error),
        }
    }
}
