//! The body of a request.

use serde::Serialize;

use crate::config::Config;
use crate::conversation::{Conversation, Item};

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
}

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
        })
    }
}
