//! Finds the model that a request asks for. Pure.

use std::ops::ControlFlow;

use memchr::memchr;

use super::json::{JsonReader, MAX_STRING, Progress, Value, Visitor};

/// The longest name of a model, in bytes.
const MAX_MODEL: usize = MAX_STRING;

/// How much of a body is looked at, in bytes. Clients write `model` among the first members.
const MAX_LOOKED_AT: usize = 64 * 1024;

/// The top-level member `model` of a request body that arrives in pieces.
///
/// This is for reports only, and not for a decision about what is allowed: it is what the body says first, and a body
/// that says it twice may mean the second.
pub(crate) struct RequestModel {
    search: Search,
    looked_at: usize,
    found: Found,
}

enum Search {
    /// Nothing has come.
    NotBegun,
    Reading(Box<JsonReader<Place>>),
    /// The model was found or given up.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Body,
    Model,
}

#[derive(Debug, Default)]
struct Found(Option<Box<str>>);

impl RequestModel {
    pub(crate) fn new() -> Self {
        Self {
            search: Search::NotBegun,
            looked_at: 0,
            found: Found::default(),
        }
    }

    /// Reads on. Once the model was found or given up this does nothing, and holds no memory.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if matches!(self.search, Search::NotBegun) && !bytes.is_empty() {
            self.search = match model_at_start(bytes) {
                Some(model) => {
                    self.found.0 = Some(model.into());
                    Search::Over
                }
                None => Search::Reading(Box::new(JsonReader::new(Place::Body))),
            };
        }
        let Search::Reading(reader) = &mut self.search else {
            return;
        };
        let left = MAX_LOOKED_AT - self.looked_at;
        let bytes = bytes.get(..left).unwrap_or(bytes);
        self.looked_at += bytes.len();
        let progress = reader.push(bytes, &mut self.found);
        if progress != Progress::Reading || self.looked_at == MAX_LOOKED_AT {
            self.search = Search::Over;
        }
    }

    /// As the request says it, which can be anything of 1 to 256 bytes; `None` if it was not found (yet).
    pub(crate) fn model(&self) -> Option<&str> {
        self.found.0.as_deref()
    }
}

/// The model, if the body begins with members that are plain strings, and it is among them, whole: as clients write it.
/// Reading would come to the same.
fn model_at_start(body: &[u8]) -> Option<&str> {
    let mut rest = body.strip_prefix(b"{\"")?;
    loop {
        let (name, after) = plain_string(rest)?;
        let (value, after) = plain_string(after.strip_prefix(b":\"")?)?;
        if name == "model" {
            return Some(value).filter(|value| !value.is_empty());
        }
        rest = after.strip_prefix(b",\"")?;
    }
}

/// What is before the next quote, in ASCII without escapes and no longer than a name of a model may be, and what follows.
fn plain_string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let most = bytes.get(..=MAX_MODEL).unwrap_or(bytes);
    let (text, rest) = bytes.split_at_checked(memchr(b'"', most)?)?;
    let is_plain = |&byte: &u8| matches!(byte, b' '..=b'~') && byte != b'\\';
    let text = str::from_utf8(text)
        .ok()
        .filter(|_| text.iter().all(is_plain))?;
    Some((text, rest.split_first()?.1))
}

impl Visitor for Found {
    type Place = Place;

    fn member(&self, of: Place, name: &str) -> Option<Place> {
        (of == Place::Body && name == "model").then_some(Place::Model)
    }

    fn value(&mut self, at: Place, value: Value<'_>) -> ControlFlow<()> {
        match (at, value) {
            (Place::Body, Value::Object) => ControlFlow::Continue(()),
            (Place::Body, _) => ControlFlow::Break(()),
            (Place::Model, Value::String(model)) if (1..=MAX_MODEL).contains(&model.len()) => {
                self.0 = Some(model.into());
                ControlFlow::Break(())
            }
            (Place::Model, _) => ControlFlow::Break(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(body: &str, size: usize) -> (Option<String>, bool) {
        let mut request = RequestModel::new();
        for piece in body.as_bytes().chunks(size) {
            request.push(piece);
        }
        let is_over = matches!(request.search, Search::Over);
        (request.model().map(str::to_owned), is_over)
    }

    #[test]
    fn the_model_is_found_wherever_it_is_at_the_top() {
        let text = "x".repeat(60_000);
        for body in [
            r#"{"model":"gpt-5.6","input":"#,
            r#"{"model":"gpt-5.6","input":"and so"#,
            r#"{"stream":true,"input":[{"model":"no","model\"":1}],"tools":{"model":"no"}, "mod\u0065l" : "gpt-5.6" "#,
            &format!(r#"{{"instructions":"{text}","model":"gpt-5.6"}}"#),
        ] {
            for size in [1, 5, 1 << 20] {
                assert_eq!(
                    model(body, size),
                    (Some("gpt-5.6".to_owned()), true),
                    "{size}"
                );
            }
        }
    }

    #[test]
    fn a_name_as_long_as_a_record_may_show_is_found() {
        let name = "m".repeat(256);
        let body = format!(r#"{{"model":"{name}","input":"hi"}}"#);
        assert_eq!(model(&body, 7), (Some(name), true));
    }

    #[test]
    fn a_search_that_cannot_succeed_ends() {
        let late = format!(r#"{{"input":"{}","model":"m"}}"#, "x".repeat(MAX_LOOKED_AT));
        let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(MAX_MODEL + 1));
        for body in [
            &*late,
            &*long,
            r#"{"model":7}"#,
            r#"{"model":""}"#,
            r#"[{"model":"m"}]"#,
            "\"model\"",
            "\u{1f}\u{8b}\u{8}",
        ] {
            for size in [1, 1 << 20] {
                assert_eq!(model(body, size), (None, true), "{body:.20}");
            }
        }
        for body in ["", r#"{"model":"m"#, "{"] {
            assert_eq!(model(body, 1), (None, false));
        }
    }
}
