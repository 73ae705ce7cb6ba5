//! What a person sees and types, and signals. Here: what goes to standard output and standard error, and in
//! which form.
//!
//! Standard output gets the answer and nothing else; where it is a terminal, in a form that
//! cannot steer it. Everything else is for people, goes to standard error, and is never needed.

mod answer;
mod clipboard;
pub(crate) mod codex_events;
pub(crate) mod editor;
pub(crate) mod format;
pub(crate) mod printable;
pub(crate) mod signals;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::io::AsyncWriteExt;

use crate::events::Usage;
use crate::events::answer::{Done, Search};
use crate::markdown::Markdown;
use crate::prompt::stdin::stdin_is_terminal;
use crate::terminal::codex_events::{CodexEvents, wire_error};
use crate::terminal::format::{Color, Format};
use crate::terminal::printable::{MAX_NAME, excerpt, one_line, printable};
use crate::transport::error::{Fault, Retry, seconds};
use crate::transport::retry::Attempt;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// The two streams.
#[derive(Debug)]
pub(crate) struct Screen {
    stdout: tokio::io::Stdout,
    stdout_is_terminal: bool,
    /// Whether what is said about an answer stands among its text.
    is_one_terminal: bool,
    has_colours: bool,
    is_quiet: bool,
    format: Format,
    events: CodexEvents,
    spinner: Option<ProgressBar>,
    can_spin: bool,
    /// Whether escape sequences do something on standard output.
    takes_sequences: bool,
    /// Where an answer is not shown as it was written.
    markdown: Option<Markdown>,
    /// Whether a carriage return waits for what comes after it.
    has_return: bool,
    /// Whether the answer is wanted although nobody reads standard output.
    outlives_reader: bool,
    has_lost_reader: bool,
    /// Whether the last thing on standard output was not a newline.
    is_in_line: bool,
    /// Whether there is text of the answer on standard output.
    has_text: bool,
    /// Whether the last thing on standard error was an unfinished summary.
    is_in_reasoning: bool,
}

impl Screen {
    /// Standard output and error as they are.
    pub(crate) fn new(is_quiet: bool, format: Format, color: Color) -> Self {
        let stderr_is_terminal = io::stderr().is_terminal();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let stdout_is_terminal = io::stdout().is_terminal();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        // https://no-color.org
        let wants_colours = |is_terminal| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !is_set("NO_COLOR") && !is_dumb,
        };
        let is_read = stdout_is_terminal && format == Format::Text && wants_colours(true);
        Self {
            stdout: tokio::io::stdout(),
            stdout_is_terminal,
            is_one_terminal: stdout_is_terminal && stderr_is_terminal,
            has_colours: wants_colours(stderr_is_terminal),
            is_quiet,
            format,
            events: CodexEvents::default(),
            spinner: None,
            can_spin: stderr_is_terminal && !is_dumb && !is_quiet,
            takes_sequences: stdout_is_terminal && !is_dumb,
            markdown: is_read.then(|| Markdown::new(answer::width)),
            has_return: false,
            outlives_reader: false,
            has_lost_reader: false,
            is_in_line: false,
            has_text: false,
            is_in_reasoning: false,
        }
    }

    pub(crate) fn has_colours(&self) -> bool {
        self.has_colours
    }

    /// From now on a reader of standard output that leaves does not stop the program.
    pub(crate) fn outlive_reader(&mut self) {
        self.outlives_reader = true;
    }

    /// Whether anybody sits before one of the three streams.
    pub(crate) fn is_on_terminal(&self) -> bool {
        self.stdout_is_terminal || io::stderr().is_terminal() || stdin_is_terminal()
    }

    /// Shows that there is nothing to show yet.
    pub(crate) fn wait_for(&mut self, what: &str) {
        if self.can_spin {
            self.go_on();
            let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                spinner.set_style(style);
            }
            spinner.set_message(excerpt(what, MAX_NAME));
            spinner.enable_steady_tick(TICK);
            self.spinner = Some(spinner);
        }
    }

    /// Takes the spinner away.
    pub(crate) fn go_on(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }

    /// Whether events are printed as the server sends them.
    pub(crate) fn prints_wire_events(&self) -> bool {
        self.format == Format::WireEvents
    }

    /// An event as the server sent it, in one line.
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub(crate) async fn event(&mut self, data: &str) -> io::Result<()> {
        self.go_on();
        // In JSON a line break is always between tokens.
        let mut line = data.replace(['\r', '\n'], " ");
        line.push('\n');
        self.out(&line).await
    }

    /// A turn begins, in the thread of this id (a UUID).
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub(crate) async fn begin_turn(&mut self, thread_id: &str) -> io::Result<()> {
        let lines = self.events.begin(thread_id);
        self.codex_events(lines).await
    }

    /// A search on the web begins.
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub(crate) async fn search_begins(&mut self, search: &Search) -> io::Result<()> {
        let lines = self.events.search_begins(search);
        self.codex_events(lines).await
    }

    /// An item is complete. Whether some of the answer has gone out by that.
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub(crate) async fn item(&mut self, done: &Done) -> io::Result<bool> {
        let lines = self.events.item(done);
        self.codex_events(lines).await?;
        Ok(self.format == Format::CodexEvents && matches!(done, Done::Message(_)))
    }

    /// The same is asked for once more, and why.
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub(crate) async fn retry(&mut self, fault: &Fault, next: Attempt) -> io::Result<()> {
        let Attempt {
            kind,
            n,
            most,
            wait,
        } = next;
        if let Some(markdown) = &mut self.markdown {
            // Of what comes again, nothing was seen.
            markdown.finish();
        }
        self.note(&format!(
            "{fault}; again in {} ({n} of {most})",
            seconds(wait)
        ));
        match kind {
            // Codex says nothing of these there.
            Retry::Request => Ok(()),
            Retry::Stream => {
                let lines = CodexEvents::reconnecting(n, most, &one_line(&fault.to_string()));
                self.codex_events(lines).await
            }
        }
    }

    /// The turn is complete: nothing about it can fail any more.
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub(crate) async fn turn_completed(&mut self, usage: Option<Usage>) -> io::Result<()> {
        let lines = CodexEvents::completed(usage.unwrap_or_default());
        self.codex_events(lines).await
    }

    /// The last events of a turn that failed; whoever reads them waits for one. Nothing can be done about a
    /// fault in writing it.
    pub(crate) fn turn_failed(&mut self, message: &str) {
        let message = one_line(message);
        let lines = match self.format {
            Format::Text => return,
            Format::CodexEvents => self.events.failed(&message),
            Format::WireEvents => wire_error(&message),
        };
        if !self.has_lost_reader {
            let mut stdout = io::stdout();
            let _ = stdout
                .write_all(lines.as_bytes())
                .and_then(|()| stdout.flush());
        }
    }

    async fn codex_events(&mut self, lines: String) -> io::Result<()> {
        if self.format != Format::CodexEvents || lines.is_empty() {
            return Ok(());
        }
        self.go_on();
        self.out(&lines).await
    }

    async fn out(&mut self, text: &str) -> io::Result<()> {
        let text = if self.stdout_is_terminal {
            printable(text)
        } else {
            Cow::Borrowed(text)
        };
        self.out_as_it_is(&text).await
    }

    /// What steers a terminal only where it is meant to.
    async fn out_as_it_is(&mut self, text: &str) -> io::Result<()> {
        if self.has_lost_reader {
            return Ok(());
        }
        let written = match self.stdout.write_all(text.as_bytes()).await {
            Ok(()) => self.stdout.flush().await,
            fault => fault,
        };
        match written {
            Err(cause) if self.outlives_reader && cause.kind() == io::ErrorKind::BrokenPipe => {
                self.has_lost_reader = true;
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// A piece of a summary of the model's reasoning.
    pub(crate) fn reasoning(&mut self, text: &str) {
        self.go_on();
        self.leave_line();
        self.is_in_reasoning = true;
        let text = text.replace("\r\n", "\n");
        self.err(&self.styled("2", &printable(&text)));
    }

    /// What was asked for by a command.
    pub(crate) fn say(&mut self, text: &str) {
        self.go_on();
        self.end_reasoning();
        self.leave_line();
        let text = text.replace("\r\n", "\n");
        self.err(&format!("{}\n", printable(&text)));
    }

    /// Something worth knowing; not when quiet.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.is_quiet {
            self.line("2", &one_line(text));
        }
    }

    /// Why it failed.
    pub(crate) fn error(&mut self, text: &str) {
        self.line("31", &format!("Error: {}", one_line(text)));
    }

    fn line(&mut self, style: &str, text: &str) {
        self.go_on();
        self.end_reasoning();
        self.leave_line();
        self.err(&format!("{}\n", self.styled(style, text)));
    }

    /// An answer's unfinished line is not gone on with by something else.
    fn leave_line(&mut self) {
        if self.is_one_terminal && std::mem::take(&mut self.is_in_line) {
            if let Some(markdown) = &mut self.markdown {
                markdown.leave_line();
            }
            self.err("\n");
        }
    }

    fn end_reasoning(&mut self) {
        if std::mem::take(&mut self.is_in_reasoning) {
            self.err("\n\n");
        }
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.has_colours {
            format!("\u{1b}[{style}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Nobody has to read this: what cannot be written is lost.
    fn err(&self, text: &str) {
        let _ = io::stderr().write_all(text.as_bytes());
    }
}
