//! An upstream that gives no answer: which status, which code, which cause.

use std::io::{Read, Write};

use codex_test_support::{
    Certificate, CutKind, Framing, Gate, MockUpstream, OnAccept, Proxy, RefusedPort, Reply,
    assert_openai_error,
};

use crate::{PROXY, RESPONSES, ask, in_front_of};

/// Asks through `proxy` and checks the refusal, its cause and the log line.
fn assert_fault(proxy: &Proxy, status: u16, code: &str, cause: &str) {
    let answer = ask(proxy);
    assert_openai_error(&answer, status, code);
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains(cause), "{cause:?} is not in {message:?}");
    proxy.wait_for_stderr(code);
}

#[test]
fn a_refused_connection() {
    let port = RefusedPort::new();
    let proxy = Proxy::builder(PROXY).upstream_url(&port.url()).start();
    assert_fault(&proxy, 502, "upstream_connect", "refused");
}

#[test]
fn a_name_without_an_address() {
    let proxy = Proxy::builder(PROXY)
        .upstream_url("https://no-such-host.invalid/v1/responses")
        .env(
            "SSL_CERT_FILE",
            MockUpstream::h2(Reply::silence()).ca_file(),
        )
        .start();
    assert_fault(&proxy, 502, "upstream_dns", "");
}

#[test]
fn certificates_that_are_not_good() {
    for (certificate, cause) in [
        (Certificate::Expired, "expired"),
        (Certificate::WrongName, "not valid for"),
        (Certificate::UnknownCa, "UnknownIssuer"),
        (Certificate::SelfSigned, "certificate"),
    ] {
        let upstream = MockUpstream::builder()
            .tls_h1()
            .certificate(certificate)
            .start();
        let proxy = in_front_of(&upstream).start();
        assert_fault(&proxy, 502, "upstream_tls", cause);
        assert!(upstream.requests().is_empty());
    }
}

/// Names `at` as the proxy in the environment, and checks which fault is reported.
fn assert_fault_of_proxy(at: &str, code: (u16, &str), cause: &str) {
    let upstream = MockUpstream::h2(Reply::responses("never"));
    let proxy = in_front_of(&upstream)
        .env("HTTPS_PROXY", format!("{at}/"))
        .start();
    let answer = ask(&proxy);
    assert_openai_error(&answer, code.0, code.1);
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_, address) = at.rsplit_once(['/', '@']).unwrap();
    let named = format!("proxy {address} (HTTPS_PROXY)");
    assert!(message.contains(&named), "{message:?}");
    assert!(message.contains(cause), "{cause:?} is not in {message:?}");
    assert!(!message.contains("to the upstream:"), "{message:?}");
    assert!(message.len() < 600, "{message:?}");
    proxy.wait_for_stderr(code.1);
    assert!(!proxy.stderr_so_far().contains("hunter2"));
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_fault_of_the_outbound_proxy_is_reported_as_such() {
    const CONNECT: (u16, &str) = (502, "upstream_connect");
    let port = RefusedPort::new();
    let dead = port.addr();
    assert_fault_of_proxy(&format!("http://{dead}"), CONNECT, "refused");
    assert_fault_of_proxy(&format!("https://{dead}"), CONNECT, "refused");
    assert_fault_of_proxy("http://no-such-proxy.invalid:3128", CONNECT, "no address");
    for (reply, cause) in [
        (Reply::new(407), "407"),
        (Reply::new(403), "403"),
        (Reply::new(502), "502"),
        (Reply::raw("SSH-2.0-x\r\n\r\n", true), "did not answer"),
        (Reply::close_before_head(), "did not answer"),
    ] {
        let outbound = MockUpstream::h1(reply);
        let at = format!("http://user:hunter2@{}", outbound.addr());
        assert_fault_of_proxy(&at, CONNECT, cause);
    }
    // One that is spoken to by TLS, whose certificate goes on for ever.
    let name = format!("{}.example", "x".repeat(5_000));
    let outbound = MockUpstream::builder()
        .tls_h1()
        .certificate(Certificate::Named(name.leak()))
        .start();
    let at = format!("https://{}", outbound.addr());
    assert_fault_of_proxy(&at, CONNECT, "TLS");
}

#[test]
fn a_silent_outbound_proxy_is_named() {
    let outbound = MockUpstream::h1(Reply::silence());
    let at = format!("http://{}", outbound.addr());
    assert_fault_of_proxy(&at, (504, "upstream_timeout"), "10s");
}

#[test]
fn an_upstream_that_does_not_speak_tls() {
    // What a web server's plain port says to a TLS hello.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}{RESPONSES}", listener.local_addr().unwrap());
    let web_server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 3];
        stream.read_exact(&mut hello).unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        hello
    });
    let ca = MockUpstream::tls_h1(Reply::silence());
    let proxy = Proxy::builder(PROXY)
        .upstream_url(&url)
        .env("SSL_CERT_FILE", ca.ca_file())
        .start();
    assert_fault(&proxy, 502, "upstream_tls", "");
    assert_eq!(web_server.join().unwrap(), [22, 3, 1], "no TLS hello");
}

#[test]
fn an_upstream_that_does_not_speak_http() {
    for garbage in [
        "hello\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad\0: x\r\n\r\n",
    ] {
        let upstream = MockUpstream::h1(Reply::raw(garbage, true));
        let proxy = in_front_of(&upstream).start();
        assert_fault(&proxy, 502, "upstream_protocol", "");
    }
}

#[test]
fn an_upstream_that_switches_protocols_unasked() {
    let raw = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let upstream = MockUpstream::h1(Reply::raw(raw, true));
    let proxy = in_front_of(&upstream).start();
    assert_fault(&proxy, 502, "upstream_protocol", "");
}

#[test]
fn an_upstream_that_hangs_up() {
    for cut in [CutKind::Fin, CutKind::Reset] {
        let upstream = MockUpstream::h1(Reply::cut_before_head(cut));
        let proxy = in_front_of(&upstream).start();
        assert_fault(&proxy, 502, "upstream_closed", "");
    }
    // Not by a reset here: it may still count as a failure to connect.
    let upstream = MockUpstream::builder()
        .on_accept(OnAccept::Close(CutKind::Fin))
        .start();
    let proxy = in_front_of(&upstream).start();
    assert_fault(&proxy, 502, "upstream_closed", "");
    let upstream = MockUpstream::h2(Reply::cut_before_head(CutKind::Fin));
    let proxy = in_front_of(&upstream).start();
    assert_fault(&proxy, 502, "upstream_closed", "");
    let upstream = MockUpstream::h1(Reply::raw("HTTP/1.1 200 OK\r\nContent-", true));
    let proxy = in_front_of(&upstream).start();
    assert_fault(&proxy, 502, "upstream_closed", "");
}

#[test]
fn an_upstream_that_resets_the_stream() {
    // 2 is INTERNAL_ERROR, 11 is ENHANCE_YOUR_CALM (RFC 9113, section 7).
    for reason in [2, 11] {
        let upstream = MockUpstream::h2(Reply::cut_before_head(CutKind::RstStream(reason)));
        let proxy = in_front_of(&upstream).start();
        assert_fault(&proxy, 502, "upstream_closed", "");
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn an_upstream_that_says_nothing() {
    for upstream in [
        MockUpstream::h1(Reply::silence()),
        MockUpstream::h2(Reply::silence()),
    ] {
        let proxy = in_front_of(&upstream)
            .args(["--upstream-timeout", "300ms"])
            .start();
        assert_fault(&proxy, 504, "upstream_timeout", "300ms");
        upstream.wait_for_cancel(0);
    }
}

#[test]
fn a_caller_that_stops_sending_is_not_the_upstream_s_fault() {
    for upstream in [
        MockUpstream::h1(Reply::responses("never")),
        MockUpstream::h2(Reply::responses("never")),
    ] {
        let proxy = in_front_of(&upstream)
            .args(["--body-timeout", "300ms"])
            .start();
        let mut client = proxy.client();
        client.post(RESPONSES, &[("content-length", "10")], "abc");
        assert_openai_error(&client.read_answer(), 408, "body_stalled");
        assert!(!upstream.wait_for_cancel(0).complete);
        assert!(!proxy.stderr_so_far().contains("no answer"));
    }
}

#[test]
fn an_answer_with_more_headers_than_are_accepted() {
    let with = |count: usize| {
        (0..count).fold(Reply::responses("hi"), |reply, n| {
            reply.header(&format!("x-{n}"), "1")
        })
    };
    for count in [120, 250] {
        let upstream = MockUpstream::h1(with(count));
        let proxy = in_front_of(&upstream).start();
        let answer = ask(&proxy);
        assert_eq!(
            (answer.status, answer.header(&format!("x-{}", count - 1))),
            (200, Some("1"))
        );
    }
    for upstream in [MockUpstream::h1(with(300)), MockUpstream::h2(with(300))] {
        let proxy = in_front_of(&upstream).start();
        assert_fault(&proxy, 502, "upstream_headers", "256");
    }
}

#[test]
fn an_answer_in_a_form_that_nobody_asked_for() {
    let plain = || Reply::bytes(200, "application/json", "{}");
    let chunked = || plain().framing(Framing::Chunked);
    for (reply, cause) in [
        (plain().header("content-encoding", "gzip"), "gzip"),
        (plain().header("content-encoding", "identity, br"), "br"),
        (
            Reply::bytes(206, "application/json", "{").header("content-range", "bytes 0-0/2"),
            "206",
        ),
        (Reply::bytes(226, "application/json", "{"), "226"),
        (
            chunked().header("transfer-encoding", "gzip, chunked"),
            "gzip",
        ),
        (
            chunked().header("transfer-encoding", "chunked, chunked"),
            "chunked",
        ),
        (plain().header("transfer-encoding", "gzip"), "gzip"),
        (plain().header("transfer-encoding", "identity"), "identity"),
    ] {
        let upstream = MockUpstream::h1(reply);
        let proxy = in_front_of(&upstream).start();
        let answer = proxy
            .client()
            .post(
                RESPONSES,
                &[("accept-encoding", "gzip"), ("te", "gzip")],
                "{}",
            )
            .read_answer();
        assert_openai_error(&answer, 502, "upstream_coding");
        assert!(answer.text().contains(cause), "{}", answer.text());
        proxy.wait_for_stderr("upstream_coding");
    }
    let upstream = MockUpstream::h2(plain().header("content-encoding", "gzip"));
    assert_fault(
        &in_front_of(&upstream).start(),
        502,
        "upstream_coding",
        "gzip",
    );
}

#[test]
fn an_upload_in_progress_is_not_silence() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .args(["--upstream-timeout", "400ms"])
        .start();
    let mut client = proxy.client();
    client.post(RESPONSES, &[("content-length", "8")], "");
    for arrived in 1..=8 {
        // The one place where time itself is what is tested: twice the timeout in all.
        std::thread::sleep(std::time::Duration::from_millis(100));
        client.send("x");
        upstream.wait_for_body_len(0, arrived);
    }
    assert_eq!(client.read_answer().status, 200);
}

#[test]
fn a_fault_does_not_outlive_its_request() {
    let upstream = MockUpstream::h1(vec![
        Reply::close_before_head(),
        Reply::raw("garbage\r\n\r\n", true),
        Reply::redirect(302, "/elsewhere"),
        Reply::responses("hi"),
    ]);
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    for status in [502, 502, 502, 200] {
        assert_eq!(
            client.post(RESPONSES, &[], "{}").read_answer().status,
            status
        );
    }
}

#[test]
fn an_idle_connection_that_died_is_not_a_fault() {
    let held = Gate::new();
    let upstream = MockUpstream::h1(vec![
        Reply::new(200)
            .framing(Framing::Chunked)
            .data("x")
            .header("connection", "close"),
        Reply::responses("second").hold_head(&held),
    ]);
    let proxy = in_front_of(&upstream).start();
    assert_eq!(ask(&proxy).status, 200);
    upstream.wait_for_disconnects(1);
    held.release();
    assert_eq!(ask(&proxy).status, 200);
}
