//! The lines of a rollout file, as they are written.

use serde::Serialize;
use serde_json::Value;

use super::usage::TokenUsage;

#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    pub(super) timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ordinal: Option<u64>,
    #[serde(flatten)]
    pub(super) payload: &'a Payload<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub(super) enum Payload<'a> {
    SessionMeta {
        session_id: &'a str,
        id: &'a str,
        timestamp: String,
        cwd: &'a str,
        originator: &'static str,
        cli_version: &'static str,
        source: &'static str,
        model_provider: &'a str,
    },
    TurnContext {
        turn_id: &'a str,
        cwd: &'a str,
        approval_policy: &'static str,
        sandbox_policy: SandboxPolicy,
        model: &'a str,
        summary: &'static str,
    },
    ResponseItem(Value),
    EventMsg(Event<'a>),
}

/// Nothing is run here: the strictest that Codex knows.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum SandboxPolicy {
    ReadOnly,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    TaskStarted {
        turn_id: &'a str,
        started_at: u64,
        model_context_window: Option<u64>,
    },
    UserMessage {
        message: String,
        images: [(); 0],
    },
    AgentMessage {
        message: String,
    },
    /// In the place of the two before, in files whose lines are numbered.
    ItemCompleted {
        thread_id: &'a str,
        turn_id: &'a str,
        item: Shown,
        started_at_ms: u64,
        completed_at_ms: u64,
    },
    TokenCount {
        info: TokenInfo,
        rate_limits: Option<()>,
    },
    TaskComplete {
        turn_id: &'a str,
        last_agent_message: Option<String>,
    },
    TurnAborted {
        turn_id: &'a str,
        reason: &'static str,
    },
    ThreadRolledBack {
        num_turns: u32,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub(super) enum Shown {
    UserMessage { id: String, content: [UserText; 1] },
    AgentMessage { id: String, content: [AgentText; 1] },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum UserText {
    Text {
        text: String,
        text_elements: [(); 0],
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub(super) enum AgentText {
    Text { text: String },
}

#[derive(Debug, Serialize)]
pub(super) struct TokenInfo {
    pub(super) total_token_usage: TokenUsage,
    pub(super) last_token_usage: TokenUsage,
    pub(super) model_context_window: Option<u64>,
}
