//! An answer's Markdown as it is read on a terminal, while it arrives.
//!
//! Only added to, never redrawn: nothing flickers, and no width that the terminal sees differently can spoil what stands
//! there. A word is shown once it is certain what it means, a line of code when it is whole, a table
//! when it is over. One line of the source is one paragraph of the screen.
//!
//! Everything shown went through [`printable`], also what comes of references such as `&#27;`.

mod block;
mod certain;
mod code;
mod flow;
mod inline;
mod languages;
mod style;
mod table;

use self::block::{Block, Fence, Text, block};
use self::code::Highlighter;
use self::flow::Flow;
use self::style::Style;
use crate::terminal::printable::printable;

/// How much of a line waits to be told what it is, and of a table for its end, in bytes.
const MAX_LINE: usize = 4096;
const MAX_TABLE: usize = 64 << 10;
/// Longer lines of prose are hard to read.
const WIDEST: usize = 100;

/// The state of one answer.
#[derive(Debug)]
pub(crate) struct Markdown {
    /// How wide the terminal is now, in columns.
    width: fn() -> usize,
    /// What has arrived of the line and is not shown.
    line: String,
    place: Place,
    code: Option<(Fence, Highlighter)>,
    table: Vec<String>,
    /// How many bytes it has.
    table_length: usize,
    flow: Flow,
    /// Whether what was shown last did not end its line.
    is_in_line: bool,
}

/// Whether a line that is over has been shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Now,
    Later,
}

/// Where in a line it is.
#[derive(Debug, Default)]
enum Place {
    /// Where it is not known what the line is.
    #[default]
    Start,
    /// In text.
    Text(Style),
    /// In a line that is too long to wait for its end.
    Long,
}

impl Markdown {
    pub(crate) fn new(width: fn() -> usize) -> Self {
        Self {
            width,
            line: String::new(),
            place: Place::Start,
            code: None,
            table: Vec::new(),
            table_length: 0,
            flow: Flow::default(),
            is_in_line: false,
        }
    }

    /// What is to be shown now that this has come.
    pub(crate) fn push(&mut self, text: &str) -> String {
        let mut out = String::new();
        for piece in printable(text).split_inclusive('\n') {
            match piece.strip_suffix('\n') {
                Some(piece) => {
                    self.line.push_str(piece);
                    if self.end_line(&mut out) == Shown::Now {
                        out.push('\n');
                    }
                }
                None => {
                    self.line.push_str(piece);
                    self.go_on(&mut out);
                }
            }
        }
        self.note_end(&out);
        out
    }

    /// The rest, when nothing more comes.
    pub(crate) fn finish(&mut self) -> String {
        let mut out = String::new();
        if !self.line.is_empty() || matches!(self.place, Place::Text(_)) {
            self.end_line(&mut out);
        }
        self.end_table(&mut out);
        self.note_end(&out);
        let next = Self {
            is_in_line: self.is_in_line,
            ..Self::new(self.width)
        };
        *self = next;
        out
    }

    /// Whether what was shown last did not end its line.
    pub(crate) fn is_in_line(&self) -> bool {
        self.is_in_line
    }

    /// Something else has ended the line.
    pub(crate) fn leave_line(&mut self) {
        self.is_in_line = false;
        self.flow.leave_line();
    }

    fn note_end(&mut self, out: &str) {
        if !out.is_empty() {
            self.is_in_line = !out.ends_with('\n');
        }
    }

    /// The line is not over: shows what is certain of it.
    fn go_on(&mut self, out: &mut String) {
        let is_long = self.line.len() > MAX_LINE;
        if self.code.is_some() {
            if is_long || matches!(self.place, Place::Long) {
                self.show_long(out);
            }
            return;
        }
        match self.place {
            Place::Text(style) => self.text(false, style, out),
            Place::Long => self.show_long(out),
            Place::Start => match block(&self.line, false) {
                Some(Block::Text(text)) => {
                    let style = self.begin(text, out);
                    self.text(false, style, out);
                }
                // It has waited long enough.
                _ if is_long => {
                    self.end_table(out);
                    self.show_long(out);
                }
                _ => {}
            },
        }
    }

    /// The line is over.
    fn end_line(&mut self, out: &mut String) -> Shown {
        let place = std::mem::take(&mut self.place);
        if matches!(place, Place::Long) {
            Style::PLAIN.paint(&std::mem::take(&mut self.line), out);
        } else if let Some((fence, highlighter)) = &mut self.code {
            let line = std::mem::take(&mut self.line);
            if fence.is_ended_by(&line) {
                Style::DIM.paint(&line, out);
                self.code = None;
            } else {
                flow::paint(&highlighter.line(&line), out);
            }
        } else if let Place::Text(style) = place {
            self.text(true, style, out);
        } else {
            return self.whole_line(out);
        }
        Shown::Now
    }

    /// A line of which nothing is shown.
    fn whole_line(&mut self, out: &mut String) -> Shown {
        let block = block(&self.line, true).unwrap_or(Block::Blank);
        if block != Block::Row {
            self.end_table(out);
        }
        match block {
            Block::Text(text) => {
                let style = self.begin(text, out);
                self.text(true, style, out);
                self.place = Place::Start;
            }
            Block::Row => {
                self.table_length += self.line.len();
                self.table.push(std::mem::take(&mut self.line));
                if self.table_length > MAX_TABLE {
                    self.end_table(out);
                }
                return Shown::Later;
            }
            Block::Rule => Style::DIM.paint(&"─".repeat(self.width()), out),
            Block::Fence(fence) => {
                let info = self.line.get(fence.info..).unwrap_or_default();
                self.code = Some((fence, Highlighter::new(info)));
                Style::DIM.paint(&self.line, out);
            }
            Block::Blank => {}
        }
        self.line.clear();
        Shown::Now
    }

    /// Begins a line of text, and goes on behind what stands for its beginning.
    fn begin(&mut self, text: Text, out: &mut String) -> Style {
        self.end_table(out);
        self.flow.start(self.width(), &text.first, text.indent, out);
        self.line.drain(..text.used);
        self.place = Place::Text(text.base);
        text.base
    }

    fn text(&mut self, is_whole: bool, style: Style, out: &mut String) {
        let inline = inline::read(&self.line, is_whole, style);
        self.flow.push(&inline.spans, out);
        let is_cut = !self
            .line
            .get(..inline.used)
            .unwrap_or_default()
            .ends_with(' ');
        if is_whole || inline.used > 0 && is_cut {
            self.flow.end_word(out);
        }
        self.line.drain(..inline.used);
    }

    fn show_long(&mut self, out: &mut String) {
        Style::PLAIN.paint(&std::mem::take(&mut self.line), out);
        self.place = Place::Long;
    }

    /// Shows a table that is over, or what only began like one.
    fn end_table(&mut self, out: &mut String) {
        let lines = std::mem::take(&mut self.table);
        self.table_length = 0;
        if lines.is_empty() {
            return;
        }
        if let Some(table) = table::table(&lines, self.width()) {
            out.push_str(&table);
            return;
        }
        for line in lines {
            flow::paint(&inline::read(&line, true, Style::PLAIN).spans, out);
            out.push('\n');
        }
    }

    fn width(&self) -> usize {
        match (self.width)() {
            0 => 80,
            width => width.min(WIDEST),
        }
    }
}

#[cfg(test)]
mod tests;
