//! Limits of connections, requests and descriptors, and what many connections cost.

use std::process::Command;

use codex_test_support::{Client, End, Gate, MockUpstream, Reply, assert_openai_error};

use crate::callers::curl_as_other;
use crate::custody::{is_root, skipped};
use crate::{RESPONSES, ask, begin, in_front_of};

#[test]
fn a_head_that_takes_too_long_gets_408_and_a_silent_connection_nothing() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .args(["--header-timeout", "200ms"])
        .start();
    let mut slow = proxy.client();
    slow.send("POST /v1/responses HTTP/1.1\r\nHost: loc");
    assert_openai_error(&slow.read_answer(), 408, "header_timeout");
    let mut silent = proxy.client();
    assert_eq!(silent.read_to_close(), (Vec::new(), End::Clean));
    // Between requests the timeout is longer.
    let mut idle = proxy.client();
    assert_eq!(idle.post(RESPONSES, &[], "{}").read_answer().status, 200);
    let mut later = proxy.client();
    later.send("GET");
    assert_openai_error(&later.read_answer(), 408, "header_timeout");
    assert_eq!(idle.post(RESPONSES, &[], "{}").read_answer().status, 200);
    idle.send("POST /v1");
    assert_openai_error(&idle.read_answer(), 408, "header_timeout");
}

#[test]
fn at_the_connection_limit_the_longest_idle_connection_is_closed() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
    );
    let proxy = in_front_of(&upstream)
        .args([
            "--max-connections",
            "4",
            "--max-connections-per-user",
            "100",
        ])
        .start();
    let mut busy = begin(&proxy);
    let mut idle: Vec<Client> = (0..10).map(|_| proxy.client()).collect();
    for early in idle.iter_mut().take(7) {
        assert_eq!(early.read_to_close(), (Vec::new(), End::Clean));
    }
    let mut late: Vec<Client> = (0..3).map(|_| proxy.client()).collect();
    for client in &mut late {
        client.post(RESPONSES, &[], "{}");
        client.read_head();
    }
    // All four connections are busy now.
    let refused = proxy.client().read_answer();
    assert_openai_error(&refused, 503, "too_many_connections");
    assert_eq!(refused.header("retry-after"), Some("1"));
    gate.release();
    for client in late.iter_mut().chain([&mut busy]) {
        client.wait_for_body("data: 2");
        assert_eq!(client.read_body_some(), None);
        assert_eq!(client.end(), Some(End::Clean));
    }
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn one_user_cannot_use_up_the_connection_limit() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .args(["--max-connections-per-user", "2"])
        .start();
    let mut idle: Vec<Client> = (0..2).map(|_| proxy.client()).collect();
    for client in &mut idle {
        assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
    }
    let refused = proxy.client().read_answer();
    assert_openai_error(&refused, 429, "too_many_connections_of_user");
    assert_eq!(refused.header("retry-after"), None);
    if is_root() {
        let status = curl_as_other(&proxy, "{}");
        assert!(status.is_none() || status.as_deref() == Some("200"));
    }
}

#[test]
fn requests_beyond_the_limit_get_503_and_succeed_later() {
    let gate = Gate::new();
    let upstream = MockUpstream::h2(Reply::event_stream().data("data: 1\n\n").hold(&gate));
    let proxy = in_front_of(&upstream).args(["--max-requests", "2"]).start();
    let mut first: Vec<Client> = (0..2).map(|_| proxy.client()).collect();
    for client in &mut first {
        client.post(RESPONSES, &[], "{}");
        client.read_head();
    }
    let refused = ask(&proxy);
    assert_openai_error(&refused, 503, "too_many_requests");
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(first);
    upstream.wait_for_cancel(0);
    upstream.wait_for_cancel(1);
    gate.release();
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn the_proxy_recovers_after_running_out_of_descriptors() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    if Command::new("prlimit").arg("--version").output().is_err() {
        return skipped("prlimit is not installed");
    }
    let proxy = in_front_of(&upstream)
        .under(["prlimit", "--nofile=64"])
        .start();
    let mut idle: Vec<Client> = (0..100).map(|_| proxy.client()).collect();
    // While they are open, a new connection is served all the same.
    assert_eq!(ask(&proxy).status, 200);
    idle.clear();
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn many_unfinished_requests_and_giant_heads_cost_little() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    // The one that watched standard input may be on its way out still.
    let threads = proxy.status_line("Threads");
    let giant = format!("POST {RESPONSES} HTTP/1.1\r\nX: {}", "a".repeat(60_000));
    let mut clients = Vec::new();
    for n in 0..1500 {
        let mut client = proxy.client();
        client.send(if n % 3 == 0 {
            giant.as_str()
        } else {
            "POST /v1/re"
        });
        clients.push(client);
    }
    assert_eq!(ask(&proxy).status, 200);
    let peak = proxy.rss_peak_kib();
    assert!(peak < 64 * 1024, "the peak was {peak} KiB");
    assert!(proxy.status_line("Threads") <= threads);
}
