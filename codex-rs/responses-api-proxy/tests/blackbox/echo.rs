//! An upstream that sends the key back: the caller does not get it.
//!
//! That no answer holds the key, or twelve bytes of it, is checked by the client
//! on everything it reads.

use codex_test_support::{
    Answer, Certificate, End, Framing, MockUpstream, Proxy, Reply, Step, TEST_KEY,
    assert_openai_error,
};

use crate::{RESPONSES, ask, in_front_of};

const LOG: &str = "the upstream sent the key back";

#[test]
fn an_echoed_key_is_redacted_split_at_every_offset() {
    let whole = format!("data: Bearer {TEST_KEY}.\n\n");
    for start in [MockUpstream::h1, MockUpstream::h2] {
        let length = whole.len();
        let upstream = start(Reply::made({
            let whole = whole.clone();
            move |request| {
                let offset: usize = request.text().parse().unwrap();
                let (first, second) = whole.split_at(offset);
                Reply::new(200)
                    .framing(Framing::ContentLength)
                    .steps([first, second].map(|part| Step::Data(part.to_owned().into())))
            }
        }));
        let proxy = in_front_of(&upstream).start();
        for offset in 0..=length {
            let answer = proxy
                .client()
                .post(RESPONSES, &[], offset.to_string())
                .read_answer();
            assert_eq!((answer.end, answer.body.len()), (End::Clean, length));
            let text = answer.text();
            assert!(
                text.starts_with("data: Bearer ") && text.ends_with(".\n\n"),
                "{text}"
            );
        }
        proxy.wait_for_stderr(LOG);
    }
}

#[test]
fn an_echo_server_gives_away_nothing() {
    for upstream in [
        MockUpstream::h1(Reply::echo()),
        MockUpstream::tls_h1(Reply::echo()),
        MockUpstream::h2(Reply::echo()),
    ] {
        let proxy = in_front_of(&upstream).start();
        let answer = proxy
            .client()
            .post(RESPONSES, &[("x-mine", "kept")], "{}")
            .read_answer();
        assert_eq!((answer.status, answer.end), (200, End::Clean));
        assert!(
            answer.text().contains("kept") && answer.text().contains("****"),
            "{}",
            answer.text()
        );
        proxy.wait_for_stderr(LOG);
    }
}

#[test]
fn a_header_that_holds_the_key_is_dropped() {
    let upstream = MockUpstream::h1(
        Reply::bytes(401, "application/json", "{}")
            .header("x-echo", format!("your key {TEST_KEY} is wrong"))
            .header("www-authenticate", format!("Bearer realm=\"{TEST_KEY}\""))
            .header("x-request-id", "req_1"),
    );
    let proxy = in_front_of(&upstream).start();
    let answer = ask(&proxy);
    assert_eq!(
        (answer.status, answer.header("x-request-id")),
        (401, Some("req_1"))
    );
    assert_eq!(
        (answer.header("x-echo"), answer.header("www-authenticate")),
        (None, None)
    );
    proxy.wait_for_stderr(LOG);
}

/// An upstream that repeats the key, and encodes or truncates its answer on request.
fn obliging() -> Reply {
    Reply::made(|request| {
        let asked = |name: &str| {
            let values = request.header_all(name);
            String::from_utf8(values.concat()).unwrap()
        };
        let body = format!("the key is {TEST_KEY}.\n");
        if asked("accept-encoding").contains("gzip") {
            // What matters is that a search for the key does not find it.
            let coded: Vec<u8> = body.bytes().map(|byte| byte ^ 0x80).collect();
            return Reply::bytes(200, "text/plain", coded).header("content-encoding", "gzip");
        }
        let Some(range) = asked("range").strip_prefix("bytes=").map(str::to_owned) else {
            return Reply::bytes(200, "text/plain", body);
        };
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let part = body[first..=last].to_owned();
        let range = format!("bytes {first}-{last}/{}", body.len());
        Reply::bytes(206, "text/plain", part).header("content-range", range)
    })
}

#[test]
fn no_caller_can_have_the_key_coded_or_cut_into_parts() {
    let stars = "*".repeat(TEST_KEY.len());
    for upstream in [MockUpstream::h1(obliging()), MockUpstream::h2(obliging())] {
        let proxy = in_front_of(&upstream).start();
        let wishes: [&[(&str, &str)]; 5] = [
            &[("accept-encoding", "gzip")],
            &[("range", "bytes=11-13")],
            &[("range", "bytes=14-16"), ("if-range", "\"x\"")],
            &[("te", "gzip"), ("connection", "te")],
            &[
                ("accept-encoding", "br, gzip"),
                ("connection", "accept-encoding"),
            ],
        ];
        for (index, wish) in wishes.iter().enumerate() {
            let answer = proxy.client().post(RESPONSES, wish, "{}").read_answer();
            assert_eq!(
                (answer.status, answer.text()),
                (200, format!("the key is {stars}.\n"))
            );
            let sent = upstream.wait_for_complete(index);
            assert_eq!(sent.header_all("accept-encoding"), [b"identity"]);
            for name in ["range", "if-range", "te"] {
                assert!(sent.header_all(name).is_empty(), "{name}");
            }
        }
    }
}

/// No part of an answer, and no line, may hold the key in any case of letters; that it is not
/// there as it is, the harness looks for itself.
#[track_caller]
fn assert_nowhere(proxy: &Proxy, answer: &Answer) {
    let key = TEST_KEY.to_ascii_lowercase();
    let seen = format!("{answer:?} {} {}", answer.text(), proxy.stderr_so_far());
    assert!(!seen.to_ascii_lowercase().contains(&key), "{seen}");
    for obeyed in ["\u{1b}", "\u{7}"] {
        assert!(!answer.text().contains(obeyed) && !proxy.stderr_so_far().contains(obeyed));
    }
}

/// GOAWAY with debug data (RFC 9113, section 6.8): no stream was processed, ENHANCE_YOUR_CALM.
fn goaway(debug_data: &str) -> Vec<u8> {
    let length = u32::try_from(8 + debug_data.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], 7, 0, 0, 0, 0, 0];
    [&head[..], &[0, 0, 0, 0, 0, 0, 0, 11], debug_data.as_bytes()].concat()
}

#[test]
fn a_goaway_is_reported_by_its_code_and_not_by_its_debug_data() {
    let debug_data = format!("too many requests for {TEST_KEY} \u{1b}[2J\n");
    let upstream = MockUpstream::h2(Reply::raw(goaway(&debug_data), false));
    let proxy = in_front_of(&upstream).start();
    let answer = ask(&proxy);
    assert_openai_error(&answer, 502, "upstream_closed");
    proxy.wait_for_stderr("upstream_closed");
    assert_nowhere(&proxy, &answer);
    assert!(!answer.text().contains("too many"), "{}", answer.text());
    assert!(answer.text().contains("GOAWAY"), "{}", answer.text());
}

#[test]
fn a_redirect_to_a_host_that_is_the_key_does_not_name_it() {
    for host in [TEST_KEY.to_owned(), format!("{TEST_KEY}.example:8")] {
        let location = format!("https://{host}/{TEST_KEY}");
        let upstream = MockUpstream::h1(Reply::redirect(307, &location));
        let proxy = in_front_of(&upstream).start();
        let answer = ask(&proxy);
        assert_openai_error(&answer, 502, "upstream_redirect");
        proxy.wait_for_stderr("upstream_redirect");
        assert_nowhere(&proxy, &answer);
    }
}

#[test]
fn a_certificate_for_the_key_is_refused_without_naming_it() {
    let name = format!("\u{1b}]0;{TEST_KEY}\u{7}\nError: {TEST_KEY}");
    let upstream = MockUpstream::builder()
        .tls_h1()
        .certificate(Certificate::Named(name.leak()))
        .start();
    let proxy = in_front_of(&upstream).start();
    let answer = ask(&proxy);
    assert_openai_error(&answer, 502, "upstream_tls");
    let lines = proxy.wait_for_stderr("upstream_tls");
    assert_nowhere(&proxy, &answer);
    assert!(
        !lines.lines().any(|line| line.starts_with("Error: ")),
        "{lines}"
    );
}

#[test]
fn a_long_cause_is_cut() {
    let name = format!("{}.example", "x".repeat(5_000));
    let upstream = MockUpstream::builder()
        .tls_h1()
        .certificate(Certificate::Named(name.leak()))
        .start();
    let proxy = in_front_of(&upstream).start();
    let answer = ask(&proxy);
    assert_openai_error(&answer, 502, "upstream_tls");
    assert!(answer.body.len() < 600, "{}", answer.text());
}

#[test]
fn neither_a_header_s_name_nor_a_reason_nor_an_interim_answer_nor_a_trailer_brings_the_key() {
    let key = TEST_KEY.to_ascii_lowercase();
    let reply = |is_h1| {
        let reply = Reply::new(200)
            .framing(Framing::Chunked)
            .header(TEST_KEY, "1")
            .header(&format!("x-{TEST_KEY}"), "1")
            .header("x-value", key.clone())
            .header("x-request-id", "req_1")
            .interim(103, &[("link", TEST_KEY), (TEST_KEY, "1")])
            .data("data: x\n\n")
            .trailers(&[("x-trailer", TEST_KEY), (TEST_KEY, "1")]);
        if is_h1 { reply.reason(TEST_KEY) } else { reply }
    };
    for upstream in [
        MockUpstream::h1(reply(true)),
        MockUpstream::tls_h1(reply(true)),
        MockUpstream::h2(reply(false)),
    ] {
        let proxy = in_front_of(&upstream).start();
        let answer = ask(&proxy);
        assert_eq!(
            (
                answer.status,
                answer.text().as_str(),
                answer.header("x-request-id")
            ),
            (200, "data: x\n\n", Some("req_1"))
        );
        proxy.wait_for_stderr(LOG);
        assert_nowhere(&proxy, &answer);
        assert!(answer.interim.is_empty() && answer.trailers.is_empty());
    }
}

/// Names and codes of HTTP in which an upstream can say anything.
#[test]
fn a_key_in_any_part_of_a_head_or_a_fault_is_redacted() {
    let lower = TEST_KEY.to_ascii_lowercase();
    let upstream = MockUpstream::h1(vec![
        Reply::new(401).header(&format!("x-{lower}"), "1"),
        Reply::new(401).header("x-echo", &lower),
        Reply::redirect(307, &format!("https://{TEST_KEY}.example/")),
        Reply::bytes(200, "text/plain", "x").header("content-encoding", TEST_KEY),
        Reply::bytes(200, "text/plain", "x").reason(&format!("your key {TEST_KEY}")),
    ]);
    let proxy = in_front_of(&upstream).start();
    for status in [401, 401, 502, 502, 200] {
        let answer = ask(&proxy);
        assert_eq!(answer.status, status);
        let all = format!("{answer:?}").to_ascii_lowercase();
        assert!(!all.contains(&lower), "{all}");
    }
    let stderr = proxy.wait_for_stderr("upstream_redirect");
    assert!(!stderr.to_ascii_lowercase().contains(&lower), "{stderr}");
}
