//! What requests go up with.

use crate::config::key_source::KeySourceConfig;

/// Where the credential comes from.
#[derive(Clone, Debug)]
pub(crate) enum CredentialSource {
    /// One key, on standard input.
    Stdin,
    /// Keys, one after the other.
    Keys(KeySourceConfig),
}
