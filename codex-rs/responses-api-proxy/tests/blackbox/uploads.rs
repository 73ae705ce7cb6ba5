//! A request body on its way up, to an upstream that does not take it as it comes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use codex_test_support::{Framing, MockUpstream, Proxy, Reply};

use crate::{PROXY, RESPONSES, in_front_of};

const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\n\
                       content-length: 2\r\n\r\n{}";

/// Reads the head of one request, and no more.
fn read_head(stream: &mut impl Read) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Answers at the head, and closes with the body unread, which resets the connection (RFC 9293,
/// section 3.10.7.1).
fn refuse(mut stream: impl Read + Write) {
    read_head(&mut stream);
    stream.write_all(REFUSED.as_bytes()).unwrap();
}

#[test]
fn a_refusal_at_the_head_is_passed_on_although_the_upload_breaks_off() {
    const TRIES: usize = 80;
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}{RESPONSES}", tcp.local_addr().unwrap());
    thread::spawn(move || {
        for stream in tcp.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || refuse(stream));
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("upstream");
    let unix = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in unix.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || refuse(stream));
        }
    });
    let by_socket = format!("unix:{}", path.display());
    for url in [url, by_socket] {
        let proxy = Proxy::builder(PROXY).upstream_url(&url).start();
        for body in [100 << 10, 2_000_000] {
            for _ in 0..TRIES {
                let body = vec![b'x'; body];
                let answer = proxy.client().post(RESPONSES, &[], &body).read_answer();
                assert_eq!(answer.status, 401, "{}", answer.text());
            }
        }
    }
}

/// hyper answers in kind a server that has spoken HTTP/1.0, in which a body needs a length.
#[test]
fn a_chunked_body_goes_up_after_an_answer_in_http_1_0() {
    const CHUNKED: &str = "5\r\nhello\r\n0\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}{RESPONSES}", listener.local_addr().unwrap());
    let upstream = thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        read_head(&mut first);
        first.read_exact(&mut [0; 2]).unwrap();
        let answer = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\n{}";
        first.write_all(answer.as_bytes()).unwrap();
        let (mut second, _) = listener.accept().unwrap();
        let head = read_head(&mut second);
        assert!(head.contains("HTTP/1.1\r\n"), "{head}");
        let mut body = [0; CHUNKED.len()];
        second.read_exact(&mut body).unwrap();
        second.write_all(answer.as_bytes()).unwrap();
        body
    });
    let proxy = Proxy::builder(PROXY).upstream_url(&url).start();
    let mut caller = proxy.client();
    assert_eq!(caller.post(RESPONSES, &[], "{}").read_answer().status, 200);
    caller.send(format!(
        "POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKED}"
    ));
    assert_eq!(caller.read_answer().status, 200);
    assert_eq!(upstream.join().unwrap(), CHUNKED.as_bytes());
}

/// Over TLS, and by HTTP/2, where the server says that it wants no more of the body.
#[test]
fn a_refusal_at_the_head_is_passed_on_over_tls_too() {
    for start in [
        || MockUpstream::builder().tls_h1(),
        || MockUpstream::builder().h2(),
    ] {
        let upstream = start()
            .on_head(|_| {
                Some(Reply::json(401, &serde_json::json!({})).framing(Framing::ContentLength))
            })
            .start();
        let proxy = in_front_of(&upstream).start();
        for _ in 0..40 {
            let body = vec![b'x'; 100 << 10];
            let answer = proxy.client().post(RESPONSES, &[], &body).read_answer();
            assert_eq!(answer.status, 401, "{}", answer.text());
        }
    }
}

/// Whatever timer a library has for a body that is not taken, it is not to end the request: time itself is
/// what is tested, and it is more than half a minute.
#[test]
fn an_upstream_that_reads_on_after_half_a_minute_gets_all_of_the_body() {
    const BODY: usize = 8 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}{RESPONSES}", listener.local_addr().unwrap());
    let serve = move |mut stream: TcpStream| {
        read_head(&mut stream);
        thread::sleep(Duration::from_secs(31));
        let mut body = vec![0; BODY];
        stream.read_exact(&mut body).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            .unwrap();
    };
    let upstream = thread::spawn(move || serve(listener.accept().unwrap().0));
    let proxy = Proxy::builder(PROXY).upstream_url(&url).start();
    // The caller waits too: it has more to send than there is room for on the way.
    let mut caller = upload(&proxy, BODY);
    let mut answer = String::new();
    caller.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    codex_test_support::assert_no_key(answer.as_bytes(), "the answer");
    upstream.join().unwrap();
}

/// A caller that has sent a request with so long a body, in as many pieces as it takes.
fn upload(proxy: &Proxy, body: usize) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.addr()).unwrap();
    let head = format!(
        "POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {body}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; body]).unwrap();
    stream
}

/// Begins a long answer at the head of the request, and reads the body once the peer takes no more of the
/// answer. Returns how many bytes of the body do not arrive.
fn answer_early(mut stream: UnixStream) -> usize {
    let head = read_head(&mut stream);
    let length = head.split_once("content-length: ").unwrap().1;
    let length: usize = length.split_once("\r\n").unwrap().0.parse().unwrap();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 60000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    while stream.write(&[b'z'; 65536]).is_ok() {}
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let (mut come, mut piece) = (0, [0; 65536]);
    while come < length
        && let Ok(read @ 1..) = stream.read(&mut piece)
    {
        come += read;
    }
    length - come
}

/// The task that reads the answer drives the connection, but for what is left to write.
#[test]
fn the_end_of_a_request_goes_up_although_its_caller_does_not_read() {
    // Around what a Unix socket takes at once, so that some of the last piece is left over.
    let lengths = (200_000..232_000).step_by(2_000);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("upstream");
    let upstream = UnixListener::bind(&path).unwrap();
    let url = format!("unix:{}", path.display());
    let proxy = Proxy::builder(PROXY).upstream_url(&url).start();
    let mut callers = Vec::new();
    let answers: Vec<_> = lengths
        .map(|length| {
            let mut caller = proxy.client();
            caller.post(RESPONSES, &[], vec![b'x'; length]);
            callers.push(caller);
            let (stream, _) = upstream.accept().unwrap();
            thread::spawn(move || answer_early(stream))
        })
        .collect();
    for answer in answers {
        assert_eq!(answer.join().unwrap(), 0);
    }
}
