//! One line of the access log, told in sentences.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use crate::printable::one_line;
use crate::why::explanation::Explanation;

/// The version of the JSON object.
const VERSION: u8 = 1;

/// What is told of a line; the other fields are not looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    ts: Cow<'a, str>,
    #[serde(borrow, default)]
    outcome: Cow<'a, str>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(default, rename = "caller.uid")]
    uid: Option<u64>,
    #[serde(borrow, default, rename = "caller.user")]
    user: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "caller.token")]
    token: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "http.request.method")]
    method: Cow<'a, str>,
    #[serde(borrow, default, rename = "url.path")]
    path: Cow<'a, str>,
    #[serde(default, rename = "http.response.status_code")]
    status: Option<u64>,
    #[serde(default)]
    duration_ms: f64,
    #[serde(default, rename = "bytes.request")]
    request_bytes: u64,
    #[serde(default, rename = "bytes.response")]
    response_bytes: u64,
    #[serde(borrow, default, rename = "gen_ai.request.model")]
    model: Option<Cow<'a, str>>,
    #[serde(default, rename = "gen_ai.usage.input_tokens")]
    input: Option<u64>,
    #[serde(default, rename = "gen_ai.usage.cache_read.input_tokens")]
    cached: Option<u64>,
    #[serde(default, rename = "gen_ai.usage.output_tokens")]
    output: Option<u64>,
    #[serde(borrow, default, rename = "error.type")]
    error_type: Option<Cow<'a, str>>,
    #[serde(default)]
    cost_usd: Option<f64>,
}

impl<'a> Record<'a> {
    /// `None` if it is not a line of the log.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// The code says more than the outcome, and so does a status of the upstream.
    fn explanation(&self) -> Explanation {
        let of_code = self.code.as_deref().and_then(Explanation::of_code);
        let of_status = || {
            let status = self.status.filter(|_| self.outcome == "upstream_error")?;
            Explanation::of_upstream_status(status)
        };
        of_code
            .or_else(of_status)
            .or_else(|| Explanation::of_outcome(&self.outcome))
            .unwrap_or(Explanation {
                happened: "This version of the program does not know the outcome.",
                mend: "Ask a program of the proxy's own version.",
            })
    }

    fn summary(&self) -> String {
        let how = match &self.code {
            Some(code) => format!("{} ({code})", self.outcome),
            None => self.outcome.clone().into_owned(),
        };
        format!("Request {}: {how}.", self.id)
    }

    fn who(&self) -> String {
        let user = match (&self.user, self.uid) {
            (Some(name), Some(uid)) => format!("{name} (user {uid})"),
            (None, Some(uid)) => format!("user {uid}"),
            (Some(name), None) => name.clone().into_owned(),
            (None, None) => "a user that the proxy did not know".to_owned(),
        };
        let token = self.token.as_ref();
        let token = token.map_or_else(String::new, |token| {
            format!(" with the client token {token}")
        });
        format!("Made by {user}{token}, at {}.", self.ts)
    }

    /// A path that was not permitted, or a request that was refused before it was, has a hyphen there.
    fn asked(&self) -> String {
        let what = match (&*self.method, &*self.path) {
            ("-", _) => "Its head was not read".to_owned(),
            (method, "-") => format!("It was a {method} request"),
            (method, path) => format!("It asked {method} {path}"),
        };
        let model = self.model.as_ref();
        let model = model.map_or_else(String::new, |model| format!(" for the model {model}"));
        format!(
            "{what}{model}; {} bytes of its body went to the upstream.",
            self.request_bytes
        )
    }

    fn got(&self) -> String {
        let seconds = self.duration_ms / 1000.0;
        match self.status {
            Some(status) => format!(
                "It got the status {status} and {} bytes, in {seconds:.3} s.",
                self.response_bytes
            ),
            None => format!("It got no answer, in {seconds:.3} s."),
        }
    }

    fn used(&self) -> Option<String> {
        let (input, output) = (self.input?, self.output?);
        let cached = self.cached.unwrap_or_default();
        let cost = self.cost_usd;
        let cost = cost.map_or_else(String::new, |usd| format!(", for ${usd}"));
        Some(format!(
            "It used {input} input tokens ({cached} of them cached) and {output} output tokens{cost}."
        ))
    }

    fn said(&self) -> Option<String> {
        match (&self.message, &self.error_type) {
            (Some(message), _) => Some(format!("The proxy said: {message}")),
            (None, Some(error)) => Some(format!("The upstream called it: {error}")),
            (None, None) => None,
        }
    }

    /// # Errors
    ///
    /// Those of `to`.
    pub(super) fn print(&self, to: &mut impl Write) -> io::Result<()> {
        let Explanation { happened, mend } = self.explanation();
        let sentences = [
            Some(self.summary()),
            Some(self.who()),
            Some(self.asked()),
            Some(self.got()),
            self.used(),
            Some(happened.to_owned()),
            self.said(),
            Some(format!("What to do: {mend}")),
        ];
        for sentence in sentences.into_iter().flatten() {
            writeln!(to, "{}", one_line(&sentence))?;
        }
        Ok(())
    }

    /// `line` is what was parsed: the record stands in the object as it stands in the log.
    ///
    /// # Errors
    ///
    /// Those of `to`.
    pub(super) fn print_json(
        &self,
        to: &mut impl Write,
        line: &str,
        log: &Path,
        skipped: u64,
    ) -> io::Result<()> {
        let Explanation { happened, mend } = self.explanation();
        let record: serde_json::Value = serde_json::from_str(line)?;
        let object = json!({
            "v": VERSION,
            "log": log.to_string_lossy(),
            "skipped_lines": skipped,
            "explanation": { "happened": happened, "mend": mend },
            "record": record,
        });
        serde_json::to_writer_pretty(&mut *to, &object)?;
        writeln!(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        let mut bytes = Vec::new();
        Record::parse(line).unwrap().print(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_refusal_is_told_with_who_what_and_what_to_do() {
        let line = r#"{"ts":"2026-11-28T14:03:07.123Z","v":1,"id":"00000000aa-7","outcome":"refused",
            "code":"model_not_allowed","message":"the model o3\u001b[2J is not allowed for alice","caller.uid":1001,
            "caller.user":"alice","caller.token":"ci","http.request.method":"POST","url.path":"/v1/responses",
            "http.response.status_code":400,"duration_ms":1.5,"bytes.request":40,"bytes.response":120,
            "gen_ai.request.model":"o3"}"#;
        assert_eq!(
            told(line),
            "Request 00000000aa-7: refused (model_not_allowed).\n\
             Made by alice (user 1001) with the client token ci, at 2026-11-28T14:03:07.123Z.\n\
             It asked POST /v1/responses for the model o3; 40 bytes of its body went to the upstream.\n\
             It got the status 400 and 120 bytes, in 0.002 s.\n\
             The policy does not allow this caller the model.\n\
             The proxy said: the model o3\\u{1b}[2J is not allowed for alice\n\
             What to do: Ask for one of the models in the message, or have whoever runs the proxy add it to `models` \
             in the policy.\n"
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let line = r#"{"ts":"t","id":"00000000aa-8","outcome":"evicted","http.request.method":"-","url.path":"-",
            "duration_ms":1,"bytes.request":0,"bytes.response":0}"#;
        let told = told(line);
        assert!(
            told.contains("Made by a user that the proxy did not know, at t.\n"),
            "{told}"
        );
        assert!(told.contains("Its head was not read;"), "{told}");
        assert!(told.contains("It got no answer, in 0.001 s.\n"), "{told}");
        assert!(told.contains("make room for another one"), "{told}");
    }

    #[test]
    fn the_upstream_s_status_says_more_than_its_outcome() {
        let line = |status: u64| {
            format!(
                "{{\"id\":\"i\",\"outcome\":\"upstream_error\",\"http.response.status_code\":{status},\
                 \"gen_ai.usage.input_tokens\":5,\"gen_ai.usage.output_tokens\":6,\"cost_usd\":0.25}}"
            )
        };
        assert!(told(&line(401)).contains("does not accept the proxy's key"));
        assert!(told(&line(429)).contains("The upstream's own limit"));
        assert!(told(&line(418)).contains("The upstream answered with an error"));
        let used = "It used 5 input tokens (0 of them cached) and 6 output tokens, for $0.25.\n";
        assert!(told(&line(418)).contains(used));
        let later = r#"{"id":"i","outcome":"of_a_later_version","code":"of_a_later_version"}"#;
        assert!(told(later).contains("does not know the outcome"));
    }
}
