//! Pure: what a line is, by how it begins; and whether that is certain before the rest of it is there.

use super::style::{Span, Style};

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    Blank,
    /// Text, in a paragraph, a list, a heading or a quotation.
    Text(Text),
    /// A line across.
    Rule,
    /// The beginning of a block of code.
    Fence(Fence),
    /// A line of what may be a table.
    Row,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// What stands before it, and before its further lines on the screen.
    pub(super) first: Vec<Span>,
    pub(super) indent: Vec<Span>,
    pub(super) base: Style,
    /// How many bytes of the line that stands for.
    pub(super) used: usize,
}

/// How a block of code began, and so how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    mark: char,
    length: usize,
    /// Where its info string begins.
    pub(super) info: usize,
}

/// No more levels than this are told apart.
const MAX_QUOTES: usize = 8;
const MAX_INDENT: usize = 24;

impl Fence {
    fn begins(line: &str) -> Option<Self> {
        let rest = line.trim_start_matches(' ');
        let mark = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = rest.chars().take_while(|c| *c == mark).count();
        let info = line.len() - rest.len() + length;
        // In a line, three backticks may be code in a line.
        let is_code = mark == '`' && line.get(info..).unwrap_or_default().contains('`');
        (length >= 3 && !is_code).then_some(Self { mark, length, info })
    }

    pub(super) fn is_ended_by(self, line: &str) -> bool {
        let line = line.trim();
        line.chars().count() >= self.length && line.chars().all(|c| c == self.mark)
    }
}

/// What the line is; `None` while that depends on what is still to come.
pub(super) fn block(line: &str, is_whole: bool) -> Option<Block> {
    quoted_block(line, 0, is_whole)
}

/// The same of what stands within so many quotations already: what begins another one in the deepest is text, so that
/// no line can nest as deep as it is long.
fn quoted_block(line: &str, levels: usize, is_whole: bool) -> Option<Block> {
    let rest = line.trim_start_matches([' ', '\t']);
    let indent = &line[..line.len() - rest.len()];
    let columns: usize = indent.chars().map(|c| if c == '\t' { 4 } else { 1 }).sum();
    let indent = " ".repeat(columns.min(MAX_INDENT));
    let used = line.len() - rest.len();
    let Some(first) = rest.chars().next() else {
        return is_whole.then_some(Block::Blank);
    };
    match first {
        '|' => Some(Block::Row),
        '`' | '~' => match Fence::begins(line) {
            Some(_) if !is_whole => None,
            Some(fence) => Some(Block::Fence(fence)),
            None if !is_whole && rest.len() < 3 && rest.chars().all(|c| c == first) => None,
            None => Some(text(&indent, used)),
        },
        '>' if levels < MAX_QUOTES => quotation(rest, levels, &indent, used, is_whole),
        '#' => heading(rest, &indent, used, is_whole),
        '-' | '*' | '+' | '_' => marked(rest, first, &indent, used, is_whole),
        '0'..='9' => numbered(rest, &indent, used, is_whole),
        _ => Some(text(&indent, used)),
    }
}

fn text(indent: &str, used: usize) -> Block {
    let indent = vec![Span::new(indent, Style::PLAIN)];
    Block::Text(Text {
        first: indent.clone(),
        indent,
        base: Style::PLAIN,
        used,
    })
}

/// `outer` is how many levels it is within, and `before` how many bytes of the line are not in `rest`.
fn quotation(
    rest: &str,
    outer: usize,
    indent: &str,
    before: usize,
    is_whole: bool,
) -> Option<Block> {
    let mut quoted = rest;
    let mut levels = outer;
    while levels < MAX_QUOTES
        && let Some(inner) = quoted.strip_prefix('>')
    {
        quoted = inner.strip_prefix(' ').unwrap_or(inner);
        levels += 1;
    }
    let bars = [
        Span::new(indent, Style::PLAIN),
        Span::new("│ ".repeat(levels - outer), Style::DIM),
    ];
    let used = before + rest.len() - quoted.len();
    let inner = quoted_block(quoted, levels, is_whole)?;
    let inner = match inner {
        Block::Text(text) => text,
        _ => Text::default(),
    };
    let behind = |spans: Vec<Span>| bars.iter().cloned().chain(spans).collect();
    Some(Block::Text(Text {
        first: behind(inner.first),
        indent: behind(inner.indent),
        base: inner.base,
        used: used + inner.used,
    }))
}

fn heading(rest: &str, indent: &str, before: usize, is_whole: bool) -> Option<Block> {
    let level = rest.chars().take_while(|c| *c == '#').count();
    let title = rest.get(level..).unwrap_or_default();
    if level > 6 || !title.is_empty() && !title.starts_with(' ') {
        return Some(text(indent, before));
    }
    let words = title.trim_start_matches(' ');
    if words.is_empty() && !is_whole {
        return None;
    }
    Some(Block::Text(Text {
        base: Style {
            underlined: level == 1,
            ..Style::BOLD
        },
        used: before + rest.len() - words.len(),
        ..Text::default()
    }))
}

/// A list, a line across, or emphasis.
fn marked(rest: &str, mark: char, indent: &str, before: usize, is_whole: bool) -> Option<Block> {
    let is_only_marks = rest.chars().all(|c| c == mark || c == ' ');
    if is_only_marks && mark != '+' {
        let marks = rest.chars().filter(|c| *c == mark).count();
        if !is_whole {
            return None;
        }
        if marks >= 3 {
            return Some(Block::Rule);
        }
    }
    let content = rest.get(1..).unwrap_or_default();
    if mark == '_' || !content.is_empty() && !content.starts_with(' ') {
        return Some(text(indent, before));
    }
    let words = content.trim_start_matches(' ');
    if words.is_empty() && !is_whole {
        return None;
    }
    let (bullet, words) = match words.get(..4) {
        Some("[ ] ") => ("☐ ", words.get(4..).unwrap_or_default()),
        Some("[x] " | "[X] ") => ("☑ ", words.get(4..).unwrap_or_default()),
        _ if !is_whole
            && words.len() < 4
            && "[ ] ".starts_with(&words.replace(['x', 'X'], " ")) =>
        {
            return None;
        }
        _ => ("• ", words),
    };
    Some(item(indent, bullet, before + rest.len() - words.len()))
}

fn numbered(rest: &str, indent: &str, before: usize, is_whole: bool) -> Option<Block> {
    let digits = rest.chars().take_while(char::is_ascii_digit).count();
    let after = rest.get(digits..).unwrap_or_default();
    let content = after.strip_prefix(['.', ')']);
    if digits > 9 {
        return Some(text(indent, before));
    }
    match content {
        Some(content) if content.starts_with(' ') => {
            let words = content.trim_start_matches(' ');
            if words.is_empty() && !is_whole {
                return None;
            }
            let number = rest.get(..=digits).unwrap_or_default();
            Some(item(
                indent,
                &format!("{number} "),
                before + rest.len() - words.len(),
            ))
        }
        _ if !is_whole && matches!(after, "" | "." | ")") => None,
        _ => Some(text(indent, before)),
    }
}

/// An item of a list: its further lines stand under its text.
fn item(indent: &str, bullet: &str, used: usize) -> Block {
    let under = " ".repeat(bullet.chars().count());
    Block::Text(Text {
        first: vec![
            Span::new(indent, Style::PLAIN),
            Span::new(bullet, Style::PLAIN),
        ],
        indent: vec![Span::new(format!("{indent}{under}"), Style::PLAIN)],
        base: Style::PLAIN,
        used,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning on the screen, and what of the line is left.
    fn begun(line: &str) -> Option<(String, &str)> {
        match block(line, false)? {
            Block::Text(text) => {
                let first = text.first.iter().map(|span| span.text.as_str()).collect();
                Some((first, line.get(text.used..)?))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_by_its_beginning() {
        for (line, first, rest) in [
            ("a", "", "a"),
            ("  a", "  ", "a"),
            ("- a", "• ", "a"),
            ("   * a", "   • ", "a"),
            ("- [x] a", "☑ ", "a"),
            ("- [ ] a", "☐ ", "a"),
            ("- [a", "• ", "[a"),
            ("12. a", "12. ", "a"),
            ("1) a", "1) ", "a"),
            ("1.5", "", "1.5"),
            ("2026 was", "", "2026 was"),
            ("## a", "", "a"),
            ("#a", "", "#a"),
            ("**a", "", "**a"),
            ("_a", "", "_a"),
            ("> a", "│ ", "a"),
            ("> > - a", "│ │ • ", "a"),
            (">>>>>>>> - a", "│ │ │ │ │ │ │ │ • ", "a"),
            (">>>>>>>>>> a", "│ │ │ │ │ │ │ │ ", ">> a"),
            (">>>>> >  >> > a", "│ │ │ │ │ │  │ │ ", "> a"),
            ("`a`", "", "`a`"),
            ("-a", "", "-a"),
        ] {
            assert_eq!(begun(line), Some((first.to_owned(), rest)), "{line}");
        }
    }

    #[test]
    fn what_is_not_certain_waits() {
        for line in [
            "", " ", "#", "## ", "-", "- ", "--", "* ", "- [", "- [x]", ">", "> ", "1", "1.", "`",
            "``", "```", "```rust", "~", "***", "_",
        ] {
            assert_eq!(block(line, false), None, "{line}");
        }
        assert_eq!(block("", true), Some(Block::Blank));
        assert_eq!(block("---", true), Some(Block::Rule));
        assert_eq!(block("* * *", true), Some(Block::Rule));
        assert_eq!(block("| a", false), Some(Block::Row));
        for line in ["1", "1.", "-", "#", "``", "**", ">"] {
            assert!(matches!(block(line, true), Some(Block::Text(_))), "{line}");
        }
    }

    #[test]
    fn fences() {
        let Some(Block::Fence(fence)) = block("  ````rust x", true) else {
            panic!("no fence");
        };
        assert_eq!("  ````rust x".get(fence.info..), Some("rust x"));
        assert!(fence.is_ended_by(" ````` "));
        assert!(!fence.is_ended_by("```"));
        assert!(!fence.is_ended_by("~~~~"));
        assert!(matches!(block("```a``` b", true), Some(Block::Text(_))));
    }
}
