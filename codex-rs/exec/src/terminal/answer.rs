//! The answer on standard output: as it was written, or on a terminal as it is read.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use crate::terminal::format::Format;
use crate::terminal::{Screen, clipboard};

/// How long the end of an answer's line may take.
const FINAL_LINE: Duration = Duration::from_millis(100);

impl Screen {
    /// Text of the answer. Whether some of it has gone out, in whatever form.
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub(crate) async fn text(&mut self, text: &str) -> io::Result<bool> {
        if text.is_empty() || self.format == Format::CodexEvents {
            return Ok(false);
        }
        self.go_on();
        self.end_reasoning();
        if self.format != Format::Text {
            return Ok(true);
        }
        self.has_text = true;
        let text = self.with_newlines(text);
        let Some(markdown) = &mut self.markdown else {
            self.is_in_line = !text.ends_with('\n');
            self.out(&text).await?;
            return Ok(true);
        };
        let shown = markdown.push(&text);
        self.is_in_line = markdown.is_in_line();
        self.out_as_it_is(&shown).await?;
        Ok(!shown.is_empty())
    }

    /// Line ends of Windows are newlines on a terminal; one may be cut in between.
    fn with_newlines<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        if !self.stdout_is_terminal {
            return Cow::Borrowed(text);
        }
        let text = if std::mem::take(&mut self.has_return) {
            Cow::Owned(format!("\r{text}"))
        } else {
            Cow::Borrowed(text)
        };
        let whole = text.strip_suffix('\r');
        self.has_return = whole.is_some();
        Cow::Owned(whole.unwrap_or(&text).replace("\r\n", "\n"))
    }

    /// Puts a text into the clipboard of the terminal, if that has one; `false` where there is no
    /// terminal that could, or the text is too long.
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub(crate) async fn copy(&mut self, text: &str) -> io::Result<bool> {
        let sequence = clipboard::sequence(text).filter(|_| self.takes_sequences);
        if let Some(sequence) = &sequence {
            self.out_as_it_is(sequence).await?;
        }
        Ok(sequence.is_some())
    }

    /// Ends what has come of an answer that failed, where it is the last thing: a terminal that takes nothing
    /// must not hold it up.
    pub(crate) async fn leave_answer(&mut self) -> io::Result<()> {
        let ended = tokio::time::timeout(FINAL_LINE, self.end_line()).await;
        ended.unwrap_or(Ok(()))
    }

    /// Ends a whole answer. In a pipe or a file a newline follows it, whatever it ends with, as in Codex.
    ///
    /// # Errors
    ///
    /// Standard output does not take it.
    pub(crate) async fn end_answer(&mut self) -> io::Result<()> {
        self.is_in_line |= std::mem::take(&mut self.has_text) && !self.stdout_is_terminal;
        self.end_line().await
    }

    /// Ends the last line of an answer.
    async fn end_line(&mut self) -> io::Result<()> {
        self.go_on();
        self.end_reasoning();
        if let Some(markdown) = &mut self.markdown {
            let rest = markdown.finish();
            self.is_in_line = markdown.is_in_line();
            markdown.leave_line();
            self.out_as_it_is(&rest).await?;
        }
        if std::mem::take(&mut self.is_in_line) {
            return self.out("\n").await;
        }
        Ok(())
    }
}

/// How wide the terminal of standard output is, in columns; 0 if it does not say.
#[cfg(unix)]
pub(super) fn width() -> usize {
    rustix::termios::tcgetwinsize(rustix::stdio::stdout()).map_or(0, |size| size.ws_col.into())
}

#[cfg(not(unix))]
pub(super) fn width() -> usize {
    0
}
