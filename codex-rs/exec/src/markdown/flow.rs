//! Pure: words on lines of a given width, with what stands before each of them.

use unicode_width::UnicodeWidthStr;

use super::style::{Span, Style};

/// Narrower than this, the terminal breaks lines as it likes.
const NARROWEST: usize = 20;

/// A paragraph under way.
#[derive(Debug, Default)]
pub(super) struct Flow {
    width: usize,
    column: usize,
    /// What stands before each further line.
    indent: Vec<Span>,
    /// The word that has not ended.
    word: Vec<Span>,
}

impl Flow {
    /// Begins a line of text after `first`; its further lines begin with `indent`.
    pub(super) fn start(
        &mut self,
        width: usize,
        first: &[Span],
        indent: Vec<Span>,
        out: &mut String,
    ) {
        self.width = if width < NARROWEST { usize::MAX } else { width };
        self.word.clear();
        self.column = paint(first, out);
        self.indent = indent;
    }

    /// The line was ended by something else.
    pub(super) fn leave_line(&mut self) {
        self.column = 0;
    }

    pub(super) fn push(&mut self, spans: &[Span], out: &mut String) {
        for span in spans {
            for piece in span.text.split_inclusive([' ', '\t', '\n']) {
                let word = piece.trim_end_matches([' ', '\t', '\n']);
                if !word.is_empty() {
                    self.word.push(Span::new(word, span.style));
                }
                if word.len() < piece.len() {
                    self.end_word(out);
                    if self.column < self.width {
                        Style::PLAIN.paint(" ", out);
                        self.column += 1;
                    }
                }
            }
        }
    }

    pub(super) fn end_word(&mut self, out: &mut String) {
        let word = std::mem::take(&mut self.word);
        let width = width_of(&word);
        let indent = width_of(&self.indent);
        if width == 0 {
            return;
        }
        if self.column.saturating_add(width) > self.width && self.column > indent {
            out.push('\n');
            self.column = paint(&self.indent, out);
        }
        self.column += paint(&word, out);
        if self.column > self.width {
            // The terminal has broken it.
            self.column %= self.width;
        }
    }
}

/// Adds the spans, and returns how many columns they take.
pub(super) fn paint(spans: &[Span], out: &mut String) -> usize {
    for span in spans {
        span.style.paint(&span.text, out);
    }
    width_of(spans)
}

/// In columns of a terminal.
pub(super) fn width_of(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.text.width()).sum()
}
