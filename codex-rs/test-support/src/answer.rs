//! An answer as the raw client saw it, and what tests ask of it.

use serde_json::Value;

use crate::Headers;

/// How a body came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As its framing says; a body without framing by FIN.
    Clean,
    /// By FIN or reset before its framing was complete.
    Cut,
}

/// An interim (1xx) answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interim {
    /// Its status.
    pub status: u16,
    /// Its header fields.
    pub headers: Headers,
}

/// The head of a final answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The minor version of HTTP/1: 0 or 1.
    pub minor_version: u8,
    /// The header fields.
    pub headers: Headers,
    /// The interim answers that came before.
    pub interim: Vec<Interim>,
}

/// A final answer with as much of its body as arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The header fields.
    pub headers: Headers,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// The trailer fields of a chunked body.
    pub trailers: Headers,
    /// The interim answers that came before.
    pub interim: Vec<Interim>,
    /// How the body ended.
    pub end: End,
}

/// Every value of a field, in order; names compare without case.
pub(crate) fn values<'a>(headers: &'a Headers, name: &str) -> Vec<&'a [u8]> {
    headers
        .iter()
        .filter(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
        .collect()
}

#[track_caller]
fn single<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let values = values(headers, name);
    assert!(
        values.len() < 2,
        "the answer has {} {name} headers",
        values.len()
    );
    values
        .first()
        .map(|value| std::str::from_utf8(value).expect("a header in UTF-8"))
}

impl Head {
    /// The only value of a header, or `None` without it.
    ///
    /// # Panics
    /// When there are two, or the value is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        single(&self.headers, name)
    }

    /// Every value of a header, in order.
    #[must_use]
    pub fn header_all(&self, name: &str) -> Vec<&[u8]> {
        values(&self.headers, name)
    }
}

impl Answer {
    /// The only value of a header, or `None` without it.
    ///
    /// # Panics
    /// When there are two, or the value is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        single(&self.headers, name)
    }

    /// Every value of a header, in order.
    #[must_use]
    pub fn header_all(&self, name: &str) -> Vec<&[u8]> {
        values(&self.headers, name)
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!(
                "status {}, body not JSON ({error}): {}",
                self.status,
                self.text()
            ),
        }
    }

    /// The `code` of an OpenAI-shaped error body.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn error_code(&self) -> String {
        match self.json()["error"]["code"].as_str() {
            Some(code) => code.to_owned(),
            None => panic!("status {}, no error code: {}", self.status, self.text()),
        }
    }
}

/// Checks that an answer is an error of the proxy's own, exactly in the shape OpenAI's clients
/// read: `{"error":{"message","type","param","code"}}`, clean, and without headers that would
/// tell a browser or a scanner anything.
///
/// # Panics
/// When any of it is different.
#[track_caller]
pub fn assert_openai_error(answer: &Answer, status: u16, code: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "the status of {text}");
    assert_eq!(answer.end, End::Clean, "the end of {text}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "with {text}"
    );
    for (name, _) in &answer.headers {
        let name = name.to_ascii_lowercase();
        assert!(
            !name.starts_with("access-control-"),
            "a CORS header {name} with {text}"
        );
        assert!(name != "server", "a Server header with {text}");
    }
    let body = answer.json();
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value
            .as_object()
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default();
        keys.sort();
        keys
    };
    assert_eq!(keys(&body), ["error"], "the keys of {text}");
    let error = &body["error"];
    assert_eq!(
        keys(error),
        ["code", "message", "param", "type"],
        "the keys of the error in {text}"
    );
    assert_eq!(error["code"], code, "the code of {text}");
    let filled = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    assert!(filled(&error["message"]), "an empty message in {text}");
    assert!(filled(&error["type"]), "an empty type in {text}");
    assert!(
        error["param"].is_null() || error["param"].is_string(),
        "the param of {text}"
    );
}
