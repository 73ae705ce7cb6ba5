//! The environment variables that the proxy reads, besides those of connections to a server, which
//! `codex-outbound` reads: there and here and nowhere else. What is set is taken at its word or refused; a
//! message names the variable, and of what is in it nothing that could be a secret.
//!
//! docs/operating.md has a table of them. What the C library and its loader read besides is theirs.

use std::env;
use std::ffi::OsString;
use std::fmt;

pub(crate) use codex_outbound::environment::path;

/// Set by sudo(8): a user whose files root may trust. Read by `codex-trusted-path` too.
const SUDO_UID: &str = "SUDO_UID";
/// Where a key must not stand, because every program started from there gets it.
pub(crate) const OF_A_KEY: [&str; 2] = ["OPENAI_API_KEY", "PROXY_API_KEY"];

/// Where systemd puts what `LoadCredential=` names (systemd.exec(5)).
pub(crate) const OF_CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where a service manager is told how the service does (sd_notify(3)).
pub(crate) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// How often, in microseconds, and which process has to say that it is well (sd_watchdog_enabled(3)).
pub(crate) const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
pub(crate) const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// How many sockets which process is started with, and what they are called (sd_listen_fds(3)).
pub(crate) const LISTEN_FDS: &str = "LISTEN_FDS";
pub(crate) const LISTEN_PID: &str = "LISTEN_PID";
pub(crate) const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";
/// The same process by another number; not looked at, and not passed on.
pub(crate) const LISTEN_PIDFDID: &str = "LISTEN_PIDFDID";

/// What a service manager says to the process that it starts, and to none that this one starts.
#[cfg_attr(not(unix), allow(dead_code, reason = "nothing is started there"))]
pub(crate) const OF_SERVICE_MANAGER: [&str; 7] = [
    NOTIFY_SOCKET,
    WATCHDOG_USEC,
    WATCHDOG_PID,
    LISTEN_FDS,
    LISTEN_PID,
    LISTEN_FDNAMES,
    LISTEN_PIDFDID,
];

/// A variable that is to be text, and is not.
#[derive(Debug)]
pub(crate) struct NotText(&'static str);

impl fmt::Display for NotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not UTF-8; unset it", self.0)
    }
}

impl std::error::Error for NotText {}

/// What a variable says; `None` if it is unset or empty.
///
/// # Errors
///
/// [`NotText`].
pub(crate) fn text(name: &'static str) -> Result<Option<String>, NotText> {
    let value = path(name).map(OsString::into_string);
    value.transpose().map_err(|_| NotText(name))
}

/// Whether one of our own arguments, such as a command that prints a key, has `key` in it.
pub(crate) fn is_in_an_argument(key: &[u8]) -> bool {
    let holds = |argument: OsString| {
        let bytes = argument.as_encoded_bytes();
        bytes.windows(key.len().max(1)).any(|part| part == key)
    };
    env::args_os().any(holds)
}

/// The names of all variables with `key` in their value.
pub(crate) fn holding(key: &[u8]) -> Vec<String> {
    let holds = |(name, value): (OsString, OsString)| {
        let bytes = value.as_encoded_bytes();
        let found = bytes.windows(key.len().max(1)).any(|part| part == key);
        found.then(|| name.to_string_lossy().into_owned())
    };
    env::vars_os().filter_map(holds).collect()
}

/// `SUDO_UID` is not in force as it stands.
#[derive(Debug)]
pub(crate) enum SudoUidError {
    NotUtf8,
    NotANumber,
}

impl fmt::Display for SudoUidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => write!(f, "{SUDO_UID} is not UTF-8; set it anew or unset it"),
            Self::NotANumber => write!(f, "{SUDO_UID} is not the number of a user; unset it"),
        }
    }
}

impl std::error::Error for SudoUidError {}

/// Refuses what `codex-trusted-path` would take for no user at all.
///
/// # Errors
///
/// [`SudoUidError`].
pub(crate) fn check_sudo_uid() -> Result<(), SudoUidError> {
    let Some(uid) = path(SUDO_UID) else {
        return Ok(());
    };
    let uid = uid.into_string().map_err(|_| SudoUidError::NotUtf8)?;
    match uid.parse::<u32>() {
        Ok(_) => Ok(()),
        Err(_) => Err(SudoUidError::NotANumber),
    }
}
