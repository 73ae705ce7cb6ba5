//! The start-up lines: the ready line, then what is in force and what is missing.

use std::net::SocketAddr;
use std::path::Path;

use codex_process_hardening::Measure;
use codex_secret_memory::SecretPage;

use crate::args::Sandbox;
use crate::callers::Callers;
use crate::report;
use crate::tokens::Tokens;
use crate::upstream::Upstream;

/// Where a key must not stand, because every program started from there gets it.
const KEY_VARIABLES: [&str; 2] = ["OPENAI_API_KEY", "PROXY_API_KEY"];

/// Lines gathered while starting, printed when connections are accepted.
pub(crate) struct Banner(Vec<String>);

impl Banner {
    pub(crate) fn new(page: &SecretPage) -> Self {
        Self(vec![format!("key: {}", page.protection())])
    }

    /// Adds something to look after.
    pub(crate) fn warn(&mut self, of: impl std::fmt::Display) {
        self.0.push(format!("warning: {of}"));
    }

    /// Adds what is known once all is set up.
    pub(crate) fn describe(
        &mut self,
        upstream: &Upstream,
        callers: &Callers,
        tokens: &Tokens,
        mode: Sandbox,
        measures: &[Measure],
    ) {
        self.0.insert(0, format!("upstream: {upstream}"));
        let tokens = if tokens.are_asked_for() {
            ", with a client token"
        } else {
            ""
        };
        self.0.push(format!("callers: {callers}{tokens}"));
        let applied: Vec<&str> = measures
            .iter()
            .filter(|measure| measure.outcome.is_ok())
            .map(|measure| measure.name.as_ref())
            .collect();
        self.0.push(format!("process: {}", applied.join(", ")));
        if mode == Sandbox::Off {
            self.0
                .push("not applied: the sandbox (--sandbox=off)".to_owned());
        }
        for missing in measures.iter().filter(|measure| measure.outcome.is_err()) {
            self.0.push(missing.to_string());
        }
        for name in KEY_VARIABLES {
            if std::env::var_os(name).is_some() {
                self.0.push(format!(
                    "warning: {name} stands in the environment of the proxy, where root can read \
                     it; start with env -u {name}"
                ));
            }
        }
    }

    /// Prints the ready line first: scripts wait for it.
    pub(crate) fn print(&self, port: Option<SocketAddr>, socket: Option<&Path>) {
        let places = port
            .map(|address| address.to_string())
            .into_iter()
            .chain(socket.map(|path| format!("unix:{}", path.display())));
        for place in places {
            report::line(format_args!("responses-api-proxy listening on {place}"));
        }
        self.0.iter().for_each(report::line);
    }
}
