//! What is kept out of dumps: secret headers, the key, and callers' tokens.

use std::fs;

use codex_test_support::{End, MockUpstream, Reply, Step, TEST_KEY};
use serde_json::json;

use super::{dir_of, dump, dumping, text};
use crate::RESPONSES;

#[test]
fn no_secret_header_and_no_echoed_key_gets_into_a_dump() {
    const VALUE: &str = "s3cr3t-value-of-a-header";
    let secret = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "set-cookie2",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "x-amz-security-token",
        "x-auth-token",
        "www-authenticate",
        "authentication-info",
        "openai-organization",
        "openai-project",
        "location",
        "x-codex-turn-state",
        "x-anything-else",
    ];
    let value = format!("Bearer {VALUE}");
    // What the caller sends as its token is hidden wherever it is: it is not to hide the others.
    let of = |name| match name {
        "authorization" => "Bearer the-token-of-the-caller",
        _ => &*value,
    };
    let sent: Vec<(&str, &str)> = secret.iter().map(|&name| (name, of(name))).collect();
    let answered = |reply: Reply| {
        let reply = reply
            .header("x-request-id", format!("req {TEST_KEY}"))
            .header("server", TEST_KEY.to_ascii_lowercase())
            .header(&format!("x-{TEST_KEY}"), "1");
        secret
            .iter()
            .fold(reply, |reply, name| reply.header(name, &value))
    };
    let split = format!("data: {TEST_KEY}{TEST_KEY}.\n\n");
    let pieces: Vec<Step> = split
        .as_bytes()
        .chunks(7)
        .map(|piece| Step::Data(piece.to_vec().into()))
        .collect();
    let json = format!("{{\"key\":\"{TEST_KEY}\",\"{TEST_KEY}\":1}}");
    let replies = vec![
        answered(Reply::event_stream().steps(pieces)),
        answered(Reply::bytes(200, "application/json", json)),
    ];
    for upstream in [
        MockUpstream::h1(replies.clone()),
        MockUpstream::h2(replies.clone()),
    ] {
        let proxy = dumping(&upstream).start();
        let dir = dir_of(&proxy);
        for number in 1..=2 {
            let mut client = proxy.client();
            client.post(RESPONSES, &sent, format!("{{\"input\":\"{TEST_KEY}\"}}"));
            assert_eq!(client.read_answer().end, End::Clean);
            for half in ["request", "response"] {
                let text = text(&dir, number, half);
                assert!(!text.contains(VALUE), "{text}");
                assert!(!text.contains("the-token-of-the-caller"), "{text}");
                let lower = TEST_KEY.to_ascii_lowercase();
                assert!(!text.to_ascii_lowercase().contains(&lower), "{text}");
                assert!(text.contains("****"), "{text}");
                for name in secret {
                    let shown = format!("\"name\": \"{name}\",\n      \"value\": \"[REDACTED]\"");
                    assert!(text.contains(&shown), "{name}: {text}");
                }
            }
        }
        // That the upstream sent the key in a header can be seen, and the key cannot.
        let shown = text(&dir, 1, "response");
        for name in ["x-request-id", "server", "[REDACTED]"] {
            let field = format!("\"name\": \"{name}\",\n      \"value\": \"[REDACTED]\"");
            assert!(shown.contains(&field), "{name}: {shown}");
        }
        let stars = "*".repeat(TEST_KEY.len());
        let body = dump(&dir, 1, "response")["body"].clone();
        assert_eq!(body, json!(format!("data: {stars}{stars}.\n\n")));
        assert_eq!(dump(&dir, 2, "response")["body"][&stars], json!(1));
    }
}

#[test]
fn a_caller_s_token_gets_into_no_dump() {
    // SHA-256 of `secret`, by sha256sum(1).
    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let upstream = MockUpstream::h1(Reply::made(|request| {
        let body = String::from_utf8(request.body.clone()).unwrap();
        let (first, second) = body.split_at(body.len() / 2);
        Reply::event_stream()
            .header("x-request-id", &body)
            .data(first.to_owned())
            .data(second.to_owned())
    }));
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    fs::write(&tokens, format!("alice:{HASH}\n")).unwrap();
    let proxy = dumping(&upstream)
        .arg("--client-token-file")
        .arg(&tokens)
        .start();
    let headers = [
        ("authorization", "Bearer secret"),
        ("user-agent", "a secret agent"),
    ];
    let answer = proxy
        .client()
        .post(RESPONSES, &headers, "[\"secretsecret\"]")
        .read_answer();
    assert_eq!(answer.text(), "[\"secretsecret\"]");
    let dir = dir_of(&proxy);
    for half in ["request", "response"] {
        let text = text(&dir, 1, half);
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(dump(&dir, 1, half)["body"], json!(["************"]));
    }
}
