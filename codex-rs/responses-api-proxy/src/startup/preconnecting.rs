//! When the upstream is asked whether it takes the key: before callers are told of the proxy, or beside serving them.

use std::sync::Arc;

use anyhow::bail;

use crate::config::Config;
use crate::config::preconnect::Preconnect;
use crate::forward::preconnect::{KeyRefused, preconnect};
use crate::forward::router::Shared;
use crate::observe::stderr;

/// What `--preconnect=require` has found out: a line to write once the proxy is ready, if there is one.
#[must_use]
pub(crate) struct Asked(Option<String>);

/// Asks the upstream, if a refused key is to end the start.
///
/// # Errors
///
/// It refuses the key.
pub(crate) async fn ask_before_ready(config: &Config, shared: &Shared) -> anyhow::Result<Asked> {
    if config.preconnect != Some(Preconnect::Require) {
        return Ok(Asked(None));
    }
    match ask(shared).await {
        Ok(line) => Ok(Asked(line)),
        Err(refused) => bail!(
            "{refused}, and --preconnect=require asks for one that it takes; replace it ({}) and start again",
            config.credential.name()
        ),
    }
}

impl Asked {
    /// Writes what was found out, behind the first line, which says that the proxy is ready. Asks now, and beside
    /// serving, if a refused key is only to be reported.
    pub(crate) fn go_on(self, config: &Config, shared: Arc<Shared>) {
        if let Self(Some(line)) = self {
            stderr::line(line);
        }
        if config.preconnect == Some(Preconnect::Report) {
            tokio::spawn(async move {
                match ask(&shared).await {
                    Ok(Some(line)) => stderr::line(line),
                    Ok(None) => {}
                    Err(refused) => stderr::line(refused),
                }
            });
        }
    }
}

async fn ask(shared: &Shared) -> Result<Option<String>, KeyRefused> {
    let Shared {
        credential,
        upstream,
        limits,
        access,
        ..
    } = shared;
    preconnect(*credential, upstream, limits, &access.request_limit).await
}
