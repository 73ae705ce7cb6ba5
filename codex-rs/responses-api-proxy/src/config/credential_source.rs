//! What requests go up with.

use crate::config::key_source::KeySourceConfig;
use crate::config::workload::WorkloadConfig;

/// Where the credential comes from.
#[derive(Clone, Debug)]
pub(crate) enum CredentialSource {
    /// One key, on standard input.
    Stdin,
    /// Keys, one after the other.
    Keys(KeySourceConfig),
    /// An access token for a workload's identity, got anew before it expires.
    Workload(Box<WorkloadConfig>),
}

impl CredentialSource {
    /// It as it was typed, for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::Keys(keys) => keys.name(),
            Self::Workload(_) => "the identity of this workload".to_owned(),
        }
    }
}
