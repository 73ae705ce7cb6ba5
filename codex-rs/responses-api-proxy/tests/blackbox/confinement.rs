//! What the running process can no longer do, as the kernel tells it, and that it
//! still does its work.

use codex_test_support::{End, Gate, MockUpstream, Proxy, Reply, Stdin, TEST_KEY, run_to_exit};

use crate::custody::{copy_of, is_root, open_to_all, skipped, strictest_sandbox};
use crate::{PROXY, RESPONSES, ask, begin, in_front_of};

/// The sets of capabilities(7) that a process without any shows.
fn assert_no_capabilities(proxy: &Proxy) {
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(proxy.status_line(set), "0000000000000000", "{set}");
    }
}

#[test]
fn started_as_root_it_has_no_capabilities_and_a_list_of_system_calls() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .args(["--sandbox", strictest_sandbox()])
        .start();
    assert_no_capabilities(&proxy);
    assert_eq!(proxy.status_line("NoNewPrivs"), "1");
    assert_eq!(proxy.status_line("Seccomp"), "2");
    let banner = proxy.wait_for_stderr("listed system calls only");
    for measure in [
        "no core dumps",
        "no capabilities",
        "no files but those needed",
        "no TCP ports but those needed",
        "no abstract sockets or signals outside",
    ] {
        assert!(banner.contains(measure), "{banner}");
    }
    assert!(!banner.contains("not applied"), "{banner}");
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn with_a_user_it_is_that_user_for_good_and_still_undumpable() {
    if !is_root() {
        return skipped("only root can become another user");
    }
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    open_to_all(dir.path());
    let Some(binary) = copy_of("codex-responses-api-proxy", dir.path()) else {
        return skipped("the binary cannot be copied");
    };
    let proxy = Proxy::builder(binary)
        .upstream(&upstream)
        .args(["--user", "nobody"])
        .start();
    let ids = proxy.status_line("Uid");
    assert_eq!(ids.split_whitespace().collect::<Vec<_>>(), ["65534"; 4]);
    assert_eq!(proxy.status_line("Groups"), "");
    assert_no_capabilities(&proxy);
    let environ = format!("/proc/{}/environ", proxy.pid());
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(environ).unwrap());
    assert_eq!(owner, 0, "a dumpable process would own its /proc files");
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn a_user_that_cannot_be_become_is_exit_1() {
    let output = run_to_exit(
        PROXY,
        &["--user", "no-such-user-here"],
        &[],
        TEST_KEY.as_bytes(),
    );
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.contains("no user no-such-user-here"),
        "{}",
        output.stderr
    );
}

#[test]
fn names_tls_signals_and_removal_work_inside() {
    for upstream in [
        MockUpstream::tls_h1(Reply::responses("hi")),
        MockUpstream::h2(Reply::responses("hi")),
    ] {
        let url = upstream.url_for("https", "localhost", RESPONSES);
        let mut proxy = Proxy::builder(PROXY)
            .upstream_url(&url)
            .env("SSL_CERT_FILE", upstream.ca_file())
            .args(["--sandbox", strictest_sandbox()])
            .server_info()
            .start();
        let answer = proxy
            .client()
            .post(RESPONSES, &[], r#"{"stream":true}"#)
            .read_answer();
        assert_eq!((answer.status, answer.end), (200, End::Clean));
        proxy.signal(crate::lifecycle::signal("TERM"));
        assert_eq!(proxy.wait_exit().code(), Some(0));
        assert!(!proxy.info_file().exists());
        assert!(
            !proxy.stderr_so_far().contains("refused system call"),
            "{}",
            proxy.stderr_so_far()
        );
    }
}

#[test]
fn a_name_that_needs_a_resolver_is_asked_for_inside() {
    let ca = MockUpstream::h2(Reply::silence());
    let proxy = Proxy::builder(PROXY)
        .upstream_url("https://no-such-host.invalid/v1/responses")
        .env("SSL_CERT_FILE", ca.ca_file())
        .args(["--sandbox", strictest_sandbox()])
        .start();
    let answer = ask(&proxy);
    assert_eq!(answer.error_code(), "upstream_dns");
}

/// A refused call raises SIGSYS at that call; one sent by another process interrupts
/// anywhere, and must not be taken for a refusal.
#[test]
fn a_sigsys_from_another_process_ends_it() {
    use std::os::unix::process::ExitStatusExt;

    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut proxy = in_front_of(&upstream).start();
    proxy.signal(31);
    assert_eq!(proxy.wait_exit().signal(), Some(31));
    assert!(!proxy.stderr_so_far().contains("refused system call"));
}

#[test]
fn it_can_be_switched_off_and_says_so() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).args(["--sandbox", "off"]).start();
    proxy.wait_for_stderr("not applied: the sandbox (--sandbox=off)");
    assert_eq!(proxy.status_line("Seccomp"), "0");
    assert_eq!(proxy.status_line("NoNewPrivs"), "1");
}

#[test]
fn many_streams_and_a_drain_take_no_unlisted_call() {
    let gate = Gate::new();
    let upstream = MockUpstream::h2(
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
    );
    let mut proxy = in_front_of(&upstream)
        .args(["--sandbox", strictest_sandbox()])
        .start();
    let mut clients: Vec<_> = (0..100).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.post(RESPONSES, &[], "{}");
        client.read_head();
    }
    proxy.signal(crate::lifecycle::signal("TERM"));
    proxy.wait_for_stderr("shutting down");
    gate.release();
    for client in &mut clients {
        client.wait_for_body("data: 2");
    }
    assert_eq!(proxy.wait_exit().code(), Some(0));
}

#[test]
fn no_descriptor_is_inherited_by_what_it_might_start() {
    let upstream = MockUpstream::h1(Reply::event_stream().data("data: 1\n\n").hold(&Gate::new()));
    let proxy = in_front_of(&upstream).start();
    let _client = begin(&proxy);
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{}/fdinfo", proxy.pid())) else {
        return skipped("the proxy's descriptors cannot be looked at");
    };
    for descriptor in descriptors.filter_map(Result::ok) {
        let number: i32 = descriptor.file_name().to_string_lossy().parse().unwrap();
        let Ok(info) = std::fs::read_to_string(descriptor.path()) else {
            continue;
        };
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap()
            .trim();
        let flags = i32::from_str_radix(flags, 8).unwrap();
        // O_CLOEXEC
        assert!(
            number <= 2 || flags & 0o2_000_000 != 0,
            "descriptor {number} would be inherited: {:?}",
            std::fs::read_link(format!("/proc/{}/fd/{number}", proxy.pid()))
        );
    }
}

#[test]
fn a_key_in_its_own_environment_is_warned_about() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for name in ["OPENAI_API_KEY", "PROXY_API_KEY"] {
        let proxy = in_front_of(&upstream).env(name, TEST_KEY).start();
        proxy.wait_for_stderr(&format!("warning: {name} is in the environment"));
    }
    let proxy = in_front_of(&upstream).start();
    let banner = proxy.wait_for_stderr("process: ");
    assert!(!banner.contains("in the environment"), "{banner}");
}

#[test]
fn neither_arguments_nor_environment_hold_the_key() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    for file in ["cmdline", "environ"] {
        match std::fs::read(format!("/proc/{}/{file}", proxy.pid())) {
            Ok(bytes) => codex_test_support::assert_no_key(&bytes, file),
            Err(error) => skipped(&format!("{file} cannot be read: {error}")),
        }
    }
}

#[test]
fn memory_that_cannot_be_locked_is_an_error_unless_waived() {
    // Both kinds of page count against RLIMIT_MEMLOCK, which root is above.
    if !is_root() {
        return skipped("only root can start the proxy as another user");
    }
    let dir = tempfile::tempdir().unwrap();
    open_to_all(dir.path());
    let Some(binary) = copy_of("codex-responses-api-proxy", dir.path()) else {
        return skipped("the binary cannot be copied");
    };
    let limited = |args: &str| {
        let script = format!(
            "ulimit -l 0; exec setpriv --reuid 65534 --regid 65534 --clear-groups {} {args}",
            binary.display()
        );
        Proxy::builder("/bin/sh")
            .args(["-c", &script])
            .stdin(Stdin::Bytes(TEST_KEY.into()))
            .spawn()
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut refused = limited("");
    assert_eq!(refused.wait_exit().code(), Some(1));
    assert!(
        refused
            .stderr_so_far()
            .contains("could not lock the key's page"),
        "{}",
        refused.stderr_so_far()
    );
    let mut waived = limited(&format!(
        "--allow-unlocked-key --upstream-url {}",
        upstream.url()
    ));
    waived.wait_ready();
    waived.wait_for_stderr("NOT locked in RAM");
}
