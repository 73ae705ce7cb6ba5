//! Listening on a Unix socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use codex_test_support::{Gate, MockUpstream, Reply, TEST_KEY, run_to_exit};

use crate::lifecycle::signal;
use crate::{PROXY, RESPONSES, ask, in_front_of};

#[test]
fn a_unix_socket_serves_with_a_port_or_instead_of_one() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let mut beside = in_front_of(&upstream)
        .args([
            "--listen",
            &listen,
            "--port",
            "0",
            "--socket-mode",
            "660",
            "--sandbox",
            crate::custody::strictest_sandbox(),
        ])
        .server_info()
        .start();
    beside.wait_for_stderr(&format!("listening on {listen}"));
    let info: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(beside.info_file()).unwrap()).unwrap();
    assert_eq!(info["port"], beside.port());
    assert_eq!(info["socket"], path.to_str().unwrap());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    let request =
        format!("POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}");
    let mut stream = UnixStream::connect(&path).unwrap();
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    upstream.wait_for_complete(0);
    gate.release();
    let mut answer = String::new();
    while !answer.contains("data: 2") {
        let mut piece = [0; 1024];
        let read = std::io::Read::read(&mut stream, &mut piece).unwrap();
        assert!(read > 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    codex_test_support::assert_no_key(answer.as_bytes(), "the answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(ask(&beside).status, 200);
    beside.signal(signal("TERM"));
    assert_eq!(beside.wait_exit().code(), Some(0));
    assert!(!path.exists());

    let mut instead = in_front_of(&upstream)
        .args(["--listen", &listen])
        .server_info()
        .spawn();
    instead.wait_for_stderr(&format!("responses-api-proxy listening on {listen}"));
    let info: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(instead.info_file()).unwrap()).unwrap();
    assert_eq!(
        (info.get("port"), info["socket"].as_str()),
        (None, path.to_str())
    );
    instead.signal(signal("TERM"));
    assert_eq!(instead.wait_exit().code(), Some(0));
}

#[test]
fn the_caller_of_a_unix_socket_is_identified_too() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let proxy = in_front_of(&upstream)
        .args([
            "--listen",
            &format!("unix:{}", path.display()),
            "--port",
            "0",
            "--allow-user",
            "4711",
        ])
        .start();
    proxy.wait_for_stderr("listening on unix:");
    let mut stream = UnixStream::connect(&path).unwrap();
    std::io::Write::write_all(
        &mut stream,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    .unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.contains("caller_not_allowed"), "{answer}");
}

#[test]
fn a_file_at_the_path_of_a_socket_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "precious").unwrap();
    let output = run_to_exit(
        PROXY,
        &["--listen", &format!("unix:{}", path.display())],
        &[],
        TEST_KEY.as_bytes(),
    );
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.starts_with("Error: failed to bind unix:"),
        "{}",
        output.stderr
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    for listen in ["unix:relative", "tcp:1", "/path"] {
        assert_eq!(
            run_to_exit(PROXY, &["--listen", listen], &[], b"").code,
            Some(2)
        );
    }
}
