//! More lines than a log takes: every request is served, and each line is either written whole or counted.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use codex_test_support::{Client, MockUpstream, Proxy, Reply, WAIT_TIMEOUT, skipped};
use serde_json::{Value, json};

use crate::access_log_schema::assert_is_in_the_schema;
use crate::custody::is_root;
use crate::metrics::{WithMetrics, place, wait_for_requests};
use crate::{RESPONSES, in_front_of};

/// SIGTERM (signal(7)).
const TERM: i32 = 15;

/// Their lines, of more than 1 KiB each, are more than the 4 MiB that may wait.
const REQUESTS: usize = 5_000;
const CALLERS: usize = 4;

/// As long as what an answer says of itself may be, to be noted.
fn long() -> String {
    "m".repeat(128)
}

/// An upstream whose answers make long lines.
fn upstream() -> MockUpstream {
    let answer =
        json!({"id": long(), "model": long(), "service_tier": long(), "status": "completed"});
    MockUpstream::h1(Reply::json(200, &answer).header("x-request-id", "r".repeat(250)))
}

/// Makes so many requests, all of which are served, and waits until the last one is recorded.
#[track_caller]
fn fill(proxy: &Proxy) {
    let body = json!({"input": "hi", "model": long()}).to_string();
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let mut client = proxy.client();
                for _ in 0..REQUESTS / CALLERS {
                    let answer = client.post(RESPONSES, &[], &body).read_answer();
                    assert_eq!(answer.status, 200);
                }
            });
        }
    });
    wait_for_requests(place(proxy), REQUESTS as f64);
}

/// One more request; its id.
#[track_caller]
fn last_id(proxy: &Proxy) -> String {
    let answer = crate::ask(proxy);
    assert_eq!(answer.status, 200);
    answer
        .header("x-codex-proxy-request-id")
        .unwrap()
        .to_owned()
}

/// How many lines standard error says were dropped.
fn dropped(said: &str) -> usize {
    let counts = said.lines().filter_map(|line| {
        let (count, _) = line
            .strip_prefix("--access-log: ")?
            .split_once(" lines dropped: ")?;
        Some(count.parse::<usize>().unwrap())
    });
    counts.sum()
}

#[track_caller]
fn end(mut proxy: Proxy) -> usize {
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    dropped(&proxy.stderr_so_far())
}

fn whole_line(line: &str) -> Value {
    let record = serde_json::from_str(line).unwrap();
    assert_is_in_the_schema(&record);
    record
}

/// Lines as they come; reading ends with the proxy, or with the test.
fn lines_of(reader: BufReader<File>) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        reader
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| sender.send(line))
    });
    lines
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn lines_that_a_fifo_does_not_take_are_counted_and_the_others_come_whole_once_it_is_read() {
    let upstream = upstream();
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    make_fifo(&fifo);
    let proxy = in_front_of(&upstream)
        .with_metrics()
        .arg("--access-log")
        .arg(&fifo)
        .start();
    fill(&proxy);
    let lines = lines_of(BufReader::new(File::open(&fifo).unwrap()));
    let next = || whole_line(&lines.recv_timeout(WAIT_TIMEOUT).unwrap());
    // What waits is written as a whole: once so much of it has come, there is room again.
    let mut written = 1_000;
    (0..written).for_each(|_| drop(next()));
    let last = last_id(&proxy);
    loop {
        written += 1;
        if next()["id"] == last {
            break;
        }
    }
    let dropped = end(proxy);
    assert!(
        dropped > 0 && written > 1,
        "{written} written, {dropped} dropped"
    );
    assert_eq!(written + dropped, REQUESTS + 1);
}

fn mount(options: &str, at: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(at);
    mount.status().is_ok_and(|status| status.success())
}

/// Waits for what a log does on its own.
#[track_caller]
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < WAIT_TIMEOUT, "the log does not go on");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Unmounts when it goes, also where a test fails.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn lines_that_a_full_disk_does_not_take_are_counted_and_the_file_goes_on_when_there_is_room() {
    if !is_root() {
        return skipped("only root can mount a small file system");
    }
    let dir = tempfile::tempdir().unwrap();
    if !mount("size=64k", dir.path()) {
        return skipped("a small file system cannot be mounted here");
    }
    let _mounted = Mounted(dir.path());
    let upstream = upstream();
    let log = dir.path().join("access.log");
    let proxy = in_front_of(&upstream)
        .with_metrics()
        .arg("--access-log")
        .arg(&log)
        .start();
    fill(&proxy);
    proxy.wait_for_stderr("No space left on device");
    assert!(mount("remount,size=64m", dir.path()));
    // A write that failed is tried again after a quarter of a second. What waits is written as a whole: once the file
    // is so large, there is room for another line.
    wait_until(|| fs::metadata(&log).unwrap().len() > 1024 * 1024);
    let last = last_id(&proxy);
    wait_until(|| fs::read_to_string(&log).unwrap().contains(&last));
    let dropped = end(proxy);
    let text = fs::read_to_string(&log).unwrap();
    let written = text.lines().map(whole_line).count();
    assert!(
        dropped > 0 && text.len() > 64 * 1024,
        "{written} written, {dropped} dropped"
    );
    assert_eq!(written + dropped, REQUESTS + 1);
}

/// More than a FIFO takes and than the proxy keeps.
const UNREAD: usize = 2_000;

/// How many requests a line of standard error is about.
fn accounts_for(line: &str) -> usize {
    let object: Value = serde_json::from_str(line).unwrap();
    if object.get("outcome").is_some() {
        assert_is_in_the_schema(&object);
        return 1;
    }
    let message = object["message"].as_str().unwrap();
    let count = message.strip_suffix(" lines dropped: standard error took none");
    count.map_or(0, |count| count.parse().unwrap())
}

#[test]
fn standard_error_that_nobody_reads_costs_no_answer_and_its_json_lines_are_written_or_counted() {
    let upstream = upstream();
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("stderr");
    make_fifo(&fifo);
    // Both ends, so that neither side waits for the other to open it.
    let both = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo)
        .unwrap();
    let mut unread = BufReader::new(both);
    let script = format!("exec \"$0\" \"$@\" 2> {}", fifo.to_str().unwrap());
    let mut proxy = in_front_of(&upstream)
        .args(["--log-format", "json"])
        .under(["/bin/sh", "-c", &script])
        .spawn();
    let mut ready = String::new();
    unread.read_line(&mut ready).unwrap();
    let address = ready
        .trim_end()
        .strip_prefix("responses-api-proxy listening on ")
        .unwrap();
    let mut client = Client::connect(address.parse().unwrap());
    for _ in 0..UNREAD {
        let answer = client.post(RESPONSES, &[], "{}").read_answer();
        assert_eq!(answer.status, 200);
    }
    let lines = lines_of(unread);
    let (mut accounted, mut written) = (0, 0);
    while accounted < UNREAD {
        let line = lines.recv_timeout(WAIT_TIMEOUT).unwrap();
        accounted += accounts_for(&line);
        written += usize::from(line.contains("\"outcome\""));
    }
    assert_eq!(accounted, UNREAD);
    assert!(
        written < UNREAD,
        "nothing was dropped, so nothing was blocked"
    );
    drop(client);
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
}
