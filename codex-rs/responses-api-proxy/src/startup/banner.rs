//! The start-up lines: the ready line, then what is in force and what is missing, and to a person
//! what to type next.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;

use codex_process_hardening::Mitigation;
use codex_secret_memory::{Protection, SecretMemoryRefused};

use crate::access::client_tokens::Tokens;
use crate::access::peer_users::PeerUsers;
use crate::config::args::Sandbox;
use crate::observe::stderr;
use crate::upstream::Route;

/// Lines gathered while starting, printed when connections are accepted.
pub(crate) struct Banner {
    lines: Vec<String>,
    /// Whether a person reads them; the sandbox does not let anybody ask later.
    on_terminal: bool,
    asks_for_token: bool,
}

impl Banner {
    pub(crate) fn new(protection: Protection) -> Self {
        let mut lines = vec![format!("key: {protection}")];
        lines.extend(without_secret_memory(protection.refused, is_filtered()));
        Self {
            lines,
            on_terminal: std::io::stderr().is_terminal(),
            asks_for_token: false,
        }
    }

    /// Adds something to look after.
    pub(crate) fn warn(&mut self, of: impl std::fmt::Display) {
        self.lines.push(format!("warning: {of}"));
    }

    /// Adds something that may be meant otherwise.
    pub(crate) fn hint(&mut self, of: impl std::fmt::Display) {
        self.lines.push(format!("hint: {of}"));
    }

    /// Adds where credentials that change come from.
    pub(crate) fn credential_from(&mut self, source: impl std::fmt::Display) {
        self.lines.push(format!("credential: {source}"));
    }

    /// Adds what there is to say of the server that hosts share.
    pub(crate) fn of_ledger(&mut self, said: String) {
        self.lines.push(said);
    }

    /// Adds where metrics are read.
    pub(crate) fn metrics_at(&mut self, place: impl std::fmt::Display) {
        self.lines.push(format!("metrics: {place}"));
    }

    /// Adds where the proxy is asked how it is.
    pub(crate) fn control_at(&mut self, place: &Path) {
        self.lines
            .push(format!("control: unix:{}", place.display()));
    }

    /// Where metrics are read, once that was added.
    pub(crate) fn metrics_place(&self) -> Option<String> {
        let mut places = self.lines.iter();
        places.find_map(|line| line.strip_prefix("metrics: ").map(str::to_owned))
    }

    /// What is printed after the ready line.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Of a variable of our own with a key in it; once for each.
    pub(crate) fn warn_of_variable(&mut self, name: &str) {
        let line = format!(
            "warning: {name} is in the environment of the proxy, where root can read it; start with \
             env -u {name}"
        );
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }

    /// Adds what is known once all is set up.
    pub(crate) fn describe(
        &mut self,
        route: &Route,
        callers: &PeerUsers,
        tokens: &Tokens,
        mode: Sandbox,
        mitigations: &[Mitigation],
    ) {
        self.lines.insert(0, format!("upstream: {route}"));
        self.asks_for_token = tokens.are_asked_for();
        let tokens = if self.asks_for_token {
            ", with a client token"
        } else {
            ""
        };
        self.lines.push(format!("callers: {callers}{tokens}"));
        let applied: Vec<&str> = mitigations
            .iter()
            .filter(|mitigation| mitigation.outcome.is_ok())
            .map(|mitigation| mitigation.name.as_ref())
            .collect();
        self.lines.push(format!("process: {}", applied.join(", ")));
        if mode == Sandbox::Off {
            self.lines
                .push("not applied: the sandbox (--sandbox=off)".to_owned());
        }
        for missing in mitigations
            .iter()
            .filter(|mitigation| mitigation.outcome.is_err())
        {
            self.lines.push(missing.to_string());
        }
    }

    /// Prints the ready line first: scripts wait for it.
    pub(crate) fn print(&self, places: &[String], port: Option<SocketAddr>, as_json: bool) {
        for place in places {
            stderr::line(format_args!("responses-api-proxy listening on {place}"));
        }
        if as_json {
            stderr::write_as_json();
        }
        self.lines.iter().for_each(stderr::line);
        // Scripts read these lines too; only a person has a use for this one.
        if let Some(address) = port
            && self.on_terminal
        {
            stderr::line("to ask through it:");
            stderr::line(client_line(address, self.asks_for_token));
        }
    }
}

#[cfg(target_os = "linux")]
fn is_filtered() -> bool {
    codex_process_hardening::started_under_a_filter()
}

#[cfg(not(target_os = "linux"))]
fn is_filtered() -> bool {
    false
}

/// What to do about a key's page that root can read, where it is not the kernel alone that has no better one. `is_filtered`
/// is whether the proxy was started under a filter of system calls.
fn without_secret_memory(
    refused: Option<SecretMemoryRefused>,
    is_filtered: bool,
) -> Option<String> {
    let why = match refused {
        Some(SecretMemoryRefused::BeforeTheKernel) => {
            "a filter of system calls refuses memfd_secret(2) (seccomp, such as a container's profile)"
        }
        Some(SecretMemoryRefused::NotThere) if is_filtered => {
            "this kernel has no memfd_secret(2) (Linux 6.5, or secretmem.enable=1 on its command line), or a filter of \
             system calls hides it (seccomp, such as a container's profile)"
        }
        _ => return None,
    };
    Some(format!(
        "hint: root can read the key's page: {why}; start the container with a profile that allows memfd_secret \
         (--security-opt seccomp=FILE), which takes no capability"
    ))
}

/// A line to paste, which our own client and OpenAI's Codex CLI understand alike.
fn client_line(address: SocketAddr, asks_for_token: bool) -> String {
    let (variable, env_key) = if asks_for_token {
        ("CODEX_PROXY_TOKEN=TOKEN ", ",env_key='CODEX_PROXY_TOKEN'")
    } else {
        ("", "")
    };
    format!(
        "  {variable}codex exec -c model_provider=local-proxy -c \
         \"model_providers.local-proxy={{name='local-proxy',base_url='http://{address}/v1',\
         wire_api='responses'{env_key}}}\" \"Say hi\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_hides_secret_memory_is_told_from_a_kernel_that_has_none() {
        let told = without_secret_memory;
        let refused = told(Some(SecretMemoryRefused::BeforeTheKernel), true).unwrap();
        assert!(
            refused.contains("a filter of system calls refuses")
                && refused.contains("seccomp=FILE")
        );
        let hidden = told(Some(SecretMemoryRefused::NotThere), true).unwrap();
        assert!(hidden.contains("Linux 6.5") && hidden.contains("a filter of system calls hides"));
        for (why, is_filtered) in [
            (None, true),
            (Some(SecretMemoryRefused::NotThere), false),
            (Some(SecretMemoryRefused::Other), true),
        ] {
            assert_eq!(told(why, is_filtered), None);
        }
    }

    #[test]
    fn the_line_to_paste_has_a_place_for_a_token() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8787));
        assert_eq!(
            client_line(address, true),
            "  CODEX_PROXY_TOKEN=TOKEN codex exec -c model_provider=local-proxy -c \
             \"model_providers.local-proxy={name='local-proxy',base_url='http://127.0.0.1:8787/v1',\
             wire_api='responses',env_key='CODEX_PROXY_TOKEN'}\" \"Say hi\""
        );
        assert!(!client_line(address, false).contains("TOKEN"));
    }
}
