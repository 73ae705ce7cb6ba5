use super::*;
use crate::events::lenient::Count;

/// What is shown of the given events, and how it ended.
fn fold(events: &[&str]) -> (String, Answer, Result<bool, AnswerError>) {
    let mut answer = Answer::default();
    let mut seen = String::new();
    for event in events {
        match answer.take(Event::parse(event).unwrap()) {
            Ok(outputs) => {
                for output in outputs {
                    match output {
                        Output::Text(text) => seen.push_str(&text),
                        Output::Reasoning(text) => seen.push_str(&format!("<{text}>")),
                        Output::Note(_) => seen.push('!'),
                        Output::Searches(_) => seen.push('?'),
                        Output::Done(_) => {}
                        Output::End => return (seen, answer, Ok(true)),
                    }
                }
            }
            Err(fault) => return (seen, answer, Err(fault)),
        }
    }
    (seen, answer, Ok(false))
}

/// The messages that are complete.
fn messages(events: &[&str]) -> Vec<String> {
    let mut answer = Answer::default();
    let outputs = events
        .iter()
        .flat_map(|event| answer.take(Event::parse(event).unwrap()).unwrap());
    let texts = outputs.filter_map(|output| match output {
        Output::Done(Done::Message(text)) => Some(text),
        _ => None,
    });
    texts.collect()
}

fn item(text: &str, output: u64) -> String {
    format!(
        r#"{{"type":"response.output_item.done","output_index":{output},"item":{{"type":"message","content":[{{"type":"output_text","text":"{text}"}}]}}}}"#
    )
}

#[test]
fn ids_are_not_compared_and_a_second_beginning_is_one_until_there_is_text() {
    let other = r#"{"type":"response.completed","response":{"id":"other"}}"#;
    let x = delta("x", 0, 0);
    assert_eq!(fold(&[CREATED, &x, other]).2, Ok(true));
    assert_eq!(fold(&[CREATED, CREATED, &x, COMPLETED]).2, Ok(true));
    assert_eq!(fold(&[&x, CREATED, COMPLETED]).2, Ok(true));
    let mixed = fold(&[CREATED, &x, CREATED]).2;
    assert_eq!(mixed, Err(AnswerError::Mixed));
}

#[test]
fn a_complete_item_that_is_counted_differently_is_not_shown_twice() {
    let (a, b) = (delta("on", 0, 0), delta("two", 1, 0));
    let (one, two) = (item("one", 3), item("two", 4));
    assert_eq!(fold(&[CREATED, &a, &one, COMPLETED]).0, "one");
    assert_eq!(
        fold(&[&a, &b, &item("on", 3), &two, COMPLETED]).0,
        "on\n\ntwo"
    );
    // The same text once more is another message.
    assert_eq!(fold(&[&a, &item("on", 0), &item("on", 1)]).0, "on\n\non");
}

#[test]
fn each_message_is_complete_once() {
    let (x, y) = (delta("x", 0, 0), delta("y", 1, 0));
    assert_eq!(messages(&[&x, &item("x", 0), COMPLETED]), ["x"]);
    assert_eq!(messages(&[&x, COMPLETED]), ["x"]);
    let all = [x.as_str(), &item("x", 0), &y, &item("y", 1), COMPLETED];
    assert_eq!(messages(&all), ["x", "y"]);
    let (_, answer, _) = fold(&all);
    assert_eq!(
        (answer.text.as_str(), answer.last_message()),
        ("x\n\ny", "y")
    );
}

#[test]
fn somebody_else_s_message_is_not_the_answer() {
    let user = r#"{"type":"response.output_item.done","item":{"type":"message","role":"user","content":[{"type":"output_text","text":"me"}]}}"#;
    assert_eq!(fold(&[user, &delta("x", 1, 0), COMPLETED]).0, "x");
}

const CREATED: &str = r#"{"type":"response.created","response":{"id":"r","model":"m"}}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"id":"r","usage":{"input_tokens":1,"output_tokens":2}}}"#;

fn delta(text: &str, output: u64, content: u64) -> String {
    format!(
        r#"{{"type":"response.output_text.delta","delta":"{text}","output_index":{output},"content_index":{content}}}"#
    )
}

#[test]
fn deltas_make_the_text() {
    let (a, b) = (delta("a ", 0, 0), delta("b", 0, 0));
    let done = r#"{"type":"response.output_text.done","text":"a b"}"#;
    let (seen, answer, end) = fold(&[CREATED, &a, &b, done, COMPLETED]);
    assert_eq!((seen.as_str(), answer.text.as_str()), ("a b", "a b"));
    assert_eq!(end, Ok(true));
    assert_eq!(answer.model.as_deref(), Some("m"));
    assert_eq!(
        answer.usage.map(|usage| usage.output_tokens),
        Some(Count(2))
    );
}

#[test]
fn what_was_not_streamed_is_shown_in_the_end() {
    let item = r#"{"type":"response.output_item.done","item":{"type":"message","content":[{"type":"output_text","text":"a b"}]}}"#;
    assert_eq!(fold(&[CREATED, item, COMPLETED]).0, "a b");
    assert_eq!(fold(&[&delta("a", 0, 0), item, COMPLETED]).0, "a b");
    let all = r#"{"type":"response.completed","response":{"output":[{"type":"reasoning"},{"type":"message","content":[{"type":"output_text","text":"a b"}]}]}}"#;
    assert_eq!(fold(&[all]).0, "a b");
    assert_eq!(fold(&[&delta("a b", 0, 0), all]).0, "a b");
}

#[test]
fn a_contradiction_is_noted_once() {
    let done = r#"{"type":"response.output_text.done","text":"c"}"#;
    assert_eq!(fold(&[&delta("a", 0, 0), done, done, COMPLETED]).0, "a!");
    let spaces = r#"{"type":"response.output_text.done","text":"a"}"#;
    assert_eq!(fold(&[&delta("a ", 0, 0), spaces, COMPLETED]).0, "a ");
}

#[test]
fn contradictions_are_not_kept() {
    let mut answer = Answer::default();
    let done = |n: u64| {
        let text = "y".repeat(1 << 20);
        format!(r#"{{"type":"response.output_text.done","text":"{text}","content_index":{n}}}"#)
    };
    for n in 0..100 {
        answer
            .take(Event::parse(&delta("x", 0, n)).unwrap())
            .unwrap();
        answer.take(Event::parse(&done(n)).unwrap()).unwrap();
    }
    let kept = answer.parts.values().map(|part| match &part.text {
        PartText::Streamed(text) => text.len(),
        PartText::Contradicted => 0,
    });
    assert_eq!(kept.sum::<usize>() + answer.text.len(), 100);
}

#[test]
fn another_message_is_another_paragraph() {
    let (a, b, c) = (delta("a", 0, 0), delta("b", 0, 1), delta("c", 2, 0));
    assert_eq!(fold(&[&a, &b, &c]).0, "ab\n\nc");
}

#[test]
fn reasoning_and_tools_are_no_text() {
    let reasoning = r#"{"type":"response.reasoning_summary_text.delta","delta":"hm"}"#;
    let part = r#"{"type":"response.reasoning_summary_part.added"}"#;
    let call = r#"{"type":"response.output_item.done","item":{"type":"function_call","name":"shell","arguments":"{}"}}"#;
    let (seen, answer, _) = fold(&[part, reasoning, part, reasoning, call]);
    assert_eq!(
        (seen.as_str(), answer.text.as_str()),
        ("<hm><\n\n><hm>!", "")
    );
}

#[test]
fn a_refusal_is_kept_apart() {
    let delta = r#"{"type":"response.refusal.delta","delta":"no"}"#;
    let done = r#"{"type":"response.refusal.done","refusal":"no"}"#;
    for events in [&[delta, done, COMPLETED][..], &[done, COMPLETED]] {
        let (seen, answer, end) = fold(events);
        assert_eq!((seen.as_str(), answer.refusal.as_str()), ("", "no"));
        assert_eq!(end, Ok(true));
    }
}

#[test]
fn the_bad_ends() {
    for (event, says) in [
        (
            r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"oops"}}}"#,
            "the server failed: oops (server_error)",
        ),
        (
            r#"{"type":"response.failed","response":{}}"#,
            "the server failed: no reason given",
        ),
        (
            r#"{"type":"error","code":7,"message":"oops"}"#,
            "the server failed: oops (7)",
        ),
        (
            r#"{"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}}"#,
            "the answer is incomplete: max_output_tokens",
        ),
        (
            r#"{"type":"response.cancelled"}"#,
            "the answer was cancelled by the server",
        ),
        (COMPLETED, "there is no text in the answer, and no refusal"),
    ] {
        let end = fold(&[CREATED, event]).2;
        assert_eq!(end.unwrap_err().to_string(), says);
    }
}

#[test]
fn parts_without_end_are_an_error() {
    let mut answer = Answer::default();
    let fault = (0..).find_map(|n| answer.take(Event::parse(&delta("x", n, 0)).unwrap()).err());
    assert_eq!(fault, Some(AnswerError::TooManyParts));
}
