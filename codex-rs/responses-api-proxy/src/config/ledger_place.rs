//! Where it is kept what was spent: a file of this host's, or a server that hosts share.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_fleet::{AddressError, StoreAddress};
use codex_ledger::Down;

use crate::config::units::parse_duration;

/// What the keys in the server begin with unless told otherwise.
pub(crate) const DEFAULT_PREFIX: &str = "codex-proxy";

/// Shorter leases end between two reports.
const SHORTEST_LEASE: Duration = Duration::from_secs(2);

/// What becomes of requests while the server is away and what is leased is spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LedgerDown {
    /// Refuse them
    #[default]
    Refuse,
    /// Go by this host's view: what all had spent at the server's last answer, plus its own since
    Local,
    /// Send them, and count what they cost
    Allow,
}

// What a ledger that hosts share needs besides. Not a doc comment: clap would print it.
#[derive(Clone, Debug, clap::Args)]
pub struct SharedLedgerArgs {
    /// What to do with requests while the `--ledger` server is away and this host's lease is spent
    #[arg(long, value_enum, value_name = "CHOICE", default_value_t = LedgerDown::Refuse)]
    pub ledger_down: LedgerDown,

    /// File that contains the password of the `--ledger` server and nothing else
    #[arg(long, value_name = "FILE")]
    pub ledger_password_file: Option<PathBuf>,

    /// Prefix of the keys on the `--ledger` server; proxies with the same prefix share their limits
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_PREFIX, value_parser = parse_prefix)]
    pub ledger_prefix: String,

    /// How long a lease lasts if its host does not renew it
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_lease)]
    pub ledger_lease: Duration,
}

/// Where it is kept what was spent.
#[derive(Clone, Debug)]
pub(crate) enum LedgerPlace {
    File(PathBuf),
    Shared(SharedLedger),
}

/// A server that hosts share.
#[derive(Clone, Debug)]
pub(crate) struct SharedLedger {
    pub(crate) address: StoreAddress,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) prefix: String,
    pub(crate) lease: Duration,
    pub(crate) down: Down,
}

/// What is wrong with these flags. The value of `--ledger` is not repeated: there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LedgerPlaceError {
    /// It is no address of a server.
    Address(AddressError),
    /// A file has no password, and is not away.
    NotShared,
}

impl fmt::Display for LedgerPlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => write!(f, "--ledger: {error}"),
            Self::NotShared => f.write_str(
                "--ledger-down and --ledger-password-file are about a server that hosts share, and --ledger names none: \
                 --ledger redis://HOST:PORT/DB",
            ),
        }
    }
}

impl std::error::Error for LedgerPlaceError {}

impl LedgerPlace {
    /// # Errors
    ///
    /// [`LedgerPlaceError`].
    pub(crate) fn from_args(
        ledger: Option<PathBuf>,
        shared: SharedLedgerArgs,
    ) -> Result<Option<Self>, LedgerPlaceError> {
        let address = ledger.as_deref().and_then(as_address);
        let address = address.transpose().map_err(LedgerPlaceError::Address)?;
        let Some(address) = address else {
            let is_refuse = shared.ledger_down == LedgerDown::Refuse;
            if !is_refuse || shared.ledger_password_file.is_some() {
                return Err(LedgerPlaceError::NotShared);
            }
            return Ok(ledger.map(Self::File));
        };
        Ok(Some(Self::Shared(SharedLedger {
            address,
            password_file: shared.ledger_password_file,
            prefix: shared.ledger_prefix,
            lease: shared.ledger_lease,
            down: match shared.ledger_down {
                LedgerDown::Refuse => Down::Refuse,
                LedgerDown::Local => Down::Local,
                LedgerDown::Allow => Down::Allow,
            },
        })))
    }

    /// The file of the ledger, or the server's password file, by the flag that names it.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Shared(_) => None,
        }
    }

    /// The file with the server's password.
    pub(crate) fn password_file(&self) -> Option<&Path> {
        match self {
            Self::File(_) => None,
            Self::Shared(shared) => shared.password_file.as_deref(),
        }
    }
}

/// The server that is meant; `None` if it is a file.
pub(crate) fn as_address(ledger: &Path) -> Option<Result<StoreAddress, AddressError>> {
    let text = ledger.to_str()?;
    StoreAddress::is_meant(text).then(|| text.parse())
}

pub(crate) fn parse_prefix(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_plain) {
        return Err("it is made of 1 to 64 letters, digits, '.', '_' and '-'".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_lease(text: &str) -> Result<Duration, String> {
    let lease = parse_duration(text)?;
    if lease < SHORTEST_LEASE {
        return Err("a lease lasts at least 2s".to_owned());
    }
    Ok(lease)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> SharedLedgerArgs {
        SharedLedgerArgs {
            ledger_down: LedgerDown::Refuse,
            ledger_password_file: None,
            ledger_prefix: DEFAULT_PREFIX.to_owned(),
            ledger_lease: Duration::from_secs(30),
        }
    }

    #[test]
    fn a_url_is_a_server_and_anything_else_a_file() {
        let place = |text: &str, shared| LedgerPlace::from_args(Some(text.into()), shared);
        let is_file = |found| matches!(found, Ok(Some(LedgerPlace::File(_))));
        assert!(is_file(place("/var/lib/ledger", shared())));
        assert!(is_file(place("redis", shared())));
        assert!(matches!(
            place("redis://store", shared()),
            Ok(Some(LedgerPlace::Shared(_)))
        ));
        let error = place("redis://:hunter2@store", shared()).unwrap_err();
        assert_eq!(error, LedgerPlaceError::Address(AddressError::Password));
        assert!(!error.to_string().contains("hunter2"));
        let mut allowing = shared();
        allowing.ledger_down = LedgerDown::Allow;
        let error = place("/var/lib/ledger", allowing).unwrap_err();
        assert_eq!(error, LedgerPlaceError::NotShared);
    }

    #[test]
    fn a_prefix_means_nothing_to_the_server_and_a_lease_outlasts_a_report() {
        assert!(parse_prefix("team-a.1").is_ok());
        for wrong in ["", "a*", "a{b}", "a b"] {
            assert!(parse_prefix(wrong).is_err(), "{wrong}");
        }
        assert!(parse_lease("2s").is_ok() && parse_lease("1s").is_err());
    }
}
