//! An upstream that sends the key back: the caller does not get it.
//!
//! That no answer holds the key, or twelve bytes of it, is checked by the client
//! on everything it reads.

use codex_test_support::{End, Framing, MockUpstream, Reply, Step, TEST_KEY};

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

/// Names and codes of HTTP in which an upstream can say anything.
#[test]
fn a_key_in_any_part_of_a_head_or_a_fault_is_kept_back() {
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
