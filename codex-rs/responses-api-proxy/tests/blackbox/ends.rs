//! Ends that nobody asks for at the time: idle, expired, or whoever started the proxy is gone; and that it is told of the
//! beginning.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use codex_test_support::{End, Gate, MockUpstream, Proxy, Reply, Stdin, TEST_KEY};

use crate::custody::strictest_sandbox;
use crate::lifecycle::signal;
use crate::{PROXY, ask, begin, in_front_of};

fn fifo(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    path
}

/// Starts what stands behind it with a redirection.
fn with(redirection: &str) -> [String; 3] {
    let script = format!("exec \"$0\" \"$@\" {redirection}");
    ["sh".to_owned(), "-c".to_owned(), script]
}

#[test]
fn an_idle_proxy_ends_and_one_with_a_request_does_not() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
    );
    let mut proxy = in_front_of(&upstream)
        .args(["--idle-exit", "200ms", "--sandbox", strictest_sandbox()])
        .server_info()
        .start();
    let mut streaming = begin(&proxy);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(proxy.is_running());
    gate.release();
    streaming.wait_for_body("data: 2");
    // The connection stays, and has nothing to do.
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(!proxy.info_file().exists());
    let said = proxy.stderr_so_far();
    assert!(
        said.contains("no request for 200ms (--idle-exit); ending"),
        "{said}"
    );
}

#[test]
fn a_key_expires_and_what_is_in_flight_ends_as_it_should() {
    let key_file = tempfile::NamedTempFile::new().unwrap();
    fs::write(key_file.path(), TEST_KEY).unwrap();
    let of_file = ["--key-file", key_file.path().to_str().unwrap()];
    for (is_tls, source) in [(false, &[][..]), (true, &[][..]), (true, &of_file[..])] {
        let gate = Gate::new();
        let reply = Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n");
        let upstream = match is_tls {
            false => MockUpstream::h1(reply),
            true => MockUpstream::h2(reply),
        };
        let builder = in_front_of(&upstream)
            .args(["--expire-after", "1s", "--sandbox", strictest_sandbox()])
            .args(source)
            .http_shutdown();
        let mut proxy = match source {
            [] => builder.start(),
            _ => builder.stdin(Stdin::Empty).start(),
        };
        let mut streaming = begin(&proxy);
        streaming.wait_for_body("data: 1");
        let sent = upstream.wait_for_complete(0);
        assert_eq!(
            sent.header("authorization"),
            Some(format!("Bearer {TEST_KEY}").as_str())
        );
        proxy.wait_for_stderr("the key has served for 1s (--expire-after)");
        proxy.wait_for_stderr("shutting down");
        let refused = ask(&proxy);
        codex_test_support::assert_openai_error(&refused, 503, "shutting_down");
        gate.release();
        streaming.wait_for_body("data: 2");
        assert_eq!(streaming.read_body_some(), None);
        assert_eq!(streaming.end(), Some(End::Clean));
        assert_eq!(proxy.wait_exit().code(), Some(0));
    }
}

#[test]
fn it_ends_with_the_process_that_started_it() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let script = "exec 3<&0; \"$0\" \"$@\" --parent-pid $$ <&3 3<&- & wait";
    let mut proxy = in_front_of(&upstream)
        .args(["--sandbox", strictest_sandbox()])
        .under(["sh", "-c", script])
        .start();
    assert_eq!(ask(&proxy).status, 200);
    let shell = proxy.pid();
    proxy.signal(signal("KILL"));
    proxy.wait_exit();
    let said = proxy.stderr_so_far();
    assert!(
        said.contains(&format!("process {shell} has ended (--parent-pid); ending")),
        "{said}"
    );
    assert!(std::net::TcpStream::connect(proxy.addr()).is_err());
}

#[test]
fn it_ends_with_its_lifeline() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let lifeline = fifo(dir.path(), "lifeline");
    let mut proxy = in_front_of(&upstream)
        .args(["--lifeline-fd", "5", "--sandbox", strictest_sandbox()])
        .under(with(&format!("5< {}", lifeline.display())))
        .spawn();
    let theirs = File::options().write(true).open(&lifeline).unwrap();
    proxy.wait_ready();
    std::io::Write::write_all(&mut &theirs, b"anything").unwrap();
    assert_eq!(ask(&proxy).status, 200);
    drop(theirs);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    let said = proxy.stderr_so_far();
    assert!(
        said.contains("the other end of --lifeline-fd 5 is closed; ending"),
        "{said}"
    );
}

#[test]
fn whoever_waits_for_it_reads_one_line() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let ready = fifo(dir.path(), "ready");
    let proxy = in_front_of(&upstream)
        .args(["--ready-fd", "4", "--require-client-token"])
        .server_info()
        .under(with(&format!("4> {}", ready.display())))
        .spawn();
    let mut line = String::new();
    // To its end: it is closed.
    File::open(&ready)
        .unwrap()
        .read_to_string(&mut line)
        .unwrap();
    assert_eq!(line, fs::read_to_string(proxy.info_file()).unwrap());
    assert!(
        line.ends_with("}\n") && line.matches('\n').count() == 1,
        "{line}"
    );
    let info: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(info["pid"], proxy.pid());
    let port = u16::try_from(info["port"].as_u64().unwrap()).unwrap();
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[test]
fn descriptors_and_processes_that_cannot_be_are_refused_before_the_key_is_read() {
    let cases: [(&[&str], &str, i32, &str); 13] = [
        (&["--ready-fd", "2"], "", 2, "2 is not in 3.."),
        (&["--lifeline-fd", "0"], "", 2, "0 is not in 3.."),
        (&["--parent-pid", "0"], "", 2, "0 is not in 1.."),
        (
            &["--ready-fd", "77"],
            "",
            1,
            "--ready-fd 77: this process was not started with that",
        ),
        (
            &["--lifeline-fd", "77"],
            "",
            1,
            "--lifeline-fd 77: this process was not started with",
        ),
        (
            &["--ready-fd", "5"],
            "5< /dev/null",
            1,
            "--ready-fd 5 cannot be written to",
        ),
        (
            &["--lifeline-fd", "5"],
            "5< /dev/null",
            1,
            "--lifeline-fd 5 is neither a pipe nor",
        ),
        (
            &["--lifeline-fd", "5"],
            "5<&2",
            1,
            "--lifeline-fd 5 is the end of a pipe that is written to",
        ),
        (
            &["--lifeline-fd", "5"],
            "5<> FIFO",
            1,
            "--lifeline-fd 5 would never be closed",
        ),
        (
            &["--lifeline-fd", "5", "--ready-fd", "5"],
            "5> /dev/null",
            1,
            "both name descriptor 5",
        ),
        (
            &["--key-fd", "5", "--ready-fd", "5"],
            "5> /dev/null",
            1,
            "--key-fd and --ready-fd both",
        ),
        (
            &["--parent-pid", "2147483647"],
            "",
            1,
            "there is no such process",
        ),
        (&["--expire-after", "0"], "", 2, "a whole number above 0"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let pipe = fifo(dir.path(), "fifo");
    for (args, redirection, code, says) in cases {
        let redirection = redirection.replace("FIFO", pipe.to_str().unwrap());
        let mut proxy = Proxy::builder(PROXY)
            .args(["--upstream-url", "http://127.0.0.1:1/v1/responses"])
            .args(args)
            .under(with(&redirection))
            .stdin(Stdin::BytesThenOpen(Vec::new()))
            .spawn();
        assert_eq!(proxy.wait_exit().code(), Some(code), "{args:?}");
        let said = proxy.stderr_so_far();
        assert!(
            said.contains(says) && !said.contains("waiting for"),
            "{says}: {said}"
        );
    }
    // A process that is there, and did not start it.
    let mut other = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let mut proxy = Proxy::builder(PROXY)
        .args(["--upstream-url", "http://127.0.0.1:1/v1/responses"])
        .args(["--parent-pid", &other.id().to_string()])
        .stdin(Stdin::BytesThenOpen(Vec::new()))
        .spawn();
    assert_eq!(proxy.wait_exit().code(), Some(1));
    proxy.wait_for_stderr("is neither the process that started this one nor one further up");
    other.kill().unwrap();
    other.wait().unwrap();
}
