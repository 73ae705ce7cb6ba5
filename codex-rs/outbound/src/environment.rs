//! The variables of the environment, each read in one place. A message names the variable, and of its
//! value nothing that could be a secret.

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

/// The names of one variable.
pub(crate) type Spellings = [&'static str; 2];

/// A variable that is not in force as it stands. None of these shows its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentError {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
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
#[must_use]
pub fn path(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}
