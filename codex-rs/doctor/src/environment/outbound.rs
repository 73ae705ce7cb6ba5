//! The way to the upstream, read by the code that the proxy reads it by.

use codex_outbound::http_proxy::{Way, way_to};
use codex_outbound::tls_roots;
use url::Url;

use crate::finding::Finding;

/// Where the proxy forwards to unless it is told otherwise.
const UPSTREAM: &str = "https://api.openai.com/v1/responses";

pub(super) fn findings() -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Ok(upstream) = Url::parse(UPSTREAM) {
        findings.push(http_proxy(&upstream));
    }
    findings.push(authorities());
    findings
}

fn http_proxy(upstream: &Url) -> Finding {
    let check = "environment.http_proxy";
    let why = "a proxy started from here would go this way to api.openai.com";
    let found = match way_to(upstream) {
        Ok(Way::Direct | Way::NotForCleartext(_)) => "no variable names a proxy".to_owned(),
        Ok(Way::Exempt(variable, by)) => {
            format!("{variable} names a proxy, from which {by} exempts it")
        }
        Ok(Way::Through(proxy)) => format!("through {proxy}"),
        Err(error) => {
            let mend = format!("unset {}, or set it anew", error.variable);
            return Finding::failed(check, error.to_string(), why, mend);
        }
    };
    Finding::ok(check, found, why)
}

fn authorities() -> Finding {
    let check = "environment.certificates";
    let why = "a proxy started from here would check api.openai.com against these authorities";
    match tls_roots::load("the upstream") {
        Ok(roots) => Finding::ok(
            check,
            format!("{} of {}", roots.store.len(), roots.source),
            why,
        ),
        Err(error) => Finding::failed(
            check,
            error.to_string(),
            why,
            "apt install ca-certificates, or unset SSL_CERT_FILE and SSL_CERT_DIR",
        ),
    }
}
