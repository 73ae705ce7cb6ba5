//! A denied caller gets one response, and does not keep its connection.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use codex_test_support::{Client, End, MockUpstream, Reply, assert_openai_error};

use crate::custody::{is_root, skipped};
use crate::{RESPONSES, ask, in_front_of};

/// A whole request that has this line, with its end, in its head.
fn request(line: &str) -> String {
    format!("POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\n{line}Content-Length: 2\r\n\r\n{{}}")
}

#[test]
fn a_denied_user_gets_one_response() {
    if !is_root() {
        return skipped("only root is not the user that may call");
    }
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream)
        .args(["--allow-user", "4711"])
        .start();
    let mut client = proxy.client();
    client.send(request("").repeat(1000));
    assert_openai_error(&client.read_answer(), 403, "caller_not_allowed");
    assert_eq!(client.read_to_close(), (Vec::new(), End::Clean));
    assert!(upstream.requests().is_empty());
}

/// Many clients take a response that comes before their request for a broken connection, and try again.
#[test]
fn a_denied_user_gets_the_response_after_it_has_asked() {
    if !is_root() {
        return skipped("only root is not the user that may call");
    }
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream)
        .args(["--allow-user", "4711"])
        .start();
    let silent = TcpStream::connect(proxy.addr()).unwrap();
    // Accepted after the other one, and answered.
    let mut asking = proxy.client();
    asking.send(request(""));
    assert_openai_error(&asking.read_answer(), 403, "caller_not_allowed");
    silent.set_nonblocking(true).unwrap();
    let early = silent.peek(&mut [0]).map_err(|error| error.kind());
    assert_eq!(early, Err(ErrorKind::WouldBlock));
    silent.set_nonblocking(false).unwrap();
    let mut silent = Client::over(silent);
    silent.send(request(""));
    assert_openai_error(&silent.read_answer(), 403, "caller_not_allowed");
}

/// Whoever has no token, or is a web page, gets one answer too, however many requests it sends.
#[test]
fn a_denied_request_gets_one_response() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream)
        .args(["--require-client-token"])
        .server_info()
        .start();
    for (line, status, code) in [
        ("X: y", 401, "client_token_required"),
        ("Authorization: Bearer x", 401, "client_token_required"),
        ("Origin: null", 403, "browser_not_allowed"),
        ("Sec-Fetch-Site: cross-site", 403, "browser_not_allowed"),
    ] {
        let mut client = proxy.client();
        client.send(request(&format!("{line}\r\n")).repeat(100));
        assert_openai_error(&client.read_answer(), status, code);
        assert_eq!(client.read_to_close(), (Vec::new(), End::Clean), "{line}");
    }
    let mut client = proxy.client();
    client.send(format!("POST {RESPONSES} HTTP/1.1\r\nHost: evil.example\r\n\r\n").repeat(100));
    assert_openai_error(&client.read_answer(), 403, "host_not_allowed");
    assert_eq!(client.read_to_close(), (Vec::new(), End::Clean));
    assert!(upstream.requests().is_empty());
}

/// A caller holds the only connection permit, sends refused requests until its socket takes no further refusal, and
/// reads none of them.
#[test]
fn unread_refusals_do_not_hold_a_connection_permit() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let proxy = in_front_of(&upstream)
        .args([
            "--max-connections",
            "1",
            "--max-connections-per-user",
            "100",
        ])
        .args([
            "--port",
            "0",
            "--listen",
            &format!("unix:{}", path.display()),
        ])
        .start();
    proxy.wait_for_stderr("listening on unix:");
    // The buffer of a Unix socket is small, and of a fixed size.
    let mut caller = std::os::unix::net::UnixStream::connect(&path).unwrap();
    // A path that has no hint, whose length would count here.
    let request = b"GET /elsewhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // No more at once than the proxy buffers of pipelined requests, with time to answer them in a static debug build
    // too; in all, more refusals than the socket buffer takes.
    for _ in 0..20 {
        std::io::Write::write_all(&mut caller, &request.repeat(200)).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    let refused = proxy.client().read_answer();
    assert_openai_error(&refused, 503, "too_many_connections");
    let stuck = Instant::now();
    while ask(&proxy).status != 200 {
        assert!(
            stuck.elapsed() < Duration::from_secs(30),
            "it keeps its connection permit"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}
