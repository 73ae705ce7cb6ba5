//! Streams of events.

use super::*;

#[test]
fn a_stream_tells_its_tokens_and_where_they_were_spent() {
    let created = event(
        "response.created",
        &response(r#""service_tier":"auto","usage":null"#),
    );
    let delta = format!("event: response.output_text.delta\ndata: {DELTA}\n\n");
    let reasoning = "event: response.reasoning_summary_text.delta\ndata: 12\n\n";
    let other = "event: response.output_item.done\ndata: {\"usage\":1}\n\n: keep-alive\n\n";
    let body = [
        &*created,
        &delta,
        other,
        reasoning,
        &delta,
        &completed_event(),
    ]
    .concat();
    let expected = AnswerFacts {
        deltas: 3,
        ..completed()
    };
    assert_stream(&body, &expected);

    // Without event lines.
    let body = body
        .lines()
        .filter(|line| !line.starts_with("event: response.o"))
        .collect::<Vec<_>>()
        .join("\n");
    let unnamed = format!(
        "{}\n\n",
        body.replace("event: response.created\n", "")
            .replace("event: response.completed\n", "")
    );
    assert_stream(&unnamed, &expected);
}

#[test]
fn a_stream_that_is_cut_tells_what_it_had_told() {
    let created = event("response.in_progress", &response(r#""usage":null"#));
    assert_stream(&created, &named());
    let whole = created + &completed_event();
    // An event is whole with the empty line behind it.
    assert_stream(&whole[..whole.len() - 1], &named());
    assert_stream(&whole[..whole.len() / 2], &named());
    assert_stream("", &AnswerFacts::default());
}

#[test]
fn each_end_of_a_stream_is_told_with_its_reason() {
    let error = r#""error":{"code":"rate_limit_exceeded","message":"x"}"#;
    let no_code = r#""error":{"code":null,"type":"server_error"},"usage":null"#;
    let reason =
        format!(r#""incomplete_details":{{"reason":"max_output_tokens"}},"usage":{USAGE}"#);
    for (name, members, end, error_type, usage) in [
        (
            "response.failed",
            error,
            FinalEvent::Failed,
            text("rate_limit_exceeded"),
            None,
        ),
        (
            "response.failed",
            no_code,
            FinalEvent::Failed,
            text("server_error"),
            None,
        ),
        (
            "response.failed",
            r#""error":null"#,
            FinalEvent::Failed,
            None,
            None,
        ),
        (
            "response.incomplete",
            &reason,
            FinalEvent::Incomplete,
            text("max_output_tokens"),
            Some(COUNTS),
        ),
        (
            "response.completed",
            r#""error":null,"incomplete_details":null"#,
            FinalEvent::Completed,
            None,
            None,
        ),
    ] {
        let expected = AnswerFacts {
            end: Some(end),
            error_type,
            usage,
            ..named()
        };
        let body = event(name, &response(members));
        assert_stream(&body, &expected);
        let (_, data) = body.split_once('\n').unwrap();
        assert_stream(data, &expected);
    }
    for error in [
        r#"{"type":"error","code":"server_overloaded","message":"x","param":null}"#,
        r#"{"type":"error","error":{"type":"server_overloaded","code":null}}"#,
    ] {
        let expected = AnswerFacts {
            error_type: text("server_overloaded"),
            ..AnswerFacts::default()
        };
        assert_stream(&format!("event: error\ndata: {error}\n\n"), &expected);
        assert_stream(&format!("data: {error}\n\n"), &expected);
    }
}

#[test]
fn a_second_final_event_is_noted_and_otherwise_ignored() {
    let second = event(
        "response.failed",
        &response(r#""id":"other","usage":{"input_tokens":1,"output_tokens":1}"#),
    );
    let expected = AnswerFacts {
        second_final: true,
        ..completed()
    };
    assert_stream(&(completed_event() + &second), &expected);
    let (_, unnamed) = second.split_once('\n').unwrap();
    assert_stream(&(completed_event() + unnamed), &expected);
}

#[test]
fn the_name_in_front_of_the_data_decides_and_then_the_type() {
    let usage = format!(r#"{{"type":"TYPE","response":{{"usage":{USAGE}}}}}"#);
    let with_type = |kind: &str| usage.replace("TYPE", kind);
    let end = |end| AnswerFacts {
        end: Some(end),
        usage: Some(COUNTS),
        ..AnswerFacts::default()
    };
    let (completed, failed) = (
        with_type("response.completed"),
        with_type("response.failed"),
    );
    for (body, expected) in [
        (
            format!("event: response.failed\ndata: {completed}\n\n"),
            end(FinalEvent::Failed),
        ),
        (
            format!("data: {completed}\nevent: response.failed\n\n"),
            end(FinalEvent::Completed),
        ),
        (
            format!("event: ping\ndata: {completed}\n\n"),
            AnswerFacts::default(),
        ),
        (
            format!("event:\ndata: {failed}\n\n"),
            end(FinalEvent::Failed),
        ),
        (
            format!("event: ping\nevent\ndata: {failed}\n\n"),
            end(FinalEvent::Failed),
        ),
        (
            format!(
                "data: {}\nevent: response.failed\n\n",
                completed.replace("type", "kind")
            ),
            end(FinalEvent::Failed),
        ),
        (
            format!(
                "data: {{{},\"type\":\"response.completed\"}}\n\n",
                &usage[15..usage.len() - 1]
            ),
            end(FinalEvent::Completed),
        ),
        (
            format!(
                "data: {}\n\n",
                completed
                    .replacen('e', r"\u0065", 1)
                    .replacen("response", r"r\u0065sponse", 1)
            ),
            end(FinalEvent::Completed),
        ),
        (
            format!("data: {}\n\n", with_type("ping")),
            AnswerFacts::default(),
        ),
        (
            format!("data: {}\n\n", usage.replace("\"TYPE\"", "7")),
            AnswerFacts::default(),
        ),
    ] {
        assert_stream(&body, &expected);
    }
    let long = format!("{}.delta", "x".repeat(60));
    assert_stream(
        &format!("event: {long}\ndata: 1\n\ndata: {}\n\n", with_type(&long)),
        &AnswerFacts::default(),
    );
}

#[test]
fn data_in_several_lines_is_one_document() {
    let body = completed_event()
        .replace(":{", ":\ndata:{")
        .replace(",\"", "\ndata: ,\"");
    assert!(body.matches("data:").count() > 5);
    assert_stream(&body, &completed());
}

#[test]
fn the_text_of_output_is_counted_in_every_kind_of_delta_and_however_it_is_cut() {
    let text = |delta: &str, more: &str| {
        format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\"{more},\
             \"delta\":\"{delta}\"}}\n\n"
        )
    };
    let body = [
        &*text("four", ""),
        // In the same place as before, in another, and long enough to reach into the event behind it.
        &text("tw", ""),
        &text(
            "six\\u00e9",
            ",\"sequence_number\":10,\"item_id\":\"delta\"",
        ),
        "event: response.output_text.delta\ndata: {\"delta\":1}\n\n",
        &text("x", ""),
        "event: response.function_call_arguments.delta\ndata: {\"delta\":\"{\\\"a\\\"\"}\n\n",
        // Neither of output nor whole.
        "event: response.output_text.done\ndata: {\"delta\":\"none\"}\n\n",
        "event: response.output_text.delta\ndata: {\"delta\":\"cut\"}\n",
    ]
    .concat();
    let unnamed = body.replace("event: response.output_text.delta\n", "");
    let expected = 4 + 2 + 9 + 1 + 6;
    for (body, deltas) in [
        (&body, 6),
        (&body.replace('\n', "\r\n"), 6),
        (&body.replace('\n', "\r"), 6),
        // Of the one that has no type nobody knows what it is.
        (&unnamed, 5),
    ] {
        for size in [1, 2, 7, 100, body.len()] {
            let mut meter = AnswerMeter::new(AnswerForm::EventStream).counting_output();
            for piece in body.as_bytes().chunks(size) {
                meter.push(piece);
            }
            let counted = (meter.deltas(), meter.output_bytes());
            assert_eq!(counted, (deltas, expected), "{size} {body}");
        }
    }
    let mut meter = AnswerMeter::new(AnswerForm::EventStream);
    meter.push(body.as_bytes());
    assert_eq!((meter.deltas(), meter.output_bytes()), (6, 0));
}
