//! Which headers may cross, in each direction. Pure.
//!
//! Both directions drop the hop-by-hop fields (RFC 9110, section 7.6.1), those
//! named in *every* `Connection` line included. Towards the upstream, whatever
//! could be read as a credential or as a statement about the caller's network
//! goes too; towards the caller, whatever could set state in a browser or
//! hand back a credential.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderName,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

use crate::head_fault::HeadFault;
use crate::inbound::MASKED_UPGRADE;

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

/// Set anew for the upstream (`Host`, `Content-Length`, `Authorization`), or not
/// the upstream's business.
const NOT_FOR_UPSTREAM: [HeaderName; 9] = [
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

/// What an upstream may not set on the caller's side.
const NOT_FOR_CLIENT: [HeaderName; 3] = [
    AUTHORIZATION,
    SET_COOKIE,
    HeaderName::from_static("set-cookie2"),
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
/// [`HeadFault::TooMuchToForward`].
pub(crate) fn limit(for_upstream: &HeaderMap) -> Result<(), HeadFault> {
    let of_caller = || {
        for_upstream
            .iter()
            .filter(|(name, _)| *name != AUTHORIZATION)
    };
    let bytes: usize = of_caller()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let has_long_name = of_caller().any(|(name, _)| name.as_str().len() > MAX_FORWARDED_NAME);
    if bytes > MAX_FORWARDED_BYTES || has_long_name || of_caller().count() > MAX_FORWARDED_FIELDS {
        return Err(HeadFault::TooMuchToForward);
    }
    Ok(())
}

/// The headers that the upstream gets: our authorization first, then what is kept
/// of the caller's, duplicates in their order.
///
/// First, because `seal` looks at a head no further than to there.
pub(crate) fn for_upstream(authorization: HeaderValue, from_client: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(from_client);
    let mut kept = HeaderMap::with_capacity(from_client.len() + 1);
    kept.insert(AUTHORIZATION, authorization);
    for (name, value) in from_client {
        let drop = is_hop_by_hop(name, &named)
            || NOT_FOR_UPSTREAM.contains(name)
            || name.as_str().starts_with("x-forwarded-");
        if !drop {
            kept.append(name, copied(value));
        }
    }
    kept
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

fn is_hop_by_hop(name: &HeaderName, named: &[HeaderName]) -> bool {
    HOP_BY_HOP.contains(name) || name.as_str().starts_with("proxy-") || named.contains(name)
}

/// The field names listed in all `Connection` lines together.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .map(HeaderValue::as_bytes)
        .flat_map(|line| line.split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    fn up(from_client: &HeaderMap) -> HeaderMap {
        for_upstream(HeaderValue::from_static("Bearer ours"), from_client)
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn end_to_end_headers_reach_the_upstream_with_duplicates_in_order() {
        let headers = map(&[
            ("user-agent", "codex"),
            ("x-codex-turn", "1"),
            ("openai-beta", "a"),
            ("x-stainless-lang", "python"),
            ("openai-beta", "b"),
            ("accept", "text/event-stream"),
            ("accept-encoding", "gzip"),
            ("content-type", "application/json"),
        ]);
        let sent = up(&headers);
        assert_eq!(sent.iter().next().unwrap().1, "Bearer ours");
        for name in headers.keys() {
            assert!(
                sent.get_all(name).iter().eq(headers.get_all(name)),
                "{name}"
            );
        }
        let betas: Vec<_> = up(&headers)
            .get_all("openai-beta")
            .iter()
            .cloned()
            .collect();
        assert_eq!(betas, ["a", "b"]);
    }

    #[test]
    fn nothing_of_one_hop_or_of_another_credential_reaches_the_upstream() {
        let headers = map(&[
            ("connection", "keep-alive, X-One"),
            ("connection", "x-two ,, close"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("authorization", "Bearer mine"),
            ("authorization", "Bearer other"),
            ("api-key", "x"),
            ("x-api-key", "x"),
            ("cookie", "a=b"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("expect", "100-continue"),
            ("host", "127.0.0.1"),
            ("content-length", "3"),
            ("accept", "*/*"),
        ]);
        assert_eq!(names(&up(&headers)), ["accept", "authorization"]);
    }

    #[test]
    fn what_a_server_may_end_its_connection_for_is_not_sent() {
        let with = |fields: &[(String, String)]| {
            let lines: Vec<_> = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            limit(&up(&map(&lines)))
        };
        let many = |count: usize| -> Vec<_> {
            let named = |n| (format!("x-{n}"), String::new());
            (0..count).map(named).collect()
        };
        let long = |name: usize, value: usize| vec![("x".repeat(name), "v".repeat(value))];
        assert_eq!(with(&many(MAX_FORWARDED_FIELDS)), Ok(()));
        assert_eq!(with(&long(MAX_FORWARDED_NAME, 1)), Ok(()));
        assert_eq!(with(&long(4, MAX_FORWARDED_BYTES - 8)), Ok(()));
        for too_much in [
            many(MAX_FORWARDED_FIELDS + 1),
            long(MAX_FORWARDED_NAME + 1, 1),
            long(4, MAX_FORWARDED_BYTES - 7),
        ] {
            assert_eq!(with(&too_much), Err(HeadFault::TooMuchToForward));
        }
        // What is not forwarded does not count.
        let cookie = vec![("cookie".to_owned(), "c".repeat(MAX_FORWARDED_BYTES))];
        assert_eq!(with(&cookie), Ok(()));
    }

    #[test]
    fn an_answer_keeps_what_clients_read() {
        let mut headers = map(&[
            ("content-type", "text/event-stream"),
            ("content-length", "12"),
            ("content-encoding", "gzip"),
            ("x-request-id", "req_1"),
            ("retry-after", "3"),
            ("openai-processing-ms", "12"),
            ("x-ratelimit-remaining-tokens", "9"),
            ("server", "upstream"),
            ("date", "Tue, 24 Nov 2026 00:00:00 GMT"),
        ]);
        let before = headers.clone();
        retain_for_client(&mut headers);
        assert_eq!(headers, before);
    }

    #[test]
    fn an_answer_loses_what_is_of_one_hop_or_sets_state() {
        let mut headers = map(&[
            ("connection", "x-one"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("authorization", "Bearer x"),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("x-request-id", "req_1"),
        ]);
        retain_for_client(&mut headers);
        assert_eq!(names(&headers), ["x-request-id"]);
    }
}
