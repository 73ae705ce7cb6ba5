//! Callers that leave, whatever they have sent before.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use codex_test_support::{
    Answer, Client, End, Gate, MockUpstream, Proxy, Reply, assert_openai_error,
};

use crate::{RESPONSES, ask, in_front_of};

/// Far more than it takes, and far less than any timeout.
const SOON: Duration = Duration::from_secs(2);

fn post(lines: &str, rest: &[u8]) -> Vec<u8> {
    let head = format!("POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    [head.as_bytes(), rest].concat()
}

/// Whole requests, each with something behind it.
fn with_something_behind() -> Vec<Vec<u8>> {
    let chunked = |behind: &[u8]| {
        let body = [b"2\r\n{}\r\n0\r\n\r\n", behind].concat();
        post("Transfer-Encoding: chunked\r\n", &body)
    };
    let counted = |behind: &[u8]| post("Content-Length: 2\r\n", &[b"{}", behind].concat());
    vec![
        chunked(b"x"),
        chunked(&[b'x'; 100_000]),
        counted(b"x"),
        counted(&[b'x'; 70_000]),
        counted(&vec![b'x'; 900_000]),
        counted(&counted(&vec![b'x'; 200_000])),
    ]
}

#[test]
fn a_disconnect_is_noticed_whatever_is_pipelined_behind_the_request() {
    let upstream = MockUpstream::h1(Reply::silence());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let proxy = in_front_of(&upstream)
        .args(["--port", "0", "--listen"])
        .arg(format!("unix:{}", path.display()))
        .start();
    for by_unix_socket in [false, true] {
        for sent in with_something_behind() {
            let index = upstream.requests().len();
            // What is unread when a socket is closed goes with it: it is all sent before.
            let left = if by_unix_socket {
                let mut stream = UnixStream::connect(&path).unwrap();
                stream.write_all(&sent).unwrap();
                upstream.wait_for_complete(index);
                Instant::now()
            } else {
                let mut client = proxy.client();
                client.send(&sent);
                upstream.wait_for_complete(index);
                client.close();
                Instant::now()
            };
            upstream.wait_for_cancel(index);
            assert!(left.elapsed() < SOON, "took {:?}", left.elapsed());
            assert_eq!(upstream.requests().len(), index + 1);
        }
    }
}

#[test]
fn a_half_closed_connection_counts_as_a_disconnect() {
    let upstream = MockUpstream::h1(Reply::silence());
    let proxy = in_front_of(&upstream).start();
    for (index, sent) in with_something_behind().into_iter().enumerate() {
        let mut client = proxy.client();
        client.send(&sent);
        upstream.wait_for_complete(index);
        client.shutdown_write();
        upstream.wait_for_cancel(index);
    }
}

#[test]
fn a_pipelined_request_too_large_to_buffer_does_not_affect_the_one_before_it() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
    );
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    let large = post("Content-Length: 200000\r\n", &[b'x'; 200_000]);
    client.send(post("Content-Length: 2\r\n", &[b"{}", &large[..]].concat()));
    client.read_head();
    client.wait_for_body("data: 1");
    gate.release();
    client.wait_for_body("data: 2");
    assert_eq!(client.read_body_some(), None);
    assert_eq!(client.end(), Some(End::Clean));
    assert_eq!(client.read_to_close(), (Vec::new(), End::Clean));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_caller_that_keeps_sending_behind_its_request_is_disconnected() {
    let upstream = MockUpstream::h1(Reply::silence());
    let proxy = in_front_of(&upstream).start();
    for (index, framing) in ["Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"]
        .iter()
        .enumerate()
    {
        let mut client = proxy.client();
        client.send(post(framing, if index == 0 { b"" } else { b"0\r\n\r\n" }));
        upstream.wait_for_complete(index);
        client.send(vec![b'x'; 4 << 20]);
        upstream.wait_for_cancel(index);
    }
}

/// Retries until a request gets a permit of `--max-requests`; the upstream never answers it.
#[track_caller]
fn wait_for_a_request_permit(proxy: &Proxy) {
    let deadline = Instant::now() + SOON;
    let request = post("Content-Length: 2\r\n", b"{}");
    while Instant::now() < deadline {
        let mut stream = TcpStream::connect(proxy.addr()).unwrap();
        stream.write_all(&request).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut answer = [0; 64];
        match stream.read(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Ok(read) => assert!(answer[..read].starts_with(b"HTTP/1.1 503 ")),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the request of a caller that has left is still in flight");
}

/// Sends the beginning of a large body, as much of it as anybody takes.
fn send_until_stuck(mut stream: impl Write) {
    let mut rest = &post("Content-Length: 33554432\r\n", &vec![b'x'; 32 << 20])[..];
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(sent) => rest = &rest[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("somebody took all of it");
}

#[test]
fn a_disconnect_during_an_upload_is_noticed_while_the_upstream_does_not_read() {
    // It accepts connections, by its queue, and reads nothing.
    let stuck = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}{RESPONSES}", stuck.local_addr().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let proxy = Proxy::builder(crate::PROXY)
        .upstream_url(&url)
        .args(["--max-requests", "1", "--port", "0", "--listen"])
        .arg(format!("unix:{}", path.display()))
        .start();
    let write_timeout = Some(Duration::from_millis(200));
    for by_unix_socket in [false, true] {
        if by_unix_socket {
            let stream = UnixStream::connect(&path).unwrap();
            stream.set_write_timeout(write_timeout).unwrap();
            send_until_stuck(stream);
        } else {
            let stream = TcpStream::connect(proxy.addr()).unwrap();
            stream.set_write_timeout(write_timeout).unwrap();
            send_until_stuck(stream);
        }
        wait_for_a_request_permit(&proxy);
    }
    // What was little enough to be taken by the proxy at once, too.
    let mut stream = TcpStream::connect(proxy.addr()).unwrap();
    stream
        .write_all(&post("Content-Length: 20000\r\n", &[b'x'; 20_000]))
        .unwrap();
    drop(stream);
    wait_for_a_request_permit(&proxy);
}

#[test]
fn disconnected_callers_do_not_hold_request_permits() {
    let upstream = MockUpstream::builder()
        .handler(|request| {
            if request.body.is_empty() {
                Reply::silence()
            } else {
                Reply::responses("hi")
            }
        })
        .start();
    let proxy = in_front_of(&upstream)
        .args(["--max-requests", "20", "--max-connections-per-user", "10"])
        .start();
    let request = post("Content-Length: 0\r\n", &[b'x'; 80_000]);
    for _ in 0..100 {
        let mut stream = TcpStream::connect(proxy.addr()).unwrap();
        // Refused for its number, it may be reset while it sends.
        let _ = stream.write_all(&request);
    }
    let deadline = Instant::now() + SOON;
    let mut last = ask(&proxy);
    while last.status != 200 && Instant::now() < deadline {
        last = ask(&proxy);
    }
    assert_eq!(last.status, 200, "{}", last.text());
}

/// The answer to a request whose first part comes alone.
fn answer_to_parts(proxy: &Proxy, parts: [&[u8]; 2]) -> Answer {
    let mut client: Client = proxy.client();
    for part in parts {
        client.send(part);
    }
    client.read_answer()
}

#[test]
fn chunked_bodies_end_where_the_upstream_takes_them_to_end() {
    let upstream = MockUpstream::h1(Reply::made(|request| {
        Reply::bytes(200, "text/plain", request.text())
    }));
    let proxy = in_front_of(&upstream).start();
    let whole = post(
        "Transfer-Encoding: chunked\r\n",
        b"5;a=b\r\nhello\r\n00001\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n",
    );
    for at in 1..whole.len() {
        let (first, second) = whole.split_at(at);
        assert_eq!(answer_to_parts(&proxy, [first, second]).text(), "hello!");
    }
    let broken = post(
        "Transfer-Encoding: chunked\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
    );
    let answer = answer_to_parts(&proxy, [&broken, b""]);
    assert_openai_error(&answer, 400, "body_cut_short");
}
