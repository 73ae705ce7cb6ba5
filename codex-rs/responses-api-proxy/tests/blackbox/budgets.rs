//! What callers may ask for and spend, with a policy.

mod accounts;
mod charges;
mod commands;
mod cuts;
mod inspection;
mod limits;
mod restarts;

use std::path::PathBuf;

use codex_test_support::{Answer, MockUpstream, Proxy, Reply};
use serde_json::{Value, json};

use crate::{RESPONSES, in_front_of};

/// A proxy with a policy, in a directory that goes with it.
struct Limited {
    proxy: Proxy,
    policy: PathBuf,
    ledger: PathBuf,
    _dir: tempfile::TempDir,
}

fn limited(upstream: &MockUpstream, policy: &str, args: &[&str]) -> Limited {
    let dir = tempfile::tempdir().unwrap();
    let (file, ledger) = (dir.path().join("policy.toml"), dir.path().join("ledger"));
    std::fs::write(&file, policy).unwrap();
    let proxy = in_front_of(upstream)
        .arg("--policy")
        .arg(&file)
        .arg("--ledger")
        .arg(&ledger)
        .args(args.iter().copied())
        .start();
    Limited {
        proxy,
        policy: file,
        ledger,
        _dir: dir,
    }
}

impl Limited {
    fn ask(&self, body: &Value) -> Answer {
        post(&self.proxy, &body.to_string())
    }
}

fn post(proxy: &Proxy, body: &str) -> Answer {
    let json = [("content-type", "application/json")];
    proxy.client().post(RESPONSES, &json, body).read_answer()
}

/// An upstream that answers each request with so many tokens as its `metadata` says: of input, of those cached, of
/// output. A stream has one delta for each token of output.
fn upstream() -> MockUpstream {
    MockUpstream::h1(Reply::made(|request| {
        let asked = &request.body_json()["metadata"];
        let of = |name: &str| asked[name].as_u64().unwrap_or(0);
        if request.body_json()["stream"] == true {
            stream(of("input"), of("cached"), of("output"))
        } else {
            Reply::json(200, &response(of("input"), of("cached"), of("output")))
        }
    }))
}

fn response(input: u64, cached: u64, output: u64) -> Value {
    json!({
        "id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5.2",
        "service_tier": "default",
        "usage": {
            "input_tokens": input, "input_tokens_details": { "cached_tokens": cached },
            "output_tokens": output, "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": input + output,
        },
    })
}

fn deltas(count: u64) -> String {
    let event = "event: response.output_text.delta\n\
                 data: {\"type\":\"response.output_text.delta\",\"delta\":\"word\"}\n\n";
    event.repeat(usize::try_from(count).unwrap())
}

fn completed(input: u64, cached: u64, output: u64) -> String {
    let data = json!({ "type": "response.completed", "response": response(input, cached, output) });
    format!("event: response.completed\ndata: {data}\n\n")
}

fn stream(input: u64, cached: u64, output: u64) -> Reply {
    Reply::event_stream()
        .data(deltas(output))
        .data(completed(input, cached, output))
}

/// A request that costs so many tokens, with a body of about 3.5 bytes for each of input.
fn request(input: u64, output: u64) -> Value {
    let filler = usize::try_from(input * 7 / 2).unwrap().saturating_sub(120);
    json!({
        "model": "gpt-5.2", "metadata": { "input": input, "output": output },
        "input": "x".repeat(filler),
    })
}
