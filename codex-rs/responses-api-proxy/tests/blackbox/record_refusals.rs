//! Requests that are refused, and several requests of one connection: a record each, and no more.

use std::fs;

use codex_test_support::{MockUpstream, Reply, skipped};
use serde_json::{Value, json};

use crate::client_tokens::sha256;
use crate::custody::is_root;
use crate::records::{Logged, logged};
use crate::{RESPONSES, in_front_of};

const ID: &str = "x-codex-proxy-request-id";

/// Sends one request, which is refused with `status` and `code`; ends the proxy, and returns the one record.
#[track_caller]
fn refused(mut logged: Logged, request: &str, status: u16, code: &str) -> Value {
    let answer = logged.proxy.client().send(request).read_answer();
    assert_eq!(
        (answer.status, answer.error_code().as_str()),
        (status, code)
    );
    let mut all = logged.all();
    assert_eq!(all.len(), 1, "{all:?}");
    let record = all.remove(0);
    assert_eq!(record["outcome"], "refused", "{record}");
    assert_eq!(record["code"], code);
    assert_eq!(record["http.response.status_code"], status);
    assert_eq!(record["id"].as_str(), answer.header(ID));
    assert_eq!(record["bytes.request"], 0);
    assert_eq!(record["bytes.response"], answer.body.len());
    assert_eq!(
        record.get("ttfb_ms"),
        None,
        "nothing came from the upstream"
    );
    record
}

fn post(headers: &str) -> String {
    format!("POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{headers}\r\n")
}

#[test]
fn a_request_without_its_token_has_a_record_and_one_with_it_has_the_token_s_name() {
    let Some(hash) = sha256("alice-token") else {
        return skipped("sha256sum is not installed");
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    fs::write(&file, format!("alice:{hash}\n")).unwrap();
    let start = || logged(in_front_of(&upstream).arg("--client-token-file").arg(&file));
    let wrong = post("Authorization: Bearer wrong-token\r\n");
    let record = refused(start(), &wrong, 401, "client_token_required");
    assert_eq!(record.get("caller.token"), None);
    assert!(!record.to_string().contains("wrong-token"));
    let mut logged = start();
    let token = [("authorization", "Bearer alice-token")];
    let answer = logged
        .proxy
        .client()
        .post(RESPONSES, &token, "{}")
        .read_answer();
    assert_eq!(answer.status, 200);
    let record = logged.all().remove(0);
    assert_eq!(record["caller.token"], "alice");
    assert!(!record.to_string().contains("alice-token"));
}

#[test]
fn a_user_who_may_not_call_has_a_record_that_names_the_user() {
    if !is_root() {
        return skipped("only root is sure not to be the user that may call");
    }
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let logged = logged(in_front_of(&upstream).args(["--allow-user", "65534"]));
    let record = refused(logged, &post(""), 403, "caller_not_allowed");
    assert_eq!(record["caller.uid"], 0, "{record}");
    assert_eq!(record["caller.user"], "root");
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_head_that_is_too_large_has_a_record() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let too_long = post(&format!("X-Large: {}\r\n", "a".repeat(65_536)));
    let too_many: String = (0..300).map(|n| format!("X-{n}: {n}\r\n")).collect();
    for request in [too_long, post(&too_many)] {
        let logged = logged(in_front_of(&upstream));
        let record = refused(logged, &request, 431, "headers_too_large");
        assert_eq!(record["url.path"], "-");
    }
}

#[test]
fn pipelined_requests_have_records_in_their_order() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut logged = logged(in_front_of(&upstream));
    let mut client = logged.proxy.client();
    let body = |length: usize| {
        let body = format!("{{{}}}", " ".repeat(length - 2));
        let head = format!("POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\n");
        format!("{head}Content-Length: {length}\r\n\r\n{body}")
    };
    let refused = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.send([&body(2), refused, &body(7)].concat());
    let answers: Vec<_> = (0..3).map(|_| client.read_answer()).collect();
    drop(client);
    let records = logged.all();
    assert_eq!(records.len(), 3, "{records:?}");
    for (outcome, sent, answer) in [
        ("complete", 2, &answers[0]),
        ("refused", 0, &answers[1]),
        ("complete", 7, &answers[2]),
    ] {
        let id = answer.header(ID).unwrap();
        let mut same = records.iter().filter(|record| record["id"] == id);
        let record = same.next().unwrap();
        assert_eq!(same.next(), None);
        assert_eq!(record["outcome"], outcome, "{record}");
        assert_eq!(record["bytes.request"], sent);
        assert_eq!(record["bytes.response"], answer.body.len());
        assert_eq!(record["http.response.status_code"], json!(answer.status));
    }
}
