//! Keys that follow each other while requests go on.

mod reloads;
mod sources;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use codex_test_support::{
    Client, Gate, MockUpstream, Proxy, ProxyBuilder, RecordedRequest, Reply, Stdin, skipped,
};

use crate::{RESPONSES, ask, in_front_of};

/// All keys have this in common, so that whatever is left of any of them is found.
const STEM: &str = "sk-rotated-Zq7vK2wXh9_RbT4nYc8LmJ6pDf3-GsA5uEe1WkQoHiV";

fn key(number: usize) -> String {
    format!("{STEM}-{number:04}")
}

/// The number of the key that a request came with.
fn number_of(request: &RecordedRequest) -> usize {
    let value = request.header("authorization").unwrap();
    let number = value.strip_prefix("Bearer ").unwrap().strip_prefix(STEM);
    number.unwrap()[1..].parse().unwrap()
}

/// A proxy that reads keys from a FIFO, one a line, and the other end of it; the first key is in.
fn reading_lines(upstream: &MockUpstream, dir: &Path) -> (ProxyBuilder, impl FnOnce() -> File) {
    let fifo = dir.join("keys");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let script = "fifo=$1; shift; exec \"$@\" 3<\"$fifo\"";
    let builder = in_front_of(upstream)
        .under(["sh", "-c", script, "sh", fifo.to_str().unwrap()])
        .args(["--key-fd", "3"])
        .stdin(Stdin::Empty);
    // Blocks until the proxy's side is open.
    let open = move || {
        let mut keys = File::options().write(true).open(&fifo).unwrap();
        writeln!(keys, "{}", key(1)).unwrap();
        keys
    };
    (builder, open)
}

fn started(builder: ProxyBuilder, open: impl FnOnce() -> File) -> (Proxy, File) {
    let mut proxy = builder.spawn();
    let keys = open();
    proxy.wait_ready();
    (proxy, keys)
}

/// So much memory is locked, in KiB.
fn locked(proxy: &Proxy) -> String {
    proxy.status_line("VmLck")
}

fn assert_no_copy(proxy: &Proxy) {
    if !proxy.wait_for_stderr("key: ").contains("memfd_secret") {
        return skipped("the key's memory is anonymous, and root can read it");
    }
    match proxy.copies_in_memory(STEM.as_bytes()) {
        Ok(found) => assert_eq!(found, [], "copies of keys"),
        Err(error) => skipped(&format!("the proxy's memory cannot be read: {error}")),
    }
}

const ROTATIONS: usize = 1_000;
const CALLERS: usize = 8;

#[test]
fn a_thousand_keys_lose_no_request_and_leave_nothing_behind() {
    for upstream in [
        MockUpstream::tls_h1(Reply::responses("hi")),
        MockUpstream::h2(Reply::responses("hi")),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (builder, open) = reading_lines(&upstream, dir.path());
        let (proxy, mut keys) = started(builder, open);
        let locked_at_start = locked(&proxy);
        // The newest key that is known to be in force.
        let in_force = AtomicUsize::new(1);
        let is_over = AtomicBool::new(false);
        let sent = std::thread::scope(|threads| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|_| {
                    threads.spawn(|| {
                        let mut client = proxy.client();
                        let mut sent = 0;
                        while !is_over.load(Ordering::Acquire) {
                            let began = Instant::now();
                            let body = in_force.load(Ordering::Acquire).to_string();
                            let answer = client.post(RESPONSES, &[], &body).read_answer();
                            assert_eq!(answer.status, 200);
                            sent += 1;
                            // All of them together send some 500 a second.
                            let pause = Duration::from_millis(16).saturating_sub(began.elapsed());
                            std::thread::sleep(pause);
                        }
                        sent
                    })
                })
                .collect();
            for number in 2..=ROTATIONS {
                writeln!(keys, "{}", key(number)).unwrap();
                proxy.wait_for_stderr(&format!("by number {number}\n"));
                in_force.store(number, Ordering::Release);
            }
            is_over.store(true, Ordering::Release);
            let sent = callers.into_iter().map(|caller| caller.join().unwrap());
            sent.sum::<usize>()
        });
        let requests = upstream.wait_for_requests(sent);
        assert_eq!(requests.len(), sent);
        for request in &requests {
            let began: usize = request.text().parse().unwrap();
            let number = number_of(request);
            assert!(
                number >= began,
                "began after key {began}, sent with {number}"
            );
        }
        assert!(
            requests
                .iter()
                .any(|request| number_of(request) > ROTATIONS / 2)
        );
        assert_eq!(locked(&proxy), locked_at_start);
        assert_no_copy(&proxy);
    }
}

#[test]
fn answers_that_go_on_hold_back_no_key() {
    let gate = Gate::new();
    for upstream in [
        MockUpstream::tls_h1(Reply::event_stream().data("data: 1\n\n").hold(&gate)),
        MockUpstream::h2(Reply::event_stream().data("data: 1\n\n").hold(&gate)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (builder, open) = reading_lines(&upstream, dir.path());
        let (proxy, mut keys) = started(builder, open);
        let mut streams: Vec<Client> = Vec::new();
        // Three at least would be too many, if answers kept them.
        for number in 2..=10 {
            let mut stream = proxy.client();
            stream.post(RESPONSES, &[], "{}").read_head();
            streams.push(stream);
            writeln!(keys, "{}", key(number)).unwrap();
            proxy.wait_for_stderr(&format!("by number {number}\n"));
        }
        let numbers: Vec<_> = upstream.requests().iter().map(number_of).collect();
        assert_eq!(numbers, (1..10).collect::<Vec<_>>());
        assert_no_copy(&proxy);
    }
}

/// The key of the request, long after it was replaced and wiped.
#[test]
fn an_answer_that_repeats_its_own_old_key_is_cleaned() {
    let gate = Gate::new();
    let echo = {
        let gate = gate.clone();
        move |request: &RecordedRequest| {
            let value = request.header("authorization").unwrap();
            let echo = format!("data: {value}\n\n");
            Reply::event_stream()
                .data("data: 1\n\n")
                .hold(&gate)
                .data(echo)
        }
    };
    let upstream = MockUpstream::builder().h2().handler(echo).start();
    let dir = tempfile::tempdir().unwrap();
    let (builder, open) = reading_lines(&upstream, dir.path());
    let (proxy, mut keys) = started(builder, open);
    let mut stream = proxy.client();
    let head = stream.post(RESPONSES, &[], "{}").read_head();
    for number in 2..=6 {
        writeln!(keys, "{}", key(number)).unwrap();
        proxy.wait_for_stderr(&format!("by number {number}\n"));
    }
    gate.release();
    let text = stream.finish_answer(head).text();
    assert!(text.contains(&"*".repeat(key(1).len())), "{text}");
    assert!(!text.contains(STEM));
}

/// What is known of a fault is told to the caller, on standard error and in the access log.
#[test]
fn an_old_key_of_a_request_that_goes_on_is_in_no_message_and_no_log() {
    let gate = Gate::new();
    let redirect = {
        let gate = gate.clone();
        move |request: &RecordedRequest| {
            let value = request.header("authorization").unwrap();
            let key = value.strip_prefix("Bearer ").unwrap();
            match request.text().as_str() {
                "redirect" => {
                    Reply::redirect(302, &format!("https://{key}.example/")).hold_head(&gate)
                }
                _ => Reply::responses("hi")
                    .header("x-request-id", key)
                    .hold_head(&gate),
            }
        }
    };
    let upstream = MockUpstream::builder().h2().handler(redirect).start();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (builder, open) = reading_lines(&upstream, dir.path());
    let builder = builder.args(["--access-log", log.to_str().unwrap()]);
    let (proxy, mut keys) = started(builder, open);
    let mut callers: Vec<Client> = ["redirect", "{}"]
        .map(|body| {
            let mut caller = proxy.client();
            caller.post(RESPONSES, &[], body);
            caller
        })
        .into();
    upstream.wait_for_complete(1);
    for number in 2..=5 {
        writeln!(keys, "{}", key(number)).unwrap();
        proxy.wait_for_stderr(&format!("by number {number}\n"));
    }
    gate.release();
    let answers: Vec<_> = callers.iter_mut().map(Client::read_answer).collect();
    assert_eq!(answers[0].error_code(), "upstream_redirect");
    assert_eq!(answers[1].status, 200);
    let lines = loop {
        let text = std::fs::read_to_string(&log).unwrap();
        if text.lines().count() == 2 && text.ends_with('\n') {
            break text;
        }
        std::thread::yield_now();
    };
    let said = proxy.wait_for_stderr("upstream_redirect");
    let answered = answers
        .iter()
        .map(|answer| format!("{:?} {}", answer.headers, answer.text()));
    for text in answered.chain([said, lines]) {
        assert!(
            !text.to_lowercase().contains(&STEM.to_lowercase()),
            "{text}"
        );
    }
}

/// A body that takes its time, where the policy has to see it first, holds no key: it goes with the one in force then.
#[test]
fn bodies_that_come_slowly_keep_no_key_from_being_replaced() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let (builder, open) = reading_lines(&upstream, dir.path());
    let (proxy, mut keys) = started(builder.args(["--allow-model", "*"]), open);
    let body = r#"{"model":"gpt-5","input":"hi","store":false}"#;
    let mut callers = Vec::new();
    for number in 2..=8 {
        let mut caller = proxy.client();
        let head = format!(
            "POST {RESPONSES} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{{",
            body.len()
        );
        caller.send(head);
        callers.push(caller);
        writeln!(keys, "{}", key(number)).unwrap();
        proxy.wait_for_stderr(&format!("by number {number}\n"));
    }
    for caller in &mut callers {
        caller.send(&body[1..]);
        assert_eq!(caller.read_answer().status, 200);
    }
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| number_of(request) == 8)
    );
}

#[test]
fn a_line_that_is_not_a_key_leaves_the_old_one_in_use() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let (builder, open) = reading_lines(&upstream, dir.path());
    let (proxy, mut keys) = started(builder, open);
    for bad in ["", "two words", "umlaut-\u{e4}", &"k".repeat(9_000)] {
        writeln!(keys, "{bad}").unwrap();
    }
    proxy.wait_for_stderr("the old key stays in use");
    writeln!(keys, "{}", key(2)).unwrap();
    proxy.wait_for_stderr("by number 2\n");
    assert_eq!(ask(&proxy).status, 200);
    assert_eq!(
        upstream
            .requests()
            .iter()
            .map(number_of)
            .collect::<Vec<_>>(),
        [2]
    );
    // No more keys will come, and the last one stays.
    drop(keys);
    assert_eq!(ask(&proxy).status, 200);
}
