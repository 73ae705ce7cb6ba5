//! The starter and its search for the key, with shell scripts in place of the proxy.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use codex_test_support::{Proxy, ProxyBuilder, Stdin, TEST_KEY, run_to_exit};

/// A shell that says it is ready, then does `then`.
fn shell(then: &str) -> ProxyBuilder {
    Proxy::builder("/bin/sh").args(["-c", &ready(then), "sh"])
}

fn ready(then: &str) -> String {
    format!("echo 'responses-api-proxy listening on 127.0.0.1:4711' >&2\n{then}\n")
}

fn panic_text(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("a panic");
    panic.downcast_ref::<String>().expect("text").clone()
}

#[test]
fn a_start_gives_port_output_and_exit() {
    let then = "read key; echo ${#key}; echo \"$A$1$HOME\"; echo more >&2; exec sleep 60";
    let mut proxy = shell(then).env("A", "a").arg("b").start();
    assert_eq!(proxy.port(), 4711);
    assert!(proxy.wait_for_stderr("more").ends_with("more\n"));
    assert!(proxy.rss_peak_kib() > 0 && proxy.is_running());
    proxy.signal(15);
    assert_eq!(proxy.wait_exit().signal(), Some(15));
    assert_eq!(proxy.stdout_so_far(), "51\nab\n");
}

#[test]
fn a_key_anywhere_panics_at_the_end() {
    for then in [
        "cat",
        "cat >&2",
        "cat > file",
        "mkdir -p a/b; rev > a/b/c",
        "cut -c 20-32; exit",
    ] {
        let text = panic_text(|| {
            let mut proxy = shell(then).start();
            proxy.wait_exit();
        });
        assert!(text.contains("LEAKED"), "{then}: {text}");
        assert!(!text.contains(TEST_KEY), "{then}");
    }
}

#[test]
fn stdin_can_be_anything() {
    let count = |stdin| {
        let mut proxy = shell("cat | wc -c").stdin(stdin).start();
        proxy.wait_exit();
        proxy.stdout_so_far().trim().to_owned()
    };
    assert_eq!(count(Stdin::Bytes(vec![b'x'; 200_000])), "200000");
    assert_eq!(count(Stdin::Empty), "0");
    let mut proxy = shell("if [ -e /proc/self/fd/0 ]; then echo open; else echo closed; fi")
        .stdin(Stdin::Closed)
        .start();
    proxy.wait_exit();
    assert_eq!(proxy.stdout_so_far().trim(), "closed");

    let mut proxy = shell("read a; echo got $a; read b; echo end")
        .stdin(Stdin::BytesThenOpen(b"one\n".to_vec()))
        .start();
    assert!(proxy.is_running());
    proxy.close_stdin();
    proxy.wait_exit();
    assert_eq!(proxy.stdout_so_far(), "got one\nend\n");
}

#[test]
fn an_early_exit_shows_why() {
    let text = panic_text(|| drop(Proxy::builder("/bin/cat").arg("/nonexistent").start()));
    assert!(text.contains("No such file"), "{text}");
}

#[test]
fn a_run_to_its_exit() {
    let output = run_to_exit("/bin/sh", &["-c", &ready("cat; exit 3")], &[], b"in");
    assert_eq!((output.code, output.stdout.as_str()), (Some(3), "in"));
    assert!(output.stderr.starts_with("responses-api-proxy listening"));
}
