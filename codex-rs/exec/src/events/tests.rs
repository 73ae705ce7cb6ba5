use super::*;
use crate::events::lenient::MAX_PARTS;

#[test]
fn fields_that_are_not_needed_may_be_anything_or_nothing() {
    let delta = r#"{"type":"response.output_text.delta","delta":"x","logprobs":[{}],"new":1}"#;
    let Event::TextDelta(delta) = Event::parse(delta).unwrap() else {
        panic!("no delta");
    };
    assert_eq!(
        (delta.delta.as_str(), delta.place()),
        ("x", Place::default())
    );
    let done = r#"{"type":"response.completed","response":{"output":null,"usage":null}}"#;
    assert!(matches!(Event::parse(done), Ok(Event::Completed(_))));
    assert!(matches!(
        Event::parse(r#"{"type":"response.new"}"#),
        Ok(Event::Other)
    ));
}

#[test]
fn both_forms_of_an_error() {
    for data in [
        r#"{"type":"error","code":"c","message":"m","param":null}"#,
        r#"{"type":"error","error":{"type":"t","code":"c","message":"m"}}"#,
        r#"{"type":"error","error":"t","code":"c","message":"m"}"#,
        r#"{"type":"error","error":"m (c)"}"#,
    ] {
        let Ok(Event::Error(error)) = Event::parse(data) else {
            panic!("no error in {data}");
        };
        assert_eq!(error.to_string(), "m (c)");
    }
}

#[test]
fn what_is_no_event_is_an_error_that_does_not_repeat_it() {
    for (data, says) in [
        ("secret", "not a JSON object with a type"),
        ("[\"secret\"]", "not a JSON object with a type"),
        (
            r#"{"type":7,"x":"secret"}"#,
            "not a JSON object with a type",
        ),
        (
            r#"{"type":"response.output_text.delta","delta":["secret"]}"#,
            "an event response.output_text.delta that is not",
        ),
        (
            r#"{"type":"response.completed"}"#,
            "an event response.completed that is not",
        ),
    ] {
        let error = Event::parse(data).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_list_without_end_is_an_error() {
    let list = |n: usize| {
        let items = vec![r#"{"type":"x"}"#; n].join(",");
        format!(r#"{{"type":"response.completed","response":{{"output":[{items}]}}}}"#)
    };
    assert!(Event::parse(&list(MAX_PARTS)).is_ok());
    assert!(Event::parse(&list(MAX_PARTS + 1)).is_err());
    // What is skipped is skipped without recursion.
    let deep = format!(
        r#"{{"type":"x","y":{}{}}}"#,
        "[".repeat(1 << 20),
        "]".repeat(1 << 20)
    );
    assert!(matches!(Event::parse(&deep), Ok(Event::Other)));
}
