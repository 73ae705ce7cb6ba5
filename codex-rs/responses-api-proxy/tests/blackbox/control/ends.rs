//! `stop`.

use std::process::Command;

use codex_test_support::{Gate, MockUpstream, Program, Proxy, Reply, Stdin, run_to_exit, skipped};

use super::{Socket, begin_with, streaming};
use crate::{PROXY, in_front_of};

#[test]
fn a_stop_lets_answers_finish_and_returns_when_the_process_has_ended() {
    let gate = Gate::new();
    let upstream = streaming(&gate);
    let socket = Socket::new();
    let mut proxy = socket.on(in_front_of(&upstream)).start();
    let mut client = begin_with(&proxy, "gpt-5.6");
    socket.wait_for("a request", |status| status["requests"]["in_flight"] == 1);
    let place = socket.place();
    let stop = Program::start(PROXY, &["stop", "--control", &place], &[], Stdin::Empty);
    let said = proxy.wait_for_stderr("shutting down");
    assert!(
        said.contains("told to end on the control socket, by user "),
        "{said}"
    );
    // It is told of until it has ended.
    assert_eq!(socket.status()["state"], "draining");
    assert!(proxy.is_running());
    gate.release();
    let mut answer = Vec::new();
    while let Some(piece) = client.read_body_some() {
        answer.extend(piece);
    }
    assert!(String::from_utf8_lossy(&answer).ends_with("data: [DONE]\n\n"));
    let output = stop.wait_exit();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(output.stdout, ended_with_one_answer(&proxy));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(!socket.path.exists());
}

/// What `stop` says, by the number that the proxy has here.
fn ended_with_one_answer(proxy: &Proxy) -> String {
    let pid = proxy.pid();
    format!("process {pid} has ended; 1 answer was in flight when it was told\n")
}

#[test]
fn a_stop_that_does_not_see_the_process_returns_when_its_connection_has_ended() {
    let namespace = ["--user", "--map-root-user", "--pid", "--fork"];
    let tried = Command::new("unshare").args(namespace).arg("true").status();
    if !tried.is_ok_and(|status| status.success()) {
        return skipped("there are no user and pid namespaces");
    }
    let gate = Gate::new();
    let upstream = streaming(&gate);
    let socket = Socket::new();
    let mut proxy = socket.on(in_front_of(&upstream)).start();
    let mut client = begin_with(&proxy, "gpt-5.6");
    socket.wait_for("a request", |status| status["requests"]["in_flight"] == 1);
    let place = socket.place();
    let stop = [&namespace[..], &[PROXY, "stop", "--control", &place]].concat();
    let stop = Program::start("unshare", &stop, &[], Stdin::Empty);
    proxy.wait_for_stderr("shutting down");
    gate.release();
    while client.read_body_some().is_some() {}
    let output = stop.wait_exit();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    // By the number that it goes by itself.
    assert_eq!(output.stdout, ended_with_one_answer(&proxy));
    assert_eq!(proxy.wait_exit().code(), Some(0));
}

#[test]
fn a_second_stop_does_not_wait_for_answers() {
    let gate = Gate::new();
    let upstream = streaming(&gate);
    let socket = Socket::new();
    let mut proxy = socket
        .on(in_front_of(&upstream))
        .args(["--drain-timeout", "1h"])
        .start();
    let _client = begin_with(&proxy, "gpt-5.6");
    socket.wait_for("a request", |status| status["requests"]["in_flight"] == 1);
    let first = socket.run("stop", &["--timeout", "0"]);
    assert_eq!(first.code, Some(1));
    assert!(
        first
            .stderr
            .contains("still runs after 0.0s, with 1 answer in flight"),
        "{}",
        first.stderr
    );
    let second = socket.run("stop", &[]);
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert_eq!(proxy.wait_exit().code(), Some(0));
}

#[test]
fn where_no_proxy_runs_the_exit_status_is_3() {
    let socket = Socket::new();
    for command in ["status", "stop", "top"] {
        let output = socket.run(command, &[]);
        assert_eq!(output.code, Some(3), "{command}: {}", output.stderr);
        assert!(
            output.stderr.contains("--control unix:"),
            "{}",
            output.stderr
        );
    }
    // Of one that was killed there is a socket left.
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut proxy = socket.on(in_front_of(&upstream)).server_info().start();
    let info = proxy.info_file();
    let info = info.to_str().unwrap();
    proxy.signal(crate::lifecycle::signal("KILL"));
    proxy.wait_exit();
    for args in [
        ["status", "--control", &socket.place()],
        ["stop", "--server-info", info],
    ] {
        let output = run_to_exit(PROXY, &args, &[], b"");
        assert_eq!(output.code, Some(3), "{}", output.stderr);
    }
    // And the next one takes its place.
    let _proxy = socket.on(in_front_of(&upstream)).start();
    assert_eq!(socket.status()["state"], "serving");
}

#[test]
fn a_proxy_is_found_by_its_server_info() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let socket = Socket::new();
    let proxy = socket.on(in_front_of(&upstream)).server_info().start();
    let info = proxy.info_file();
    let info = info.to_str().unwrap();
    let by_flag = run_to_exit(PROXY, &["status", "--server-info", info], &[], b"");
    assert_eq!(by_flag.code, Some(0), "{}", by_flag.stderr);
    let variable = [("CODEX_PROXY_SERVER_INFO", info)];
    let by_variable = run_to_exit(PROXY, &["status", "--json"], &variable, b"");
    assert_eq!(by_variable.code, Some(0), "{}", by_variable.stderr);
    assert!(
        by_variable
            .stdout
            .contains(&format!("\"pid\": {}", proxy.pid()))
    );

    let without = in_front_of(&upstream).server_info().start();
    let info = without.info_file();
    let args = ["status", "--server-info", info.to_str().unwrap()];
    let output = run_to_exit(PROXY, &args, &[], b"");
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .stderr
            .contains("has no control socket; start it with --control unix:/PATH"),
        "{}",
        output.stderr
    );
    // Of one that has ended and could not remove it, the file stays, with nothing in it.
    let left = tempfile::NamedTempFile::new().unwrap();
    let left = ["status", "--server-info", left.path().to_str().unwrap()];
    let output = run_to_exit(PROXY, &left, &[], b"");
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    assert!(output.stderr.contains("or has ended"), "{}", output.stderr);
    let missing = ["status", "--server-info", "/nowhere/info.json"];
    assert_eq!(run_to_exit(PROXY, &missing, &[], b"").code, Some(3));
}
