//! `wait`.

use codex_test_support::{MockUpstream, Program, Reply, Stdin, run_to_exit};

use super::Socket;
use crate::{PROXY, in_front_of};

#[test]
fn a_wait_ends_when_the_proxy_is_ready_and_at_once_if_it_is() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let socket = Socket::new();
    // Neither the socket nor its directory is there yet.
    let later = socket.path.with_file_name("later");
    let path = later.join("control.sock");
    let place = format!("unix:{}", path.display());
    let args = ["wait", "--control", &place, "--timeout", "60"];
    let waiting = Program::start(PROXY, &args, &[], Stdin::Empty);
    std::fs::create_dir(&later).unwrap();
    let proxy = in_front_of(&upstream).args(["--control", &place]).start();
    let output = waiting.wait_exit();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(crate::ask(&proxy).status, 200);
    assert_eq!(run_to_exit(PROXY, &args, &[], b"").code, Some(0));
}

#[test]
fn a_socket_that_was_left_behind_is_not_ready_until_another_proxy_has_it() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let socket = Socket::new();
    drop(std::os::unix::net::UnixListener::bind(&socket.path).unwrap());
    let place = socket.place();
    let args = ["wait", "--control", &place, "--timeout", "60"];
    let waiting = Program::start(PROXY, &args, &[], Stdin::Empty);
    let _proxy = socket.on(in_front_of(&upstream)).start();
    assert_eq!(waiting.wait_exit().code, Some(0));
}

#[test]
fn without_a_control_socket_the_port_of_the_server_info_is_enough() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let info = dir.path().join("info.json");
    let info = info.to_str().unwrap();
    let args = ["wait", "--server-info", info, "--timeout", "60"];
    let waiting = Program::start(PROXY, &args, &[], Stdin::Empty);
    let proxy = in_front_of(&upstream).args(["--server-info", info]).start();
    assert_eq!(waiting.wait_exit().code, Some(0));
    drop(proxy);
    // The file is still there, and names a process that is not.
    let late = run_to_exit(
        PROXY,
        &["wait", "--server-info", info, "--timeout", "100ms"],
        &[],
        b"",
    );
    assert_eq!(late.code, Some(1));
    assert!(
        late.stderr.contains("no proxy was ready within 0.1s"),
        "{}",
        late.stderr
    );
}

#[test]
fn a_wait_that_is_over_says_what_was_missing() {
    let socket = Socket::new();
    let output = socket.run("wait", &["--timeout", "50ms"]);
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.contains("there is no such socket"),
        "{}",
        output.stderr
    );
    let usage = run_to_exit(PROXY, &["wait", "--timeout", "soon"], &[], b"");
    assert_eq!(usage.code, Some(2));
}
