//! What crosses, in each direction, on the wire.

use codex_test_support::{MockUpstream, Reply, TEST_KEY};

use crate::{RESPONSES, ask, in_front_of};

#[test]
fn whatever_authorization_the_caller_sends_the_upstream_gets_one() {
    for upstream in [
        MockUpstream::h1(Reply::responses("hi")),
        MockUpstream::h2(Reply::responses("hi")),
    ] {
        let proxy = in_front_of(&upstream).start();
        for headers in [
            &[][..],
            &[("authorization", "Bearer mine")],
            &[
                ("Authorization", "Bearer one"),
                ("authorization", "Basic two"),
            ],
            &[
                ("authorization", "Bearer mine"),
                ("connection", "authorization"),
            ],
        ] {
            proxy.client().post(RESPONSES, headers, "{}").read_answer();
        }
        for request in upstream.wait_for_requests(4) {
            let expected = format!("Bearer {TEST_KEY}");
            assert_eq!(request.header_all("authorization"), [expected.as_bytes()]);
        }
        upstream.assert_well_formed();
    }
}

#[test]
fn end_to_end_headers_go_up_unchanged_and_in_order() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    let kept = [
        ("accept", "text/event-stream"),
        ("accept-encoding", "gzip, br"),
        ("content-type", "application/json"),
        ("user-agent", "codex_cli_rs/0.169.0"),
        ("originator", "codex_cli_rs"),
        ("session-id", "s"),
        ("thread-id", "t"),
        ("x-codex-turn-metadata", "{}"),
        ("openai-beta", "first"),
        ("openai-beta", "second"),
        ("openai-organization", "org"),
        ("x-stainless-lang", "python"),
    ];
    let dropped = [
        ("cookie", "a=b"),
        ("api-key", "k"),
        ("x-api-key", "k"),
        ("proxy-authorization", "Basic x"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("keep-alive", "timeout=1"),
        ("forwarded", "for=1.1.1.1"),
        ("x-forwarded-for", "1.1.1.1"),
        ("connection", "x-hop"),
        ("connection", "x-other-hop"),
        ("x-hop", "1"),
        ("x-other-hop", "1"),
    ];
    let headers: Vec<_> = kept.iter().chain(&dropped).copied().collect();
    proxy.client().post(RESPONSES, &headers, "{}").read_answer();
    let sent = upstream.wait_for_complete(0);
    let mut arrived: Vec<(String, String)> = sent
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_ascii_lowercase(),
                String::from_utf8_lossy(value).into_owned(),
            )
        })
        .filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length" | "authorization"))
        .collect();
    let betas: Vec<_> = sent.header_all("openai-beta");
    assert_eq!(betas, [&b"first"[..], b"second"]);
    arrived.sort();
    // Answers are asked for as they stand.
    let sent_as = |(name, value): (&str, &str)| match name {
        "accept-encoding" => (name.to_owned(), "identity".to_owned()),
        _ => (name.to_owned(), value.to_owned()),
    };
    let mut expected: Vec<_> = kept.map(sent_as).into();
    expected.sort();
    assert_eq!(arrived, expected);
}

#[test]
fn an_answer_keeps_what_clients_read_and_loses_the_rest() {
    let upstream = MockUpstream::h1(
        Reply::bytes(200, "application/json", "{}")
            .header("x-request-id", "req_1")
            .header("retry-after", "3")
            .header("openai-processing-ms", "5")
            .header("x-ratelimit-remaining-requests", "9")
            .header("set-cookie", "a=b")
            .header("set-cookie", "c=d")
            .header("authorization", "Bearer something")
            .header("access-control-allow-origin", "*")
            .header("alt-svc", "h3=\":443\"; ma=86400")
            .header("strict-transport-security", "max-age=31536000")
            .header("clear-site-data", "\"*\"")
            .header("nel", "{\"report_to\":\"x\",\"max_age\":1}")
            .header("report-to", "{}")
            .header("reporting-endpoints", "x=\"https://x.example/\"")
            .header("public-key-pins", "max-age=1")
            .header("public-key-pins-report-only", "max-age=1")
            .header("expect-ct", "max-age=1")
            .header("service-worker-allowed", "/")
            .header("accept-ch", "Sec-CH-UA")
            .header("refresh", "0;url=https://x.example/")
            .header("via", "1.1 edge")
            .header("proxy-authenticate", "Basic")
            .header("keep-alive", "timeout=5")
            .header("connection", "x-hop")
            .header("x-hop", "1"),
    );
    let proxy = in_front_of(&upstream).start();
    let answer = ask(&proxy);
    let mut names: Vec<String> = answer
        .headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "content-length",
            "content-type",
            "date",
            "openai-processing-ms",
            "retry-after",
            "via",
            "x-codex-proxy-request-id",
            "x-ratelimit-remaining-requests",
            "x-request-id",
        ]
    );
}

/// Neither side is to notice that there is a proxy; what others have added is theirs.
#[test]
fn no_via_is_added_in_either_direction() {
    for upstream in [
        MockUpstream::h1(Reply::responses("hi")),
        MockUpstream::h2(Reply::responses("hi")),
    ] {
        let proxy = in_front_of(&upstream).start();
        let answer = ask(&proxy);
        assert_eq!((answer.status, answer.header("via")), (200, None));
        let theirs = [("via", "1.1 sidecar")];
        proxy.client().post(RESPONSES, &theirs, "{}").read_answer();
        let requests = upstream.wait_for_requests(2);
        assert_eq!(requests[0].header_all("via").len(), 0);
        assert_eq!(requests[1].header_all("via"), [b"1.1 sidecar"]);
    }
}
