//! From the bytes of a body to what a terminal shows: what has to hold whatever a server sends.
//!
//! Compiled only for tests and under `cfg(fuzzing)`, which cargo-fuzz sets.
#![allow(clippy::panic, reason = "a fuzz target reports by panicking")]

use bytes::Bytes;

use crate::events::Event;
use crate::events::answer::{Answer, Done, Output};
use crate::events::stream::EventStream;
use crate::markdown::Markdown;
use crate::terminal::printable::printable;
use crate::transport::redact::{Pieces, Redactor};

/// What the request was sent with.
const SECRET: &str = "sk-secret-1";

/// What has come of a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// On standard output.
    pub(crate) text: String,
    /// Everything else that is said, on standard error or with `--json`.
    said: String,
    /// The text that the answer keeps.
    kept: String,
    pub(crate) is_complete: bool,
}

/// However a body is cut: the same is shown, all of the text once, nothing that steers a terminal, and not the
/// secret. The first byte says where it is cut.
pub fn screen(data: &[u8]) {
    let Some((cut, body)) = data.split_first() else {
        return;
    };
    let whole = show(&[body]);
    let at = usize::from(*cut) * body.len() / 255;
    let (first, second) = body.split_at(at.min(body.len()));
    assert_eq!(show(&[first, second]), whole, "cut at {at}");
    let single: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(show(&single), whole, "byte by byte");

    let redactor = Redactor::new(std::iter::once(SECRET.as_bytes()));
    assert_eq!(whole.text, redactor.clean(&whole.kept));
    assert!(!whole.text.contains(SECRET) && !whole.said.contains(SECRET));
    let on_screen = format!("{}{}", printable(&whole.text), printable(&whole.said));
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!on_screen.contains(steers), "{on_screen:?}");

    let mut markdown = Markdown::new(|| 80);
    let read = markdown.push(&whole.text) + &markdown.finish();
    let read = without_styles(&read);
    assert!(!read.contains(steers), "{read:?}");
}

/// Without the only sequences that are ours: `ESC [` numbers `m`.
fn without_styles(shown: &str) -> String {
    let mut parts = shown.split("\u{1b}[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != ';');
        let (_, rest) = part.split_at(end.unwrap_or(part.len()));
        text.push_str(rest.strip_prefix('m').unwrap_or("\u{1b}"));
    }
    text
}

/// Does what an attempt does, without a connection and a terminal.
pub(crate) fn show(pieces: &[&[u8]]) -> Shown {
    let redactor = Redactor::new(std::iter::once(SECRET.as_bytes()));
    let (mut events, mut answer) = (EventStream::new(), Answer::default());
    let (mut text, mut reasoning) = (Pieces::default(), Pieces::default());
    let mut shown = Shown::default();
    'body: for piece in pieces {
        events.push(Bytes::copy_from_slice(piece));
        loop {
            let data = match events.next() {
                Ok(Some(data)) => data,
                Ok(None) => break,
                Err(_) => break 'body,
            };
            let mut event = match Event::parse(&data) {
                Ok(event) => event,
                Err(error) => {
                    shown.said += &error.redacted(&redactor).to_string();
                    continue;
                }
            };
            event.redact(&redactor);
            let outputs = match answer.take(event) {
                Ok(outputs) => outputs,
                Err(error) => {
                    shown.said += &error.to_string();
                    break 'body;
                }
            };
            for output in outputs {
                match output {
                    Output::Text(piece) => shown.text += &text.push(&redactor, &piece),
                    Output::Reasoning(piece) => shown.said += &reasoning.push(&redactor, &piece),
                    Output::Note(note) => shown.said += &note,
                    Output::Searches(search) => shown.said += &search.what().unwrap_or_default(),
                    Output::Done(Done::Message(message)) => {
                        shown.said += &redactor.clean(&message);
                    }
                    Output::Done(Done::Reasoning(summary)) => shown.said += &summary,
                    Output::Done(Done::Search(search)) => {
                        shown.said += &search.what().unwrap_or_default();
                    }
                    Output::End => {
                        shown.is_complete = true;
                        break 'body;
                    }
                }
            }
        }
    }
    shown.text += &text.finish();
    shown.said += &reasoning.finish();
    shown.kept = answer.text;
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// One message, and how a server sends it.
    #[derive(Clone, Debug)]
    struct Message {
        /// The pieces of its text.
        pieces: Vec<String>,
        /// How many of them are streamed; the rest comes with the whole.
        streamed: usize,
        says_text_done: bool,
        noise: usize,
    }

    fn message() -> impl Strategy<Value = Message> {
        let piece = "(sk-secret-1|sk-|[a-zü🎉 \n]){1,6}";
        let pieces = proptest::collection::vec(piece, 1..6);
        (pieces, 0..6_usize, any::<bool>(), 0..NOISE.len()).prop_map(
            |(pieces, streamed, says_text_done, noise)| Message {
                streamed: streamed.min(pieces.len()),
                pieces,
                says_text_done,
                noise,
            },
        )
    }

    /// What says nothing about the text.
    const NOISE: [&str; 9] = [
        "",
        ": ping\n\n",
        "data: ping\n\n",
        "data: {}\n\n",
        "data:\n\n",
        "data: [DONE]\n\n",
        "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":3}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"delta\":null}\n\n",
        "data: {\"type\":\"response.new\",\"text\":\"none of it\"}\n\n",
    ];

    fn event(data: &Value) -> String {
        format!("data: {data}\n\n")
    }

    /// The stream of some messages, whose items are counted from `shift` when they are complete.
    fn stream(messages: &[Message], shift: usize, whole_at_end: bool) -> String {
        let mut stream = event(&json!({"type": "response.created", "response": {"id": "a"}}));
        let mut output = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let text = message.pieces.concat();
            for piece in message.pieces.iter().take(message.streamed) {
                stream += &event(&json!({
                    "type": "response.output_text.delta", "output_index": index, "delta": piece,
                }));
                stream += NOISE[message.noise];
            }
            if message.says_text_done && message.streamed > 0 {
                stream += &event(&json!({
                    "type": "response.output_text.done", "output_index": index, "text": text,
                }));
            }
            let content = json!([{"type": "output_text", "text": text}]);
            let item = json!({"type": "message", "role": "assistant", "content": content});
            stream += &event(&json!({
                "type": "response.output_item.done", "output_index": index + shift, "item": item,
            }));
            output.push(item);
        }
        let output = if whole_at_end { output } else { Vec::new() };
        let response = json!({"id": "b", "output": output});
        stream + &event(&json!({"type": "response.completed", "response": response}))
    }

    proptest! {
        /// Text shown is the text of the answer, once, however it was sent.
        #[test]
        fn all_text_is_shown_once(
            messages in proptest::collection::vec(message(), 1..4),
            shift in 0..3_usize,
            whole_at_end in any::<bool>(),
            cut in any::<u8>(),
        ) {
            // A gateway that counts anew is known by what it streamed.
            let shift = if messages.iter().all(|message| message.streamed > 0) { shift } else { 0 };
            let stream = stream(&messages, shift, whole_at_end);
            let at = (0..=usize::from(cut) * stream.len() / 255)
                .rev()
                .find(|at| stream.is_char_boundary(*at))
                .unwrap_or_default();
            let (first, second) = stream.split_at(at);
            let shown = show(&[first.as_bytes(), second.as_bytes()]);
            let texts: Vec<String> = messages.iter().map(|message| message.pieces.concat()).collect();
            let expected = texts.join("\n\n").replace(SECRET, "[key]");
            prop_assert_eq!(&shown.text, &expected);
            prop_assert!(shown.is_complete);
            screen(&[&[cut], stream.as_bytes()].concat());
        }

        /// Whatever is sent.
        #[test]
        fn no_bytes_break_it(
            lines in proptest::collection::vec("(data: )?(\\{\"type\":\"(response\\.(created|completed|failed|output_text\\.(delta|done)|output_item\\.done)|error)\",?)?(\"(delta|text|item|response|error)\":)?(\"sk-secret-1\u{1b}\"|\\[|\\{|null|7)?\\}?\n{0,2}", 0..20),
            cut in any::<u8>(),
        ) {
            screen(&[&[cut], lines.concat().as_bytes()].concat());
        }
    }
}
