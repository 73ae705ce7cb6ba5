//! Callers who are admitted by a token.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use codex_test_support::{MockUpstream, Reply, TEST_KEY, assert_openai_error, run_to_exit};

use crate::custody::skipped;
use crate::lifecycle::signal;
use crate::{PROXY, RESPONSES, ask, in_front_of};

pub(crate) fn sha256(text: &str) -> Option<String> {
    let command = format!("printf %s {text} | sha256sum");
    let output = Command::new("/bin/sh")
        .args(["-c", &command])
        .output()
        .ok()?;
    let hash = String::from_utf8(output.stdout).ok()?;
    Some(hash.split_whitespace().next()?.to_owned()).filter(|hash| hash.len() == 64)
}

#[test]
fn a_client_token_is_required_with_a_token_file_and_is_not_forwarded() {
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
    proxy.wait_for_stderr("no answer: upstream_closed: ");
    assert!(!proxy.stderr_so_far().contains("bob-token"));
}

/// A file in a home, beside everything else there.
#[test]
fn a_token_file_is_the_only_readable_file_of_its_directory() {
    let (Some(alice), Some(bob)) = (sha256("alice-token"), sha256("bob-token")) else {
        return skipped("sha256sum is not installed");
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tokens");
    fs::write(&file, format!("alice:{alice}\n")).unwrap();
    let beside = home.path().join("not-for-everybody");
    fs::write(&beside, "").unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
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
fn a_generated_client_token_is_written_to_a_private_server_info() {
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
fn a_malformed_token_file_is_exit_1() {
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
