//! Who gets in, by the kernel's word or by a token.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

use codex_test_support::{
    Gate, MockUpstream, Proxy, Reply, TEST_KEY, assert_openai_error, run_to_exit,
};

use crate::custody::{is_root, skipped};
use crate::lifecycle::signal;
use crate::{PROXY, RESPONSES, ask, in_front_of};

/// The user of the tests that has no name on most systems.
const OTHER: &str = "65534";

/// What curl, run by another user, makes of a request: the status, or why not.
pub(crate) fn curl_as_other(proxy: &Proxy) -> Option<String> {
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
            "-d",
            "{}",
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
fn only_named_users_get_in() {
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
    let Some(status) = curl_as_other(&for_other) else {
        return;
    };
    assert_eq!(status, "200");
    let for_us = in_front_of(&upstream)
        .args(["--allow-user", "root", "--sandbox", "require"])
        .start();
    assert_eq!(ask(&for_us).status, 200);
    assert_eq!(curl_as_other(&for_us).as_deref(), Some("403"));
    let for_group = in_front_of(&upstream)
        .args(["--allow-group", "root"])
        .start();
    assert_eq!(ask(&for_group).status, 200);
    assert_eq!(curl_as_other(&for_group).as_deref(), Some("403"));
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

/// A socket that its owner has closed belongs to user 0 as far as the kernel's table
/// tells: root is let in here, and the one that closes is somebody else.
#[test]
fn ten_thousand_that_close_at_once_never_pass_for_root() {
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

#[test]
fn a_unix_socket_serves_beside_a_port_or_instead() {
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
fn a_unix_socket_s_caller_is_known_too() {
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
fn what_stands_where_a_socket_should_be_is_kept() {
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

fn sha256(text: &str) -> Option<String> {
    let command = format!("printf %s {text} | sha256sum");
    let output = Command::new("/bin/sh")
        .args(["-c", &command])
        .output()
        .ok()?;
    let hash = String::from_utf8(output.stdout).ok()?;
    Some(hash.split_whitespace().next()?.to_owned()).filter(|hash| hash.len() == 64)
}

#[test]
fn a_client_token_is_needed_where_there_is_a_file_of_them_and_goes_no_further() {
    let (Some(alice), Some(bob)) = (sha256("alice-token"), sha256("bob-token")) else {
        return skipped("sha256sum is not installed");
    };
    let upstream = MockUpstream::h1(vec![
        Reply::responses("hi"),
        Reply::responses("hi"),
        Reply::close_before_head(),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    fs::write(&file, format!("# callers\nalice:{alice}\n")).unwrap();
    let proxy = in_front_of(&upstream)
        .arg("--client-token-file")
        .arg(&file)
        .args(["--sandbox", crate::custody::strictest_sandbox()])
        .http_shutdown()
        .start();
    proxy.wait_for_stderr("with a client token");
    let ask = |token: &str| {
        proxy
            .client()
            .post(RESPONSES, &[("authorization", token)], "{}")
            .read_answer()
    };
    for wrong in [
        "Bearer bob-token",
        "Bearer ",
        "Basic alice-token",
        "alice-token",
    ] {
        let answer = ask(wrong);
        assert_openai_error(&answer, 401, "client_token_required");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let none = crate::ask(&proxy);
    assert_openai_error(&none, 401, "client_token_required");
    assert_openai_error(
        &proxy.client().get("/shutdown").read_answer(),
        401,
        "client_token_required",
    );
    assert!(upstream.requests().is_empty());
    assert_eq!(ask("Bearer alice-token").status, 200);
    let sent = upstream.wait_for_complete(0);
    assert_eq!(
        sent.header("authorization"),
        Some(format!("Bearer {TEST_KEY}").as_str())
    );

    // A new file in the place of the old one, as an editor leaves it.
    let fresh = dir.path().join("fresh");
    fs::write(&fresh, format!("bob:{bob}\n")).unwrap();
    fs::rename(&fresh, &file).unwrap();
    proxy.signal(signal("HUP"));
    proxy.wait_for_stderr("client tokens read again: 1");
    assert_eq!(ask("Bearer alice-token").status, 401);
    assert_eq!(ask("Bearer bob-token").status, 200);
    fs::write(&file, "broken").unwrap();
    proxy.signal(signal("HUP"));
    proxy.wait_for_stderr("client tokens left as they were");
    assert_eq!(ask("Bearer bob-token").status, 502);
    proxy.wait_for_stderr("no answer for bob: upstream_closed");
    assert!(!proxy.stderr_so_far().contains("bob-token"));
}

/// A file in a home, beside everything else there.
#[test]
fn a_token_file_among_others_is_readable_alone_and_the_start_says_so() {
    let (Some(alice), Some(bob)) = (sha256("alice-token"), sha256("bob-token")) else {
        return skipped("sha256sum is not installed");
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tokens");
    fs::write(&file, format!("alice:{alice}\n")).unwrap();
    fs::write(home.path().join(".profile"), "").unwrap();
    let proxy = in_front_of(&upstream)
        .arg("--client-token-file")
        .arg(&file)
        .args(["--sandbox", crate::custody::strictest_sandbox()])
        .start();
    let hint = format!(
        "hint: SIGHUP reads --client-token-file {} again",
        file.display()
    );
    proxy.wait_for_stderr(&hint);
    let ask = |token: &str| {
        proxy
            .client()
            .post(RESPONSES, &[("authorization", token)], "{}")
            .read_answer()
    };
    assert_eq!(ask("Bearer alice-token").status, 200);
    // In place.
    fs::write(&file, format!("bob:{bob}\n")).unwrap();
    proxy.signal(signal("HUP"));
    proxy.wait_for_stderr("client tokens read again: 1");
    assert_eq!(ask("Bearer bob-token").status, 200);
    // Any other file of the directory is out of reach, this one too.
    let fresh = home.path().join("fresh");
    fs::write(&fresh, format!("alice:{alice}\n")).unwrap();
    fs::rename(&fresh, &file).unwrap();
    proxy.signal(signal("HUP"));
    proxy.wait_for_stderr("client tokens left as they were");
    assert_eq!(ask("Bearer bob-token").status, 200);
}

#[test]
fn a_token_of_its_own_stands_in_a_private_server_info() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .arg("--require-client-token")
        .server_info()
        .start();
    let mode = fs::metadata(proxy.info_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let info: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(proxy.info_file()).unwrap()).unwrap();
    let token = info["client_token"].as_str().unwrap();
    assert_eq!(token.len(), 64);
    let bearer = format!("Bearer {token}");
    let answer = proxy
        .client()
        .post(RESPONSES, &[("authorization", &bearer)], "{}")
        .read_answer();
    assert_eq!(answer.status, 200);
    assert_openai_error(&ask(&proxy), 401, "client_token_required");
    assert!(!proxy.stderr_so_far().contains(token));
    let output = run_to_exit(PROXY, &["--require-client-token"], &[], b"");
    assert_eq!(output.code, Some(2));
}

#[test]
fn a_token_file_that_is_none_is_exit_1() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    fs::write(&file, "alice:short\n").unwrap();
    let path = file.to_str().unwrap();
    let output = run_to_exit(
        PROXY,
        &["--client-token-file", path],
        &[],
        TEST_KEY.as_bytes(),
    );
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.contains("line 1 is not NAME:SHA256"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_token_file_that_others_can_write_is_exit_1() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    fs::write(&file, format!("alice:{}\n", "0".repeat(64))).unwrap();
    let refused = |says: &str| {
        let args = ["--client-token-file", file.to_str().unwrap()];
        let output = run_to_exit(PROXY, &args, &[], TEST_KEY.as_bytes());
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(says), "{}", output.stderr);
    };
    for mode in [0o666, 0o664, 0o602] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        refused("chmod go-w");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    if std::os::unix::fs::chown(&file, Some(65534), None).is_err() {
        return skipped("only root can give a file away");
    }
    refused("belongs to user 65534");
}
