//! Every source of a key, at the start and later, inside the sandbox and with another user.

use codex_test_support::TEST_KEY;

use super::reloads::write;
use super::*;
use crate::custody::{copy_of, is_root, open_to_all, strictest_sandbox};

/// A proxy that has the first key in this way.
fn with(upstream: &MockUpstream, args: &[&str]) -> ProxyBuilder {
    in_front_of(upstream).args(args).stdin(Stdin::Empty)
}

/// What a proxy says that does not start.
fn refused(args: &[&str]) -> String {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut proxy = with(&upstream, args).spawn();
    let status = proxy.wait_exit();
    let said = proxy.stderr_so_far();
    assert_eq!(status.code(), Some(1), "{said}");
    said
}

fn numbers(upstream: &MockUpstream) -> Vec<usize> {
    upstream.requests().iter().map(number_of).collect()
}

#[test]
fn a_command_is_run_at_the_start_on_hangup_and_when_the_key_has_served_its_time() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    write(&file, &key(1));
    let command = format!("cat {}", file.display());
    let proxy = with(&upstream, &["--key-command", &command, "--key-ttl", "1s"])
        .args(["--sandbox", strictest_sandbox()])
        .start();
    proxy.wait_for_stderr("\ncredential: --key-command, read again on SIGHUP and every 1s\n");
    assert_eq!(ask(&proxy).status, 200);
    write(&file, &key(2));
    proxy.wait_for_stderr("--key-command: the key was replaced, by number 2\n");
    assert_eq!(ask(&proxy).status, 200);
    // It fails, and is run again after its time.
    std::fs::remove_file(&file).unwrap();
    let said = proxy.wait_for_stderr("the old key stays in use");
    assert!(
        said.contains("the command failed (exit status: 1): cat: "),
        "{said}"
    );
    assert_eq!(ask(&proxy).status, 200);
    write(&file, &key(3));
    proxy.wait_for_stderr("by number 3\n");
    assert_eq!(ask(&proxy).status, 200);
    assert_eq!(numbers(&upstream), [1, 2, 2, 3]);
    assert_no_copy(&proxy);
}

/// A command is an argument: every user can read it.
#[test]
fn a_key_in_the_command_itself_is_warned_about() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    for (command, is_warned_about) in [
        (format!("echo {}", key(1)), true),
        (format!("printf '%s%04d' {STEM}- 1"), false),
    ] {
        let proxy = with(&upstream, &["--key-command", &command]).start();
        let banner = proxy.wait_for_stderr("process: ");
        let warns = banner.contains("warning: the proxy has the key in its arguments");
        assert_eq!(warns, is_warned_about, "{banner}");
    }
}

/// Who can write the directory could put another file of root's in the place of the key.
#[test]
fn a_key_file_in_a_directory_that_others_can_write_is_refused_also_later() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let file = inner.join("key");
    write(&file, &key(1));
    let set_mode = |mode| {
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let args = ["--key-file", file.to_str().unwrap()];
    set_mode(0o777);
    let said = refused(&args);
    assert!(
        said.contains("every user of this host can put another file"),
        "{said}"
    );
    set_mode(0o755);
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let proxy = with(&upstream, &args).start();
    write(&file, &key(2));
    set_mode(0o777);
    proxy.signal(crate::lifecycle::signal("HUP"));
    proxy.wait_for_stderr("the old key stays in use");
    assert_eq!(ask(&proxy).status, 200);
    set_mode(0o755);
    proxy.signal(crate::lifecycle::signal("HUP"));
    proxy.wait_for_stderr("by number 2\n");
    assert_eq!(ask(&proxy).status, 200);
    assert_eq!(numbers(&upstream), [1, 2]);
}

/// What a command leaves running holds nobody up.
#[test]
fn a_command_that_leaves_something_running_is_over_when_it_ends() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let command = format!("sleep 1000 & echo {}", key(1));
    let proxy = with(&upstream, &["--key-command", &command]).start();
    assert_eq!(ask(&proxy).status, 200);
    assert_eq!(numbers(&upstream), [1]);
}

/// It ends with the proxy, and not before: a signal to the proxy's group, or to all that has its name, is not for it.
#[test]
fn the_process_that_reads_keys_outlives_a_hangup() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    write(&file, &key(1));
    let proxy = with(&upstream, &["--key-file", file.to_str().unwrap()]).start();
    for reader in readers_of(proxy.pid()) {
        let kill = format!("kill -HUP {reader}; kill -INT {reader}");
        let done = std::process::Command::new("/bin/sh")
            .args(["-c", &kill])
            .status();
        assert!(done.unwrap().success());
    }
    write(&file, &key(2));
    proxy.signal(libc::SIGHUP);
    proxy.wait_for_stderr("by number 2\n");
}

/// Every character of a bearer token, and as many as there may be.
#[test]
fn a_token_of_eight_kibibytes_goes_up_as_it_is() {
    let all = "eyJ0.-_~+/Zz09".repeat(600);
    let longest = format!("{}=", &all[..8191]);
    for token in [longest, "~".repeat(8192)] {
        for upstream in [
            MockUpstream::tls_h1(Reply::responses("hi")),
            MockUpstream::h2(Reply::responses("hi")),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("token");
            write(&file, &token);
            let proxy = with(&upstream, &["--key-file", file.to_str().unwrap()]).start();
            assert_eq!(ask(&proxy).status, 200);
            let sent = upstream.requests();
            let expected = format!("Bearer {token}");
            assert_eq!(sent[0].header("authorization"), Some(expected.as_str()));
        }
    }
}

#[test]
fn what_is_wrong_with_a_command_is_said_and_never_the_key() {
    for (command, says) in [
        ("false", "the command failed (exit status: 1)"),
        ("true", "there is no key in it"),
        ("kill -9 $$", "the command failed (signal: 9 (SIGKILL))"),
        ("printf 'one\\ntwo\\n'", "there is more than one line in it"),
        (
            "printf one; sleep 0.1; printf '\\ntwo'",
            "there is more than one line in it",
        ),
        ("printf 'two words'", "may only contain"),
        ("head -c 100000 /dev/zero | tr '\\0' k", "too large"),
        (
            "echo no vault here >&2; exit 3",
            "(exit status: 3): no vault here",
        ),
    ] {
        let said = refused(&["--key-command", command]);
        assert!(said.contains("--key-command"), "{said}");
        assert!(said.contains(says), "{command}: {said}");
    }
    // The harness looks for this key, and for parts of it, in all that is said.
    for traced in [
        format!("set -x; echo {TEST_KEY}; exit 1"),
        format!("set -x; K={TEST_KEY}; exit 1"),
        format!("echo {TEST_KEY}; printf '%0265d%s' 0 {TEST_KEY} >&2; exit 1"),
    ] {
        let said = refused(&["--key-command", &traced]);
        assert!(
            said.contains("the command failed (exit status: 1): "),
            "{said}"
        );
    }
}

#[test]
fn a_credential_of_a_service_is_read_from_its_directory() {
    let upstream = MockUpstream::tls_h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("openai"), &key(1));
    let proxy = with(&upstream, &["--key-credential", "openai"])
        .env("CREDENTIALS_DIRECTORY", dir.path())
        .start();
    assert_eq!(ask(&proxy).status, 200);
    write(&dir.path().join("openai"), &key(2));
    proxy.signal(libc::SIGHUP);
    proxy.wait_for_stderr("--key-credential openai: the key was replaced, by number 2\n");
    let said = refused(&["--key-credential", "openai"]);
    assert!(
        said.contains("CREDENTIALS_DIRECTORY is not an absolute path"),
        "{said}"
    );
    assert!(said.contains("LoadCredential=openai:"), "{said}");
}

/// Root's file, and a proxy that is root no more.
#[test]
fn a_file_of_root_is_read_again_for_a_proxy_that_has_become_another_user() {
    if !is_root() {
        return skipped("only root can start the proxy as another user");
    }
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    for name in ["codex-responses-api-proxy", "codex"] {
        write(&file, &key(1));
        let Some(binary) = copy_of(name, dir.path()) else {
            skipped("codex was not built; cargo test --workspace builds it");
            continue;
        };
        open_to_all(dir.path());
        let mut builder = Proxy::builder(&binary)
            .upstream(&upstream)
            .args(["--key-file", file.to_str().unwrap()])
            .args(["--user", "nobody"])
            .stdin(Stdin::Empty);
        if name == "codex" {
            builder = builder.subcommand("responses-api-proxy");
        }
        let mut proxy = builder.start();
        assert!(proxy.status_line("Uid").starts_with("65534"));
        assert_eq!(ask(&proxy).status, 200);
        write(&file, &key(2));
        proxy.signal(libc::SIGHUP);
        proxy.wait_for_stderr("by number 2\n");
        assert_eq!(ask(&proxy).status, 200);
        assert_no_copy(&proxy);
        let readers = readers_of(proxy.pid());
        assert_eq!(readers.len(), 1);
        let status = std::fs::read_to_string(format!("/proc/{}/status", readers[0])).unwrap();
        assert!(
            status.contains("\nUid:\t0\t") && status.contains("\nCapEff:\t0000000000000000\n"),
            "{status}"
        );
        proxy.signal(libc::SIGTERM);
        proxy.wait_exit();
        // It ends with the proxy.
        while readers.iter().any(|pid| is_reader(*pid)) {
            std::thread::yield_now();
        }
    }
    assert_eq!(numbers(&upstream), [1, 2, 1, 2]);
}

/// The processes that `parent` has started.
fn readers_of(parent: u32) -> Vec<u32> {
    let children = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(children).unwrap();
    children
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn is_reader(pid: u32) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains("serve-keys")
}

#[test]
fn a_command_can_be_run_as_somebody_else() {
    if !is_root() {
        return skipped("only root can run a command as another user");
    }
    let upstream = MockUpstream::h1(Reply::json(200, &serde_json::json!({})));
    let args = [
        "--key-command",
        "echo key-of-$(id -u)-in-$(id -G)",
        "--key-command-user",
        "nobody",
    ];
    let args: Vec<_> = args
        .iter()
        .map(|arg| arg.replace("-in-", "-in-group-"))
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let proxy = with(&upstream, &args).start();
    assert_eq!(ask(&proxy).status, 200);
    let sent = upstream.requests();
    assert_eq!(
        sent[0].header("authorization"),
        Some("Bearer key-of-65534-in-group-65534")
    );
}

#[test]
fn sources_exclude_each_other_and_a_descriptor_has_to_be_there() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for args in [
        &["--key-file", "a", "--key-fd", "3"][..],
        &["--key-command", "true", "--key-file", "a"],
        &["--key-fd", "2"],
        &["--key-ttl", "5m", "--key-file", "a"],
        &["--key-command-user", "nobody"],
        &["--key-credential", "a/b"],
    ] {
        let mut proxy = with(&upstream, args).spawn();
        let status = proxy.wait_exit();
        assert_eq!(
            status.code(),
            Some(2),
            "{args:?}: {}",
            proxy.stderr_so_far()
        );
    }
    let said = refused(&["--key-fd", "77"]);
    assert!(
        said.contains("--key-fd 77: this process was not started with that descriptor open"),
        "{said}"
    );
    let said = refused(&["--key-file", "/nowhere/key"]);
    assert!(said.contains("--key-file /nowhere/key: "), "{said}");
}
