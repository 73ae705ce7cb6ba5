//! In which form standard output and standard error get what they get.

use clap::ValueEnum;

/// What goes to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// The text of the answer.
    #[default]
    Text,
    /// The events of `codex exec --json`, as OpenAI's Codex CLI prints them.
    CodexEvents,
    /// The events of the Responses API, as the server sends them.
    WireEvents,
}

/// What `--json` may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Json {
    /// The events of OpenAI's Codex CLI: a thread, its turns and their items
    Codex,
    /// The events of the Responses API, as the server sends them
    Events,
}

impl From<Option<Json>> for Format {
    fn from(json: Option<Json>) -> Self {
        match json {
            None => Self::Text,
            Some(Json::Codex) => Self::CodexEvents,
            Some(Json::Events) => Self::WireEvents,
        }
    }
}

/// When standard error is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// Even if `NO_COLOR` is set
    Always,
    Never,
    /// On a terminal, unless `NO_COLOR` or `TERM=dumb` is set
    #[default]
    Auto,
}
