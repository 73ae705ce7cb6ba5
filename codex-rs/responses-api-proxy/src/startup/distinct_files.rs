//! Each file that is named belongs to one flag: of two that named the same one, each would take the other's lines for its
//! own, overwrite or remove them.

use std::path::Path;

use anyhow::bail;
use codex_trusted_path::lead_to_one_file;

use crate::config::credential_source::CredentialSource;
use crate::config::ledger_place::LedgerPlace;
use crate::config::metrics_place::MetricsPlace;
use crate::config::{ClientTokens, Config, PolicySource};

/// # Errors
///
/// When two flags name one file; it names both, and the file.
pub(super) fn check(config: &Config) -> anyhow::Result<()> {
    let mut seen: Vec<(&str, &Path)> = Vec::new();
    for (flag, path) in named(config) {
        let Some(path) = path else {
            continue;
        };
        if let Some((other, _)) = seen.iter().find(|(_, seen)| lead_to_one_file(seen, path)) {
            bail!(
                "{other} and {flag} name the same file, {}; name another one for one of them",
                path.display()
            );
        }
        seen.push((flag, path));
    }
    Ok(())
}

fn named(config: &Config) -> [(&'static str, Option<&Path>); 14] {
    let control = config.control.as_ref().map(|unix| unix.path.as_path());
    let listen = config.unix_socket.as_ref().map(|unix| unix.path.as_path());
    let metrics = match &config.metrics {
        Some(MetricsPlace::Unix(path)) => Some(path.as_path()),
        Some(MetricsPlace::Tcp(_)) | None => None,
    };
    let tokens = match &config.client_tokens {
        ClientTokens::File(path) => Some(path.as_path()),
        ClientTokens::Generated | ClientTokens::None => None,
    };
    let policy = match &config.policy {
        Some(PolicySource::File(path)) => Some(path.as_path()),
        Some(PolicySource::Flags { .. }) | None => None,
    };
    let ledger = config.ledger.as_ref();
    let key = match &config.credential {
        CredentialSource::Keys(keys) => keys.file(),
        CredentialSource::Stdin | CredentialSource::Workload(_) => None,
    };
    let identity = match &config.credential {
        CredentialSource::Workload(workload) => workload.subject.file(),
        CredentialSource::Stdin | CredentialSource::Keys(_) => None,
    };
    [
        ("--key-file", key),
        ("--identity-token-file", identity),
        ("--server-info", config.server_info.as_deref()),
        ("--listen", listen),
        ("--metrics", metrics),
        ("--control", control),
        ("--access-log", config.access_log.as_deref()),
        ("--audit-log", config.audit_log.as_deref()),
        ("--dump-dir", config.dump_dir.as_deref()),
        ("--client-token-file", tokens),
        ("--prices", config.prices.as_deref()),
        ("--policy", policy),
        ("--ledger", ledger.and_then(LedgerPlace::file)),
        (
            "--ledger-password-file",
            ledger.and_then(LedgerPlace::password_file),
        ),
    ]
}
