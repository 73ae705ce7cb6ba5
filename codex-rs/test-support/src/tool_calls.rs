//! An answer that calls a function of the caller's, as the OpenAI Responses API would send it.

use std::convert::Infallible;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::responses::{Event, Sequence, response_of};

/// The call that an answer makes; the caller sends it back with what the function returned.
const CALL_ID: &str = "call_mock";

/// A call of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The function.
    pub name: String,
    /// What it is called with: JSON, as a string.
    pub arguments: String,
}

impl ToolCall {
    /// Whether the body of a request offers this function, and nothing has been called yet.
    #[must_use]
    pub fn is_due(&self, body: &[u8]) -> bool {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return false;
        };
        let of = |key: &str| body[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_offered = of("tools")
            .iter()
            .any(|tool| tool["type"] == "function" && tool["name"] == self.name.as_str());
        let is_answered = of("input")
            .iter()
            .any(|item| item["type"] == "function_call_output");
        is_offered && !is_answered
    }

    /// The events of an answer that is this call and no text.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let mut sequence = Sequence::default();
        let mut events = sequence.beginning();
        let place = |fields: Value| {
            let mut event = json!({ "item_id": "fc_mock", "output_index": 0 });
            if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
                event.extend(fields);
            }
            event
        };
        let added = json!({ "output_index": 0, "item": self.item("in_progress", "") });
        let done = json!({ "output_index": 0, "item": self.item("completed", &self.arguments) });
        for (name, fields) in [
            ("response.output_item.added", added),
            (
                "response.function_call_arguments.delta",
                place(json!({ "delta": self.arguments })),
            ),
            (
                "response.function_call_arguments.done",
                place(json!({ "name": self.name, "arguments": self.arguments })),
            ),
            ("response.output_item.done", done),
            (
                "response.completed",
                json!({ "response": self.response_json() }),
            ),
        ] {
            events.push(sequence.event(name, fields));
        }
        events
    }

    /// The whole answer as one object, for requests that do not stream.
    #[must_use]
    pub fn response_json(&self) -> Value {
        response_of(
            "completed",
            vec![self.item("completed", &self.arguments)],
            1,
        )
    }

    fn item(&self, status: &str, arguments: &str) -> Value {
        json!({
            "id": "fc_mock",
            "type": "function_call",
            "status": status,
            "call_id": CALL_ID,
            "name": self.name,
            "arguments": arguments,
        })
    }
}

/// `NAME=ARGUMENTS`; without `=`, the function is called with `{}`.
impl FromStr for ToolCall {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (name, arguments) = text.split_once('=').unwrap_or((text, "{}"));
        Ok(Self {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> ToolCall {
        "look_up=({\"of\":1})".parse().unwrap()
    }

    #[test]
    fn a_call_is_due_where_it_is_offered_until_its_result_is_there() {
        let offered = json!({"tools": [{"type": "web_search"}, {"type": "function", "name": "look_up"}], "input": "hi"});
        assert!(call().is_due(offered.to_string().as_bytes()));
        let mut answered = offered.clone();
        answered["input"] =
            json!([{"type": "function_call_output", "call_id": CALL_ID, "output": "x"}]);
        assert!(!call().is_due(answered.to_string().as_bytes()));
        let other = json!({"tools": [{"type": "function", "name": "other"}], "input": "hi"});
        for body in [other.to_string(), "{}".to_owned(), "no JSON".to_owned()] {
            assert!(!call().is_due(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn the_events_end_with_the_call_that_they_announce() {
        let events = call().events();
        let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(names.first(), Some(&"response.created"));
        assert_eq!(names.last(), Some(&"response.completed"));
        let numbers: Vec<_> = events
            .iter()
            .map(|event| event.data["sequence_number"].as_u64())
            .collect();
        assert_eq!(
            numbers,
            (0..events.len() as u64).map(Some).collect::<Vec<_>>()
        );
        let output = &events.last().unwrap().data["response"]["output"];
        assert_eq!(output, &call().response_json()["output"]);
        assert_eq!(output[0]["arguments"], "({\"of\":1})");
    }
}
