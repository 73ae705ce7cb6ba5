//! Requests of web pages are refused.

use codex_test_support::{MockUpstream, Reply, assert_openai_error};

use crate::{RESPONSES, in_front_of};

#[test]
fn a_preflight_gets_no_permission() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).start();
    let headers = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
    ];
    let answer = proxy
        .client()
        .request("OPTIONS", RESPONSES, &headers, "")
        .read_answer();
    // That no CORS header is in it is part of what this asserts.
    assert_openai_error(&answer, 403, "browser_not_allowed");
}

#[test]
fn what_a_web_page_sends_is_refused_and_nothing_goes_up() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let mut proxy = in_front_of(&upstream).http_shutdown().start();
    for (header, code) in [
        (("host", "evil.example"), "host_not_allowed"),
        (("host", "0.0.0.0"), "host_not_allowed"),
        (("origin", "https://evil.example"), "browser_not_allowed"),
        (("origin", "null"), "browser_not_allowed"),
        (("sec-fetch-site", "same-origin"), "browser_not_allowed"),
        (("sec-fetch-site", "cross-site"), "browser_not_allowed"),
    ] {
        for (method, target) in [("POST", RESPONSES), ("GET", "/shutdown"), ("GET", "/x")] {
            let answer = proxy
                .client()
                .request(method, target, &[header], "")
                .read_answer();
            assert_openai_error(&answer, 403, code);
        }
    }
    // What a prefetch ordered by a page looks like, a part of it, and what only browsers say.
    for said in [
        &[("sec-fetch-site", "none"), ("sec-purpose", "prefetch")][..],
        &[("sec-fetch-site", "none")],
        &[("sec-purpose", "prefetch")],
        &[("purpose", "prefetch")],
        &[("x-moz", "prefetch")],
        &[("sec-fetch-mode", "navigate")],
        &[("sec-fetch-mode", "cors"), ("sec-fetch-mode", "navigate")],
        &[("sec-fetch-dest", "image")],
        &[("sec-fetch-user", "?1")],
        &[("sec-ch-ua", "\"Chromium\";v=\"140\"")],
    ] {
        let answer = proxy
            .client()
            .request("GET", "/shutdown", said, "")
            .read_answer();
        assert_openai_error(&answer, 403, "browser_not_allowed");
    }
    assert!(proxy.is_running());
    assert!(upstream.requests().is_empty());
}

/// Clients whose `fetch` is made after the browsers' send parts of what a browser says, and never from where.
#[test]
fn the_fetch_metadata_of_a_program_is_not_taken_for_a_browser() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    // What fetch of Node 18 to 24 sends; then what the Fetch standard has a client send that has no
    // pages, which other versions may take over; a browser's privacy signal set by hand; a client that
    // has stayed with WebSocket.
    for said in [
        &[
            ("accept", "*/*"),
            ("accept-language", "*"),
            ("sec-fetch-mode", "cors"),
            ("user-agent", "node"),
            ("accept-encoding", "gzip, deflate"),
        ][..],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "empty")],
        &[("sec-fetch-mode", "same-origin")],
        &[("sec-gpc", "1")],
        &[("sec-websocket-version", "13")],
    ] {
        let mut proxy = in_front_of(&upstream).http_shutdown().start();
        let answer = proxy.client().post(RESPONSES, said, "{}").read_answer();
        assert_eq!(answer.status, 200, "{said:?}: {}", answer.text());
        let answer = proxy
            .client()
            .request("GET", "/shutdown", said, "")
            .read_answer();
        assert_eq!(answer.status, 200, "{said:?}: {}", answer.text());
        assert_eq!(proxy.wait_exit().code(), Some(0));
    }
}
