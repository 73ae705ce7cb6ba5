//! Which calls may carry the credential. Pure: no I/O, no state.
//!
//! The answer is a [`PermittedCall`], which only this file can make, out of the head that it checked, and
//! without which the credential gives no header away (`Credential::authorize`): a request that was not
//! checked cannot get the key.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, Uri};

use crate::config::paths::{METRICS, RESPONSES, SHUTDOWN};
use crate::refusal::{Reason, Refusal};

/// The name under which a request's `Upgrade` arrives here: hyper treats a connection whose request has one as
/// no longer its own, so `downstream` hands it on under this name, of the same length.
pub(crate) const MASKED_UPGRADE: &str = "upgrad-";

/// The fields of a request that was found to be a `POST /v1/responses`. Without `Debug`: they are a
/// caller's.
pub(crate) struct PermittedCall {
    headers: HeaderMap,
}

impl PermittedCall {
    /// The one call that is not a caller's: the request for nothing of `--preconnect`, with a body of JSON.
    pub(crate) fn probe() -> Self {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            headers: HeaderMap::from_iter([json]),
        }
    }

    /// As the caller sent them.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

/// Refuses what comes from a web page, by what browsers say of themselves.
///
/// A page can make a browser send requests to this port, but not without the name
/// it looked up in `Host` (DNS rebinding shows there), and not a `POST` without
/// `Origin` or `Sec-Fetch-Site` (Fetch standard). No other client sends these,
/// except `Sec-Fetch-Site: none`, which some HTTP stacks made of browser parts do.
/// Any port is fine in `Host`: an ssh or container port forward is legitimate.
///
/// # Errors
///
/// The [`Refusal`] to answer with.
pub(crate) fn refuse_browsers(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let is_local = hosts
        .next()
        .is_some_and(|host| is_loopback(host.as_bytes()));
    if !is_local || hosts.next().is_some() {
        return Err(Reason::Host.into());
    }
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if headers.contains_key(ORIGIN) || sites.any(|site| site != "none") {
        return Err(Reason::Browser.into());
    }
    Ok(())
}

/// Whether a `Host` field names this host by an address or by its one fixed name.
fn is_loopback(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    // `Authority` is lenient about what stands behind the name.
    let behind = host.strip_prefix(name).unwrap_or("@");
    let is_port = behind.is_empty()
        || behind
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let is_address = match address {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok_and(|v6| v6.is_loopback()),
        None => name.parse::<Ipv4Addr>().is_ok_and(|v4| v4.is_loopback()),
    };
    is_port && (is_address || name.eq_ignore_ascii_case("localhost"))
}

/// Takes the head of a request that may carry the credential.
///
/// # Errors
///
/// The [`Refusal`] to answer with.
pub(crate) fn permit(head: Parts) -> Result<PermittedCall, Refusal> {
    check(&head)?;
    Ok(PermittedCall {
        headers: head.headers,
    })
}

/// Whether a request may carry the credential, by its head.
///
/// # Errors
///
/// The [`Refusal`] to answer with.
pub(crate) fn check(head: &Parts) -> Result<(), Refusal> {
    refuse_browsers(&head.headers)?;
    if !is_exactly(&head.uri, RESPONSES) {
        return Err(Refusal::path(&head.method, &head.uri));
    }
    if asks_for_websocket(&head.headers) {
        return Err(Reason::WebSocket.into());
    }
    if head.method != Method::POST {
        return Err(Refusal::method(&head.method));
    }
    Ok(())
}

/// Fields that browsers alone send: where a request comes from, that somebody clicked, and that it is
/// made ahead of its use (the last four, as the standard and older browsers have it).
const OF_BROWSERS: [&str; 6] = [
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-purpose",
    "purpose",
    "x-moz",
    "x-purpose",
];

/// Whether something in a head is only ever said by a browser, of a request of any kind.
///
/// Not every `Sec-` field is: `fetch` of Node sends `Sec-Fetch-Mode: cors`. A program has nothing to
/// navigate, though, and nothing to show what it fetches in, so that its destination is empty if it
/// says one (Fetch standard, "destination").
fn is_of_browser(name: &HeaderName, value: &HeaderValue) -> bool {
    let is = |said: &[&str]| said.iter().any(|said| value.as_bytes() == said.as_bytes());
    match name.as_str() {
        "sec-fetch-mode" => !is(&["cors", "no-cors", "same-origin"]),
        "sec-fetch-dest" => !is(&["empty"]),
        name => OF_BROWSERS.contains(&name) || name.starts_with("sec-ch-"),
    }
}

/// Whether a request is the `GET /shutdown` and nothing that merely looks like it.
///
/// Here `Sec-Fetch-Site: none` is refused too: Chromium sends it on a `GET` that a
/// page ordered by speculation rules (a prefetch), and on a link typed or clicked
/// elsewhere that was redirected here.
///
/// # Errors
///
/// The [`Refusal`] to answer with.
pub(crate) fn permit_shutdown(head: &Parts) -> Result<(), Refusal> {
    refuse_all_of_browsers(&head.headers)?;
    if head.method != Method::GET || !is_exactly(&head.uri, SHUTDOWN) {
        return Err(Refusal::path(&head.method, &head.uri));
    }
    Ok(())
}

/// Whether a request is the `GET /metrics`, of no browser whatever, as [`permit_shutdown`].
///
/// # Errors
///
/// The [`Refusal`] to answer with.
pub(crate) fn permit_metrics(head: &Parts) -> Result<(), Refusal> {
    refuse_all_of_browsers(&head.headers)?;
    let only = || format!("only GET {METRICS} is served here, which is for metrics");
    if !is_exactly(&head.uri, METRICS) {
        return Err(Refusal::because(Reason::PathNotAllowed, only()));
    }
    if head.method != Method::GET {
        return Err(Refusal::because(Reason::MethodNotAllowed, only()));
    }
    Ok(())
}

/// As [`refuse_browsers`], and a `GET` that a browser makes by itself or for a person too.
fn refuse_all_of_browsers(headers: &HeaderMap) -> Result<(), Refusal> {
    refuse_browsers(headers)?;
    if headers
        .iter()
        .any(|(name, value)| is_of_browser(name, value))
    {
        return Err(Reason::Browser.into());
    }
    Ok(())
}

/// Origin-form (RFC 9112, section 3.2.1), that path, no query, not even an empty one.
fn is_exactly(uri: &Uri, path: &str) -> bool {
    uri.scheme().is_none()
        && uri.authority().is_none()
        && uri.path_and_query().is_some_and(|asked| asked == path)
}

/// RFC 6455, section 4.2.1. Codex tries a WebSocket first where it believes in one.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers
        .get_all(MASKED_UPGRADE)
        .iter()
        .any(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

#[cfg(test)]
mod tests;
