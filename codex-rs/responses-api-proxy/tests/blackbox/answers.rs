//! Answers come back as they are, redirects never do.

use codex_test_support::{End, Framing, MockUpstream, Reply, assert_openai_error};

use crate::{RESPONSES, ask, in_front_of};

#[test]
fn an_upstream_error_comes_back_byte_for_byte_and_is_not_retried() {
    for status in [400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 529] {
        let body = format!("{{\"error\":{{\"message\":\"no {status}\"}}}} \n");
        let upstream = MockUpstream::h1(
            Reply::bytes(status, "application/json", body.clone())
                .header("retry-after", "7")
                .header("x-request-id", "req_9"),
        );
        let proxy = in_front_of(&upstream).start();
        let answer = ask(&proxy);
        assert_eq!((answer.status, answer.text()), (status, body));
        assert_eq!(answer.header("retry-after"), Some("7"));
        assert_eq!(answer.header("x-request-id"), Some("req_9"));
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn a_redirect_is_refused_and_goes_nowhere() {
    let elsewhere = MockUpstream::h1(Reply::responses("never"));
    for status in [300, 301, 302, 303, 305, 307, 308] {
        for target in [
            elsewhere.url(),
            elsewhere.url_for("https", "127.0.0.1", "/v1/responses?secret=1"),
            "/v2/responses?secret=1".to_owned(),
            "//elsewhere.example/x".to_owned(),
        ] {
            let upstream = MockUpstream::h1(Reply::redirect(status, &target));
            let proxy = in_front_of(&upstream).start();
            let answer = ask(&proxy);
            assert_openai_error(&answer, 502, "upstream_redirect");
            assert_eq!(answer.header("location"), None);
            assert!(!answer.text().contains("secret") && !answer.text().contains("v2"));
            assert_eq!(upstream.requests().len(), 1);
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn empty_interim_and_delimited_answers_pass_and_coded_ones_do_not() {
    let gzip: &[u8] = b"\x1f\x8b\x08\x00not really gzip";
    let upstream = MockUpstream::h1(vec![
        Reply::bytes(200, "application/json", gzip).header("content-encoding", "gzip"),
        Reply::new(204),
        Reply::new(304).header("etag", "x"),
        Reply::responses("hi").interim(103, &[("link", "</x>")]),
        Reply::new(200)
            .framing(Framing::Chunked)
            .data("abc")
            .trailers(&[("x-trailer", "1")]),
        Reply::new(200)
            .framing(Framing::CloseDelimited)
            .data("until the end"),
    ]);
    let proxy = in_front_of(&upstream).start();
    let ask = || {
        proxy
            .client()
            .post(RESPONSES, &[("accept-encoding", "gzip")], "{}")
            .read_answer()
    };

    assert_openai_error(&ask(), 502, "upstream_coding");
    let empty = ask();
    assert_eq!(
        (empty.status, empty.body.len(), empty.end),
        (204, 0, End::Clean)
    );
    let unchanged = ask();
    assert_eq!(
        (unchanged.status, unchanged.header("etag")),
        (304, Some("x"))
    );
    let hinted = ask();
    assert_eq!((hinted.status, hinted.interim.len()), (200, 0));
    let trailed = ask();
    assert_eq!(
        (trailed.text().as_str(), trailed.trailers.len(), trailed.end),
        ("abc", 0, End::Clean)
    );
    let until_close = ask();
    assert_eq!(
        (until_close.text().as_str(), until_close.end),
        ("until the end", End::Clean)
    );
}

#[test]
fn answers_over_tls_and_over_http_2_are_the_same_answers() {
    for upstream in [
        MockUpstream::tls_h1(Reply::responses("hi")),
        MockUpstream::h2(Reply::responses("hi")),
    ] {
        let proxy = in_front_of(&upstream).start();
        let answer = proxy
            .client()
            .post(RESPONSES, &[], r#"{"stream":true}"#)
            .read_answer();
        assert_eq!((answer.status, answer.end), (200, End::Clean));
        assert!(answer.text().contains("response.completed"));
        upstream.assert_well_formed();
    }
}

#[test]
fn an_answer_that_comes_before_the_upload_ends_is_passed_on() {
    let upstream = MockUpstream::h1(Reply::bytes(401, "application/json", "{}").early());
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    client.post(RESPONSES, &[("content-length", "1000000")], "{");
    assert_eq!(client.read_answer().status, 401);
}

/// Nobody asks for the end of an answer whose length is declared, which a server may send on its own.
#[test]
fn answers_that_are_whole_are_not_given_up_over_http_2() {
    for length in [100, 8 << 10] {
        // Behind whose end no part of a key can be.
        let body = format!("{{\"output\":\"{}\"}}", "1".repeat(length));
        let reply = Reply::bytes(200, "application/json", body);
        let upstream = MockUpstream::h2(reply.framing(Framing::ContentLength));
        let proxy = in_front_of(&upstream).args(["--max-requests", "4"]).start();
        let mut caller = proxy.client();
        // More than may be given up at once.
        for number in 0..300 {
            let answer = caller.post(RESPONSES, &[], "{}").read_answer();
            assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        }
        let requests = upstream.requests();
        let given_up = requests.iter().filter(|request| request.cancelled).count();
        assert_eq!(given_up, 0, "{length}");
    }
}
