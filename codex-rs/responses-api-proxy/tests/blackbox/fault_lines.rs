//! Lines about faults, where standard error is neither a terminal nor asked for a line of each request.

use std::fs;

use codex_test_support::{MockUpstream, Proxy, RefusedPort, Reply, skipped};

use crate::client_tokens::sha256;
use crate::{PROXY, RESPONSES, in_front_of};

/// SIGTERM (signal(7)).
const TERM: i32 = 15;

#[test]
fn lines_about_faults_say_whose_where_and_which_and_equal_ones_are_counted() {
    let refused = RefusedPort::new();
    let mut proxy = Proxy::builder(PROXY).upstream_url(&refused.url()).start();
    let mut id = String::new();
    for _ in 0..43 {
        let answer = proxy.client().post(RESPONSES, &[], "{}").read_answer();
        assert_eq!(answer.status, 502);
        if id.is_empty() {
            id = answer
                .header("x-codex-proxy-request-id")
                .unwrap()
                .to_owned();
        }
    }
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    let said = proxy.stderr_so_far();
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("no answer: "))
        .collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert!(lines[3].starts_with("and 40 more: no answer: upstream_connect: "));
    let first = lines[0];
    assert!(first.starts_with("20") && first.contains("Z no answer: upstream_connect: "));
    assert!(
        first.contains("(127.0.0.1:") && first.ends_with(&format!("; {id})")),
        "{first}"
    );
    if cfg!(target_os = "linux") {
        assert!(first.contains("; user "), "{first}");
    }
}

#[test]
fn an_upstream_that_refuses_the_key_is_reported_once() {
    let body = r#"{"error":{"message":"Incorrect API key provided.","code":"invalid_api_key"}}"#;
    let upstream = MockUpstream::h1(Reply::bytes(401, "application/json", body));
    let mut proxy = in_front_of(&upstream).start();
    for _ in 0..3 {
        let own = [("authorization", "Bearer sk-of-the-caller")];
        let answer = proxy.client().post(RESPONSES, &own, "{}").read_answer();
        // As it came: what a client makes of it must not depend on the proxy.
        assert_eq!((answer.status, answer.text().as_str()), (401, body));
    }
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    let said = proxy.stderr_so_far();
    assert_eq!(said.matches("refuses the key (401").count(), 1, "{said}");
    assert!(
        said.contains("the one that this proxy was given, not a caller's"),
        "{said}"
    );
}

#[test]
fn a_line_about_a_fault_names_the_token_of_its_caller_and_not_what_it_is() {
    let Some(hash) = sha256("alice-token") else {
        return skipped("sha256sum is not installed");
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    fs::write(&file, format!("alice:{hash}\n")).unwrap();
    let refused = RefusedPort::new();
    let mut proxy = Proxy::builder(PROXY)
        .upstream_url(&refused.url())
        .arg("--client-token-file")
        .arg(&file)
        .start();
    let token = [("authorization", "Bearer alice-token")];
    let answer = proxy.client().post(RESPONSES, &token, "{}").read_answer();
    assert_eq!(answer.status, 502);
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    let said = proxy.stderr_so_far();
    let line = said
        .lines()
        .find(|line| line.contains("no answer: "))
        .unwrap();
    assert!(line.contains("alice"), "{line}");
    assert!(!said.contains("alice-token"), "{said}");
}
