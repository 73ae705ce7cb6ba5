//! The environment variables that the proxy reads: here and nowhere else. What is set is taken at its word
//! or refused; a message names the variable, and of what stands in it nothing that could be a secret.
//!
//! docs/operating.md has a table of them. What the C library and its loader read besides is theirs.

use std::env;
use std::ffi::OsString;
use std::fmt;

/// `HTTPS_PROXY` comes first for an https upstream, which is the only one that has a proxy; each in the
/// two spellings that are in use (curl(1), "ENVIRONMENT").
pub(crate) const HTTPS_PROXY: Spellings = ["HTTPS_PROXY", "https_proxy"];
/// For whatever has no variable of its own.
pub(crate) const ALL_PROXY: Spellings = ["ALL_PROXY", "all_proxy"];
/// What is reached without a proxy.
pub(crate) const NO_PROXY: Spellings = ["NO_PROXY", "no_proxy"];
/// Certificate authorities instead of the system's: a file, and directories.
pub(crate) const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
pub(crate) const SSL_CERT_DIR: &str = "SSL_CERT_DIR";
/// Set by sudo(8): a user whose files root may trust. Read by `codex-trusted-path` too.
const SUDO_UID: &str = "SUDO_UID";
/// Where a key must not stand, because every program started from there gets it.
pub(crate) const OF_A_KEY: [&str; 2] = ["OPENAI_API_KEY", "PROXY_API_KEY"];

/// The names of one variable.
pub(crate) type Spellings = [&'static str; 2];

/// A variable that is not in force as it stands. None of these shows its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvironmentError {
    pub(crate) variable: &'static str,
    pub(crate) fault: Fault,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not text.
    NotUtf8,
    /// A proxy with a scheme that is known and not spoken here.
    Scheme(&'static str),
    /// A proxy with something else before `://`.
    UnknownScheme,
    /// A proxy's URL with a character that has to be coded there, or with more than a host and a port.
    Character,
    /// A code of a character that is none, or that stands for nothing that can be sent.
    Code,
    /// No host, or no port where one begins.
    Host,
    /// The entry of this number, from 1.
    Exemption(usize),
    /// The other spelling says something else.
    Contradicts(&'static str),
    /// No user's number.
    User,
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.variable;
        match self.fault {
            Fault::NotUtf8 => write!(f, "{name} is not UTF-8; set it anew or unset it"),
            Fault::Scheme(scheme) => write!(
                f,
                "the proxy named in {name} has the scheme {scheme}; only http and https proxies are \
                 supported (or exempt the upstream in NO_PROXY)"
            ),
            Fault::UnknownScheme => write!(
                f,
                "the proxy named in {name} has a scheme that is neither http nor https; write it as \
                 http://HOST:PORT (or exempt the upstream in NO_PROXY)"
            ),
            Fault::Character => write!(
                f,
                "{name} is not the URL of a proxy, http://USER:PASSWORD@HOST:PORT: there is a character \
                 in it that has to be coded, or something behind the port; in a user or a password \
                 write # as %23, / as %2F, ? as %3F, @ as %40, and a space as %20"
            ),
            Fault::Code => write!(
                f,
                "{name} has a % in its user or password that two hexadecimal digits do not follow, or \
                 that does not stand for UTF-8; write % itself as %25"
            ),
            Fault::Host => write!(
                f,
                "{name} names no host and port of a proxy; write it as http://HOST:PORT"
            ),
            Fault::Exemption(number) => write!(
                f,
                "the entry number {number} of {name} exempts nothing: entries are NAME, .NAME, *.NAME, \
                 an address or a network such as 10.0.0.0/8, each with :PORT if need be, or * for all"
            ),
            Fault::Contradicts(other) => write!(
                f,
                "{name} and {other} say different things; unset one of them"
            ),
            Fault::User => write!(f, "{name} is not the number of a user; unset it"),
        }
    }
}

impl std::error::Error for EnvironmentError {}

/// A variable as text; `None` if it is not set, or empty, which counts as that.
///
/// # Errors
///
/// [`Fault::NotUtf8`].
pub(crate) fn text(variable: &'static str) -> Result<Option<String>, EnvironmentError> {
    path(variable)
        .map(OsString::into_string)
        .transpose()
        .map_err(|_| EnvironmentError {
            variable,
            fault: Fault::NotUtf8,
        })
}

/// A variable as it stands; `None` if it is not set or empty.
pub(crate) fn path(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
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

/// Refuses what `codex-trusted-path` would take for no user at all.
///
/// # Errors
///
/// [`Fault::User`].
pub(crate) fn check_sudo_uid() -> Result<(), EnvironmentError> {
    let is_number = |uid: String| uid.parse::<u32>().is_ok();
    match text(SUDO_UID)?.is_none_or(is_number) {
        true => Ok(()),
        false => Err(EnvironmentError {
            variable: SUDO_UID,
            fault: Fault::User,
        }),
    }
}
