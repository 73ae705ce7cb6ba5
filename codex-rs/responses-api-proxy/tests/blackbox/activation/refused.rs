//! Sockets that are refused, before the key is read, and those that are somebody else's.

use codex_test_support::{RefusedPort, Stdin};

use super::*;

#[test]
fn what_is_not_for_callers_of_this_host_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let unix = |name: &str| format!("{name}=unix:{}", dir.path().join(name).display());
    let (other, metrics, control) = (unix("other"), unix("metrics"), unix("control"));
    let tcp = "proxy=tcp:127.0.0.1:0";
    let free = RefusedPort::new().addr().port().to_string();
    let elsewhere = format!("unix:{}", dir.path().join("elsewhere").display());
    let cases: [(&[&str], &[&str], &str); 12] = [
        (&["a=tcp:0.0.0.0:0"], &[], "bound to 0.0.0.0:"),
        (
            &[tcp, "b=tcp:0.0.0.0:0"],
            &[],
            "the socket b (descriptor 4 of LISTEN_FDS)",
        ),
        (
            &["a=udp:127.0.0.1:0"],
            &[],
            "is not a stream socket that listens",
        ),
        (&[tcp], &["--port", &free], "--port names another one"),
        (
            &[&other],
            &["--listen", &elsewhere],
            "--listen names another one",
        ),
        (
            &[tcp, &metrics],
            &["--metrics", "127.0.0.1:0"],
            "leave --metrics out",
        ),
        (
            &[tcp, "metrics=tcp:127.0.0.1:0", "metrics=tcp:127.0.0.1:0"],
            &[],
            "more than one socket metrics",
        ),
        (
            &[tcp, "control=tcp:127.0.0.1:0"],
            &[],
            "is TCP, and its permissions",
        ),
        (
            &[tcp, &control],
            &["--control", &elsewhere],
            "leave --control out",
        ),
        (
            &[tcp],
            &["--key-fd", "3"],
            "LISTEN_FDS and --key-fd both name descriptor 3",
        ),
        (
            &[tcp],
            &["--ready-fd", "3"],
            "LISTEN_FDS and --ready-fd both name descriptor 3",
        ),
        (
            &["a=tcp:127.0.0.2:0"],
            &["--server-info", "info"],
            "--server-info can name a port of 127.0.0.1",
        ),
    ];
    for (sockets, args, says) in cases {
        for name in ["other", "metrics", "control"] {
            let _ = fs::remove_file(dir.path().join(name));
        }
        let builder = Proxy::builder(crate::PROXY)
            .args(["--upstream-url", "http://127.0.0.1:1/v1/responses"])
            .args(args)
            .stdin(Stdin::Empty);
        let Some(mut proxy) = activated(builder, sockets) else {
            return;
        };
        wake(&proxy, sockets[0], dir.path());
        assert_eq!(proxy.wait_exit().code(), Some(1), "{sockets:?} {args:?}");
        let said = proxy.stderr_so_far();
        assert!(
            said.contains(says) && !said.contains("waiting for"),
            "{says}: {said}"
        );
    }
}

/// Has the manager start the proxy.
fn wake(proxy: &Proxy, socket: &str, dir: &Path) {
    if let Some((_, name)) = socket.split_once("=unix:") {
        drop(UnixStream::connect(dir.join(name)).unwrap());
        return;
    }
    let host = socket.split(':').nth(1).unwrap().parse().unwrap();
    let to = SocketAddr::new(host, ports(proxy)[0]);
    if socket.contains("=udp:") {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.send_to(b"x", to).unwrap();
    } else {
        drop(std::net::TcpStream::connect(to).unwrap());
    }
}

#[test]
fn sockets_of_another_process_are_left_alone() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .start();
    assert_eq!(crate::ask(&proxy).status, 200);
    proxy.wait_for_stderr("hint: LISTEN_FDS is for process 1 (LISTEN_PID)");
}
