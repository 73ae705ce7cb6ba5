//! Pure: colours for a line of code. By the lexis alone: a grammar of the whole language takes half a
//! second to load, and megabytes, for a few more colours.

use super::languages::{Language, language};
use super::style::{Colour, Span, Style};

/// A longer line is machine-made, and nobody reads it for its colours.
const MAX_LINE: usize = 2000;

const COMMENT: Style = Style::DIM;

/// Colours the lines of one block of code, in their order.
#[derive(Debug)]
pub(super) struct Highlighter {
    kind: Kind,
    /// What a comment or a string of many lines ends with, and how it looks.
    open: Option<(&'static str, Style)>,
}

#[derive(Debug)]
enum Kind {
    Plain,
    Diff,
    Language(&'static Language),
}

impl Highlighter {
    /// By what stands after the fence: a language, of which the first word counts.
    pub(super) fn new(info: &str) -> Self {
        let is_end = |c: char| c.is_whitespace() || matches!(c, ',' | '{' | ':');
        let name = info.trim().split(is_end).next().unwrap_or_default();
        let kind = match language(name) {
            Some(language) => Kind::Language(language),
            None if ["diff", "patch"].contains(&name) => Kind::Diff,
            None => Kind::Plain,
        };
        Self { kind, open: None }
    }

    pub(super) fn line(&mut self, line: &str) -> Vec<Span> {
        match self.kind {
            Kind::Language(language) if line.len() <= MAX_LINE => {
                let mut lexer = Lexer {
                    language,
                    rest: line,
                    before: ' ',
                    spans: Vec::new(),
                };
                self.open = lexer.line(self.open.take());
                lexer.spans
            }
            Kind::Diff => {
                let style = match line.chars().next() {
                    Some('+') => Style::coloured(Colour::Green),
                    Some('-') => Style::coloured(Colour::Red),
                    Some('@') => Style::coloured(Colour::Cyan),
                    _ => Style::PLAIN,
                };
                vec![Span::new(line, style)]
            }
            _ => vec![Span::new(line, Style::PLAIN)],
        }
    }
}

struct Lexer<'a> {
    language: &'static Language,
    rest: &'a str,
    before: char,
    spans: Vec<Span>,
}

impl<'a> Lexer<'a> {
    /// Reads the line, and returns what is open at its end.
    fn line(&mut self, open: Option<(&'static str, Style)>) -> Option<(&'static str, Style)> {
        if let Some((end, style)) = open
            && self.until(0, end, style).is_none()
        {
            return Some((end, style));
        }
        while let Some(first) = self.rest.chars().next() {
            if let Some(open) = self.comment().or_else(|| self.long_string()) {
                match open {
                    Open::Closed => continue,
                    Open::With(end, style) => return Some((end, style)),
                }
            }
            if self.language.quotes.contains(&first) {
                self.take(string(self.rest, first), Style::coloured(Colour::Green));
            } else if first.is_ascii_digit() {
                let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
                self.take(run(self.rest, is_part), Style::coloured(Colour::Yellow));
            } else if is_word(first) {
                let end = run(self.rest, is_word);
                let word = self.rest.get(..end).unwrap_or_default();
                let style = if self.is_keyword(word) {
                    Style::coloured(Colour::Magenta)
                } else {
                    Style::PLAIN
                };
                self.take(end, style);
            } else {
                self.take(first.len_utf8(), Style::PLAIN);
            }
        }
        None
    }

    fn is_keyword(&self, word: &str) -> bool {
        let language = self.language;
        language.keywords.split(' ').any(|keyword| {
            keyword == word || language.any_case && keyword.eq_ignore_ascii_case(word)
        })
    }

    fn comment(&mut self) -> Option<Open> {
        let language = self.language;
        // In a shell, # within a word is no comment; nor is // in an address.
        let is_at_edge = !is_word(self.before) && self.before != ':' && self.before != '$';
        let starts = |start: &&&str| self.rest.starts_with(**start);
        if is_at_edge && language.line_comments.iter().any(|start| starts(&start)) {
            self.take(self.rest.len(), COMMENT);
            return Some(Open::Closed);
        }
        let (start, end) = language.block_comment?;
        self.rest
            .starts_with(start)
            .then(|| self.opened(start.len(), end, COMMENT))
    }

    fn long_string(&mut self) -> Option<Open> {
        let quotes = self.language.long_quotes;
        let quote = quotes.iter().find(|quote| self.rest.starts_with(**quote))?;
        Some(self.opened(quote.len(), quote, Style::coloured(Colour::Green)))
    }

    fn opened(&mut self, start: usize, end: &'static str, style: Style) -> Open {
        match self.until(start, end, style) {
            Some(()) => Open::Closed,
            None => Open::With(end, style),
        }
    }

    /// Takes everything up to an end, which is looked for after `from`; `None` if there is none in
    /// this line, which is then taken whole.
    fn until(&mut self, from: usize, end: &'static str, style: Style) -> Option<()> {
        let rest = self.rest.get(from..).unwrap_or_default();
        match rest.find(end) {
            Some(at) => {
                self.take(from + at + end.len(), style);
                Some(())
            }
            None => {
                self.take(self.rest.len(), style);
                None
            }
        }
    }

    /// Takes so many bytes.
    fn take(&mut self, length: usize, style: Style) {
        let (text, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.before = text.chars().next_back().unwrap_or(' ');
        self.rest = rest;
        match self.spans.last_mut() {
            Some(last) if last.style == style => last.text.push_str(text),
            _ => self.spans.push(Span::new(text, style)),
        }
    }
}

/// A comment or string that began.
enum Open {
    Closed,
    With(&'static str, Style),
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How many bytes at the beginning are of a kind.
fn run(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// How long the string is that begins here, in bytes. Without an end it goes to that of the line.
fn string(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + c.len_utf8();
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// m keyword, g string, y number, d comment.
    fn shown(info: &str, lines: &[&str]) -> Vec<String> {
        let mut highlighter = Highlighter::new(info);
        let mark = |style: Style| match style.colour {
            Some(Colour::Magenta) => 'm',
            Some(Colour::Green) => 'g',
            Some(Colour::Yellow) => 'y',
            Some(Colour::Red) => 'r',
            Some(Colour::Cyan) => 'c',
            None if style.dim => 'd',
            None => 'p',
        };
        let line = |spans: Vec<Span>| {
            let spans = spans
                .into_iter()
                .map(|Span { text, style }| match mark(style) {
                    'p' => text,
                    mark => format!("<{mark}:{text}>"),
                });
            spans.collect()
        };
        lines
            .iter()
            .map(|text| line(highlighter.line(text)))
            .collect()
    }

    #[test]
    fn keywords_strings_numbers_and_comments() {
        for (info, source, expected) in [
            (
                "rust",
                "let x: &'a str = \"a\\\"b\"; // no",
                "<m:let> x: &'a str = <g:\"a\\\"b\">; <d:// no>",
            ),
            ("py", "def f(n=0x1F): # x", "<m:def> f(n=<y:0x1F>): <d:# x>"),
            (
                "bash",
                "echo $# a#b 'it' # c",
                "echo $# a#b <g:'it'> <d:# c>",
            ),
            (
                "sql",
                "SELECT a FROM b -- c",
                "<m:SELECT> a <m:FROM> b <d:-- c>",
            ),
            ("js", "x('http://y') // z", "x(<g:'http://y'>) <d:// z>"),
            ("rust,ignore", "fn f", "<m:fn> f"),
            ("unheard-of", "fn f // x", "fn f // x"),
            ("", "fn f", "fn f"),
            (
                "json",
                "{\"a\": [1, true]}",
                "{<g:\"a\">: [<y:1>, <m:true>]}",
            ),
            ("c", "'unended", "<g:'unended>"),
        ] {
            assert_eq!(shown(info, &[source]), [expected]);
        }
    }

    #[test]
    fn comments_and_strings_of_many_lines() {
        assert_eq!(
            shown("c", &["int a; /* b", "c", "d */ return"]),
            ["<m:int> a; <d:/* b>", "<d:c>", "<d:d */> <m:return>"]
        );
        assert_eq!(
            shown("python", &["x = '''a", "'b' if", "''' if"]),
            ["x = <g:'''a>", "<g:'b' if>", "<g:'''> <m:if>"]
        );
        assert_eq!(
            shown("diff", &["@@ 1 @@", "-a", "+b", " c"]),
            ["<c:@@ 1 @@>", "<r:-a>", "<g:+b>", " c"]
        );
    }

    #[test]
    fn every_character_is_kept() {
        for info in ["rust", "py", "html", "diff", "x"] {
            for source in ["", "\u{1f}\"", "ü'ß/*", "\"\\", "'''", "<!-- ", "\t a\t"] {
                let text: String = Highlighter::new(info)
                    .line(source)
                    .into_iter()
                    .map(|span| span.text)
                    .collect();
                assert_eq!(text, source);
            }
        }
    }
}
