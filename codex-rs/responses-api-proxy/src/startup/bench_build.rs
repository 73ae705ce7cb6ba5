//! What a build with `--cfg codex_bench` goes without, so that its cost can be measured. No other build has this.

use std::sync::atomic::Ordering;

use anyhow::bail;

use crate::credential::redact::REDACTS;

/// Names what to go without, separated by commas.
const VARIABLE: &str = "CODEX_BENCH_WITHOUT";

/// Goes without what the environment names.
///
/// # Errors
///
/// A name that is none of those.
pub(super) fn go_without() -> anyhow::Result<()> {
    let names = std::env::var(VARIABLE).unwrap_or_default();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        match name {
            "wiping" => codex_secret_memory::WIPES.store(false, Ordering::Relaxed),
            "redaction" => REDACTS.store(false, Ordering::Relaxed),
            _ => bail!("{VARIABLE}: {name}: not one of wiping, redaction"),
        }
    }
    Ok(())
}
