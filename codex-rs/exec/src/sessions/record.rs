//! A session while it is written.

use std::io;
use std::time::SystemTime;

use serde_json::Value;
use uuid::Uuid;

use super::file::{Kept, end_last_line};
use super::find::Found;
use super::history::History;
use super::lock::WriterLock;
use super::rollout::{AgentText, Event, Payload, SandboxPolicy, Shown, TokenInfo, UserText};
use super::usage::TokenUsage;
use super::{SessionError, Store, clock, trusted};
use crate::command::exit::Stop;
use crate::conversation::item::Item;
use crate::transport::redact::Redactor;

/// Codex's `resume --last` looks at sessions of its own kinds only.
const ORIGINATOR: &str = "codex_exec";
const SOURCE: &str = "exec";

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Failed,
    Interrupted,
}

impl Outcome {
    /// By how asking ended.
    pub(crate) fn of(ended: &Result<(), Stop>) -> Self {
        match ended {
            Ok(()) => Self::Answered,
            Err(Stop::Signal(_)) => Self::Interrupted,
            Err(_) => Self::Failed,
        }
    }
}

/// Adds to a session what happens in it. What cannot be written ends the recording and nothing else.
#[derive(Debug)]
pub(crate) struct Recorder {
    id: String,
    /// `None` where nothing is kept.
    file: Option<Kept>,
    total: TokenUsage,
    turn: String,
    begun: u64,
}

impl Recorder {
    /// Of a new session, which is kept if there is a store. No file is made before the first question.
    pub(crate) fn new(store: Option<Store>) -> Self {
        let id = Uuid::now_v7().to_string();
        let file = store.map(|store| {
            let (directory, name) = clock::place(SystemTime::now());
            Kept {
                path: store
                    .root()
                    .join(directory)
                    .join(format!("rollout-{name}-{id}.jsonl")),
                store,
                file: None,
                ordinal: None,
                lock: None,
            }
        });
        Self {
            id,
            file,
            total: TokenUsage::default(),
            turn: String::new(),
            begun: 0,
        }
    }

    /// Of a session that is there. Nobody else may write it.
    pub(super) fn of(store: &Store, found: &Found, is_kept: bool) -> Result<Self, SessionError> {
        let mut recorder = Self::new(None);
        recorder.id = found.id.to_string();
        if is_kept {
            let lock = WriterLock::take(&store.home, found.id)
                .map_err(|cause| SessionError::CannotLock(found.id, cause))?
                .ok_or(SessionError::InUse(found.id))?;
            let unreadable = |cause| SessionError::Unreadable(found.path.clone(), cause);
            let mut file = trusted::open(&found.path).map_err(unreadable)?;
            end_last_line(&mut file).map_err(unreadable)?;
            recorder.file = Some(Kept {
                store: store.clone(),
                path: found.path.clone(),
                file: Some(file),
                ordinal: found.meta.is_numbered.then_some(0),
                lock: Some(lock),
            });
        }
        Ok(recorder)
    }

    pub(super) fn after(mut self, history: &History) -> Self {
        self.total = history.usage;
        if let Some(ordinal) = self.file.as_mut().and_then(|file| file.ordinal.as_mut()) {
            *ordinal = history.next_ordinal;
        }
        self
    }

    /// The id of the session, a UUID.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The tokens of the whole session, this turn's included once it is over.
    pub(crate) fn total(&self) -> TokenUsage {
        self.total
    }

    /// Whether what is said is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// A question that is about to be sent. Returns why it is not kept, if it is not.
    pub(crate) fn asked(
        &mut self,
        question: &Item,
        model: &str,
        redactor: &Redactor,
    ) -> Option<String> {
        self.turn = Uuid::now_v7().to_string();
        self.begun = milliseconds();
        let kept = self.file.as_ref()?;
        let (id, turn) = (self.id.as_str(), self.turn.as_str());
        let cwd = kept.store.cwd.as_str();
        let item = cleaned(question, redactor);
        let text = redactor.clean(question.text().unwrap_or_default());
        let mut lines = Vec::new();
        if kept.file.is_none() {
            lines.push(Payload::SessionMeta {
                session_id: id,
                id,
                timestamp: clock::timestamp(SystemTime::now()),
                cwd,
                originator: ORIGINATOR,
                cli_version: env!("CARGO_PKG_VERSION"),
                source: SOURCE,
                model_provider: &kept.store.provider,
            });
        }
        lines.push(Payload::EventMsg(Event::TaskStarted {
            turn_id: turn,
            started_at: clock::seconds(SystemTime::now()),
            model_context_window: None,
        }));
        lines.push(Payload::TurnContext {
            turn_id: turn,
            cwd,
            approval_policy: "never",
            sandbox_policy: SandboxPolicy::ReadOnly,
            model,
            summary: "auto",
        });
        lines.push(Payload::ResponseItem(item));
        lines.push(Payload::EventMsg(self.shown_question(text.into_owned())));
        let lines = kept.lines(&lines);
        self.write(&lines)
    }

    /// What came of it. Returns why it is not kept, if it is not.
    pub(crate) fn answered(
        &mut self,
        items: &[Item],
        outcome: Outcome,
        usage: Option<TokenUsage>,
        redactor: &Redactor,
    ) -> Option<String> {
        let last = usage.unwrap_or_default();
        self.total.add(last);
        let kept = self.file.as_ref()?;
        let turn = self.turn.as_str();
        let mut lines = Vec::new();
        let mut message = None;
        for item in items {
            lines.push(Payload::ResponseItem(cleaned(item, redactor)));
            if let Some(text) = item.text() {
                let text = redactor.clean(text).into_owned();
                lines.push(Payload::EventMsg(self.shown_answer(text.clone())));
                message = Some(text);
            }
        }
        if usage.is_some() {
            lines.push(Payload::EventMsg(Event::TokenCount {
                info: TokenInfo {
                    total_token_usage: self.total,
                    last_token_usage: last,
                    model_context_window: None,
                },
                rate_limits: None,
            }));
        }
        lines.push(Payload::EventMsg(match outcome {
            Outcome::Answered => Event::TaskComplete {
                turn_id: turn,
                last_agent_message: message,
            },
            Outcome::Failed => Event::TaskComplete {
                turn_id: turn,
                last_agent_message: None,
            },
            Outcome::Interrupted => Event::TurnAborted {
                turn_id: turn,
                reason: "interrupted",
            },
        }));
        let lines = kept.lines(&lines);
        self.write(&lines)
    }

    /// The last question is taken back. Returns why that is not kept, if it is not.
    pub(crate) fn taken_back(&mut self) -> Option<String> {
        let rolled_back = Payload::EventMsg(Event::ThreadRolledBack { num_turns: 1 });
        let lines = self.file.as_ref()?.lines(&[rolled_back]);
        self.write(&lines)
    }

    fn shown_question(&self, text: String) -> Event<'_> {
        if self.is_numbered() {
            let text_elements = [];
            let content = [UserText::Text {
                text,
                text_elements,
            }];
            return self.completed(|id| Shown::UserMessage { id, content });
        }
        Event::UserMessage {
            message: text,
            images: [],
        }
    }

    fn shown_answer(&self, text: String) -> Event<'_> {
        if self.is_numbered() {
            let content = [AgentText::Text { text }];
            return self.completed(|id| Shown::AgentMessage { id, content });
        }
        Event::AgentMessage { message: text }
    }

    fn is_numbered(&self) -> bool {
        self.file
            .as_ref()
            .is_some_and(|file| file.ordinal.is_some())
    }

    fn completed(&self, item: impl FnOnce(String) -> Shown) -> Event<'_> {
        Event::ItemCompleted {
            thread_id: &self.id,
            turn_id: &self.turn,
            item: item(Uuid::now_v7().to_string()),
            started_at_ms: self.begun,
            completed_at_ms: milliseconds(),
        }
    }

    fn write(&mut self, lines: &io::Result<Vec<u8>>) -> Option<String> {
        let kept = self.file.as_mut()?;
        let written = match lines {
            Ok(lines) => kept.append(&self.id, lines),
            Err(cause) => Err(io::Error::new(cause.kind(), cause.to_string())),
        };
        let cause = written.err()?;
        let said = format!(
            "this conversation is not kept: could not write {}: {cause}",
            kept.path.display()
        );
        self.file = None;
        Some(said)
    }
}

/// As it is kept: without the credential, wherever it stands.
fn cleaned(item: &Item, redactor: &Redactor) -> Value {
    let mut value = serde_json::to_value(item).unwrap_or_default();
    clean(&mut value, redactor);
    value
}

fn clean(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(cleaned) = redactor.clean(text) {
                *text = cleaned;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| clean(value, redactor)),
        Value::Object(fields) => fields.values_mut().for_each(|value| clean(value, redactor)),
        _ => {}
    }
}

fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
