//! From one process to the next: nobody who connects is turned away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use codex_test_support::{End, Gate};

use super::*;

#[test]
fn who_comes_while_one_process_drains_is_served_by_the_next() {
    let gate = Gate::new();
    let held = Reply::event_stream()
        .data("data: 1\n\n")
        .hold(&gate)
        .data("data: 2\n\n");
    let upstream = MockUpstream::h1(vec![held, Reply::responses("hi")]);
    // Not even with this, by which an end would be answered.
    let builder = in_front_of(&upstream).http_shutdown().server_info();
    let Some(proxy) = activated(builder, &["proxy=tcp:127.0.0.1:0"]) else {
        return;
    };
    let port = ports(&proxy)[0];
    let connect = || Client::connect(SocketAddr::from(([127, 0, 0, 1], port)));
    let mut streaming = connect();
    streaming.post(RESPONSES, &[], "{}").read_head();
    streaming.wait_for_body("data: 1");
    let first = info(&proxy)["pid"].clone();
    signal(&proxy, "TERM");
    proxy.wait_for_stderr("shutting down");
    let mut next = connect();
    next.post(RESPONSES, &[], "{}");
    gate.release();
    streaming.wait_for_body("data: 2");
    assert_eq!(streaming.read_body_some(), None);
    assert_eq!(streaming.end(), Some(End::Clean));
    assert_eq!(next.read_answer().status, 200);
    assert_ne!(info(&proxy)["pid"], first);
}

/// Connects, asks and hears, over and over, until told to stop; says how often.
fn ask_until(port: u16, is_over: &AtomicBool, pause: Duration) -> usize {
    let mut asked = 0;
    while !is_over.load(Ordering::Relaxed) {
        assert_eq!(ask(port).status, 200);
        asked += 1;
        thread::sleep(pause);
    }
    asked
}

#[test]
fn restarts_under_load_lose_no_request() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let builder = in_front_of(&upstream).server_info();
    let Some(proxy) = activated(builder, &["proxy=tcp:127.0.0.1:0"]) else {
        return;
    };
    let port = ports(&proxy)[0];
    let is_over = AtomicBool::new(false);
    let asked: usize = thread::scope(|threads| {
        let clients: Vec<_> = (0..4)
            .map(|_| threads.spawn(|| ask_until(port, &is_over, Duration::ZERO)))
            .collect();
        for restart in 1..=3 {
            // Once it is there.
            let ready = "responses-api-proxy listening on";
            wait_until(|| proxy.stderr_so_far().matches(ready).count() >= restart);
            wait_until(|| fs::read_to_string(proxy.info_file()).is_ok_and(|info| !info.is_empty()));
            thread::sleep(Duration::from_millis(20));
            signal(&proxy, "TERM");
            wait_until(|| proxy.stderr_so_far().matches("manager saw exit 0").count() >= restart);
        }
        is_over.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .sum()
    });
    assert!(asked > 4, "{asked}");
}

#[test]
fn an_idle_process_ends_and_the_next_connection_finds_another() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let builder = in_front_of(&upstream).args(["--idle-exit", "20ms"]);
    let Some(proxy) = activated(builder, &["proxy=tcp:127.0.0.1:0"]) else {
        return;
    };
    let port = ports(&proxy)[0];
    assert_eq!(ask(port).status, 200);
    proxy.wait_for_stderr("no request for 20ms (--idle-exit); ending");
    proxy.wait_for_stderr("manager saw exit 0");
    // Around the moment at which one ends, again and again: each is answered, by whichever process.
    for pause in (10..40).chain(10..40) {
        assert_eq!(ask(port).status, 200, "after {pause} ms");
        thread::sleep(Duration::from_millis(pause));
    }
    assert!(proxy.stderr_so_far().matches("manager saw exit 0").count() > 2);
}

fn wait_until(is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < codex_test_support::WAIT_TIMEOUT);
        thread::sleep(Duration::from_millis(2));
    }
}
