//! Ten thousand requests, two hundred at a time, of which many go wrong: nothing is lost, and nothing counted twice.

use std::collections::BTreeMap;
use std::thread;

use codex_test_support::{CutKind, End, Gate, MockUpstream, Proxy, Reply};
use serde_json::Value;

use crate::metrics::{WithMetrics, place, scrape, value};
use crate::records::{delta, final_event, logged};
use crate::{RESPONSES, in_front_of};

const CALLERS: u64 = 200;
const EACH: u64 = 50;

const CUT: u64 = 0;
const REFUSED: u64 = 1;
const LEFT: u64 = 2;
const FAILED: u64 = 3;
/// And up to 7.
const WHOLE: u64 = 4;

/// What becomes of a request, by its number, in no order that anything else has.
fn fate(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61
}

fn input(number: u64) -> u64 {
    100 + number % 997
}

fn output(number: u64) -> u64 {
    1 + number % 89
}

/// Answers the request whose number is its body. The end of what is left at `gate` never comes.
fn answer(body: &[u8], gate: &Gate) -> Reply {
    let number: u64 = std::str::from_utf8(body).unwrap().parse().unwrap();
    let (input, output) = (input(number), output(number));
    let stream = Reply::event_stream().data(delta());
    match fate(number) {
        CUT => stream.cut(CutKind::Fin),
        REFUSED => Reply::new(500),
        FAILED => stream.data(final_event("response.failed", input, output)),
        LEFT => stream.hold(gate),
        _ => stream.data(final_event("response.completed", input, output)),
    }
}

/// The requests of one caller, one after the other. Returns the ids of those that were answered.
fn call(proxy: &Proxy, caller: u64) -> Vec<(String, u64)> {
    let mut connected = None;
    let mut answered = Vec::new();
    for number in caller * EACH..(caller + 1) * EACH {
        let mut client = connected.take().unwrap_or_else(|| proxy.client());
        client.post(RESPONSES, &[], number.to_string());
        if fate(number) == LEFT {
            client.wait_for_raw("delta");
            client.close();
            continue;
        }
        let answer = client.read_answer();
        let is_kept = answer.end == End::Clean && answer.status == 200;
        let id = answer.header("x-codex-proxy-request-id").unwrap();
        answered.push((id.to_owned(), number));
        connected = is_kept.then_some(client);
    }
    answered
}

/// What the record of an answered request says is what became of that very request.
#[track_caller]
fn assert_says(record: &Value, number: u64) {
    let (outcome, has_usage) = match fate(number) {
        CUT => ("upstream_cut", false),
        REFUSED => ("upstream_error", false),
        FAILED => ("incomplete", true),
        LEFT => panic!("{record} was not answered"),
        _ => ("complete", true),
    };
    assert_eq!(record["outcome"], outcome, "{record}");
    assert_eq!(
        record["bytes.request"],
        number.to_string().len(),
        "{record}"
    );
    let tokens = |name: &str| record.get(name).and_then(Value::as_u64);
    let expected = |count| has_usage.then_some(count);
    let (read, written) = (expected(input(number)), expected(output(number)));
    assert_eq!(tokens("gen_ai.usage.input_tokens"), read, "{record}");
    assert_eq!(tokens("gen_ai.usage.output_tokens"), written, "{record}");
}

#[test]
fn tokens_and_requests_are_counted_exactly_whatever_goes_wrong_beside_them() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = MockUpstream::h1(Reply::made(move |request| answer(&request.body, &held)));
    let logged = logged(in_front_of(&upstream).with_metrics());
    let metrics = place(&logged.proxy);
    let mut answered: BTreeMap<String, u64> = thread::scope(|scope| {
        let proxy = &logged.proxy;
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| scope.spawn(move || call(proxy, caller)))
            .collect();
        let ended = callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap());
        ended.collect()
    });
    let all = 0..CALLERS * EACH;
    let records = logged.records(usize::try_from(all.end).unwrap());
    let mut outcomes = BTreeMap::new();
    let (mut read, mut written) = (0, 0);
    for record in &records {
        if let Some(number) = answered.remove(record["id"].as_str().unwrap()) {
            assert_says(record, number);
        }
        *outcomes
            .entry(record["outcome"].as_str().unwrap())
            .or_insert(0) += 1;
        let count = |name: &str| record.get(name).and_then(Value::as_u64).unwrap_or(0);
        read += count("gen_ai.usage.input_tokens");
        written += count("gen_ai.usage.output_tokens");
    }
    assert_eq!(answered, BTreeMap::new(), "without a record");
    let of = |wanted: u64| all.clone().filter(move |&number| fate(number) == wanted);
    let expected = [
        ("caller_left", of(LEFT).count()),
        ("complete", (WHOLE..8).map(|fate| of(fate).count()).sum()),
        ("incomplete", of(FAILED).count()),
        ("upstream_cut", of(CUT).count()),
        ("upstream_error", of(REFUSED).count()),
    ];
    assert_eq!(outcomes, BTreeMap::from(expected));
    let counted = || (FAILED..8).filter(|&fate| fate != LEFT).flat_map(of);
    assert_eq!(read, counted().map(input).sum::<u64>());
    assert_eq!(written, counted().map(output).sum::<u64>());
    // A scrape says the same as the log.
    let text = scrape(metrics);
    let tokens = |kind| value(&text, "codex_proxy_tokens_total", &[("type", kind)]).to_string();
    assert_eq!(tokens("input"), read.to_string());
    assert_eq!(tokens("output"), written.to_string());
    let requests = value(&text, "codex_proxy_requests_total", &[]);
    assert_eq!(requests.to_string(), records.len().to_string());
    gate.release();
}
