//! A mock upstream to run by hand: for demonstrations, and for clients that are not Rust tests.
#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Parser;
use codex_test_support::responses::{Event, Sequence, response_json, wants_stream};
use codex_test_support::tool_calls::ToolCall;
use codex_test_support::{CutKind, MockUpstream, RecordedRequest, Reply, Step};
use serde_json::{Value, json};

/// Mock upstream that answers like the OpenAI Responses API
#[derive(Clone, Debug, Parser)]
struct Args {
    /// The port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Speak HTTP/1.1 over TLS
    #[arg(long, requires = "ca_out")]
    tls: bool,
    /// Speak HTTP/2 over TLS
    #[arg(long, requires = "ca_out", conflicts_with = "tls")]
    h2: bool,
    /// Write the CA that clients must trust to this file, as PEM
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// Accept only this key, and answer any other with 401; may be repeated
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Number of text events in a streamed answer
    #[arg(long, value_name = "N", default_value_t = 5)]
    events: usize,
    /// Time between text events, in milliseconds
    #[arg(long, value_name = "M", default_value_t = 0)]
    interval_ms: u64,
    /// Model name in answers
    #[arg(long, value_name = "NAME", default_value = "gpt-mock")]
    model: String,
    /// Number of input tokens that answers report
    #[arg(long, value_name = "N", default_value_t = 12)]
    input_tokens: u64,
    /// Number of these input tokens that answers report as cached
    #[arg(long, value_name = "N", default_value_t = 0)]
    cached_tokens: u64,
    /// Cut the connection after this many text events
    #[arg(long, value_name = "K")]
    die_after: Option<usize>,
    /// Close the connection after each answer, so the next request needs a new one
    #[arg(long)]
    close: bool,
    /// Call this function if a request offers it and has no result yet; may be repeated
    ///
    /// ARGUMENTS are JSON. If this is given more than once, the first function that is offered is called.
    #[arg(long, value_name = "NAME[=ARGUMENTS]")]
    call: Vec<ToolCall>,
    /// Make the text of each text event the time it was sent, in microseconds of Unix time
    #[arg(long)]
    stamp: bool,
    /// Write {"port":N} to this file once listening
    #[arg(long, value_name = "FILE")]
    info: Option<PathBuf>,
    /// Append each request to this file as a line of JSON, once its body has arrived
    ///
    /// Each line has all headers as they arrived.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let record = match &args.record {
        Some(path) => Some(Mutex::new(
            OpenOptions::new().create(true).append(true).open(path)?,
        )),
        None => None,
    };
    let mut builder = MockUpstream::builder().port(args.port);
    if args.tls {
        builder = builder.tls_h1();
    }
    if args.h2 {
        builder = builder.h2();
    }
    let behaviour = args.clone();
    let upstream = builder
        .handler(move |request| {
            if let Some(file) = &record {
                append(file, request);
            }
            let reply = behaviour.reply(request);
            if behaviour.close {
                return reply.header("connection", "close");
            }
            reply
        })
        .start();
    if let Some(path) = &args.ca_out
        && upstream.is_tls()
    {
        upstream.copy_ca(path)?;
    }
    if let Some(path) = &args.info {
        std::fs::write(path, format!("{}\n", json!({ "port": upstream.port() })))?;
    }
    writeln!(
        std::io::stderr(),
        "mock upstream listening on {}",
        upstream.addr()
    )?;
    loop {
        std::thread::park();
    }
}

impl Args {
    /// What a key that is not taken is answered with, and a request for nothing.
    fn refusal(&self, request: &RecordedRequest) -> Option<Reply> {
        if self.keys.is_empty() {
            return None;
        }
        let sent = request.header("authorization").unwrap_or_default();
        let sent = sent.strip_prefix("Bearer ").unwrap_or_default();
        let error = |message: &str| json!({ "error": { "message": message } });
        if !self.keys.iter().any(|key| key == sent) {
            return Some(Reply::json(401, &error("Incorrect API key provided")));
        }
        (request.body == b"{}").then(|| Reply::json(400, &error("Missing required parameter")))
    }

    fn reply(&self, request: &RecordedRequest) -> Reply {
        if let Some(refusal) = self.refusal(request) {
            return refusal;
        }
        if request
            .target
            .split('?')
            .next()
            .is_some_and(|path| path.ends_with("/models"))
        {
            return Reply::json(200, &json!({ "object": "list", "data": [], "models": [] }));
        }
        if let Some(call) = self.call.iter().find(|call| call.is_due(&request.body)) {
            return self.calls(call, wants_stream(&request.body));
        }
        let text: String = (0..self.events).map(word).collect();
        if !wants_stream(&request.body) {
            let mut response = response_json(&text);
            self.name_model_and_usage(&mut response);
            return Reply::json(200, &response);
        }
        // With the text that was streamed, which the end repeats.
        let sequence = Arc::new(Mutex::new((Sequence::default(), String::new())));
        let args = self.clone();
        let next = move |make: &dyn Fn(&mut Sequence, &mut String) -> Vec<Event>| -> Bytes {
            let mut sequence = sequence.lock().unwrap_or_else(PoisonError::into_inner);
            let (sequence, streamed) = &mut *sequence;
            let mut events = make(sequence, streamed);
            for event in &mut events {
                if let Some(response) = event.data.get_mut("response") {
                    args.name_model_and_usage(response);
                }
            }
            events.iter().flat_map(Event::to_bytes).collect()
        };
        let mut reply = Reply::event_stream().data(next(&|sequence, _| sequence.opening()));
        for n in 0..self.events {
            if self.die_after == Some(n) {
                return reply.cut(CutKind::Fin);
            }
            if n > 0 && self.interval_ms > 0 {
                reply = reply.pace(Duration::from_millis(self.interval_ms));
            }
            let (next, stamp) = (next.clone(), self.stamp);
            reply = reply.step(Step::Fresh(Arc::new(move || {
                let text = if stamp {
                    format!("{} ", micros())
                } else {
                    word(n)
                };
                next(&|sequence, streamed| {
                    streamed.push_str(&text);
                    vec![sequence.delta(&text)]
                })
            })));
        }
        if self.die_after.is_some_and(|n| n >= self.events) {
            return reply.cut(CutKind::Fin);
        }
        reply.step(Step::Fresh(Arc::new(move || {
            next(&|sequence, streamed| sequence.closing(streamed))
        })))
    }

    /// The answer that is a call and no text.
    fn calls(&self, call: &ToolCall, streams: bool) -> Reply {
        if !streams {
            let mut response = call.response_json();
            self.name_model_and_usage(&mut response);
            return Reply::json(200, &response);
        }
        let mut events = call.events();
        for event in &mut events {
            if let Some(response) = event.data.get_mut("response") {
                self.name_model_and_usage(response);
            }
        }
        events.iter().fold(Reply::event_stream(), |reply, event| {
            reply.data(event.to_bytes())
        })
    }

    /// Sets what the arguments say of every answer.
    fn name_model_and_usage(&self, response: &mut Value) {
        let set = |at: &str, value: Value, response: &mut Value| {
            if let Some(place) = response.pointer_mut(at) {
                *place = value;
            }
        };
        set("/model", json!(self.model), response);
        // Only a final answer has a usage.
        let output = response.pointer("/usage/output_tokens");
        if let Some(output) = output.and_then(Value::as_u64) {
            let input = self.input_tokens;
            set("/usage/input_tokens", json!(input), response);
            let cached = json!(self.cached_tokens);
            set(
                "/usage/input_tokens_details/cached_tokens",
                cached,
                response,
            );
            set("/usage/total_tokens", json!(input + output), response);
        }
    }
}

/// The text of the n-th event.
fn word(n: usize) -> String {
    format!("word{n} ")
}

fn micros() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_micros())
}

fn append(file: &Mutex<File>, request: &RecordedRequest) {
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(value)))
        .collect();
    let line = json!({
        "method": request.method,
        "target": request.target,
        "headers": headers,
        "body": request.text(),
    });
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
        drop(writeln!(std::io::stderr(), "cannot record: {error}"));
    }
}
