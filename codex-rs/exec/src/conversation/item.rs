//! What a conversation is made of, as the Responses API takes it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One item.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Item {
    Message(Message),
    /// Reasoning that only the server can read, and from sessions of Codex calls of tools with
    /// their results: sent back as they came.
    Kept(Map<String, Value>),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Message {
    #[serde(rename = "type")]
    kind: &'static str,
    pub(crate) role: Role,
    pub(crate) content: Vec<Content>,
    /// What some models say of a message, and want to hear again.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    User,
    Assistant,
    Developer,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Content {
    InputText { text: String },
    InputImage { image_url: String },
    OutputText { text: String },
    Refusal { refusal: String },
}

/// Items that are sent back as they are, and whether they are the result of a call.
const CALLS: [(&str, bool); 6] = [
    ("function_call", false),
    ("function_call_output", true),
    ("custom_tool_call", false),
    ("custom_tool_call_output", true),
    ("local_shell_call", false),
    ("local_shell_call_output", true),
];
/// Run by the server, with no result of its own.
const WEB_SEARCH: &str = "web_search_call";
/// What Codex keeps in items for itself.
const INTERNAL: &str = "internal_";

impl Item {
    pub(crate) fn message(role: Role, content: Vec<Content>) -> Self {
        Self::Message(Message {
            kind: "message",
            role,
            content,
            phase: None,
        })
    }

    pub(crate) fn question(text: String) -> Self {
        Self::message(Role::User, vec![Content::InputText { text }])
    }

    pub(crate) fn answer(text: String) -> Self {
        Self::message(Role::Assistant, vec![Content::OutputText { text }])
    }

    /// What the model is told about how to answer, beside its instructions.
    pub(crate) fn of_developer(text: &str) -> Self {
        let text = text.to_owned();
        Self::message(Role::Developer, vec![Content::InputText { text }])
    }

    /// An item of a rollout file; `None` if it is not for a chat, such as what Codex tells its
    /// agent.
    pub(crate) fn of_rollout(payload: Value) -> Option<Self> {
        let Value::Object(mut fields) = payload else {
            return None;
        };
        let kind = fields.get("type")?.as_str()?;
        match kind {
            "message" => Self::message_of(fields),
            "reasoning" => {
                fields.get("encrypted_content")?.as_str()?;
                fields.retain(|name, _| {
                    ["type", "id", "summary", "encrypted_content"].contains(&name.as_str())
                });
                Some(Self::Kept(fields))
            }
            kind if kind == WEB_SEARCH || CALLS.iter().any(|(call, _)| *call == kind) => {
                fields.retain(|name, _| !name.starts_with(INTERNAL) && name != "metadata");
                Some(Self::Kept(fields))
            }
            _ => None,
        }
    }

    fn message_of(fields: Map<String, Value>) -> Option<Self> {
        let role = serde_json::from_value(fields.get("role")?.clone()).ok()?;
        let phase = fields.get("phase").and_then(Value::as_str);
        let phase = phase.map(str::to_owned);
        let parts = match fields.get("content")? {
            Value::Array(parts) => parts.clone(),
            _ => return None,
        };
        let parts = parts.into_iter();
        let content: Vec<Content> = parts
            .filter_map(|part| serde_json::from_value(part).ok())
            .collect();
        (role != Role::Developer && !content.is_empty()).then_some(Self::Message(Message {
            kind: "message",
            role,
            content,
            phase,
        }))
    }

    pub(crate) fn is_question(&self) -> bool {
        self.role() == Some(Role::User)
    }

    pub(crate) fn role(&self) -> Option<Role> {
        match self {
            Self::Message(message) => Some(message.role),
            Self::Kept(_) => None,
        }
    }

    /// The first text of a message.
    pub(crate) fn text(&self) -> Option<&str> {
        let Self::Message(message) = self else {
            return None;
        };
        message.content.iter().find_map(|part| match part {
            Content::InputText { text } | Content::OutputText { text } => Some(text.as_str()),
            Content::Refusal { refusal } => Some(refusal.as_str()),
            Content::InputImage { .. } => None,
        })
    }

    pub(crate) fn is_reasoning(&self) -> bool {
        matches!(self, Self::Kept(fields) if fields.get("type").and_then(Value::as_str) == Some("reasoning"))
    }

    /// Of a call of a tool or its result: the id that both have, and whether it is the result.
    pub(crate) fn call(&self) -> Option<(&str, bool)> {
        let Self::Kept(fields) = self else {
            return None;
        };
        let kind = fields.get("type")?.as_str()?;
        let (_, is_result) = CALLS.iter().find(|(call, _)| *call == kind)?;
        // One without an id has no other half.
        let id = fields.get("call_id").and_then(Value::as_str);
        Some((id.unwrap_or_default(), *is_result))
    }
}
