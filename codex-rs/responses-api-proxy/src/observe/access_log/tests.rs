use super::*;

use serde_json::{Value, json};

use crate::observe::outcome::Outcome;

fn line(finished: &Finished, cost: Option<Cost>) -> Value {
    let (observer, _queue) = Observer::for_test();
    let mut bytes = b"before\n".to_vec();
    write_line(&mut bytes, finished, cost, &observer);
    let text = String::from_utf8(bytes).unwrap();
    let line = text.strip_prefix("before\n").unwrap();
    assert_eq!(line.matches('\n').count(), 1);
    let mut line: Value = serde_json::from_str(line).unwrap();
    let id = line["id"].take();
    assert!(id.as_str().unwrap().ends_with("-17"), "{id}");
    line
}

#[test]
fn a_line_has_the_names_and_units_of_the_schema() {
    let cost = Cost {
        usd: 0.021_000_000_000_000_004,
        is_estimated: false,
    };
    let expected = json!({
        "ts": "2026-11-28T14:03:07.123Z",
        "v": 1,
        "id": null,
        "outcome": "complete",
        "caller.uid": 1001,
        "caller.token": "ci",
        "http.request.method": "POST",
        "url.path": "/v1/responses",
        "http.response.status_code": 200,
        "duration_ms": 3200.4,
        "ttfb_ms": 300.0,
        "ttft_ms": 410.5,
        "bytes.request": 40_000,
        "bytes.response": 5_000,
        "stream": true,
        "openai.request_id": "req_1",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5.6",
        "gen_ai.response.model": "gpt-5.6",
        "gen_ai.response.id": "resp_1",
        "gen_ai.usage.input_tokens": 10_100,
        "gen_ai.usage.cache_read.input_tokens": 8_200,
        "gen_ai.usage.output_tokens": 312,
        "gen_ai.usage.reasoning.output_tokens": 64,
        "openai.service_tier": "default",
        "cost_usd": 0.021,
        "cost.estimated": false,
    });
    assert_eq!(line(&Finished::for_test(), Some(cost)), expected);
}

#[test]
fn what_is_not_known_is_left_out() {
    let refused = Finished {
        outcome: Outcome::Refused {
            code: "bad_request",
            cause: "not HTTP".to_owned(),
        },
        method: None,
        path: None,
        status: Some(400),
        first_byte: None,
        first_output: None,
        request_bytes: 0,
        request_model: None,
        upstream_request_id: None,
        answer: None,
        ..Finished::for_test()
    };
    let line = line(&refused, None);
    let expected = json!({
        "ts": "2026-11-28T14:03:07.123Z",
        "v": 1,
        "id": null,
        "outcome": "refused",
        "code": "bad_request",
        "message": "not HTTP",
        "caller.uid": 1001,
        "caller.token": "ci",
        "http.request.method": "-",
        "url.path": "-",
        "http.response.status_code": 400,
        "duration_ms": 3200.4,
        "bytes.request": 0,
        "bytes.response": 5_000,
    });
    assert_eq!(line, expected);
}

#[test]
fn times_have_microseconds_and_no_zeros_behind_them() {
    for (micros, expected) in [
        (0, "0.0"),
        (1, "0.001"),
        (1_050, "1.05"),
        (20_300, "20.3"),
        (90 * 60_000_000, "5400000.0"),
    ] {
        let mut to = Vec::new();
        let mut line = Line {
            to: &mut to,
            has_failed: false,
        };
        line.add_millis("ms", Duration::from_micros(micros));
        assert_eq!(to, format!(",\"ms\":{expected}").as_bytes());
    }
}

#[test]
fn strings_that_need_it_are_escaped() {
    let names = [r#"gpt"5"#, r"gpt\5", "gpt\u{fc}5", "", "gpt-5"];
    for name in names {
        let finished = Finished {
            request_model: Some(name.to_owned()),
            ..Finished::for_test()
        };
        assert_eq!(line(&finished, None)["gen_ai.request.model"], name);
    }
}

#[test]
fn strings_from_elsewhere_are_short_and_have_no_control_characters() {
    let long = "\u{1b}[2J".to_owned() + &"ü".repeat(500);
    let finished = Finished {
        request_model: Some(long.clone()),
        upstream_request_id: Some(long),
        method: Some(http::Method::from_bytes(&[b'X'; 2000]).unwrap()),
        ..Finished::for_test()
    };
    let line = line(&finished, None);
    for name in [
        "gen_ai.request.model",
        "openai.request_id",
        "http.request.method",
    ] {
        let text = line[name].as_str().unwrap();
        assert!(text.len() <= LONGEST && text.ends_with("..."), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
