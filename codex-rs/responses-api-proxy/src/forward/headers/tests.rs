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
    for_upstream(Authorization::for_tests("Bearer ours"), from_client)
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
        ("content-type", "application/json"),
        ("content-encoding", "zstd"),
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
    assert_eq!(
        names(&up(&headers)),
        ["accept", "accept-encoding", "authorization"]
    );
}

#[test]
fn no_caller_can_ask_for_an_answer_that_is_coded_or_cut_or_for_another_call() {
    let headers = map(&[
        ("accept-encoding", "gzip"),
        ("accept-encoding", "br, zstd;q=0.5"),
        ("connection", "accept-encoding"),
        ("range", "bytes=0-2"),
        ("if-range", "x"),
        ("te", "gzip"),
        ("a-im", "gzip"),
        ("accept-charset", "utf-16"),
        ("prefer", "return=minimal"),
        ("want-digest", "sha-256"),
        ("want-content-digest", "sha-256=1"),
        ("want-repr-digest", "sha-256=1"),
        ("x-http-method-override", "GET"),
        ("x-http-method", "GET"),
        ("x-method-override", "DELETE"),
        ("x-original-url", "/v1/files"),
        ("x-rewrite-url", "/v1/files"),
    ]);
    let sent = up(&headers);
    assert_eq!(names(&sent), ["accept-encoding", "authorization"]);
    let codings: Vec<_> = sent.get_all(ACCEPT_ENCODING).iter().collect();
    assert_eq!(codings, ["identity"]);
}

#[test]
fn an_answer_is_plain_and_whole_or_it_is_named_what_it_is() {
    let status = StatusCode::OK;
    for plain in [
        &[][..],
        &[("transfer-encoding", "chunked")],
        &[("transfer-encoding", "Chunked")],
        &[("content-encoding", "identity")],
        &[("content-encoding", "")],
        &[("content-encoding", "Identity, identity")],
    ] {
        assert_eq!(not_as_it_stands(status, &map(plain)), None, "{plain:?}");
    }
    for (coded, named) in [
        (&[("content-encoding", "gzip")][..], "Content-Encoding gzip"),
        (
            &[("content-encoding", "identity"), ("content-encoding", "br")],
            "Content-Encoding identity, br",
        ),
        (
            &[("transfer-encoding", "gzip, chunked")],
            "Transfer-Encoding gzip, chunked",
        ),
        (
            &[
                ("transfer-encoding", "gzip"),
                ("transfer-encoding", "chunked"),
            ],
            "Transfer-Encoding gzip, chunked",
        ),
        (
            &[("transfer-encoding", "identity")],
            "Transfer-Encoding identity",
        ),
        (&[("transfer-encoding", "")], "Transfer-Encoding "),
        (
            &[("transfer-encoding", "chunked, chunked")],
            "Transfer-Encoding chunked, chunked",
        ),
    ] {
        assert_eq!(
            not_as_it_stands(status, &map(coded)).as_deref(),
            Some(named),
            "{coded:?}"
        );
    }
    for partial in [StatusCode::PARTIAL_CONTENT, StatusCode::IM_USED] {
        assert!(not_as_it_stands(partial, &map(&[])).is_some());
    }
}

#[test]
fn what_a_server_may_end_its_connection_for_is_not_sent() {
    let with = |fields: &[(String, String)]| {
        let lines: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        limit(&up(&map(&lines))).map_err(|refusal| refusal.reason())
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
        assert_eq!(with(&too_much), Err(Reason::HeadTooLarge));
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
        ("content-encoding", "identity"),
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
        ("alt-svc", "h3=\":443\""),
        ("strict-transport-security", "max-age=1"),
        ("use-as-dictionary", "match=\"/*\""),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("x-request-id", "req_1"),
    ]);
    retain_for_client(&mut headers);
    assert_eq!(names(&headers), ["x-request-id"]);
}
