//! Which users are admitted, by what the kernel says of their connections.

use std::process::Command;

use codex_test_support::{MockUpstream, Proxy, Reply, TEST_KEY, assert_openai_error, run_to_exit};

use crate::custody::{is_root, skipped};
use crate::{PROXY, RESPONSES, ask, in_front_of};

/// The user of the tests that has no name on most systems.
const OTHER: &str = "65534";

/// What curl, run by another user, makes of a request with this body: the status; `None` if there is no other user.
pub(crate) fn curl_as_other(proxy: &Proxy, body: &str) -> Option<String> {
    let url = format!("http://127.0.0.1:{}{RESPONSES}", proxy.port());
    let output = Command::new("setpriv")
        .args(["--reuid", OTHER, "--regid", OTHER, "--clear-groups"])
        .args([
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--noproxy",
            "*",
            "-H",
            "content-type: application/json",
            "-d",
            body,
            &url,
        ])
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => {
            skipped(&format!(
                "curl as another user: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
            None
        }
        Err(error) => {
            skipped(&format!("setpriv: {error}"));
            None
        }
    }
}

#[test]
fn only_allowed_users_are_admitted() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let for_other = in_front_of(&upstream)
        .args(["--allow-user", OTHER])
        .http_shutdown()
        .start();
    for (method, target) in [("POST", RESPONSES), ("GET", "/shutdown"), ("GET", "/")] {
        let answer = for_other
            .client()
            .request(method, target, &[], "")
            .read_answer();
        assert_openai_error(&answer, 403, "caller_not_allowed");
    }
    assert!(upstream.requests().is_empty());
    let Some(status) = curl_as_other(&for_other, "{}") else {
        return;
    };
    assert_eq!(status, "200");
    let for_us = in_front_of(&upstream)
        .args(["--allow-user", "root", "--sandbox", "require"])
        .start();
    assert_eq!(ask(&for_us).status, 200);
    assert_eq!(curl_as_other(&for_us, "{}").as_deref(), Some("403"));
    let for_group = in_front_of(&upstream)
        .args(["--allow-group", "root"])
        .start();
    assert_eq!(ask(&for_group).status, 200);
    assert_eq!(curl_as_other(&for_group, "{}").as_deref(), Some("403"));
}

#[test]
fn the_start_says_who_may_call() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    in_front_of(&upstream)
        .start()
        .wait_for_stderr("callers: every user of this host (limit with --allow-user)");
    in_front_of(&upstream)
        .args(["--allow-user", "4711"])
        .start()
        .wait_for_stderr("callers: users 4711");
    let socket = ["--listen", "unix:/tmp/codex-test-no-such-group"];
    for (flag, name, says) in [
        (
            "--allow-user",
            "nobody-here",
            "there is no user nobody-here",
        ),
        ("--allow-group", "none-here", "there is no group none-here"),
        ("--socket-group", "none-here", "there is no group none-here"),
    ] {
        let more = if flag == "--socket-group" {
            &socket[..]
        } else {
            &[]
        };
        let args = [&[flag, name], more].concat();
        let output = run_to_exit(PROXY, &args, &[], TEST_KEY.as_bytes());
        assert_eq!(output.code, Some(1));
        let says = format!("Error: {flag}: {says}");
        assert!(output.stderr.starts_with(&says), "{}", output.stderr);
    }
}

/// The kernel's socket table shows user 0 for a socket that its owner has closed. Here root is
/// allowed, and another user closes the connections.
#[test]
fn ten_thousand_connections_closed_at_once_are_never_taken_for_root() {
    if !is_root() {
        return skipped("only root can be two users");
    }
    if Command::new("perl").arg("-v").output().is_err() {
        return skipped("perl is not installed");
    }
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream)
        .args(["--allow-user", "root"])
        .start();
    let script = format!(
        r#"use Socket; my $at = pack_sockaddr_in({}, inet_aton("127.0.0.1"));
           for (1..10000) {{
               socket(my $s, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
               connect($s, $at) or die "connect: $!";
               syswrite($s, "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}");
               close($s);
           }}"#,
        proxy.port()
    );
    let raced = Command::new("setpriv")
        .args([
            "--reuid",
            OTHER,
            "--regid",
            OTHER,
            "--clear-groups",
            "perl",
            "-e",
            &script,
        ])
        .output();
    match raced {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => return skipped(&format!("setpriv: {error}")),
    }
    assert_eq!(ask(&proxy).status, 200);
    assert_eq!(upstream.requests().len(), 1);
}
