//! The body of a request.

use serde::Serialize;

use crate::config::Config;
use crate::conversation::{Conversation, Item};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: &'a [Item],
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning<'a>>,
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

impl Conversation {
    /// The body of the request for the next answer.
    pub(crate) fn request(&self, config: &Config) -> Result<Vec<u8>, serde_json::Error> {
        let (effort, summary) = (config.effort.as_deref(), config.summary.as_deref());
        serde_json::to_vec(&Body {
            model: &config.model,
            instructions: config.instructions.as_deref(),
            input: &self.items,
            reasoning: (effort.is_some() || summary.is_some())
                .then_some(Reasoning { effort, summary }),
            stream: true,
            store: false,
        })
    }
}
