//! Which methods and targets are served, and which are refused.

use codex_test_support::{Client, MockUpstream, Proxy, Reply, TEST_KEY, assert_openai_error};

use crate::{PROXY, RESPONSES, ask, in_front_of};

#[test]
fn a_post_goes_up_with_the_key_and_its_answer_comes_back() {
    let upstream = MockUpstream::h1(
        Reply::bytes(200, "application/json", r#"{"id":"resp_1"}"#).header("x-request-id", "req_1"),
    );
    let proxy = in_front_of(&upstream).start();
    let answer = proxy
        .client()
        .post(
            RESPONSES,
            &[("authorization", "Bearer mine")],
            r#"{"input":"hi"}"#,
        )
        .read_answer();
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, r#"{"id":"resp_1"}"#)
    );
    assert_eq!(answer.header("x-request-id"), Some("req_1"));
    let sent = upstream.wait_for_complete(0);
    assert_eq!(
        (sent.method.as_str(), sent.target.as_str()),
        ("POST", "/v1/responses")
    );
    assert_eq!(
        sent.header("authorization"),
        Some(format!("Bearer {TEST_KEY}").as_str())
    );
    assert_eq!(sent.host(), Some(upstream.addr().to_string().as_str()));
    assert_eq!(sent.text(), r#"{"input":"hi"}"#);
    upstream.assert_well_formed();
}

#[test]
fn the_upstream_url_is_used_as_it_stands() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let url = upstream.url_for(
        "http",
        "127.0.0.1",
        "/openai/v9/responses?api-version=2&x=%20",
    );
    let proxy = Proxy::builder(PROXY).upstream_url(&url).start();
    ask(&proxy);
    let sent = upstream.wait_for_complete(0);
    assert_eq!(sent.target, "/openai/v9/responses?api-version=2&x=%20");
}

#[test]
fn every_other_target_is_refused_and_nothing_goes_up() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).http_shutdown().start();
    for target in [
        "/v1/responses?x=1",
        "/v1/responses?",
        "/v1/responses/",
        "//v1/responses",
        "/v1//responses",
        "/v1/%72esponses",
        "/V1/responses",
        "/v1/responses/compact",
        "/v1/responses/resp_1",
        "/v1/models",
        "/v1/chat/completions",
        "/",
        "/v1/../v1/responses",
        "/shutdown/",
        "/shutdown?x",
        "http://127.0.0.1/v1/responses",
        "http://api.openai.com/v1/responses",
        "*",
    ] {
        for method in ["POST", "GET"] {
            let answer = proxy
                .client()
                .request(method, target, &[], "")
                .read_answer();
            assert_openai_error(&answer, 403, "path_not_allowed");
            let message = answer.json()["error"]["message"]
                .as_str()
                .unwrap()
                .to_owned();
            assert!(
                message.contains(method) && message.contains("POST /v1/responses"),
                "{message}"
            );
        }
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn whoever_asks_for_another_part_of_the_api_is_told_what_to_change() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).start();
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket")];
    for (method, target, headers, told) in [
        (
            "POST",
            "/v1/chat/completions",
            &[][..],
            "Use the Responses API",
        ),
        ("POST", "/v1/responses?api-version=1", &[], "no query"),
        ("POST", "/responses", &[], "base URL"),
        ("GET", "/v1/responses/resp_1", &[], "cannot be retrieved"),
        ("GET", "/v1/models", &[], "Models cannot be listed"),
        ("POST", "/v1/embeddings", &[], "not forwarded"),
        ("POST", "/v1/conversations", &[], "previous_response_id"),
        ("GET", "/v1/realtime?model=x", &upgrade, "Realtime sessions"),
        (
            "POST",
            "http://api.openai.com/v1/responses",
            &[],
            "HTTPS_PROXY",
        ),
    ] {
        let answer = proxy
            .client()
            .request(method, target, headers, "")
            .read_answer();
        assert_openai_error(&answer, 403, "path_not_allowed");
        let error = answer.json();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("only POST /v1/responses"), "{message}");
        assert!(message.contains(told), "{target}: {message}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn every_other_method_is_refused_and_nothing_goes_up() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).start();
    for method in [
        "GET", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "post", "PROPFIND",
    ] {
        let answer = proxy
            .client()
            .request(method, RESPONSES, &[], "")
            .read_answer();
        assert_openai_error(&answer, 403, "method_not_allowed");
    }
    let head = proxy
        .client()
        .request("HEAD", RESPONSES, &[], "")
        .read_answer();
    assert_eq!((head.status, head.body.len()), (403, 0));
    let connect = proxy
        .client()
        .send("CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com\r\n\r\n")
        .read_answer();
    assert_openai_error(&connect, 403, "method_not_allowed");
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_websocket_upgrade_gets_426() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).start();
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ];
    let answer = proxy
        .client()
        .request("GET", RESPONSES, &headers, "")
        .read_answer();
    assert_openai_error(&answer, 426, "websocket_not_supported");
    assert_eq!(answer.header("upgrade"), Some("HTTP/1.1"));
    assert!(upstream.requests().is_empty());
}

#[test]
fn shutdown_is_refused_unless_asked_for_and_in_every_other_spelling() {
    let upstream = MockUpstream::h1(Reply::responses("still here"));
    let without = in_front_of(&upstream).start();
    assert_openai_error(
        &without.client().get("/shutdown").read_answer(),
        403,
        "path_not_allowed",
    );
    let with = in_front_of(&upstream).http_shutdown().start();
    for (method, target) in [
        ("POST", "/shutdown"),
        ("GET", "/shutdown/"),
        ("GET", "/shutdown?x"),
    ] {
        let answer = with.client().request(method, target, &[], "").read_answer();
        assert_openai_error(&answer, 403, "path_not_allowed");
    }
    assert_eq!(
        with.client()
            .request("HEAD", "/shutdown", &[], "")
            .read_answer()
            .status,
        403
    );
    assert_eq!(ask(&with).status, 200);
}

#[test]
fn a_body_is_forwarded_without_being_understood() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    let chunked = [("transfer-encoding", "chunked")];
    proxy
        .client()
        .post(
            RESPONSES,
            &chunked,
            "4\r\nnot \r\n4;ext=1\r\njson\r\n0\r\nX-Trailer: 1\r\n\r\n",
        )
        .read_answer();
    proxy.client().post(RESPONSES, &[], "").read_answer();
    proxy
        .client()
        .send(format!(
            "POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ))
        .read_answer();
    proxy
        .client()
        .post(RESPONSES, &[], b"{\xff\x00")
        .read_answer();
    let sent = upstream.wait_for_requests(4);
    let bodies: Vec<&[u8]> = sent.iter().map(|request| request.body.as_slice()).collect();
    assert_eq!(bodies, [&b"not json"[..], b"", b"", b"{\xff\x00"]);
    assert!(
        sent.iter()
            .all(|request| request.complete && request.trailers.is_empty())
    );
    upstream.assert_well_formed();
}

#[test]
fn connections_are_kept_pipelined_and_http_1_0_is_spoken() {
    let upstream = MockUpstream::h1(Reply::made(|request| {
        Reply::bytes(200, "text/plain", request.text())
    }));
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    for body in ["one", "two"] {
        assert_eq!(client.post(RESPONSES, &[], body).read_answer().text(), body);
    }
    let request = |body: &str| {
        format!(
            "POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    client.send(["three", "four", "five"].map(request).concat());
    for body in ["three", "four", "five"] {
        assert_eq!(client.read_answer().text(), body);
    }
    let old = proxy
        .client()
        .send(format!(
            "POST {RESPONSES} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nold"
        ))
        .read_answer();
    assert_eq!(old.text(), "old");
    upstream.assert_well_formed();
}

#[test]
fn a_target_with_a_fragment_is_refused() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let mut proxy = in_front_of(&upstream).http_shutdown().start();
    for target in ["/v1/responses#f", "/v1/responses#", "/shutdown#x"] {
        for method in ["POST", "GET"] {
            let answer = proxy
                .client()
                .request(method, target, &[], "")
                .read_answer();
            assert_openai_error(&answer, 400, "bad_request");
        }
    }
    assert!(proxy.is_running());
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_target_that_is_not_a_path_is_refused_in_json() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).start();
    for target in ["/\"<>{}|^`", "\\", "http://"] {
        let answer = proxy.client().request("GET", target, &[], "").read_answer();
        assert!(
            matches!(answer.status, 400 | 403),
            "{target}: {}",
            answer.status
        );
        assert!(!answer.error_code().is_empty());
    }
}

#[test]
fn no_answer_has_a_server_or_via_header() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    let mut client: Client = proxy.client();
    for answer in [
        client.post(RESPONSES, &[], "{}").read_answer(),
        client.get("/").read_answer(),
    ] {
        assert_eq!(answer.header("server"), None);
        assert_eq!(answer.header("via"), None);
    }
}
