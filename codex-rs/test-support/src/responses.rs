//! Content as the OpenAI Responses API would send it, complete enough for real clients.

use bytes::Bytes;
use serde_json::{Value, json};

/// When the made-up answers were created, in seconds of Unix time.
const CREATED_AT: u64 = 1_767_225_600;

/// One server-sent event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The event's name, which is also the `type` of its data.
    pub name: String,
    /// Its data.
    pub data: Value,
}

impl Event {
    /// `event: NAME`, `data: JSON`, an empty line.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        format!("event: {}\ndata: {}\n\n", self.name, self.data).into()
    }
}

/// The events of a text answer, from `response.created` to `response.completed`; one delta for
/// each word.
#[must_use]
pub fn text_events(text: &str) -> Vec<Event> {
    let deltas: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    let mut sequence = Sequence::default();
    let mut events = sequence.opening();
    events.extend(deltas.iter().map(|delta| sequence.delta(delta)));
    events.extend(sequence.closing(text));
    events
}

/// Numbers the events of one answer, for those who make them one at a time.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    next: u64,
}

impl Sequence {
    pub(crate) fn event(&mut self, name: &str, fields: Value) -> Event {
        let mut data = json!({ "type": name, "sequence_number": self.next });
        self.next += 1;
        if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
            data.extend(fields);
        }
        Event {
            name: name.to_owned(),
            data,
        }
    }

    /// What comes before anything of the output.
    pub(crate) fn beginning(&mut self) -> Vec<Event> {
        let in_progress = json!({ "response": response("in_progress", None) });
        vec![
            self.event("response.created", in_progress.clone()),
            self.event("response.in_progress", in_progress),
        ]
    }

    /// What comes before the first delta.
    pub fn opening(&mut self) -> Vec<Event> {
        let item = json!({
            "output_index": 0,
            "item": {
                "id": "msg_mock", "type": "message", "status": "in_progress",
                "role": "assistant", "content": [],
            },
        });
        let part = json!({
            "item_id": "msg_mock", "output_index": 0, "content_index": 0,
            "part": { "type": "output_text", "text": "", "annotations": [], "logprobs": [] },
        });
        let mut events = self.beginning();
        events.push(self.event("response.output_item.added", item));
        events.push(self.event("response.content_part.added", part));
        events
    }

    /// One piece of text.
    pub fn delta(&mut self, text: &str) -> Event {
        self.event(
            "response.output_text.delta",
            json!({
                "item_id": "msg_mock", "output_index": 0, "content_index": 0,
                "delta": text, "logprobs": [],
            }),
        )
    }

    /// What comes after the last delta; `text` is all of them.
    pub fn closing(&mut self, text: &str) -> Vec<Event> {
        let place = json!({ "item_id": "msg_mock", "output_index": 0, "content_index": 0 });
        let mut text_done = place.clone();
        text_done["text"] = json!(text);
        text_done["logprobs"] = json!([]);
        let mut part_done = place;
        part_done["part"] = output_text(text);
        vec![
            self.event("response.output_text.done", text_done),
            self.event("response.content_part.done", part_done),
            self.event(
                "response.output_item.done",
                json!({ "output_index": 0, "item": message(text) }),
            ),
            self.event(
                "response.completed",
                json!({ "response": response_json(text) }),
            ),
        ]
    }
}

/// The whole answer as one object, for requests that do not stream.
#[must_use]
pub fn response_json(text: &str) -> Value {
    response("completed", Some(text))
}

/// Whether the body of a request asks for a stream.
#[must_use]
pub fn wants_stream(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| body["stream"] == json!(true))
}

fn response(status: &str, text: Option<&str>) -> Value {
    match text {
        Some(text) => response_of(status, vec![message(text)], text.split_whitespace().count()),
        None => response_with(status, Vec::new(), &Value::Null),
    }
}

/// One with these items, which are so many tokens.
pub(crate) fn response_of(status: &str, output: Vec<Value>, tokens: usize) -> Value {
    let usage = json!({
        "input_tokens": 12,
        "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": tokens,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": 12 + tokens,
    });
    response_with(status, output, &usage)
}

fn response_with(status: &str, output: Vec<Value>, usage: &Value) -> Value {
    json!({
        "id": "resp_mock",
        "object": "response",
        "created_at": CREATED_AT,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": "gpt-mock",
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": { "effort": null, "summary": null },
        "store": false,
        "temperature": 1.0,
        "text": { "format": { "type": "text" } },
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
        "user": null,
    })
}

fn message(text: &str) -> Value {
    json!({
        "id": "msg_mock",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [output_text(text)],
    })
}

fn output_text(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}
