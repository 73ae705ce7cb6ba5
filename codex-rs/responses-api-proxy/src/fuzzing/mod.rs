//! What the fuzz targets in `fuzz/` call: one entry for each pure part, each with what has to hold.
//!
//! Compiled only under `cfg(fuzzing)`, which cargo-fuzz sets; the shipped library has none of it.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fuzz target reports by panicking"
)]

mod metering;
mod redaction;
mod request_facts;

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Uri};

use crate::access::policy::{MASKED_UPGRADE, check, permit_shutdown};
use crate::config::paths::{RESPONSES, SHUTDOWN};
use crate::credential::Authorization;
use crate::downstream::head::{Inbound, MAX_BUFFERED};
use crate::downstream::head_error::HeadError;
use crate::forward::headers::{for_upstream, retain_for_client};

pub use self::metering::{meter, request_model};
pub use self::redaction::{noninterference, redact};
pub use self::request_facts::{request_encodings, request_facts};
use crate::credential::substitution::fuzzing::{cut, split_control};

pub use crate::credential::substitution::fuzzing::{substitution_any, substitution_requests};

/// However a caller's bytes are cut, and whenever the next head may begin: the same bytes
/// pass, in their order, with nothing changed but the names of `Upgrade` fields.
pub fn inbound(data: &[u8]) {
    let (control, sent) = split_control(data);
    // Beyond that it depends on the time what is kept.
    let sent = sent.get(..MAX_BUFFERED).unwrap_or(sent);
    let whole = pass(sent, &[]);
    assert_eq!(whole, pass(sent, control));
    let (passed, ..) = whole;
    assert!(passed.len() <= sent.len());
    let masked = MASKED_UPGRADE.as_bytes();
    let mut at = 0;
    while at < passed.len() {
        let here = sent.get(at..at + masked.len()).unwrap_or_default();
        if here.eq_ignore_ascii_case(b"upgrade") && passed[at..].starts_with(masked) {
            at += masked.len();
        } else {
            assert_eq!(passed[at], sent[at]);
            at += 1;
        }
    }
}

fn pass(sent: &[u8], control: &[u8]) -> (Vec<u8>, Option<HeadError>, u64) {
    let mut inbound = Inbound::new();
    let mut passed = Vec::new();
    let mut fault = None;
    for (piece, byte) in cut(sent, control) {
        let may_begin = control.is_empty() || byte & 0x40 == 0;
        let mut piece = piece.to_vec();
        match inbound.arrive(&mut piece, may_begin) {
            Ok(count) => passed.extend(&piece[..count]),
            Err(found) => fault = Some(found),
        }
        if fault.is_none() {
            // A reader with little room gets it bit by bit.
            let room = if byte & 0x80 == 0 { usize::MAX } else { 3 };
            fault = drain(&mut inbound, &mut passed, may_begin, room);
        }
        if fault.is_some() {
            break;
        }
    }
    if fault.is_none() {
        fault = drain(&mut inbound, &mut passed, true, usize::MAX);
    }
    (passed, fault, inbound.heads())
}

fn drain(
    inbound: &mut Inbound,
    passed: &mut Vec<u8>,
    may_begin: bool,
    room: usize,
) -> Option<HeadError> {
    loop {
        let mut take = |bytes: &[u8]| {
            let taken = bytes.len().min(room);
            passed.extend(&bytes[..taken]);
            taken
        };
        match inbound.pass_on(&mut take, may_begin) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(fault) => return Some(fault),
        }
    }
}

/// Header lines, `name: value`, those that are none left out.
fn header_lines(text: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.split(|&byte| byte == b'\n') {
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or_default());
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// Upstream gets one credential, ours, first; neither side gets what is not for it, or what was
/// made up on the way.
pub fn headers(data: &[u8]) {
    let given = header_lines(data);
    let is_named = |name: &HeaderName| {
        given.get_all("connection").iter().any(|line| {
            line.as_bytes()
                .split(|&byte| byte == b',')
                .any(|one| one.trim_ascii().eq_ignore_ascii_case(name.as_ref()))
        })
    };
    let is_hop_by_hop = |name: &HeaderName| {
        name.as_str().starts_with("proxy-")
            || matches!(
                name.as_str(),
                "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade"
            )
            || is_named(name)
    };
    let same_as_given = |name: &HeaderName, kept: &HeaderMap| {
        assert!(given.get_all(name).iter().eq(kept.get_all(name)));
    };

    let up = for_upstream(Authorization::for_tests("Bearer ours"), &given);
    let ours = up.iter().next().unwrap();
    assert_eq!(
        (ours.0.as_str(), ours.1.as_bytes()),
        ("authorization", &b"Bearer ours"[..])
    );
    assert_eq!(up.get_all("authorization").iter().count(), 1);
    let codings: Vec<_> = up.get_all("accept-encoding").iter().collect();
    assert_eq!(codings, ["identity"]);
    let theirs = |name: &&HeaderName| **name != "authorization" && **name != "accept-encoding";
    for name in up.keys().filter(theirs) {
        let is_ours = matches!(
            name.as_str(),
            "host"
                | "content-length"
                | "cookie"
                | "expect"
                | "forwarded"
                | "api-key"
                | "x-api-key"
                | "range"
                | "if-range"
        );
        assert!(!is_ours && !is_hop_by_hop(name) && !name.as_str().starts_with("x-forwarded-"));
        same_as_given(name, &up);
    }

    let mut down = given.clone();
    retain_for_client(&mut down);
    for name in down.keys() {
        let is_state = matches!(
            name.as_str(),
            "authorization"
                | "set-cookie"
                | "set-cookie2"
                | "alt-svc"
                | "strict-transport-security"
                | "clear-site-data"
                | "nel"
                | "report-to"
        );
        assert!(!is_state && !is_hop_by_hop(name));
        assert!(!name.as_str().starts_with("access-control-"));
        same_as_given(name, &down);
    }
    if let Some(length) = down.get("content-length") {
        assert!(length.as_bytes().iter().all(u8::is_ascii_digit));
        assert!(!given.contains_key("transfer-encoding"));
        assert_eq!(down.get_all("content-length").iter().count(), 1);
    }
}

/// What is permitted is the one call, to this host, from no web page. The first line of the input
/// is a method and a target, the rest are headers.
pub fn policy(data: &[u8]) {
    let line = data.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let rest = data.get(line.len() + 1..).unwrap_or_default();
    let space = line
        .iter()
        .position(|&byte| byte == b' ')
        .unwrap_or_default();
    let (method, target) = line.split_at(space);
    let target = target.get(1..).unwrap_or_default();
    let (Ok(method), Ok(uri)) = (Method::from_bytes(method), Uri::try_from(target)) else {
        return;
    };
    let (mut head, ()) = Request::new(()).into_parts();
    (head.method, head.uri, head.headers) = (method.clone(), uri, header_lines(rest));

    if check(&head).is_ok() {
        assert_eq!((method.as_str(), target), ("POST", RESPONSES.as_bytes()));
        let upgrades = head.headers.get_all(MASKED_UPGRADE);
        assert!(!upgrades.iter().any(|value| value == "websocket"));
        assert_from_this_host(&head.headers);
    }
    if permit_shutdown(&head).is_ok() {
        assert_eq!((method.as_str(), target), ("GET", SHUTDOWN.as_bytes()));
        assert_from_this_host(&head.headers);
    }
}

fn assert_from_this_host(headers: &HeaderMap) {
    let hosts: Vec<&str> = headers
        .get_all("host")
        .iter()
        .map(|host| host.to_str().unwrap())
        .collect();
    assert_eq!(hosts.len(), 1);
    let (name, port) = match hosts[0].strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap(),
        None => hosts[0].split_at(hosts[0].find(':').unwrap_or(hosts[0].len())),
    };
    assert!(
        port.is_empty() || port.starts_with(':') && port[1..].bytes().all(|b| b.is_ascii_digit())
    );
    let is_v4 = name
        .parse::<Ipv4Addr>()
        .is_ok_and(|v4| v4.octets()[0] == 127);
    let is_v6 = name.parse() == Ok(Ipv6Addr::LOCALHOST);
    assert!(
        is_v4 || is_v6 || name.eq_ignore_ascii_case("localhost"),
        "{name}"
    );
    assert!(!headers.contains_key("origin"));
    assert!(
        headers
            .get_all("sec-fetch-site")
            .iter()
            .all(|site| site == "none")
    );
}
