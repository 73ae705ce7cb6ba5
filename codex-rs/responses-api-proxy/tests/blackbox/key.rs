//! The key on standard input, through the real binary.

use codex_test_support::{MockUpstream, Output, Proxy, Reply, Stdin, TEST_KEY, run_to_exit};

use crate::{PROXY, ask, in_front_of};

fn start_with(stdin: &[u8]) -> Output {
    run_to_exit(PROXY, &[], &[], stdin)
}

fn assert_refused(output: &Output, words: &str) {
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(output.stdout, "");
    assert_eq!(output.stderr, format!("Error: {words}\n"));
}

#[test]
fn a_key_is_taken_however_its_line_ends() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for ending in ["", "\n", "\r\n", "\n\n"] {
        let stdin = Stdin::Bytes(format!("{TEST_KEY}{ending}").into_bytes());
        let proxy = in_front_of(&upstream).stdin(stdin).start();
        ask(&proxy);
    }
    for request in upstream.wait_for_requests(4) {
        assert_eq!(
            request.header("authorization"),
            Some(format!("Bearer {TEST_KEY}").as_str())
        );
    }
}

#[test]
fn the_newline_starts_it_while_stdin_stays_open_and_stdin_is_then_closed() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut proxy = in_front_of(&upstream)
        .stdin(Stdin::BytesThenOpen(Vec::new()))
        .spawn();
    let (first, rest) = TEST_KEY.split_at(10);
    proxy.write_stdin(first);
    proxy.write_stdin(rest);
    proxy.write_stdin("\n");
    proxy.wait_ready();
    match std::fs::read_link(format!("/proc/{}/fd/0", proxy.pid())) {
        Ok(stdin) => assert_eq!(stdin.to_str(), Some("/dev/null")),
        Err(error) => crate::custody::skipped(&format!("its stdin cannot be looked at: {error}")),
    }
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn no_key_is_an_error_that_says_how_to_give_one() {
    let words = "API key must be provided via stdin (e.g. printenv OPENAI_API_KEY | \
                 env -u OPENAI_API_KEY codex responses-api-proxy)";
    for stdin in [&b""[..], b"\n", b"\r\n"] {
        assert_refused(&start_with(stdin), words);
    }
    let mut proxy = Proxy::builder(PROXY).stdin(Stdin::Closed).spawn();
    assert_eq!(proxy.wait_exit().code(), Some(1));
    assert_eq!(proxy.stderr_so_far(), format!("Error: {words}\n"));
}

#[test]
fn a_key_that_fills_the_buffer_is_too_large() {
    let words = "API key is too large to fit in the 1024-byte buffer";
    assert_refused(&start_with(&[b'a'; 1017]), words);
    assert_refused(&start_with(&[b'a'; 100_000]), words);
}

#[test]
fn an_invalid_key_is_refused_without_being_printed() {
    let words = "API key may only contain ASCII letters, numbers, '-' or '_'";
    for bad in [
        "sk test",
        "sk\ttest",
        "sk/test",
        "sk+test=",
        "sk.test",
        "Bearer sk-test",
        "sk\0test",
        "schlüssel",
    ] {
        assert_refused(&start_with(bad.as_bytes()), words);
    }
    assert_refused(&start_with(b"sk\xff\xfe"), words);
}

#[test]
fn a_second_line_is_an_error() {
    let words = "stdin holds a second line after the API key; give the key alone, on one line";
    assert_refused(
        &start_with(format!("{TEST_KEY}\nother\n").as_bytes()),
        words,
    );
}

#[test]
fn an_unreadable_stdin_keeps_its_cause() {
    // A directory can be opened but not read.
    let mut proxy = Proxy::builder("/bin/sh")
        .args(["-c", &format!("exec {PROXY} < /")])
        .stdin(Stdin::Empty)
        .spawn();
    assert_eq!(proxy.wait_exit().code(), Some(1));
    let stderr = proxy.stderr_so_far();
    assert!(
        stderr.starts_with("Error: could not read the API key from stdin: Is a directory"),
        "{stderr}"
    );
}

#[test]
fn a_silent_stdin_is_mentioned_after_a_while() {
    let mut proxy = Proxy::builder(PROXY)
        .stdin(Stdin::BytesThenOpen(Vec::new()))
        .spawn();
    proxy.wait_for_stderr("waiting for the API key on stdin");
    proxy.write_stdin(format!("{TEST_KEY}\n"));
    proxy.wait_ready();
}
