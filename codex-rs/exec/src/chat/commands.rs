//! What the commands of a chat do.

use std::path::PathBuf;

use crate::chat::command::{Command, help};
use crate::chat::{Chat, transcript};
use crate::command::exec::begin;
use crate::command::exit::Stop;
use crate::conversation::Conversation;
use crate::conversation::item::{Item, Role};
use crate::sessions::{Listed, Recorder, SessionError, Store, Which, file_time};
use crate::transport::error::Fault;

/// How many earlier conversations are listed.
const MOST_LISTED: usize = 10;
/// How many models are listed.
const MOST_MODELS: usize = 50;

impl Chat<'_> {
    /// Does what a command says. Whether the conversation goes on.
    pub(super) async fn obey(&mut self, command: Command) -> Result<bool, Stop> {
        match command {
            Command::Exit => return Ok(false),
            Command::Help => {
                for line in help() {
                    self.screen.say(&line);
                }
            }
            Command::Clear => {
                self.say_how_to_resume();
                self.conversation = Conversation::default();
                self.recorder = Recorder::new(self.store().ok().filter(|_| self.is_kept));
                self.screen.note("a new conversation");
            }
            Command::Copy => self.copy().await?,
            Command::Save(path) => self.save(path),
            Command::Model(Some(name)) => {
                self.screen.note(&format!("asks {name} from now on"));
                self.config.model = name;
            }
            Command::Model(None) => self.models().await?,
            Command::Resume(None) => self.list(),
            Command::Resume(Some(word)) => self.resume(&word).await?,
        }
        Ok(true)
    }

    async fn copy(&mut self) -> Result<(), Stop> {
        let items = self.conversation.items().iter().rev();
        let mut answers = items.filter(|item| item.role() == Some(Role::Assistant));
        let Some(text) = answers.next().and_then(Item::text) else {
            self.screen.error("there is no answer to copy yet");
            return Ok(());
        };
        let text = self.client.redactor().clean(text).into_owned();
        let copied = self.screen.copy(&text).await;
        if copied.map_err(|cause| Stop::from(Fault::Output(cause)))? {
            self.screen
                .note("the last answer was given to the terminal for its clipboard (OSC 52)");
        } else {
            self.screen.error(
                "the last answer cannot be copied: it is too long for a terminal, or this one takes \
                 no escape sequences; /save writes it to a file",
            );
        }
        Ok(())
    }

    fn save(&mut self, path: Option<PathBuf>) {
        let text = transcript::markdown(self.conversation.items());
        if text.is_empty() {
            self.screen.error("there is nothing to save yet");
            return;
        }
        let path = path.unwrap_or_else(|| format!("chat-{}.md", file_time()).into());
        let text = self.client.redactor().clean(&text);
        match transcript::write(&path, &text) {
            Ok(()) => self.screen.note(&format!("saved in {}", path.display())),
            Err(cause) => {
                let path = path.display();
                self.screen
                    .error(&format!("could not write {path}: {cause}"));
            }
        }
    }

    async fn models(&mut self) -> Result<(), Stop> {
        self.screen.note(&format!("asks {}", self.config.model));
        let listed = tokio::select! {
            listed = self.client.models() => listed,
            signal = self.signals.next() => return self.interrupted(signal),
        };
        match listed {
            Ok(names) => {
                for name in names.iter().take(MOST_MODELS) {
                    self.screen.say(name);
                }
                if names.len() > MOST_MODELS {
                    let more = names.len() - MOST_MODELS;
                    self.screen.note(&format!("and {more} more"));
                }
            }
            Err(_) => self.screen.note("the provider does not list its models"),
        }
        Ok(())
    }

    pub(super) fn store(&self) -> Result<Store, SessionError> {
        let home = self.config.home.as_deref();
        Store::new(home, &self.config.provider.id, self.directory.as_deref())
    }

    /// The earlier conversations of this directory, numbered.
    pub(super) fn list(&mut self) {
        let listed = match self.store() {
            Ok(store) => store.list(MOST_LISTED),
            Err(error) => return self.screen.error(&error.to_string()),
        };
        if listed.is_empty() {
            self.screen
                .note("there is no earlier conversation of this directory");
            return;
        }
        for (number, Listed { id, title, age }) in (1..).zip(&listed) {
            self.screen
                .say(&format!("{number:>2}  {age:>10}  {title}  {id}"));
        }
        self.screen.note("/resume and a number goes on with one");
        self.listed = listed;
    }

    async fn resume(&mut self, word: &str) -> Result<(), Stop> {
        let number = word.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let id = match number {
            Some(index) => match self.listed.get(index) {
                Some(listed) => listed.id.to_string(),
                None => {
                    self.screen
                        .error(&format!("there is no number {word}; /resume lists them"));
                    return Ok(());
                }
            },
            None => word.to_owned(),
        };
        if id == self.recorder.id() {
            self.screen.note("that is this conversation");
            return Ok(());
        }
        let which = Which::Id(id);
        let directory = self.directory.as_deref();
        match begin(
            &self.config,
            Some(&which),
            self.is_kept,
            directory,
            self.screen,
        ) {
            Ok((recorder, conversation)) => {
                (self.recorder, self.conversation) = (recorder, conversation);
                self.show_last().await
            }
            Err(Stop::Failed(message)) => {
                self.screen.error(&message);
                Ok(())
            }
            Err(stop) => Err(stop),
        }
    }

    /// The last question and what came of it, of a conversation that goes on.
    pub(super) async fn show_last(&mut self) -> Result<(), Stop> {
        let items = self.conversation.items();
        let last = items.iter().rposition(Item::is_question);
        let last = last.and_then(|last| items.get(last..)).unwrap_or_default();
        let cannot_write = |cause| Stop::from(Fault::Output(cause));
        for item in last {
            match item.text() {
                Some(text) if item.is_question() => self.screen.say(&format!("> {text}")),
                Some(text) => {
                    self.screen.text(text).await.map_err(cannot_write)?;
                    self.screen.end_answer().await.map_err(cannot_write)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    pub(super) fn say_how_to_resume(&mut self) {
        if self.recorder.is_kept() && !self.conversation.items().is_empty() {
            let id = self.recorder.id();
            self.screen
                .note(&format!("codex resume {id} goes on with this conversation"));
        }
    }
}
