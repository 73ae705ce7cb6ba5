//! The control socket, and the commands that ask it.

mod access;
mod ends;
mod hostile;
mod top;
mod waiting;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use codex_test_support::{
    Client, Gate, MockUpstream, Output, ProxyBuilder, Reply, WAIT_TIMEOUT, assert_no_key,
    run_to_exit,
};
use serde_json::Value;

use crate::custody::strictest_sandbox;
use crate::metrics::{WithMetrics, place, value, wait_for_requests};
use crate::{PROXY, RESPONSES, in_front_of};

/// So often a status is asked for again that is to show what has just been done: records are read in batches.
const AGAIN: Duration = Duration::from_millis(10);

/// A control socket in a directory of its own.
struct Socket {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Socket {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            path: dir.path().join("control.sock"),
            _dir: dir,
        }
    }

    /// As the flag has it.
    fn place(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    fn on(&self, proxy: ProxyBuilder) -> ProxyBuilder {
        proxy.args(["--control", &self.place()])
    }

    /// Runs a command that asks here.
    #[track_caller]
    fn run(&self, command: &str, more: &[&str]) -> Output {
        let place = self.place();
        let args = [&[command, "--control", &place], more].concat();
        run_to_exit(PROXY, &args, &[], b"")
    }

    #[track_caller]
    fn status(&self) -> Value {
        let output = self.run("status", &["--json"]);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        serde_json::from_str(&output.stdout).unwrap()
    }

    fn connect(&self) -> Line {
        Line::to(&self.path)
    }

    /// Asks until `is_there`; the status by then.
    #[track_caller]
    fn wait_for(&self, what: &str, is_there: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        let mut line = self.connect();
        loop {
            let mut answer = line.ask(r#"{"v":1,"ask":"status","streams":true}"#);
            let status = answer["status"].take();
            if is_there(&status) {
                return status;
            }
            assert!(started.elapsed() < WAIT_TIMEOUT, "no {what}: {status}");
            thread::sleep(AGAIN);
        }
    }
}

/// A connection to a control socket. Whatever comes is searched for the key.
struct Line(BufReader<UnixStream>);

impl Line {
    fn to(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
        Self(BufReader::new(stream))
    }

    #[track_caller]
    fn ask(&mut self, question: &str) -> Value {
        self.say(&format!("{question}\n"));
        self.answer().unwrap()
    }

    fn say(&mut self, bytes: &str) {
        // It may be closed already.
        let _ = self.0.get_mut().write_all(bytes.as_bytes());
    }

    /// `None` at the end.
    fn answer(&mut self) -> Option<Value> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line).unwrap_or(0);
        assert_no_key(line.as_bytes(), "an answer on the control socket");
        (length > 0).then(|| serde_json::from_str(&line).unwrap())
    }
}

/// An upstream whose answers say three tokens and wait at the gate before their end.
fn streaming(gate: &Gate) -> MockUpstream {
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\
                 \"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"a\"}\n\n";
    MockUpstream::h1(
        Reply::event_stream()
            .data(delta.repeat(3))
            .hold(gate)
            .data("data: [DONE]\n\n"),
    )
}

/// A request for this model, and the head of its answer.
fn begin_with(proxy: &codex_test_support::Proxy, model: &str) -> Client {
    let mut client = proxy.client();
    let body = serde_json::json!({ "model": model, "stream": true }).to_string();
    client.post(RESPONSES, &[("content-type", "application/json")], body);
    client.read_head();
    client
}

#[test]
fn a_status_says_what_metrics_say_and_what_was_done() {
    let upstream = MockUpstream::h2(Reply::responses("one two three"));
    let socket = Socket::new();
    let prices = socket.path.with_file_name("prices.toml");
    std::fs::write(
        &prices,
        "[prices.\"gpt-mock\"]\ninput = 1.0\ncached_input = 1.0\noutput = 10.0\n",
    )
    .unwrap();
    let proxy = socket
        .on(in_front_of(&upstream))
        .with_metrics()
        .args(["--sandbox", strictest_sandbox()])
        .args(["--budget", "requests=5/day"])
        .args(["--prices".into(), prices])
        .start();
    let place = place(&proxy);
    for _ in 0..3 {
        let json = [("content-type", "application/json")];
        let body = r#"{"model":"gpt-mock","input":"hi"}"#;
        let answer = proxy.client().post(RESPONSES, &json, body).read_answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    proxy.client().get("/v1/models").read_answer();
    let text = wait_for_requests(place, 4.0);
    let status = socket.wait_for("four requests", |status| {
        status["requests"]["finished"] == 4
    });
    let labels = |outcome: &'static str| [("outcome", outcome)];
    for (outcome, code, count) in [
        ("complete", Value::Null, 3.0),
        ("refused", "path_not_allowed".into(), 1.0),
    ] {
        let metric = value(&text, "codex_proxy_requests_total", &labels(outcome));
        assert_eq!(metric, count);
        let outcomes = status["requests"]["outcomes"].as_array().unwrap();
        let found = outcomes.iter().find(|one| one["outcome"] == outcome);
        let found = found.unwrap();
        assert_eq!(
            (&found["count"], &found["code"]),
            (&Value::from(3.0f64.min(count) as u64), &code)
        );
    }
    for of in ["input", "cached", "output", "reasoning"] {
        let metric = value(&text, "codex_proxy_tokens_total", &[("type", of)]);
        assert_eq!(status["tokens"][of].as_f64(), Some(metric), "{of}");
    }
    let cost = value(&text, "codex_proxy_cost_usd_total", &[]);
    assert!((status["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-12);
    assert!(cost > 0.0);
    assert_eq!(status["pid"], proxy.pid());
    assert_eq!(status["listening"][0], proxy.addr().to_string());
    assert_eq!(status["metrics"], format!("http://{place}/metrics"));
    assert_eq!(status["upstream"]["tls"], true);
    assert_eq!(status["state"], "serving");
    assert_eq!(status["credential"]["kind"], "stdin");
    assert_eq!(status["v"], 1);
    let budget = &status["budgets"][0];
    let figures = ["limit", "spent", "reserved", "remaining"].map(|name| budget[name].as_f64());
    assert_eq!(figures, [Some(5.0), Some(3.0), Some(0.0), Some(2.0)]);
    assert_eq!(budget["measure"], "requests");
    // The words of the start-up lines.
    let said = proxy.stderr_so_far();
    let protections = status["protections"].as_array().unwrap();
    assert!(protections.len() >= 3);
    for line in protections {
        assert!(said.contains(line.as_str().unwrap()), "{line} in {said}");
    }
    assert!(said.contains(&format!("\ncontrol: {}\n", socket.place())));
    let text = socket.run("status", &[]);
    for line in ["serving (process", "4 finished", "requests/day", "CALLER"] {
        assert!(text.stdout.contains(line), "{line} in {}", text.stdout);
    }
}

#[test]
fn a_request_in_flight_is_seen_with_its_caller_its_model_and_its_tokens() {
    let gate = Gate::new();
    let upstream = streaming(&gate);
    let socket = Socket::new();
    let proxy = socket.on(in_front_of(&upstream)).start();
    let mut client = begin_with(&proxy, "gpt-\u{1b}[2Jx");
    let status = socket.wait_for("stream with three tokens", |status| {
        status["streams"][0]["tokens"] == 3
    });
    let stream = &status["streams"][0];
    assert_eq!(stream["model"], "gpt-\\u{1b}[2Jx");
    assert_eq!(stream["phase"], "streaming");
    assert_eq!(status["requests"]["in_flight"], 1);
    let caller = &status["callers"][0];
    assert_eq!(caller["in_flight"], 1);
    assert_eq!(caller["connections"], 1);
    assert_eq!(stream["caller"], caller["name"]);
    // What was not asked for is not there.
    assert_eq!(socket.status().get("streams"), None);
    gate.release();
    while client.read_body_some().is_some() {}
    let status = socket.wait_for("end", |status| status["requests"]["finished"] == 1);
    assert_eq!(status["streams"], Value::Array(Vec::new()));
    assert_eq!(status["requests"]["in_flight"], 0);
}

#[test]
fn the_last_fault_of_the_upstream_is_told() {
    let upstream = codex_test_support::RefusedPort::new();
    let socket = Socket::new();
    let proxy = codex_test_support::Proxy::builder(PROXY).upstream_url(&upstream.url());
    let proxy = socket.on(proxy).start();
    assert_eq!(crate::ask(&proxy).status, 502);
    let status = socket.wait_for("fault", |status| {
        status["upstream"]["last_fault"].is_object()
    });
    let fault = &status["upstream"]["last_fault"];
    assert_eq!(fault["code"], "upstream_connect");
    assert_eq!(status["upstream"]["tls"], false);
    assert!(socket.run("status", &[]).stdout.contains("last fault:"));
}
