//! Who may ask for metrics, how, and that whoever does is in nobody's way.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use codex_test_support::{
    Client, Gate, MockUpstream, Reply, WAIT_TIMEOUT, assert_no_key, assert_openai_error,
    run_to_exit, skipped,
};

use crate::custody::is_root;
use crate::metrics::{WithMetrics, place, scrape, value, wait_for_requests};
use crate::{PROXY, RESPONSES, ask, begin, in_front_of};

/// SIGTERM (signal(7)).
const TERM: i32 = 15;

#[test]
fn nothing_but_get_metrics_is_answered_there_and_no_metrics_elsewhere() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let mut proxy = in_front_of(&upstream)
        .with_metrics()
        .http_shutdown()
        .start();
    let place = place(&proxy);
    for target in [
        "/",
        "/metrics/",
        "/metrics?",
        "/metrics?x=1",
        "//metrics",
        "/METRICS",
        "/%6detrics",
        "/shutdown",
        RESPONSES,
        "http://127.0.0.1/metrics",
    ] {
        for method in ["GET", "POST"] {
            let answer = Client::connect(place)
                .request(method, target, &[], "")
                .read_answer();
            assert_openai_error(&answer, 403, "path_not_allowed");
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let answer = Client::connect(place)
            .request(method, "/metrics", &[], "")
            .read_answer();
        assert_openai_error(&answer, 403, "method_not_allowed");
    }
    let elsewhere = proxy.client().get("/metrics").read_answer();
    assert_openai_error(&elsewhere, 403, "path_not_allowed");
    assert!(proxy.is_running());
    assert!(upstream.requests().is_empty());
}

#[test]
fn what_a_web_page_makes_a_browser_ask_is_refused() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).with_metrics().start();
    let place = place(&proxy);
    for (header, code) in [
        (("host", "evil.example"), "host_not_allowed"),
        (("host", "0.0.0.0"), "host_not_allowed"),
        (("origin", "https://evil.example"), "browser_not_allowed"),
        (("origin", "null"), "browser_not_allowed"),
        (("sec-fetch-site", "cross-site"), "browser_not_allowed"),
        (("sec-fetch-site", "same-origin"), "browser_not_allowed"),
        (("sec-fetch-site", "none"), "browser_not_allowed"),
        (("sec-fetch-mode", "navigate"), "browser_not_allowed"),
        (("sec-fetch-dest", "image"), "browser_not_allowed"),
        (("sec-purpose", "prefetch"), "browser_not_allowed"),
        (
            ("sec-ch-ua", "\"Chromium\";v=\"140\""),
            "browser_not_allowed",
        ),
    ] {
        let answer = Client::connect(place)
            .request("GET", "/metrics", &[header], "")
            .read_answer();
        assert_openai_error(&answer, 403, code);
    }
    // What Prometheus sends is no browser's.
    let answer = Client::connect(place)
        .request(
            "GET",
            "/metrics",
            &[
                ("user-agent", "Prometheus/2.42.0"),
                (
                    "accept",
                    "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
                ),
                ("accept-encoding", "gzip"),
                ("x-prometheus-scrape-timeout-seconds", "10"),
            ],
            "",
        )
        .read_answer();
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("text/plain; version=0.0.4; charset=utf-8"))
    );
}

/// Who may call spends money; who may scrape reads. A scraper is not to have to be given the former.
#[test]
fn who_may_scrape_does_not_depend_on_who_may_call() {
    if !is_root() {
        return skipped("only root is not the user that may call");
    }
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream)
        .with_metrics()
        .args(["--allow-user", "4711"])
        .start();
    assert_openai_error(&ask(&proxy), 403, "caller_not_allowed");
    let text = wait_for_requests(place(&proxy), 1.0);
    let refused = [("code", "caller_not_allowed")];
    let by_root = [refused[0], ("caller", "root")];
    assert_eq!(value(&text, "codex_proxy_requests_total", &by_root), 1.0);
    let before_head = "codex_proxy_refused_before_head_total";
    assert_eq!(value(&text, before_head, &refused), 1.0);
}

#[test]
fn those_that_ask_nothing_do_not_keep_others_from_asking() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).with_metrics().start();
    let place = place(&proxy);
    let mut silent: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(place).unwrap())
        .collect();
    for stream in &mut silent {
        // The oldest ones were closed already.
        let _ = stream.write_all(b"GET /met");
    }
    scrape(place);
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn a_scrape_is_answered_while_a_thousand_connections_are_held() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).with_metrics().start();
    let place = place(&proxy);
    let mut held: Vec<TcpStream> = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(place).unwrap();
        // One says nothing, one begins a head, one asks and does not read.
        let said: [&[u8]; 3] = [
            b"",
            b"GET /met",
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ];
        // The oldest ones were closed already.
        let _ = stream.write_all(said[number % 3]);
        held.push(stream);
    }
    // The client gives up after a while.
    scrape(place);
    drop(held);
}

#[test]
fn metrics_are_answered_until_the_end_of_the_drain() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
    );
    let mut proxy = in_front_of(&upstream).with_metrics().start();
    let place = place(&proxy);
    let mut client = begin(&proxy);
    proxy.signal(TERM);
    proxy.wait_for_stderr("shutting down");
    let text = scrape(place);
    assert_eq!(value(&text, "codex_proxy_open_requests", &[]), 1.0);
    gate.release();
    while client.read_body_some().is_some() {}
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(TcpStream::connect(place).is_err());
}

#[test]
fn a_unix_socket_is_its_owner_s_alone_and_goes_at_the_end() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("metrics.sock");
    let mut proxy = in_front_of(&upstream)
        .args(["--metrics", &format!("unix:{}", socket.display())])
        .start();
    proxy.wait_for_stderr(&format!("\nmetrics: unix:{}\n", socket.display()));
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_no_key(&answer, "the metrics");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\ncodex_proxy_build_info{"), "{answer}");
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_place_that_cannot_be_had_is_said_before_the_key_is_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    let unix = format!("unix:{}", file.display());
    for (place, said) in [
        (address.as_str(), format!("failed to bind {address}")),
        (unix.as_str(), "something that is not a socket".to_owned()),
    ] {
        let args = ["--metrics", place, "--upstream-url", "http://127.0.0.1:9/"];
        let output = run_to_exit(PROXY, &args, &[], b"not a key\0");
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert!(
            output.stderr.starts_with("Error: --metrics"),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains(&said), "{}", output.stderr);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let output = run_to_exit(PROXY, &["--metrics", "0.0.0.0:9464"], &[], b"");
    assert_eq!(output.code, Some(2));
    assert!(
        output.stderr.contains("only this host"),
        "{}",
        output.stderr
    );
}
