//! A gateway on this host that is reached without TLS: the key goes to it, and to no other user who listens at its address.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use codex_test_support::{TEST_KEY, assert_openai_error, run_to_exit};

use crate::custody::{is_root, skipped};
use crate::{PROXY, RESPONSES, ask};

/// A process of another user that listens on `address`, and says what it got.
struct OtherUserListener(Child);

impl OtherUserListener {
    fn listen(address: &str) -> Option<(Self, u16)> {
        let script = r#"
            use Socket qw(:all);
            $| = 1;
            my $is_v6 = $ARGV[0] =~ /:/;
            my $family = $is_v6 ? AF_INET6 : AF_INET;
            my $ip = inet_pton($family, $ARGV[0]);
            socket(my $s, $family, SOCK_STREAM, 0) or die $!;
            my $at = $is_v6 ? pack_sockaddr_in6(0, $ip) : pack_sockaddr_in(0, $ip);
            bind($s, $at) or die $!;
            listen($s, 64) or die $!;
            my $name = getsockname($s);
            my ($port) = $is_v6 ? unpack_sockaddr_in6($name) : unpack_sockaddr_in($name);
            print "$port\n";
            while (accept(my $c, $s)) {
                recv($c, my $text, 65536, 0);
                print $text;
                close($c);
            }
        "#;
        let mut child = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["perl", "-e", script, address])
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut port = [0; 6];
        let length = child.stdout.as_mut()?.read(&mut port).ok()?;
        let port = String::from_utf8_lossy(&port[..length])
            .trim()
            .parse()
            .ok()?;
        Some((Self(child), port))
    }

    /// All it got.
    fn received(mut self) -> String {
        self.0.kill().unwrap();
        let mut text = String::new();
        let mut out = self.0.stdout.take().unwrap();
        out.read_to_string(&mut text).unwrap();
        self.0.wait().unwrap();
        text
    }
}

#[test]
fn a_listener_of_another_user_at_the_gateway_s_address_gets_nothing() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    for (address, host) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("::1", "[::1]"),
    ] {
        let Some((listener, port)) = OtherUserListener::listen(address) else {
            return skipped("perl or setpriv is not installed");
        };
        let proxy = codex_test_support::Proxy::builder(PROXY)
            .upstream_url(&format!("http://{host}:{port}/v1/responses"))
            .start();
        for _ in 0..3 {
            assert_openai_error(&ask(&proxy), 502, "upstream_listener");
        }
        assert_eq!(listener.received(), "");
        let text = proxy.wait_for_stderr("belongs to user 65534");
        assert!(text.contains("--upstream-user"), "{text}");
    }
}

#[test]
fn a_listener_of_another_user_on_the_other_loopback_address_is_not_asked() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    // The gateway's accept queue is full, so that connections to its address hang.
    let Some((listener, port)) = OtherUserListener::listen("::1") else {
        return skipped("perl or setpriv is not installed");
    };
    let Ok(gateway) = TcpListener::bind(("127.0.0.1", port)) else {
        return skipped("the same port is taken");
    };
    let full = Arc::new(AtomicBool::new(true));
    let queued: Vec<_> = (0..300)
        .map(|_| {
            let address = gateway.local_addr().unwrap();
            TcpStream::connect_timeout(&address, Duration::from_millis(20))
        })
        .collect();
    let proxy = codex_test_support::Proxy::builder(PROXY)
        .upstream_url(&format!("http://localhost:{port}/v1/responses"))
        .start();
    let mut caller = proxy.client();
    caller.post(RESPONSES, &[], "{}");
    thread::scope(|threads| {
        threads.spawn(|| {
            // The first that is not one of the queue is the proxy's.
            for stream in gateway.incoming().flatten() {
                let mut stream = stream;
                let mut head = [0; 8];
                stream
                    .set_read_timeout(Some(Duration::from_millis(50)))
                    .unwrap();
                if stream.read(&mut head).is_ok_and(|length| length > 0) {
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                        .unwrap();
                    full.store(false, Ordering::Relaxed);
                    return;
                }
            }
        });
        drop(queued);
        assert_eq!(caller.read_head().status, 200);
    });
    assert!(!full.load(Ordering::Relaxed));
    assert_eq!(listener.received(), "");
}

#[test]
fn a_listener_of_a_named_user_gets_the_request() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let Some((listener, port)) = OtherUserListener::listen("127.0.0.1") else {
        return skipped("perl or setpriv is not installed");
    };
    let proxy = codex_test_support::Proxy::builder(PROXY)
        .upstream_url(&format!("http://127.0.0.1:{port}/v1/responses"))
        .args(["--upstream-user", "65534"])
        .start();
    // It hangs up without an answer.
    assert_openai_error(&ask(&proxy), 502, "upstream_closed");
    assert!(listener.received().contains("POST /v1/responses"));
    let unknown = ["--upstream-user", "no-such-user-here"];
    let output = run_to_exit(PROXY, &unknown, &[], TEST_KEY.as_bytes());
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.contains("--upstream-user"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_unix_socket_can_be_the_upstream() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        while !text.ends_with(b"{}") {
            let length = stream.read(&mut piece).unwrap();
            text.extend_from_slice(&piece[..length]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            .unwrap();
        String::from_utf8(text).unwrap()
    });
    let proxy = codex_test_support::Proxy::builder(PROXY)
        .upstream_url(&format!("unix:{}:/openai/responses", path.display()))
        .args(["--sandbox", "require"])
        .start();
    assert_eq!(ask(&proxy).status, 200);
    let request = server.join().unwrap();
    assert!(
        request.starts_with("POST /openai/responses HTTP/1.1\r\n"),
        "the request line"
    );
    assert!(request.contains(&format!("authorization: Bearer {TEST_KEY}")));
}
