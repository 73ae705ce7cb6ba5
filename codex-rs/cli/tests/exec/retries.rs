//! What is tried again, how often, and what never is.

use std::time::Duration;

use codex_test_support::{Gate, MockUpstream, RefusedPort, Reply};
use serde_json::json;

use crate::{ask, assert_ended, codex, completed, created, delta};

fn busy(status: u16) -> Reply {
    Reply::json(
        status,
        &json!({"error": {"message": "busy", "code": "overloaded"}}),
    )
    .header("retry-after", "0")
}

fn good() -> Reply {
    Reply::event_stream().data([created(), delta("x"), completed()].concat())
}

#[test]
fn a_busy_server_is_retried() {
    let upstream = MockUpstream::h1(vec![busy(500), busy(503), busy(529), busy(502), good()]);
    let output = ask(&upstream).run();
    assert_ended(&output, 0, "x");
    assert!(
        output
            .stderr
            .contains("busy (overloaded); again in 0.0 s (4 of 4)")
    );
    assert_eq!(upstream.requests().len(), 5);
    let bodies: Vec<_> = upstream
        .requests()
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn retries_are_limited() {
    let upstream = MockUpstream::h1(busy(503));
    for (most, requests) in [(0, 1), (2, 4)] {
        let retries = format!("request_max_retries={most}");
        let output = ask(&upstream).provider(&retries).run();
        assert_ended(&output, 1, "");
        assert!(
            output.stderr.contains("503 Service Unavailable: busy"),
            "{}",
            output.stderr
        );
        assert_eq!(upstream.requests().len(), requests);
    }
}

#[test]
fn a_refusal_of_the_server_is_final() {
    for (status, code, says) in [
        (400, "bad", "400 Bad Request: no (bad)"),
        (
            401,
            "invalid_api_key",
            "401 Unauthorized: no (invalid_api_key)",
        ),
        (404, "none", "404 Not Found: no (none)"),
        (
            429,
            "insufficient_quota",
            "429 Too Many Requests: no (insufficient_quota)",
        ),
    ] {
        let error = json!({"error": {"message": "no", "type": "t", "code": code}});
        let upstream = MockUpstream::h1(Reply::json(status, &error));
        let output = ask(&upstream).run();
        assert_ended(&output, 1, "");
        assert!(output.stderr.contains(says), "{}", output.stderr);
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn a_refused_connection_is_retried_and_then_reported() {
    let port = RefusedPort::new();
    let url = format!(
        "model_providers.x.base_url='{}'",
        port.url().replace("/responses", "")
    );
    let run = codex(&["exec", "hi", "-c", "model_provider=x", "-c", &url])
        .args(&["-c", "model_providers.x.request_max_retries=1"]);
    let output = run.run();
    assert_ended(&output, 1, "");
    assert!(
        output.stderr.contains("again in 0.2 s (1 of 1)"),
        "{}",
        output.stderr
    );
    let says = format!("Error: could not reach {}: Connection refused", port.url());
    assert!(output.stderr.contains(&says), "{}", output.stderr);
}

#[test]
fn a_silent_server_times_out() {
    for (before, retries) in [
        (Vec::new(), "stream_max_retries=0"),
        ([created(), delta("half")].concat(), "stream_max_retries=9"),
    ] {
        let gate = Gate::new();
        let upstream = MockUpstream::h1(Reply::event_stream().data(before).hold(&gate));
        let output = ask(&upstream)
            .provider("stream_idle_timeout_ms=700")
            .provider(retries)
            .run();
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert!(
            output
                .stderr
                .contains("the server was silent for 0.7 s (stream_idle_timeout_ms)"),
            "{}",
            output.stderr
        );
        assert_eq!(upstream.requests().len(), 1);
        gate.release();
    }
    let upstream = MockUpstream::h1(Reply::silence());
    let output = ask(&upstream)
        .provider("stream_idle_timeout_ms=700")
        .provider("stream_max_retries=0")
        .run();
    assert_ended(&output, 1, "");
}

#[test]
fn a_slow_server_does_not_time_out_while_it_sends_events() {
    for (piece, code) in [(delta("x"), 0), (b": still here\n\n".to_vec(), 1)] {
        let mut reply = Reply::event_stream().data([created(), delta("x")].concat());
        for _ in 0..10 {
            reply = reply.pace(Duration::from_millis(300)).data(piece.clone());
        }
        let upstream = MockUpstream::h1(reply.data(completed()));
        let output = ask(&upstream).provider("stream_idle_timeout_ms=1500").run();
        assert_eq!(output.code, Some(code), "{}", output.stderr);
    }
}

/// Ctrl-Z, and `fg` when the server would have been silent for too long. Time itself is what is tested.
#[test]
fn what_arrived_while_the_client_was_stopped_is_in_time() {
    let head = || Reply::event_stream().data([created(), delta("x")].concat());
    let gates = [Gate::new(), Gate::new()];
    let upstreams = [
        MockUpstream::h1(
            head()
                .hold(&gates[0])
                .data([delta("y"), completed()].concat()),
        ),
        MockUpstream::h1(
            Reply::event_stream()
                .hold_head(&gates[1])
                .data([created(), delta("xy"), completed()].concat()),
        ),
    ];
    for (upstream, gate) in upstreams.iter().zip(&gates) {
        let run = ask(upstream)
            .provider("stream_idle_timeout_ms=600")
            .provider("stream_max_retries=0");
        let program = run.start();
        gate.wait_reached();
        program.signal("STOP");
        gate.release();
        std::thread::sleep(Duration::from_millis(1000));
        program.signal("CONT");
        assert_ended(&program.wait_exit(), 0, "xy");
    }
}

#[test]
fn a_retry_after_of_an_hour_is_not_waited_for() {
    for (asked, says) in [
        ("3600", "for 3600 s, which is too long"),
        ("99999999999999999999", "s, which is too long"),
    ] {
        let upstream = MockUpstream::h1(
            Reply::json(429, &json!({"error": {"message": "slow"}})).header("retry-after", asked),
        );
        let output = ask(&upstream).run();
        assert_ended(&output, 1, "");
        assert!(output.stderr.contains(says), "{}", output.stderr);
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn a_server_that_does_not_speak_http_is_not_retried() {
    let upstream = MockUpstream::h1(Reply::raw("SSH-2.0-x\r\n", true));
    let output = ask(&upstream).run();
    assert_ended(&output, 1, "");
    assert!(!output.stderr.contains("again in"), "{}", output.stderr);
    // It runs, so there is no question whether it does.
    assert!(
        !output.stderr.contains("still running"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_invalid_certificate_is_not_retried() {
    let (upstream, other) = (MockUpstream::tls_h1(good()), MockUpstream::tls_h1(good()));
    let roots = other.ca_file();
    let run = ask(&upstream).env("SSL_CERT_FILE", roots.to_str().unwrap());
    let output = run.run();
    assert_ended(&output, 1, "");
    assert!(output.stderr.contains("certificate"), "{}", output.stderr);
    assert!(!output.stderr.contains("again in"), "{}", output.stderr);
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = MockUpstream::h1(good());
    for status in [301, 302, 307, 308] {
        let upstream = MockUpstream::h1(Reply::redirect(status, &elsewhere.url()));
        let output = ask(&upstream)
            .provider("experimental_bearer_token=token-1")
            .run();
        assert_ended(&output, 1, "");
        let says = format!("redirects to {}", elsewhere.url());
        assert!(output.stderr.contains(&says), "{}", output.stderr);
        assert!(output.stderr.contains("put it into base_url"));
    }
    assert!(elsewhere.requests().is_empty());
}

/// The HTTP library's own limit for what a server does not take is half a minute. Time itself is what is
/// tested.
#[test]
fn a_server_that_reads_on_after_half_a_minute_gets_all_of_the_prompt() {
    use std::io::{Read, Write};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        std::thread::sleep(Duration::from_secs(31));
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let (_, length) = head.split_once("content-length: ").unwrap();
        let length = length.lines().next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let answer = [created(), delta("all of it"), completed()].concat();
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        stream
            .write_all(&[head.as_bytes(), &answer].concat())
            .unwrap();
    });
    let provider = format!("model_providers.mock.base_url='{base}'");
    let run = codex(&[
        "exec",
        "-c",
        "model_provider=mock",
        "-c",
        "model=m",
        "-c",
        &provider,
    ])
    .stdin(&"x ".repeat(5 << 20));
    let program = run.start();
    server.join().unwrap();
    assert_ended(&program.wait_exit(), 0, "all of it");
}
