//! Where an answer or a request breaks off is in its record: at the upstream's end or at the caller's.

use codex_test_support::{Answer, CutKind, End, Framing, Gate, MockUpstream, Proxy, Reply};
use serde_json::{Value, json};

use crate::records::{Logged, delta, final_event, logged};
use crate::{PROXY, RESPONSES, in_front_of};

/// Starts an upstream that answers so.
type Start = fn(Reply) -> MockUpstream;

const BODY: &str = r#"{"input":"hi"}"#;

/// Sends one request, ends the proxy, and returns the answer and the one record, which agree.
#[track_caller]
fn one(mut logged: Logged) -> (Answer, Value) {
    let answer = logged
        .proxy
        .client()
        .post(RESPONSES, &[], BODY)
        .read_answer();
    let record = only(&mut logged);
    assert_eq!(
        record["id"].as_str(),
        answer.header("x-codex-proxy-request-id")
    );
    assert_eq!(record["http.response.status_code"], answer.status);
    assert_eq!(record["url.path"], RESPONSES);
    (answer, record)
}

#[track_caller]
fn only(logged: &mut Logged) -> Value {
    let mut all = logged.all();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn an_answer_that_the_upstream_cuts_is_cut_wherever_that_is() {
    let whole = [delta(), &final_event("response.completed", 11, 7)].concat();
    let last = whole.len() as u64;
    let kinds: [(Start, CutKind); 3] = [
        (MockUpstream::h1, CutKind::Fin),
        (MockUpstream::h1, CutKind::Reset),
        // INTERNAL_ERROR (RFC 9113, section 7).
        (MockUpstream::h2, CutKind::RstStream(2)),
    ];
    for (start, kind) in kinds {
        // Behind the head, in mid-stream, one byte before the end.
        for sent in [0, delta().len() as u64, last - 1] {
            let stream = Reply::event_stream().data(whole.clone());
            let reply = match sent {
                0 => Reply::event_stream().cut(kind),
                sent => stream.cut_after(sent, kind),
            };
            let upstream = start(reply);
            let (answer, record) = one(logged(in_front_of(&upstream)));
            let at = format!("{kind:?} after {sent}: {record}");
            assert_eq!(answer.end, End::Cut, "{at}");
            assert_eq!(record["outcome"], "upstream_cut", "{at}");
            assert!(!record["code"].as_str().unwrap().is_empty(), "{at}");
            assert_eq!(record["bytes.request"], BODY.len(), "{at}");
            let forwarded = record["bytes.response"].as_u64().unwrap();
            assert!(forwarded <= sent, "{at}");
            assert!(answer.body.len() as u64 <= forwarded, "{at}");
        }
    }
}

#[test]
fn a_counted_body_that_the_upstream_cuts_is_cut_too() {
    let reply = Reply::json(200, &json!({"id": "resp_1", "output": "x".repeat(100)}));
    let upstream = MockUpstream::h1(
        reply
            .framing(Framing::ContentLength)
            .cut_after(50, CutKind::Fin),
    );
    let (answer, record) = one(logged(in_front_of(&upstream)));
    assert_eq!(answer.end, End::Cut);
    assert_eq!(record["outcome"], "upstream_cut", "{record}");
    assert_eq!(record["stream"], false);
}

#[test]
fn errors_of_the_upstream_are_passed_on_and_recorded_with_their_status() {
    for status in [400, 401, 404, 429, 500, 503] {
        for start in [MockUpstream::h1, MockUpstream::h2] {
            let upstream = start(Reply::json(status, &json!({"error": {"code": "no"}})));
            let (answer, record) = one(logged(in_front_of(&upstream)));
            assert_eq!(answer.status, status);
            assert_eq!(record["outcome"], "upstream_error", "{record}");
            assert_eq!(record["error.type"], "no");
            assert_eq!(record["bytes.response"], answer.body.len());
        }
    }
}

#[test]
fn an_upstream_that_is_late_or_has_no_address_is_named_by_its_code() {
    let silent = MockUpstream::h1(Reply::silence());
    let late = in_front_of(&silent).args(["--upstream-timeout", "1s"]);
    let nowhere = Proxy::builder(PROXY).upstream_url("https://no-such-host.invalid/v1/responses");
    for (builder, status, code) in [
        (late, 504, "upstream_timeout"),
        (nowhere, 502, "upstream_dns"),
    ] {
        let (answer, record) = one(logged(builder));
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (status, code)
        );
        assert_eq!(record["outcome"], "upstream_failed", "{record}");
        assert_eq!(record["code"], code);
        assert_eq!(record.get("ttfb_ms"), None);
    }
}

#[test]
fn a_caller_that_leaves_before_the_head_of_its_answer_has_left_with_no_status() {
    for start in [MockUpstream::h1, MockUpstream::h2] {
        let gate = Gate::new();
        let upstream = start(Reply::event_stream().hold_head(&gate));
        let mut logged = logged(in_front_of(&upstream));
        let mut client = logged.proxy.client();
        client.post(RESPONSES, &[], BODY);
        upstream.wait_for_complete(0);
        client.reset();
        upstream.wait_for_cancel(0);
        let record = only(&mut logged);
        assert_eq!(record["outcome"], "caller_left", "{record}");
        assert_eq!(record.get("http.response.status_code"), None);
        assert_eq!(record.get("ttfb_ms"), None);
        assert_eq!(record["bytes.request"], BODY.len());
        assert_eq!(record["bytes.response"], 0);
        gate.release();
    }
}

#[test]
fn a_caller_that_leaves_within_its_body_has_one_record_which_says_so() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let mut logged = logged(in_front_of(&upstream));
    let mut client = logged.proxy.client();
    client.send(format!(
        "POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    ));
    client.wait_for_raw("100 Continue");
    client.send("123");
    client.reset();
    let seen = logged.records(1).remove(0);
    assert_eq!(seen["outcome"], "body_cut", "{seen}");
    // A reset may overtake what was sent before it.
    assert!(seen["bytes.request"].as_u64().unwrap() <= 3, "{seen}");
    assert_eq!(seen.get("ttfb_ms"), None, "{seen}");
    // What is answered to it reaches nobody.
    assert_eq!(seen["bytes.response"], 0, "{seen}");
    assert_eq!(only(&mut logged), seen);
}
