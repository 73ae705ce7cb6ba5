//! Who may ask.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use codex_test_support::{MockUpstream, Reply};

use super::Socket;
use crate::custody::{copy_of, is_root, open_to_all, skipped};
use crate::in_front_of;

/// The user of the tests that has no name on most systems.
const OTHER: &str = "65534";

/// What another user gets for a status: the exit status and standard error.
fn status_of_other(binary: &std::path::Path, socket: &Socket) -> (Option<i32>, String) {
    let output = Command::new("setpriv")
        .args(["--reuid", OTHER, "--regid", OTHER, "--clear-groups"])
        .arg(binary)
        .args(["status", "--control", &socket.place()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_socket_is_its_owner_s_alone_and_goes_at_the_end() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let socket = Socket::new();
    let mut proxy = socket.on(in_front_of(&upstream)).start();
    let mode = std::fs::metadata(&socket.path)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    proxy.signal(crate::lifecycle::signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(!socket.path.exists());
}

#[test]
fn another_user_is_refused_and_told_who_may() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let programs = tempfile::tempdir().unwrap();
    open_to_all(programs.path());
    let Some(binary) = copy_of("codex-responses-api-proxy", programs.path()) else {
        return skipped("the binary cannot be copied");
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for (mode, says) in [
        ("600", "permission denied; ask as root"),
        ("666", "user 65534 may not ask this proxy; root may"),
    ] {
        let socket = Socket::new();
        open_to_all(socket.path.parent().unwrap());
        let mut proxy = socket
            .on(in_front_of(&upstream))
            .args(["--control-mode", mode])
            .start();
        let (code, said) = status_of_other(&binary, &socket);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(says), "{said}");
        // Nor is it ended by whoever may not ask.
        let stopped = Command::new("setpriv")
            .args(["--reuid", OTHER, "--regid", OTHER, "--clear-groups"])
            .arg(&binary)
            .args(["stop", "--control", &socket.place()])
            .status()
            .unwrap();
        assert_eq!(stopped.code(), Some(1));
        assert!(proxy.is_running());
        assert_eq!(socket.status()["state"], "serving");
    }
}

#[test]
fn whoever_became_root_by_sudo_to_start_it_may_ask() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let programs = tempfile::tempdir().unwrap();
    open_to_all(programs.path());
    let Some(binary) = copy_of("codex-responses-api-proxy", programs.path()) else {
        return skipped("the binary cannot be copied");
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let socket = Socket::new();
    open_to_all(socket.path.parent().unwrap());
    let _proxy = socket
        .on(in_front_of(&upstream))
        .env("SUDO_UID", OTHER)
        .start();
    let owner = std::fs::metadata(&socket.path).unwrap().uid();
    assert_eq!(owner.to_string(), OTHER);
    let (code, said) = status_of_other(&binary, &socket);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    // So may root.
    socket.status();
}

#[test]
fn the_user_that_it_runs_as_may_ask_too() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let programs = tempfile::tempdir().unwrap();
    open_to_all(programs.path());
    let Some(binary) = copy_of("codex-responses-api-proxy", programs.path()) else {
        return skipped("the binary cannot be copied");
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let socket = Socket::new();
    open_to_all(socket.path.parent().unwrap());
    let mut proxy = socket
        .on(in_front_of(&upstream))
        .args(["--control-mode", "666", "--user", "nobody"])
        .args(["--upstream-user", "root"])
        .start();
    let (code, said) = status_of_other(&binary, &socket);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(socket.run("stop", &[]).code, Some(0));
    proxy.wait_exit();
}
