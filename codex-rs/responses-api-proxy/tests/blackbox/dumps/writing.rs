//! Dumps while they are written: of answers that are cut, of many at once, of a large request.

use std::fs;
use std::path::PathBuf;

use codex_test_support::{Gate, MockUpstream, Reply};
use serde_json::json;

use super::{dir_of, dump, dumping, names, unfinished, wait_for};
use crate::lifecycle::signal;
use crate::{RESPONSES, ask};

#[test]
fn an_answer_whose_caller_left_is_said_not_to_be_whole() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(Reply::event_stream().data("data: 1\n\n").hold(&gate));
    let mut proxy = dumping(&upstream).start();
    let mut client = proxy.client();
    client.post(RESPONSES, &[], "{}");
    client.read_head();
    client.wait_for_body("data: 1");
    client.close();
    let answer = dump(&dir_of(&proxy), 1, "response");
    assert_eq!(
        (&answer["body"], &answer["complete"]),
        (&json!("data: 1\n\n"), &json!(false))
    );
    // One that the end of the proxy cuts is written before that.
    let mut client = proxy.client();
    client.post(RESPONSES, &[], "{}");
    client.read_head();
    client.wait_for_body("data: 1");
    for _ in 0..2 {
        proxy.signal(signal("TERM"));
        proxy.wait_for_stderr("shutting down");
    }
    proxy.wait_exit();
    let answer = dump(&dir_of(&proxy), 2, "response");
    assert_eq!(answer["complete"], json!(false));
}

#[test]
fn fifty_streams_at_once_are_all_dumped() {
    let gate = Gate::new();
    let event = format!("data: {}\n\n", "x".repeat(5_000));
    let upstream = MockUpstream::h2(
        Reply::event_stream()
            .data(event.clone())
            .data(event.clone())
            .hold(&gate)
            .data(event.clone()),
    );
    let mut proxy = dumping(&upstream).start();
    let dir = dir_of(&proxy);
    let mut clients: Vec<_> = (0..50).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.post(RESPONSES, &[], "{\"stream\":true}");
        client.read_head();
    }
    wait_for("fifty unfinished files", || {
        (unfinished(&dir).len() == 50).then_some(())
    });
    gate.release();
    for client in &mut clients {
        client.wait_for_body(&event.repeat(3));
    }
    for number in 1..=50 {
        assert_eq!(
            dump(&dir, number, "request")["body"],
            json!({"stream": true})
        );
        assert_eq!(
            dump(&dir, number, "response")["body"],
            json!(event.repeat(3))
        );
    }
    assert_eq!(names(&dir).len(), 100);
    proxy.signal(signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    let stderr = proxy.stderr_so_far();
    assert!(!stderr.contains("refused system call"), "{stderr}");
    assert!(!stderr.contains("given up"), "{stderr}");
}

#[test]
fn a_large_request_is_dumped_in_little_memory() {
    const MIB: usize = 1024 * 1024;
    const SIZE: usize = 40;
    let upstream = MockUpstream::h1(Reply::json(200, &json!({})));
    let proxy = dumping(&upstream).start();
    let dir = dir_of(&proxy);
    ask(&proxy);
    dump(&dir, 1, "response");
    let before = proxy.rss_peak_kib();
    let mut client = proxy.client();
    let length = (SIZE * MIB + 2).to_string();
    let head = format!(
        "POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n\""
    );
    client.send(head);
    let part = vec![b'x'; MIB];
    for sent in 1..=SIZE {
        client.send(&part);
        wait_for("what was sent to be on the disk", || {
            let files = unfinished(&dir);
            let sizes = files.iter().filter_map(|file| fs::metadata(file).ok());
            let least = sizes.map(|found| found.len()).min()?;
            (least + 64 * 1024 >= u64::try_from(sent * MIB).unwrap()).then_some(())
        });
    }
    client.send("\"");
    assert_eq!(client.read_answer().status, 200);
    let body = dump(&dir, 2, "request")["body"].clone();
    assert_eq!(body.as_str().unwrap().len(), SIZE * MIB);
    let more = proxy.rss_peak_kib() - before;
    assert!(more < 8 * 1024, "{more} KiB more");
    assert_eq!(unfinished(&dir), [] as [PathBuf; 0]);
}
