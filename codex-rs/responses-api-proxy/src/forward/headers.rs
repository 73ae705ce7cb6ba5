//! Which headers may cross, in each direction. Pure.
//!
//! Both directions drop the hop-by-hop fields (RFC 9110, section 7.6.1), those
//! named in *every* `Connection` line included. Towards the upstream, whatever
//! could be read as a credential or as a statement about the caller's network
//! goes too, and whatever could make it send its answer coded or in parts, in which
//! the key could not be recognised; towards the caller, whatever could set state in a
//! browser or hand back a credential.

use http::header::{
    ACCEPT_CHARSET, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH,
    COOKIE, EXPECT, FORWARDED, HOST, HeaderName, IF_RANGE, RANGE, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::access::policy::MASKED_UPGRADE;
use crate::credential::Authorization;
use crate::refusal::{Reason, Refusal};

/// Hop-by-hop by definition, whether or not `Connection` names them. The names
/// that begin with `proxy-` are matched by that prefix.
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Set anew for the upstream (`Host`, `Content-Length`, `Authorization`,
/// `Accept-Encoding`), or not the upstream's business.
const NOT_FOR_UPSTREAM: [HeaderName; 10] = [
    ACCEPT_ENCODING,
    AUTHORIZATION,
    CONTENT_LENGTH,
    COOKIE,
    EXPECT,
    FORWARDED,
    HOST,
    HeaderName::from_static(MASKED_UPGRADE),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
];

/// What asks for an answer that is coded, cut into parts or otherwise not as it stands:
/// by coding (RFC 9110, section 12.5), range (section 14), difference from another answer
/// (RFC 3229), the server's preference (RFC 7240), or a digest of what it sent
/// (RFC 9530, and RFC 3230 before it), which no longer fits where the key was replaced.
const ASKS_FOR_ANOTHER_FORM: [HeaderName; 8] = [
    ACCEPT_CHARSET,
    RANGE,
    IF_RANGE,
    HeaderName::from_static("a-im"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("want-digest"),
    HeaderName::from_static("want-content-digest"),
    HeaderName::from_static("want-repr-digest"),
];

/// By these some servers take a request for another one than its first line says, and
/// only that one was permitted.
const SAYS_ANOTHER_CALL: [HeaderName; 5] = [
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// What is left of the tightest limit in dollars, when all that is under way is spent.
pub(super) const REMAINING_USD: HeaderName =
    HeaderName::from_static("x-codex-budget-remaining-usd");

/// The same in tokens.
pub(super) const REMAINING_TOKENS: HeaderName =
    HeaderName::from_static("x-codex-budget-remaining-tokens");

/// What an upstream may not set on the caller's side: credentials, and whatever a client remembers of a
/// server or does for it later. The caller takes it for said by this host and port: to go elsewhere
/// (RFC 7838), to come by TLS alone (RFC 6797), to forget what it has stored, to report to somebody
/// (Reporting API, Network Error Logging), to tell of itself what it is asked to (RFC 8942), or to ask
/// with a dictionary in which the answer then is coded (RFC 9842).
const NOT_FOR_CLIENT: [HeaderName; 21] = [
    AUTHORIZATION,
    SET_COOKIE,
    HeaderName::from_static("set-cookie2"),
    HeaderName::from_static("accept-ch"),
    HeaderName::from_static("alt-svc"),
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("critical-ch"),
    HeaderName::from_static("expect-ct"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("public-key-pins"),
    HeaderName::from_static("public-key-pins-report-only"),
    HeaderName::from_static("refresh"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("set-login"),
    HeaderName::from_static("speculation-rules"),
    HeaderName::from_static("strict-transport-security"),
    HeaderName::from_static("use-as-dictionary"),
    // Ours to say.
    REMAINING_USD,
    REMAINING_TOKENS,
];

/// The most that is forwarded of a caller's fields: bytes in all (names, values and four for each line),
/// bytes of one name, and fields. A server that gets more than it takes ends the whole HTTP/2 connection,
/// which other requests may share: nginx at 8 KiB for one field and 32 KiB in all, HAProxy at 15 KiB in
/// all and 101 fields with its own.
const MAX_FORWARDED_BYTES: usize = 8 * 1024;
const MAX_FORWARDED_NAME: usize = 128;
const MAX_FORWARDED_FIELDS: usize = 100;

/// Whether these are more than the upstream is sent.
///
/// # Errors
///
/// The [`Refusal`] to answer with.
pub(crate) fn limit(for_upstream: &HeaderMap) -> Result<(), Refusal> {
    // The first two are ours.
    let of_caller = || {
        for_upstream
            .iter()
            .filter(|(name, _)| **name != AUTHORIZATION && **name != ACCEPT_ENCODING)
    };
    let bytes: usize = of_caller()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let has_long_name = of_caller().any(|(name, _)| name.as_str().len() > MAX_FORWARDED_NAME);
    if bytes > MAX_FORWARDED_BYTES || has_long_name || of_caller().count() > MAX_FORWARDED_FIELDS {
        return Err(Refusal::because(
            Reason::HeadTooLarge,
            "the headers that would be forwarded are more than 8 KiB in all, more than 100, or one has a name of \
             more than 128 bytes"
                .to_owned(),
        ));
    }
    Ok(())
}

/// The headers that the upstream gets: our authorization first, then the wish for an
/// answer as it stands, then what is kept of the caller's, duplicates in their order.
///
/// First, because `substitution` looks at a head no further than to there.
pub(crate) fn for_upstream(authorization: Authorization, from_client: &HeaderMap) -> HeaderMap {
    let mut kept = without_authorization(from_client);
    authorize(&mut kept, authorization);
    kept
}

/// The same with an empty authorization, which holds its place until [`authorize`] puts one there.
pub(crate) fn without_authorization(from_client: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(from_client);
    let mut kept = HeaderMap::with_capacity(from_client.len() + 2);
    kept.insert(AUTHORIZATION, HeaderValue::from_static(""));
    kept.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in from_client {
        let drop = is_hop_by_hop(name, &named)
            || NOT_FOR_UPSTREAM.contains(name)
            || ASKS_FOR_ANOTHER_FORM.contains(name)
            || SAYS_ANOTHER_CALL.contains(name)
            || name.as_str().starts_with("x-forwarded-");
        if !drop {
            kept.append(name, copied(value));
        }
    }
    kept
}

/// Puts the authorization where [`without_authorization`] has left it room.
pub(crate) fn authorize(headers: &mut HeaderMap, authorization: Authorization) {
    headers.insert(AUTHORIZATION, authorization.into_value());
}

/// A value of its own: one that hyper parsed is a slice of a whole read buffer, which
/// would have to stay as long as the request.
fn copied(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

/// Removes from an upstream's answer what the caller may not get.
pub(crate) fn retain_for_client(from_upstream: &mut HeaderMap) {
    let named = named_by_connection(from_upstream);
    // A length beside a transfer coding describes nothing (RFC 9112, section 6.3),
    // and one that is a list is left for hyper to write as one number.
    let mut lengths = from_upstream.get_all(CONTENT_LENGTH).iter();
    let is_one_number = lengths
        .next()
        .is_some_and(|length| length.as_bytes().iter().all(u8::is_ascii_digit))
        && lengths.next().is_none();
    let length_is_void = from_upstream.contains_key(TRANSFER_ENCODING) || !is_one_number;
    let names: Vec<HeaderName> = from_upstream.keys().cloned().collect();
    for name in names {
        let drop = is_hop_by_hop(&name, &named)
            || NOT_FOR_CLIENT.contains(&name)
            || name.as_str().starts_with("access-control-")
            || (name == CONTENT_LENGTH && length_is_void);
        if drop {
            from_upstream.remove(name);
        }
    }
}

/// What makes an answer another one than was asked for: a coding, or a part. In either
/// the key could not be recognised, and a caller that asked for neither would take it
/// for the answer.
///
/// The text names it, in the upstream's words.
pub(crate) fn not_as_it_stands(status: StatusCode, from_upstream: &HeaderMap) -> Option<String> {
    let partial = [StatusCode::PARTIAL_CONTENT, StatusCode::IM_USED];
    if partial.contains(&status) {
        return Some(format!("status {status}"));
    }
    let transfer = tokens(from_upstream, &TRANSFER_ENCODING);
    let is_plain = matches!(&transfer[..], [coding] if coding.eq_ignore_ascii_case(b"chunked"));
    if from_upstream.contains_key(TRANSFER_ENCODING) && !is_plain {
        return Some(format!("Transfer-Encoding {}", listed(&transfer)));
    }
    let content = tokens(from_upstream, &CONTENT_ENCODING);
    let is_plain = content
        .iter()
        .all(|coding| coding.eq_ignore_ascii_case(b"identity"));
    (!is_plain).then(|| format!("Content-Encoding {}", listed(&content)))
}

/// The members of all lines of a list together (RFC 9110, section 5.6.1).
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .flat_map(|line| line.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
        .collect()
}

fn listed(tokens: &[&[u8]]) -> String {
    String::from_utf8_lossy(&tokens.join(&b", "[..])).into_owned()
}

fn is_hop_by_hop(name: &HeaderName, named: &[HeaderName]) -> bool {
    HOP_BY_HOP.contains(name) || name.as_str().starts_with("proxy-") || named.contains(name)
}

/// The field names listed in all `Connection` lines together.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers, &CONNECTION)
        .into_iter()
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect()
}

#[cfg(test)]
mod tests;
