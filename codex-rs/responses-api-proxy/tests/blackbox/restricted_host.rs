//! A start where the host gives less than usual: system calls are filtered, or there is no `/dev`.

use std::process::Command;

use codex_test_support::{MockUpstream, Reply};

use crate::ask;
use crate::custody::{is_root, skipped};

/// Runs its further arguments with the system calls of these numbers answered by EPERM (seccomp(2)).
const FILTER: &str = r#"
    my $prctl = 0 + shift @ARGV;
    my $code = pack "SCCL", 0x20, 0, 0, 0; # the number
    $code .= pack "SCCL SCCL", 0x15, 0, 1, $_, 0x06, 0, 0, 0x50001 for split /,/, shift @ARGV;
    $code .= pack "SCCL", 0x06, 0, 0, 0x7fff0000; # everything else passes
    my $program = pack "Sx6P", length($code) / 8, $code;
    syscall($prctl, 38, 1, 0, 0, 0) == 0 or die "PR_SET_NO_NEW_PRIVS: $!";
    syscall($prctl, 22, 2, $program, 0, 0) == 0 or die "PR_SET_SECCOMP: $!";
    exec @ARGV or exit 127;
"#;

/// Without the calls of the names given, `None` where that cannot be tried.
fn without(calls: &[&str]) -> Option<Vec<String>> {
    if Command::new("perl").arg("-v").output().is_err() {
        skipped("perl is not installed");
        return None;
    }
    let number = |call: &&str| match (std::env::consts::ARCH, *call) {
        ("x86_64", "prctl") => Some("157"),
        ("x86_64", "mlock") => Some("149"),
        ("aarch64", "prctl") => Some("167"),
        ("aarch64", "mlock") => Some("228"),
        ("x86_64", "seccomp") => Some("317"),
        ("aarch64", "seccomp") => Some("277"),
        (_, "memfd_secret") => Some("447"),
        (_, "landlock_create_ruleset") => Some("444"),
        _ => None,
    };
    let numbers: Option<Vec<&str>> = calls.iter().map(number).collect();
    let (Some(prctl), Some(numbers)) = (number(&"prctl"), numbers) else {
        skipped("no system call numbers for this architecture");
        return None;
    };
    let under = ["perl", "-e", FILTER, prctl, &numbers.join(",")];
    Some(under.map(str::to_owned).to_vec())
}

#[test]
fn a_filter_that_refuses_to_lock_memory_is_distinguished_from_a_limit() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let Some(filtered) = without(&["mlock", "memfd_secret"]) else {
        return;
    };
    let mut refused = crate::in_front_of(&upstream)
        .under(filtered.clone())
        .spawn();
    assert_eq!(refused.wait_exit().code(), Some(1));
    let said = refused.stderr_so_far();
    for words in [
        "--allow-unlocked-key",
        "filter of system calls",
        "could not lock the key's page",
        "--security-opt seccomp=FILE",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!said.contains("ulimit"), "{said}");
    let waived = crate::in_front_of(&upstream)
        .under(filtered)
        .arg("--allow-unlocked-key")
        .start();
    waived.wait_for_stderr("NOT locked in RAM");
    assert_eq!(ask(&waived).status, 200);
    // Where there is no secret memory, and nothing else in the way, the page is locked.
    if let Some(filtered) = without(&["memfd_secret"]) {
        let proxy = crate::in_front_of(&upstream).under(filtered).start();
        proxy.wait_for_stderr("key: anonymous page, locked in RAM");
        proxy.wait_for_stderr(
            "hint: root can read the key's page: a filter of system calls refuses memfd_secret(2)",
        );
        proxy.wait_for_stderr("--security-opt seccomp=FILE");
    }
}

#[test]
fn a_sandbox_that_cannot_be_had_is_refused_before_the_key_is_read_and_leaves_nothing() {
    use codex_test_support::Stdin;

    if !is_root() {
        return skipped("any other user's readable program file is refused before");
    }
    let Some(filtered) = without(&["landlock_create_ruleset"]) else {
        return;
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let builder = || {
        crate::in_front_of(&upstream)
            .under(filtered.clone())
            .server_info()
    };
    let mut refused = builder()
        .args(["--sandbox", "require"])
        .stdin(Stdin::BytesThenOpen(Vec::new()))
        .spawn();
    assert_eq!(refused.wait_exit().code(), Some(1));
    let said = refused.stderr_so_far();
    assert!(
        said.starts_with("Error: --sandbox=require, but not applied: no files"),
        "{said}"
    );
    assert!(!refused.info_file().exists());
    // Each measure that is missing is named where none is required.
    let proxy = builder().start();
    let banner = proxy.wait_for_stderr("process: ");
    proxy.wait_for_stderr("not applied: no abstract sockets");
    for measure in ["no files", "no TCP ports", "no abstract sockets"] {
        let line = proxy.stderr_so_far();
        let line = line
            .lines()
            .find(|line| line.starts_with(&format!("not applied: {measure}")));
        let names_the_cure = line.is_some_and(|line| {
            line.contains("a filter of system calls refuses it")
                && line.contains("landlock_restrict_self (--security-opt seccomp=FILE)")
        });
        assert!(names_the_cure, "{banner}");
    }
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn a_filter_that_refuses_filters_is_named_with_what_to_allow() {
    let Some(filtered) = without(&["seccomp"]) else {
        return;
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = crate::in_front_of(&upstream).under(filtered).start();
    proxy.wait_for_stderr("not applied: listed system calls only: ");
    proxy.wait_for_stderr("a profile that allows seccomp and prctl (--security-opt seccomp=FILE)");
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn it_starts_where_there_is_no_dev_null() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let namespace = ["unshare", "--mount", "sh", "-c"];
    let bare = "mount -t tmpfs none /dev && exec \"$0\" \"$@\"";
    let [program, arguments @ ..] = namespace;
    let can = Command::new(program)
        .args(arguments)
        .args([bare, "true"])
        .status();
    if !is_root() || !can.is_ok_and(|status| status.success()) {
        return skipped("only root can have a /dev of its own");
    }
    let proxy = crate::in_front_of(&upstream)
        .under(namespace.into_iter().chain([bare]))
        .start();
    let stdin = std::fs::read_link(format!("/proc/{}/fd/0", proxy.pid())).unwrap();
    assert!(stdin.to_string_lossy().starts_with("pipe:"), "{stdin:?}");
    assert_eq!(ask(&proxy).status, 200);
    // With nothing at all: no /proc either.
    let bare = "mount -t tmpfs none /dev && mount -t tmpfs none /proc && exec \"$0\" \"$@\"";
    let proxy = crate::in_front_of(&upstream)
        .under(namespace.into_iter().chain([bare]))
        .start();
    assert_eq!(ask(&proxy).status, 200);
}
