//! The line editor, on a thread of its own: it blocks, and a signal must not wait for a key. And the
//! terminal's settings, put back when the editor cannot.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

#[cfg(unix)]
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::{Completer, FilenameCompleter};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Helper};
use tokio::sync::oneshot;

use crate::chat::command::completions;
use crate::prompt::is_like_a_key;

/// Beside Codex's own `history.jsonl`, which holds something else.
const HISTORY: &str = "exec-chat-history";
const PROMPT: &str = "> ";

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Text(String),
    /// Ctrl-C: the line is thrown away.
    Interrupted,
    /// Ctrl-D on an empty line.
    End,
}

/// Asks the thread for lines.
#[derive(Debug)]
pub(crate) struct Editor {
    requests: mpsc::Sender<oneshot::Sender<Result<Line, String>>>,
}

impl Editor {
    /// Starts the thread. A history that cannot be read or written is done without.
    pub(crate) fn start(home: Option<&Path>, has_colours: bool) -> Self {
        let history = home
            .filter(|home| home.is_dir())
            .map(|home| home.join(HISTORY));
        let (requests, asked) = mpsc::channel();
        std::thread::spawn(move || serve(&asked, history.as_deref(), has_colours));
        Self { requests }
    }

    /// The next line. A line that ends with a backslash goes on in the next.
    ///
    /// # Errors
    ///
    /// The terminal cannot be read; a sentence that says why.
    pub(crate) async fn line(&self) -> Result<Line, String> {
        let (reply, line) = oneshot::channel();
        let gone = || "the line editor ended".to_owned();
        self.requests.send(reply).map_err(|_| gone())?;
        line.await.map_err(|_| gone())?
    }
}

fn serve(
    asked: &mpsc::Receiver<oneshot::Sender<Result<Line, String>>>,
    history: Option<&Path>,
    has_colours: bool,
) {
    let config = Config::builder()
        .auto_add_history(false)
        // As in a shell: what begins with a space is not kept.
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor = match rustyline::Editor::<Lines, DefaultHistory>::with_config(config) {
        Ok(editor) => editor,
        Err(error) => {
            if let Ok(reply) = asked.recv() {
                let _ = reply.send(Err(cannot_read(&error)));
            }
            return;
        }
    };
    editor.set_helper(Some(Lines {
        has_colours,
        asked: RefCell::default(),
    }));
    let history: Option<PathBuf> = history.map(Path::to_owned);
    if let Some(path) = &history {
        let _ = editor.load_history(path);
    }
    while let Ok(reply) = asked.recv() {
        let line = match editor.readline(PROMPT) {
            Ok(text) => {
                // A key that was pasted into the wrong window is not sent, and not kept either.
                if !is_like_a_key(&text)
                    && editor.add_history_entry(&text).is_ok_and(|kept| kept)
                    && let Some(path) = &history
                {
                    // It makes the file readable for its owner alone.
                    let _ = editor.append_history(path);
                }
                let asked = editor.helper().map(|lines| lines.asked.take());
                Ok(Line::Text(joined(&text, &asked.unwrap_or_default())))
            }
            Err(ReadlineError::Interrupted) => {
                editor.helper().map(|lines| lines.asked.take());
                Ok(Line::Interrupted)
            }
            Err(ReadlineError::Eof) => Ok(Line::End),
            Err(error) => Err(cannot_read(&error)),
        };
        if reply.send(line).is_err() {
            return;
        }
    }
}

fn cannot_read(error: &ReadlineError) -> String {
    format!("could not read from the terminal: {error}")
}

/// A backslash that asked for another line is not part of the text; one that was pasted is. `asked`
/// is what stood there each time.
fn joined(text: &str, asked: &[String]) -> String {
    let mut text = text.to_owned();
    // From the end, so that the places before stay where they are.
    for before in asked.iter().rev() {
        let goes_on = text.strip_prefix(before.as_str());
        if goes_on.is_some_and(|rest| rest.starts_with('\n')) {
            text.remove(before.len() - 1);
        }
    }
    text
}

/// Whether the next line belongs to this one: an odd number of backslashes ends it.
fn goes_on(text: &str) -> bool {
    let backslashes = text.len() - text.trim_end_matches('\\').len();
    backslashes % 2 == 1
}

/// What the editor asks about lines.
struct Lines {
    has_colours: bool,
    /// What stood there whenever a backslash asked for another line.
    asked: RefCell<Vec<String>>,
}

impl Validator for Lines {
    fn validate(&self, line: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if goes_on(line.input()) {
            self.asked.borrow_mut().push(line.input().to_owned());
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Highlighter for Lines {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _is_default: bool,
    ) -> Cow<'b, str> {
        if self.has_colours {
            Cow::Owned(format!("\u{1b}[1m{prompt}\u{1b}[0m"))
        } else {
            Cow::Borrowed(prompt)
        }
    }
}

impl Completer for Lines {
    type Candidate = String;

    /// Commands, at the beginning of the line; behind /save, files.
    fn complete(
        &self,
        line: &str,
        at: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        if line.starts_with("/save ") {
            let (start, files) = FilenameCompleter::new().complete(line, at, context)?;
            return Ok((
                start,
                files.into_iter().map(|file| file.replacement).collect(),
            ));
        }
        let typed = line.get(..at).unwrap_or_default();
        let names = completions(typed).into_iter();
        Ok((0, names.map(|name| format!("{name} ")).collect()))
    }
}

impl Hinter for Lines {
    type Hint = String;
}

impl Helper for Lines {}

/// The settings of standard input as they were.
#[cfg(unix)]
#[derive(Clone, Debug)]
pub(crate) struct Saved(Option<Termios>);

#[cfg(unix)]
impl Saved {
    pub(crate) fn take() -> Self {
        Self(tcgetattr(rustix::stdio::stdin()).ok())
    }

    /// Nothing was changed, so nothing is put back.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Puts them back, at once: whoever waits for a key does not see it.
    pub(crate) fn restore(&self) {
        if let Some(settings) = &self.0 {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, settings);
        }
    }
}

/// Nothing that we could put back.
#[cfg(not(unix))]
#[derive(Clone, Debug)]
pub(crate) struct Saved;

#[cfg(not(unix))]
impl Saved {
    pub(crate) fn take() -> Self {
        Self
    }

    pub(crate) fn none() -> Self {
        Self
    }

    pub(crate) fn restore(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_continues_a_line_and_two_do_not() {
        assert!(goes_on("a\\"));
        assert!(goes_on("a\\\nb\\"));
        assert!(!goes_on("a"));
        assert!(!goes_on("a\\\\"));
        assert!(!goes_on(""));
        let asked = ["a\\".to_owned(), "a\\\nb\\".to_owned()];
        assert_eq!(joined("a\\\nb\\\nc", &asked), "a\nb\nc");
        // Pasted, it stays; so it does when what stood before it was changed since.
        assert_eq!(joined("a\\\nb", &[]), "a\\\nb");
        assert_eq!(joined("x\\\nb", &asked), "x\\\nb");
    }
}
