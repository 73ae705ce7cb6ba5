//! Pure: the lines of a rollout file, folded into what was said.
//!
//! What is not needed is skipped, whatever it is: events for a screen, settings, lines that are cut or come
//! from another version. Codex's own instructions to its agent are not for a chat and are left out.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::conversation::item::Item;
use crate::sessions::usage::TokenUsage;
use crate::terminal::printable::{MAX_NAME, excerpt};

/// The most that is kept, in bytes of its lines: more than any model reads.
const MAX_HISTORY: usize = 256 << 20;

/// What a session begins with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meta {
    pub(super) id: Option<Uuid>,
    pub(super) cwd: Option<String>,
    pub(super) provider: Option<String>,
    /// Where its lines are numbered, so are those that are added.
    pub(super) is_numbered: bool,
    /// What it continues, if it is a fork.
    pub(super) base: Option<Base>,
}

/// The beginning of another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) id: Uuid,
    /// The first line of it that is not part of this one.
    pub(super) end: u64,
}

/// A session as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) items: Vec<Item>,
    /// Of the whole thread.
    pub(crate) usage: TokenUsage,
    /// Whom it was with last.
    pub(crate) model: Option<String>,
    /// How many lines were no lines of a rollout.
    pub(crate) skipped: usize,
    pub(super) next_ordinal: u64,
    size: usize,
}

/// It comes to more than is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: String,
    ordinal: Option<u64>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

#[derive(Deserialize)]
struct MetaPayload {
    id: Option<Uuid>,
    cwd: Option<String>,
    model_provider: Option<String>,
    history_mode: Option<String>,
    history_base: Option<BasePayload>,
}

#[derive(Deserialize)]
struct BasePayload {
    thread_id: Uuid,
    end_ordinal_exclusive: u64,
}

#[derive(Deserialize)]
struct EventPayload {
    #[serde(rename = "type")]
    kind: String,
    num_turns: Option<usize>,
    info: Option<TokenInfo>,
}

#[derive(Deserialize)]
struct TokenInfo {
    total_token_usage: Option<TokenUsage>,
}

#[derive(Deserialize)]
struct Compacted {
    message: Option<String>,
    replacement_history: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct TurnContext {
    model: Option<String>,
}

impl Meta {
    /// Of the first line of a session; `None` if it is another line.
    pub(super) fn of_line(line: &[u8]) -> Option<Self> {
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        let payload: MetaPayload = serde_json::from_str(line.payload.get()).ok()?;
        (line.kind == "session_meta").then_some(Self {
            id: payload.id,
            cwd: payload.cwd,
            provider: payload.model_provider,
            is_numbered: payload.history_mode.as_deref() == Some("paginated"),
            base: payload.history_base.map(|base| Base {
                id: base.thread_id,
                end: base.end_ordinal_exclusive,
            }),
        })
    }
}

impl History {
    /// Takes a line in. Whether more are wanted: not those from `end` on.
    ///
    /// # Errors
    ///
    /// It comes to more than is kept.
    pub(super) fn take(&mut self, line: &[u8], end: Option<u64>) -> Result<bool, TooLarge> {
        self.size = self.size.saturating_add(line.len());
        if self.size > MAX_HISTORY {
            return Err(TooLarge);
        }
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else {
            self.skipped += 1;
            return Ok(true);
        };
        if let Some(ordinal) = line.ordinal {
            if end.is_some_and(|end| ordinal >= end) {
                return Ok(false);
            }
            self.next_ordinal = self.next_ordinal.max(ordinal.saturating_add(1));
        }
        let payload = line.payload.get();
        let is_read = match line.kind.as_str() {
            "response_item" => self.item(payload),
            "event_msg" => self.event(payload),
            "compacted" => self.compacted(payload),
            "turn_context" => self.context(payload),
            _ => Ok(()),
        };
        if is_read.is_err() {
            self.skipped += 1;
        }
        Ok(true)
    }

    fn item(&mut self, payload: &str) -> serde_json::Result<()> {
        let payload: Value = serde_json::from_str(payload)?;
        self.items.extend(Item::of_rollout(payload));
        Ok(())
    }

    fn event(&mut self, payload: &str) -> serde_json::Result<()> {
        let payload: EventPayload = serde_json::from_str(payload)?;
        match payload.kind.as_str() {
            "thread_rolled_back" => {
                for _ in 0..payload.num_turns.unwrap_or(0).min(self.items.len()) {
                    self.take_back();
                }
            }
            "token_count" => {
                let total = payload.info.and_then(|info| info.total_token_usage);
                self.usage = total.unwrap_or(self.usage);
            }
            _ => {}
        }
        Ok(())
    }

    /// Removes the last question and what came of it.
    fn take_back(&mut self) {
        let last = self.items.iter().rposition(Item::is_question);
        self.items.truncate(last.unwrap_or(0));
    }

    fn compacted(&mut self, payload: &str) -> serde_json::Result<()> {
        let payload: Compacted = serde_json::from_str(payload)?;
        match (payload.replacement_history, payload.message) {
            (Some(items), _) => {
                self.items = items.into_iter().filter_map(Item::of_rollout).collect();
            }
            (None, Some(summary)) => {
                self.items.retain(Item::is_question);
                self.items.push(Item::question(summary));
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn context(&mut self, payload: &str) -> serde_json::Result<()> {
        let payload: TurnContext = serde_json::from_str(payload)?;
        self.model = payload.model.or(self.model.take());
        Ok(())
    }

    /// Leaves out calls of tools without a result, and results without a call: no server takes them.
    pub(super) fn complete(&mut self) {
        let ids = |is_result: bool| -> HashSet<String> {
            let calls = self.items.iter().filter_map(Item::call);
            calls
                .filter(|(_, result)| *result == is_result)
                .map(|(id, _)| id.to_owned())
                .collect()
        };
        let (calls, results) = (ids(false), ids(true));
        self.items.retain(|item| match item.call() {
            Some((id, true)) => calls.contains(id),
            Some((id, false)) => results.contains(id),
            None => true,
        });
    }

    /// What is continued, in a sentence for a person; `model` is the one that is asked now.
    pub(crate) fn summary(&self, id: &str, model: &str) -> String {
        let questions = self.questions().count();
        let mut says = match questions {
            1 => format!("goes on with the conversation {id}, after 1 question"),
            n => format!("goes on with the conversation {id}, after {n} questions"),
        };
        if let Some(before) = self.model.as_deref().filter(|before| *before != model) {
            says.push_str(&format!(", so far with {}", excerpt(before, MAX_NAME)));
        }
        match self.skipped {
            0 => {}
            1 => says.push_str("; 1 damaged line of its file is passed over"),
            n => says.push_str(&format!("; {n} damaged lines of its file are passed over")),
        }
        says
    }

    pub(super) fn forget_reasoning(&mut self) {
        self.items.retain(|item| !item.is_reasoning());
    }

    /// What a person asked. Codex speaks to its agent in the same role, of the directory and the like.
    fn questions(&self) -> impl Iterator<Item = &str> {
        let texts = self.items.iter().filter(|item| item.is_question());
        texts.filter_map(Item::text).filter(|text| {
            !text.starts_with("<environment_context>") && !text.starts_with("# AGENTS.md")
        })
    }

    /// The first question, for a list of sessions.
    pub(super) fn first_question(&self) -> Option<&str> {
        self.questions().next()
    }
}

#[cfg(test)]
mod tests;
