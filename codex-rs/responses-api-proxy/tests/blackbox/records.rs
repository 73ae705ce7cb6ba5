//! Each request gives one record with one outcome, whatever happens to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use codex_test_support::{
    Answer, CutKind, End, Framing, Gate, MockUpstream, Proxy, ProxyBuilder, RefusedPort, Reply,
    WAIT_TIMEOUT,
};
use serde_json::{Value, json};

use crate::access_log_schema::assert_is_in_the_schema;
use crate::{PROXY, RESPONSES, in_front_of};

/// SIGTERM (signal(7)).
const TERM: i32 = 15;

/// A proxy with an access log, in a directory that goes with it.
pub(crate) struct Logged {
    pub(crate) proxy: Proxy,
    pub(crate) log: PathBuf,
    _dir: tempfile::TempDir,
}

pub(crate) fn logged(builder: ProxyBuilder) -> Logged {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    Logged {
        proxy: builder.arg("--access-log").arg(&log).start(),
        log,
        _dir: dir,
    }
}

impl Logged {
    /// Waits for `count` lines. [`all`](Self::all) sees whether more come.
    #[track_caller]
    pub(crate) fn records(&self, count: usize) -> Vec<Value> {
        records(&self.log, count)
    }

    /// Ends the proxy, and returns every record that there ever was.
    #[track_caller]
    pub(crate) fn all(&mut self) -> Vec<Value> {
        self.proxy.signal(TERM);
        assert_eq!(self.proxy.wait_exit().code(), Some(0));
        let text = fs::read_to_string(&self.log).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        records(&self.log, text.lines().count())
    }

    /// The one record of a request whose answer this is.
    #[track_caller]
    fn of(&self, answer: &Answer) -> Value {
        let mut all = self.records(1);
        let record = all.remove(0);
        assert_eq!(record["http.response.status_code"], answer.status);
        let id = answer.header("x-codex-proxy-request-id").unwrap();
        assert_eq!(record["id"], id);
        record
    }
}

/// The lines of a log, each as the schema says.
#[track_caller]
pub(crate) fn records(log: &Path, count: usize) -> Vec<Value> {
    let started = Instant::now();
    loop {
        let text = fs::read_to_string(log).unwrap();
        if text.lines().count() >= count {
            let lines: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(lines.len(), count, "{text}");
            lines.iter().for_each(assert_is_in_the_schema);
            return lines;
        }
        assert!(started.elapsed() < WAIT_TIMEOUT, "{count} lines:\n{text}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What the mock says of a request's usage.
fn usage(input: u64, output: u64) -> Value {
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 2},
    })
}

/// The event that ends a response.
pub(crate) fn final_event(kind: &str, input: u64, output: u64) -> String {
    let response = json!({"id": "resp_1", "model": "gpt-5", "usage": usage(input, output)});
    let data = json!({"type": kind, "response": response});
    format!("event: {kind}\ndata: {data}\n\n")
}

pub(crate) fn delta() -> &'static str {
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\n"
}

fn completed() -> Reply {
    Reply::event_stream()
        .data(delta())
        .data(final_event("response.completed", 11, 7))
}

#[test]
fn a_whole_answer_is_complete_and_has_its_tokens_and_cost() {
    let plain =
        json!({"id": "resp_1", "model": "gpt-5", "status": "completed", "usage": usage(11, 7)});
    let plain = || Reply::json(200, &plain);
    for (reply, is_stream) in [
        (completed(), true),
        (plain(), false),
        (plain().framing(Framing::Chunked), false),
    ] {
        for upstream in [
            MockUpstream::h1(reply.clone()),
            MockUpstream::h2(reply.clone()),
        ] {
            let logged = logged(in_front_of(&upstream));
            let body = r#"{"input":"hi","model":"gpt-5-mini"}"#;
            let answer = logged
                .proxy
                .client()
                .post(RESPONSES, &[], body)
                .read_answer();
            let record = logged.of(&answer);
            assert_eq!(record["outcome"], "complete", "{record}");
            assert_eq!(record["url.path"], RESPONSES);
            assert_eq!(record["stream"], is_stream);
            assert_eq!(record["bytes.request"], body.len());
            assert_eq!(record["bytes.response"], answer.body.len());
            assert_eq!(record["gen_ai.request.model"], "gpt-5-mini");
            assert_eq!(record["gen_ai.response.model"], "gpt-5");
            assert_eq!(record["gen_ai.usage.input_tokens"], 11);
            assert_eq!(record["gen_ai.usage.cache_read.input_tokens"], 3);
            assert_eq!(record["gen_ai.usage.output_tokens"], 7);
            assert_eq!(record["gen_ai.usage.reasoning.output_tokens"], 2);
            assert!(record["cost_usd"].as_f64().unwrap() > 0.0);
            assert_eq!(record.get("ttft_ms").is_some(), is_stream);
            let ttfb = record["ttfb_ms"].as_f64().unwrap();
            assert!(ttfb <= record["duration_ms"].as_f64().unwrap());
        }
    }
}

#[test]
fn a_response_that_says_it_is_not_whole_is_incomplete() {
    for kind in ["response.incomplete", "response.failed"] {
        let upstream = MockUpstream::h1(Reply::event_stream().data(final_event(kind, 5, 4)));
        let logged = logged(in_front_of(&upstream));
        let answer = logged
            .proxy
            .client()
            .post(RESPONSES, &[], "{}")
            .read_answer();
        assert_eq!(answer.end, End::Clean);
        let record = logged.of(&answer);
        assert_eq!(record["outcome"], "incomplete");
        assert_eq!(record["gen_ai.usage.output_tokens"], 4);
    }
}

#[test]
fn an_error_of_the_upstream_is_told_from_one_of_ours() {
    let error =
        json!({"error": {"message": "no", "type": "tokens", "code": "rate_limit_exceeded"}});
    let upstream = MockUpstream::h1(Reply::json(429, &error).header("x-request-id", "req_7"));
    let logged = logged(in_front_of(&upstream));
    let answer = logged
        .proxy
        .client()
        .post(RESPONSES, &[], "{}")
        .read_answer();
    let record = logged.of(&answer);
    assert_eq!(record["outcome"], "upstream_error");
    assert_eq!(record["error.type"], "rate_limit_exceeded");
    assert_eq!(record["openai.request_id"], "req_7");
    assert_eq!(record.get("code"), None);
}

#[test]
fn faults_of_the_upstream_are_named_by_their_codes() {
    let cut = |reply: Reply| reply.cut(CutKind::Fin);
    for (reply, outcome, code) in [
        (
            Reply::close_before_head(),
            "upstream_failed",
            "upstream_closed",
        ),
        (
            Reply::raw("SSH-2.0-x\r\n", true),
            "upstream_failed",
            "upstream_protocol",
        ),
        (
            Reply::redirect(302, "https://x.example/"),
            "upstream_failed",
            "upstream_redirect",
        ),
        (
            cut(Reply::event_stream().data(delta())),
            "upstream_cut",
            "upstream_closed",
        ),
    ] {
        let upstream = MockUpstream::h1(reply);
        let logged = logged(in_front_of(&upstream));
        let answer = logged
            .proxy
            .client()
            .post(RESPONSES, &[], "{}")
            .read_answer();
        let record = logged.of(&answer);
        assert_eq!(
            (&record["outcome"], &record["code"]),
            (&json!(outcome), &json!(code))
        );
        assert!(!record["message"].as_str().unwrap().is_empty());
    }
    let refused = RefusedPort::new();
    let logged = logged(Proxy::builder(PROXY).upstream_url(&refused.url()));
    let answer = logged
        .proxy
        .client()
        .post(RESPONSES, &[], "{}")
        .read_answer();
    assert_eq!(logged.of(&answer)["code"], "upstream_connect");
}

#[test]
fn refusals_have_a_record_each_those_of_unreadable_heads_too() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let logged =
        logged(in_front_of(&upstream).args(["--max-body", "10", "--header-timeout", "1s"]));
    let requests = [
        (
            "GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n",
            "path_not_allowed",
        ),
        (
            "GET /v1/responses HTTP/1.1\r\nhost: localhost\r\n\r\n",
            "method_not_allowed",
        ),
        (
            "POST /v1/responses HTTP/1.1\r\nhost: evil.example\r\n\r\n",
            "host_not_allowed",
        ),
        (
            "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\norigin: null\r\n\r\n",
            "browser_not_allowed",
        ),
        (
            "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-length: 11\r\n\r\n",
            "body_too_large",
        ),
        (
            "POST /v1/responses HTTP/1.1\nhost: localhost\n\n",
            "bad_request",
        ),
        ("POST /v1/responses HTTP/1.1\r\n", "header_timeout"),
    ];
    for (index, (request, code)) in requests.into_iter().enumerate() {
        let mut client = logged.proxy.client();
        let answer = client.send(request).read_answer();
        let all = logged.records(index + 1);
        let record = all.last().unwrap();
        assert_eq!(
            (&record["outcome"], &record["code"]),
            (&json!("refused"), &json!(code))
        );
        assert_eq!(record["http.response.status_code"], answer.status);
        let id = answer.header("x-codex-proxy-request-id");
        assert_eq!(record["id"].as_str(), id);
        let is_permitted = code == "body_too_large";
        assert_eq!(record["url.path"] == RESPONSES, is_permitted);
    }
}

#[test]
fn a_caller_that_leaves_or_stops_is_told_from_an_upstream_that_does() {
    let gate = Gate::new();
    let stream = Reply::event_stream().data(delta()).hold(&gate);
    let upstream = MockUpstream::h1(stream);
    let logged = logged(in_front_of(&upstream).args(["--body-timeout", "1s"]));
    // Before the head of the answer, then in mid-stream.
    let mut client = logged.proxy.client();
    client.post(RESPONSES, &[], "{}");
    client.wait_for_raw("delta");
    client.close();
    let left = logged.records(1).remove(0);
    assert_eq!(left["outcome"], "caller_left");
    assert_eq!(left["http.response.status_code"], 200);
    // The body ends before its length, and stops before it.
    let head = "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n123";
    let mut short = logged.proxy.client();
    let asking = head.replace("host:", "expect: 100-continue\r\nhost:");
    short.send(asking).wait_for_raw("100 Continue");
    short.shutdown_write();
    assert_eq!(logged.records(2)[1]["outcome"], "body_cut");
    let mut stalled = logged.proxy.client();
    stalled.send(head);
    assert_eq!(stalled.read_answer().status, 408);
    assert_eq!(logged.records(3)[2]["outcome"], "caller_stalled");
    gate.release();
}

#[test]
fn what_the_drain_cuts_off_is_drained() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(Reply::event_stream().data(delta()).hold(&gate));
    let mut logged = logged(in_front_of(&upstream).args(["--drain-timeout", "1s"]));
    let mut client = logged.proxy.client();
    client.post(RESPONSES, &[], "{}");
    client.wait_for_raw("delta");
    logged.proxy.signal(TERM);
    assert_eq!(logged.proxy.wait_exit().code(), Some(0));
    assert_eq!(logged.records(1)[0]["outcome"], "drained");
    gate.release();
}

#[test]
fn requests_of_one_connection_have_records_of_their_own() {
    let upstream = MockUpstream::h1(completed());
    let logged = logged(in_front_of(&upstream));
    let mut client = logged.proxy.client();
    let mut ids = BTreeMap::new();
    for _ in 0..20 {
        let answer = client.post(RESPONSES, &[], "{}").read_answer();
        let id = answer
            .header("x-codex-proxy-request-id")
            .unwrap()
            .to_owned();
        ids.insert(id, answer.status);
    }
    let records = logged.records(20);
    assert_eq!(ids.len(), 20);
    for record in records {
        assert!(ids.contains_key(record["id"].as_str().unwrap()));
    }
}
