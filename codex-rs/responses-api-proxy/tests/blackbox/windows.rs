//! How much of an answer may be on its way over HTTP/2.

use std::time::{Duration, Instant};

use bytes::Bytes;
use codex_test_support::{Client, End, MockUpstream, Proxy, Reply};

use crate::isolation::far_away;
use crate::{PROXY, RESPONSES, ask, in_front_of};

const MIB: usize = 1 << 20;

/// What the upstream sends for a request whose body says how many bytes.
fn of_any_size() -> MockUpstream {
    let most = Bytes::from(vec![b' '; 32 * MIB]);
    MockUpstream::builder()
        .h2()
        .max_concurrent_streams(100)
        .handler(move |request| {
            let length = request.text().trim().parse().unwrap_or(2);
            Reply::bytes(200, "application/json", most.slice(..length)).chunk_size(256 * 1024)
        })
        .start()
}

fn asked(proxy: &Proxy, length: usize) -> Client {
    let mut client = proxy.client().deadline(Duration::from_secs(60));
    client.post(RESPONSES, &[], length.to_string());
    client
}

/// By 64 KiB a round trip of 80 ms it would take 64 of them, five seconds.
#[test]
fn a_large_answer_from_far_away_takes_a_few_round_trips() {
    let upstream = of_any_size();
    let port = far_away(&upstream, Duration::from_millis(40));
    let proxy = Proxy::builder(PROXY)
        .env("SSL_CERT_FILE", upstream.ca_file())
        .upstream_url(&format!("https://127.0.0.1:{port}{RESPONSES}"))
        .start();
    // The connection is there.
    assert_eq!(ask(&proxy).status, 200);
    for _ in 0..2 {
        let begun = Instant::now();
        let answer = asked(&proxy, 4 * MIB).read_answer();
        assert_eq!((answer.status, answer.body.len()), (200, 4 * MIB));
        // Four, where there is time for nothing else.
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(1600), "took {took:?}");
    }
}

#[test]
fn answers_that_nobody_reads_are_bounded_and_hold_up_no_other() {
    const UNREAD: usize = 60;
    let upstream = of_any_size();
    let proxy = in_front_of(&upstream).args(["--threads", "1"]).start();
    assert_eq!(ask(&proxy).status, 200);
    let before = proxy.rss_peak_kib();
    let unread: Vec<Client> = (0..UNREAD)
        .map(|_| {
            let mut client = asked(&proxy, 32 * MIB);
            client.read_head();
            client
        })
        .collect();
    // Others on the same connection have theirs at once, and all of it.
    for length in [100, MIB, 8 * MIB] {
        let answer = asked(&proxy, length).read_answer();
        assert_eq!((answer.status, answer.body.len()), (200, length));
    }
    let peak = proxy.rss_peak_kib();
    // 64 KiB each, apart from what all together may have beyond it.
    let most = before + 64 * UNREAD as u64 + 32 * 1024;
    assert!(peak < most, "from {before} to {peak} KiB, more than {most}");
    drop(unread);
}

/// Whoever reads on gets all of it, although h2 holds a part and we another.
#[test]
fn an_answer_that_is_read_by_and_by_is_whole() {
    let upstream = of_any_size();
    let proxy = in_front_of(&upstream).start();
    let mut client = asked(&proxy, 12 * MIB);
    client.read_head();
    let mut sum = 0;
    while let Some(piece) = client.read_body_some() {
        sum += piece.len();
        if sum % (3 * MIB) < piece.len() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    assert_eq!((sum, client.end()), (12 * MIB, Some(End::Clean)));
}

/// A frame of the first stream.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [.., high, middle, low] = payload.len().to_be_bytes();
    [&[high, middle, low, kind, flags, 0, 0, 0, 1][..], payload].concat()
}

/// h2 ends a connection for the hundred and first of these in its life, with all answers on it.
#[test]
fn frames_without_data_do_not_end_a_connection() {
    // HEADERS with `:status: 200`, DATA, nothing many times, DATA, the end.
    let answer = [
        frame(1, 4, &[0x88]),
        frame(0, 0, b"data: 1\n\n"),
        frame(0, 0, b"").repeat(500),
        frame(0, 0, b"data: 2\n\n"),
        frame(0, 1, b""),
    ];
    let upstream = MockUpstream::h2(Reply::raw(answer.concat(), false));
    let proxy = in_front_of(&upstream).start();
    let answer = ask(&proxy);
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.end),
        (200, "data: 1\n\ndata: 2\n\n", End::Clean)
    );
}
