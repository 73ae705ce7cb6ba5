//! What an upstream can do to the meter.

use super::*;

const SIZE: usize = 8 << 20;

/// What a final event with such data comes to.
#[track_caller]
fn assert_final(data: &str, expected: &AnswerFacts) {
    for (sizes, named) in [([16 << 10], true), ([1000], true), ([16 << 10], false)] {
        let name = if named {
            "event: response.completed\n"
        } else {
            ""
        };
        let body = format!("{name}data: {data}\n\n");
        let (facts, _) = meter(AnswerForm::EventStream, body.as_bytes(), &sizes);
        assert_eq!(&facts, expected, "{data:.60}");
    }
}

/// That the buffer never grows is tested in `json/tests.rs`.
#[test]
fn a_final_event_of_megabytes_is_read() {
    let large = "A text.\\n\\\"quoted\\\" \\u00e9".repeat(SIZE / 24);
    let members = format!(r#""output":[{{"text":"{large}"}}],"usage":{USAGE}"#);
    let data = format!(
        r#"{{"type":"response.completed","response":{}}}"#,
        response(&members)
    );
    let expected = AnswerFacts {
        end: Some(FinalEvent::Completed),
        usage: Some(COUNTS),
        ..named()
    };
    assert_final(&data, &expected);
    let document = response(&members);
    let (facts, _) = meter(AnswerForm::Json, document.as_bytes(), &[16 << 10]);
    let expected = AnswerFacts {
        end: None,
        ..expected
    };
    assert_eq!(facts, expected);
}

/// Id and model from before the fault are reported; the event is what its name says.
#[test]
fn an_unreadable_final_event_counts_but_has_no_usage() {
    let expected = AnswerFacts {
        end: Some(FinalEvent::Completed),
        usage_unreadable: true,
        ..named()
    };
    let usage = format!(r#""usage":{USAGE}"#);
    let before = format!(
        r#"{{"type":"response.completed","response":{{"id":"resp_1","model":"gpt-5.6",{usage}"#
    );
    for fault in [
        String::new(),
        "}".to_owned(),
        "}}}".to_owned(),
        "}} x".to_owned(),
        ",,}}".to_owned(),
        ",\"\u{1}\":1}}".to_owned(),
        format!(",\"x\":{}}}}}", "1".repeat(SIZE)),
        format!(",\"x\":{}", "[".repeat(1_000_000)),
        format!(",\"x\":{}", "{\"a\":".repeat(1_000_000)),
        format!(",\"x\":{}", "n".repeat(SIZE)),
        format!(",\"{}", "k".repeat(SIZE)),
    ] {
        assert_final(&format!("{before}{fault}"), &expected);
    }
    let key = format!("{before},\"{}\":1}}}}", "k".repeat(SIZE));
    let whole = AnswerFacts {
        usage: Some(COUNTS),
        usage_unreadable: false,
        ..expected.clone()
    };
    assert_final(&key, &whole);

    // Bytes that are not UTF-8 matter only in a text that is read.
    for (members, expected) in [
        (&b"\"tier\":\"\xff\""[..], &expected),
        (b"\"x\":[\"\xff\"]", &whole),
    ] {
        let mut body = before
            .replace("{\"type", "event: response.completed\ndata: {\"type")
            .into_bytes();
        body.push(b',');
        body.extend(members);
        body.extend(b"}}\n\n");
        let (facts, _) = meter(AnswerForm::EventStream, &body, &[]);
        assert_eq!(&facts, expected);
    }
}

#[test]
fn a_final_event_without_any_data_in_it_is_unreadable() {
    let expected = AnswerFacts {
        end: Some(FinalEvent::Failed),
        usage_unreadable: true,
        ..AnswerFacts::default()
    };
    for body in [
        "event: response.failed\ndata\n\n",
        "event: response.failed\ndata:\n\n",
        "event: response.failed\ndata:\ndata: \n\n",
        "data:\nevent: response.failed\n\n",
    ] {
        assert_stream(body, &expected);
    }
    assert_stream("event: response.failed\n\n", &AnswerFacts::default());
}

#[test]
fn a_fault_in_another_event_does_not_affect_the_final_one() {
    let faults = "event: response.created\ndata: {,}\n\nevent: error\ndata: [}\n\ndata: {\"type\"\n\ndata: x\n\n";
    assert_stream(&format!("{faults}{}", completed_event()), &completed());
}

#[test]
fn a_meter_is_small() {
    assert!(
        size_of::<AnswerMeter>() <= 320,
        "{}",
        size_of::<AnswerMeter>()
    );
    assert!(size_of::<Document>() <= 512, "{}", size_of::<Document>());
}

#[test]
fn a_line_without_an_end_is_not_an_event() {
    for start in [
        "",
        "data: ",
        "event: ",
        "event",
        ":",
        "data: {\"type\":\"",
        "event: response.completed\ndata: ",
    ] {
        let mut body = start.as_bytes().to_vec();
        body.resize(SIZE, b'x');
        for sizes in [[16 << 10], [77]] {
            let (facts, _) = meter(AnswerForm::EventStream, &body, &sizes);
            assert_eq!(facts, AnswerFacts::default());
        }
    }
}
