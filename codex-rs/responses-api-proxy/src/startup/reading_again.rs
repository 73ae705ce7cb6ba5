//! What SIGHUP has read again, in its order.

use std::time::Duration;

use crate::access::client_tokens::Tokens;
use crate::access::trusted_file::TrustedFile;
use crate::config::Config;
use crate::credential::reload_requests::ReloadRequests;
use crate::lifecycle::reload::Reload;
use crate::startup::observation::{Observing, open_again};
use crate::startup::spending::Reload as PolicyReload;

/// How long a reload waits for a key, which may have to wait for memory and for a command.
const KEY_READ_WITHIN: Duration = Duration::from_secs(120);

/// What SIGHUP has read again.
pub(super) fn read_again(
    config: &Config,
    observing: &Observing,
    tokens: Tokens,
    token_file: Option<TrustedFile>,
    key: Option<&'static ReloadRequests>,
    policy: Option<PolicyReload>,
) -> Reload {
    let mut reload = Reload::default();
    if let Some(file) = token_file {
        reload.and(move || {
            tokens.read_again(&file);
            std::future::ready(())
        });
    }
    let logs = observing.logs.clone();
    if !logs.is_empty() {
        let flags = [
            ("--access-log", config.access_log.is_some()),
            ("--audit-log", config.audit_log.is_some()),
        ];
        let flags = flags.into_iter().filter(|(_, is_set)| *is_set);
        let flags: Vec<&str> = flags.map(|(flag, _)| flag).collect();
        reload.and(move || {
            open_again(&logs, &flags);
            std::future::ready(())
        });
    }
    if let Some(requests) = key {
        reload.and(move || {
            let number = requests.reload();
            async move {
                // A command may never come to its end, and others are read again meanwhile.
                let _ = tokio::time::timeout(KEY_READ_WITHIN, requests.done(number)).await;
            }
        });
    }
    if let Some(policy) = policy {
        reload.and(move || {
            policy.read_again();
            std::future::ready(())
        });
    }
    reload
}
