//! The body of a request.

use serde::Serialize;

use crate::config::Config;
use crate::conversation::Conversation;
use crate::conversation::item::Item;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: Vec<&'a Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    stream: bool,
    store: bool,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    include: &'a [&'a str],
}

/// What makes reasoning come in a form that can be sent back.
const ENCRYPTED_REASONING: &[&str] = &["reasoning.encrypted_content"];

#[derive(Serialize)]
struct Reasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

/// Structured output, as Codex asks for it.
#[derive(Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    strict: bool,
    schema: &'a serde_json::Value,
    name: &'static str,
}

impl Conversation {
    /// The body of the request for the next answer.
    pub(crate) fn request(&self, config: &Config) -> Result<Vec<u8>, serde_json::Error> {
        let (effort, summary) = (config.effort.as_deref(), config.summary.as_deref());
        let verbosity = config.verbosity.as_deref();
        let format = config.schema.as_ref().map(|schema| Format {
            kind: "json_schema",
            strict: true,
            schema: &schema.value,
            name: "codex_output_schema",
        });
        let developer = config.developer_instructions.as_deref();
        let developer = developer.map(Item::of_developer);
        serde_json::to_vec(&Body {
            model: &config.model,
            service_tier: config.service_tier.as_deref(),
            instructions: config.instructions.as_deref(),
            input: developer.iter().chain(&self.items).collect(),
            reasoning: (effort.is_some() || summary.is_some())
                .then_some(Reasoning { effort, summary }),
            text: (verbosity.is_some() || format.is_some()).then_some(Text { verbosity, format }),
            max_output_tokens: config.max_output_tokens,
            stream: true,
            store: false,
            include: if effort.is_some() || summary.is_some() || reasons(&config.model) {
                ENCRYPTED_REASONING
            } else {
                &[]
            },
        })
    }
}

/// Whether a model of this name reasons. One that does not is not asked for its reasoning: that is an error to some
/// servers.
fn reasons(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let number = |prefix: &str| -> Option<u32> {
        let rest = name.strip_prefix(prefix)?;
        let end = rest.find(|c: char| !c.is_ascii_digit());
        rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
    };
    let is_new = number("gpt-").is_some_and(|version| version >= 5);
    let is_of_o = number("o").is_some_and(|version| version >= 1);
    (is_new || is_of_o || name.starts_with("codex-")) && !name.contains("-chat")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_reason() {
        for model in [
            "gpt-5.5",
            "gpt-6.1-sol",
            "openai/gpt-5",
            "o3",
            "o4-mini",
            "codex-mini-latest",
        ] {
            assert!(reasons(model), "{model}");
        }
        for model in [
            "gpt-4.1",
            "gpt-4o",
            "gpt-5-chat-latest",
            "llama3",
            "omni",
            "gpt-oss:20b",
            "m",
        ] {
            assert!(!reasons(model), "{model}");
        }
    }
}
