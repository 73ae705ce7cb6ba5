//! An audit log that cannot be written: a disk that is full, a FIFO that nobody reads.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use codex_test_support::{
    End, Gate, MockUpstream, Reply, assert_no_key, assert_openai_error, run_to_exit, skipped,
};

use super::{Log, SERVED, TERM, count, end, read, until, verify};
use crate::custody::is_root;
use crate::{PROXY, RESPONSES, ask, in_front_of};

/// A disk of its own, for root.
struct SmallDisk {
    log: Log,
}

impl SmallDisk {
    /// `None`, and a line that says why, where there is none to be had.
    fn new(size: &str) -> Option<Self> {
        if !is_root() {
            skipped("only root can mount a small disk");
            return None;
        }
        let log = Log::new();
        let option = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &option, "none"])
            .arg(log.dir.path())
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            skipped("no file system can be mounted here");
            return None;
        }
        Some(Self { log })
    }

    fn fill(&self) {
        let mut rest = File::create(self.log.path("rest")).unwrap();
        let error = std::io::copy(&mut std::io::repeat(b'x'), &mut rest).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        fs::remove_file(self.log.path("rest")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.log.dir.path())
            .status();
    }
}

/// A request and an answer whose line in the log is long.
fn long_line() -> (String, Reply) {
    let long = "m".repeat(128);
    let answer = serde_json::json!({
        "id": long, "model": long, "service_tier": long, "status": "completed",
    });
    let reply = Reply::json(200, &answer).header("x-request-id", "q".repeat(256));
    (format!(r#"{{"model":"{long}"}}"#), reply)
}

#[test]
fn a_full_disk_stops_no_request_and_the_log_says_how_many_records_it_has_not() {
    let Some(disk) = SmallDisk::new("8m") else {
        return;
    };
    let (request, reply) = long_line();
    let upstream = MockUpstream::h1(reply);
    let path = disk.log.audit();
    let path = path.to_str().unwrap();
    let proxy = in_front_of(&upstream).args(["--audit-log", path]).start();
    disk.fill();
    let asked = 5_000;
    let mut client = proxy.client();
    for _ in 0..asked {
        let answer = client.post(RESPONSES, &[], &request).read_answer();
        assert_eq!(answer.status, 200);
    }
    let said = proxy.wait_for_stderr("--audit-log: lines are waiting");
    assert!(said.contains("No space left on device"), "{said}");
    disk.make_room();
    proxy.wait_for_stderr("--audit-log: lines are written again; ");
    assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
    let hash = end(proxy);
    let output = verify(&[path, "--expect", &hash]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let text = read(Path::new(path));
    let (_, dropped) = output.stdout.split_once("records dropped: ").unwrap();
    let dropped: usize = dropped.split(';').next().unwrap().parse().unwrap();
    assert!(dropped > 0, "{}", output.stdout);
    assert_eq!(count(&text, SERVED) + dropped, asked + 1);
}

#[test]
fn where_records_are_required_a_full_disk_refuses_requests_and_loses_none() {
    let Some(disk) = SmallDisk::new("256k") else {
        return;
    };
    let gate = Gate::new();
    let held = Reply::event_stream()
        .data("data: 1\n\n")
        .hold(&gate)
        .data("data: 2\n\n");
    let upstream = MockUpstream::h1(Reply::made(move |request| {
        match String::from_utf8_lossy(&request.body).contains("held") {
            true => held.clone(),
            false => Reply::responses("hi"),
        }
    }));
    let path = disk.log.audit();
    let path = path.to_str().unwrap();
    let proxy = in_front_of(&upstream)
        .args(["--audit-log", path, "--audit-required"])
        .start();
    assert_eq!(ask(&proxy).status, 200);
    let mut stream = proxy.client();
    stream.post(RESPONSES, &[], r#"{"input":"held"}"#);
    let head = stream.read_head();
    until("a line", || read(Path::new(path)).lines().count() == 2);
    disk.fill();
    // Its page may have room for some more.
    let (mut served, mut refused) = (2, 0);
    until("a refusal", || {
        let answer = ask(&proxy);
        if answer.status == 200 {
            served += 1;
            return false;
        }
        assert_openai_error(&answer, 503, "audit_unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
        refused += 1;
        refused == 5
    });
    let said = proxy.wait_for_stderr("--audit-log: requests are refused");
    assert!(said.contains("No space left on device"), "{said}");
    // What is under way goes on.
    gate.release();
    assert_eq!(stream.finish_answer(head).end, End::Clean);
    disk.make_room();
    until("an answer", || match ask(&proxy).status {
        200 => true,
        _ => {
            refused += 1;
            false
        }
    });
    served += 1;
    proxy.wait_for_stderr("--audit-log: lines are written again");
    let hash = end(proxy);
    let output = verify(&[path, "--expect", &hash]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let text = read(Path::new(path));
    // The last of those refused may have come to the log when it could be written again.
    let counted = refused - count(&text, r#""code":"audit_unavailable""#);
    assert!(counted > 0);
    let says = format!("records dropped: 0; requests refused meanwhile: {counted}\n");
    assert!(output.stdout.contains(&says), "{refused} {}", output.stdout);
    assert_eq!(count(&text, SERVED), served);
    assert_eq!(count(&text, r#""event":"refused""#), 1);
}

#[test]
fn a_disk_that_stays_full_is_said_at_the_end_and_what_is_there_is_whole() {
    let Some(disk) = SmallDisk::new("64k") else {
        return;
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let path = disk.log.audit();
    let path = path.to_str().unwrap();
    let mut proxy = in_front_of(&upstream).args(["--audit-log", path]).start();
    until("the first line", || !read(Path::new(path)).is_empty());
    disk.fill();
    for _ in 0..50 {
        assert_eq!(ask(&proxy).status, 200);
    }
    proxy.wait_for_stderr("--audit-log: lines are waiting");
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    let said = proxy.stderr_so_far();
    let says = "--audit-log: the last lines are not in the file: No space left on device";
    assert!(said.contains(says), "{said}");
    let whole = read(Path::new(path));
    let output = verify(&[path]);
    assert_eq!(output.code, Some(1));
    let lines = whole.lines().count();
    let says = format!("{path}: line {lines}: is cut off");
    assert!(output.stdout.contains(&says), "{}", output.stdout);
    assert_eq!(output.stderr, "Error: the chain is broken in 1 place\n");
}

#[test]
fn a_fifo_that_nobody_reads_stops_no_request_and_a_reader_gets_a_chain() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let log = Log::new();
    let path = log.path("fifo");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let mut proxy = in_front_of(&upstream)
        .args(["--audit-log", path.to_str().unwrap()])
        .start();
    // More than a FIFO takes (pipe(7)).
    for _ in 0..500 {
        assert_eq!(ask(&proxy).status, 200);
    }
    proxy.wait_for_stderr("--audit-log: lines are waiting");
    let mut reader = File::options()
        .read(true)
        .custom_flags(0o4000) // O_NONBLOCK: its writer may have ended.
        .open(&path)
        .unwrap();
    let mut text = Vec::new();
    until("the line of each request", || {
        let mut bytes = vec![0; 1 << 16];
        let found = reader.read(&mut bytes).unwrap_or(0);
        text.extend_from_slice(&bytes[..found]);
        text.iter().filter(|&&byte| byte == b'\n').count() == 501
    });
    assert_no_key(&text, "the FIFO");
    let output = run_to_exit(PROXY, &["audit", "verify", "-"], &[], &text);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(
        output
            .stdout
            .starts_with("-: 501 lines, from the beginning")
    );
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
}
