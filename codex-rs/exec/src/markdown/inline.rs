//! Pure: emphasis, code, links within a line, by pulldown-cmark; and how much of a line that is still arriving means
//! the same whatever comes after it.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::style::{Colour, Span, Style};

/// How many bytes may wait for the end of something that has begun, such as a link.
const MAX_HELD: usize = 200;
/// Around the line, so that nothing in it is taken for a heading or a list, and spaces at its ends stay.
const BEFORE: &str = "x ";
const AFTER: &str = " x";

/// What a line says, as far as that is certain.
#[derive(Debug)]
pub(super) struct Inline {
    pub(super) spans: Vec<Span>,
    /// How many bytes of the source that was.
    pub(super) used: usize,
}

/// Reads a part of a line. Unless it `is_whole` the end is left over that may come to mean something else.
pub(super) fn read(source: &str, is_whole: bool, base: Style) -> Inline {
    let text = format!("{BEFORE}{source}{AFTER}");
    let events: Vec<(Event<'_>, Range<usize>)> =
        Parser::new_ext(&text, Options::ENABLE_STRIKETHROUGH)
            .into_offset_iter()
            .collect();
    let end = BEFORE.len() + source.len();
    let used = if is_whole {
        end
    } else {
        certain(&text, end, &events)
    };
    Inline {
        spans: Spans::new(&text, used, base).read(events),
        used: used - BEFORE.len(),
    }
}

/// Up to where nothing changes any more, whatever follows `end`. It is after a space, outside of everything.
fn certain(text: &str, end: usize, events: &[(Event<'_>, Range<usize>)]) -> usize {
    let (elements, open) = elements(text, end, events);
    let mut until = open;
    let bytes = text.as_bytes();
    let certain = loop {
        let before = bytes.get(BEFORE.len()..until).unwrap_or_default();
        let Some(space) = before.iter().rposition(|byte| *byte == b' ') else {
            break BEFORE.len();
        };
        let after = BEFORE.len() + space + 1;
        match elements
            .iter()
            .find(|element| element.start < after && after < element.end)
        {
            Some(element) => until = element.start,
            None => break after,
        }
    };
    if end - certain > MAX_HELD {
        let before = bytes.get(BEFORE.len()..end).unwrap_or_default();
        let space = before.iter().rposition(|byte| *byte == b' ');
        return match space.map(|space| BEFORE.len() + space + 1) {
            Some(after) if end - after < MAX_HELD => after,
            _ => end,
        };
    }
    certain
}

/// What is complete on the highest level, and where something may have begun that is not.
fn elements(
    text: &str,
    end: usize,
    events: &[(Event<'_>, Range<usize>)],
) -> (Vec<Range<usize>>, usize) {
    let mut elements = Vec::new();
    let (mut open, mut depth) = (end, 0usize);
    for (event, range) in events {
        match event {
            Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
            Event::Start(_) => {
                if depth == 0 {
                    elements.push(range.clone());
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(_) if depth == 0 => {
                let found = range
                    .clone()
                    .find(|at| *at < end && may_open(text, *at, end));
                open = open.min(found.unwrap_or(end));
            }
            // Code, links and tags bind closer than emphasis: what began within it may end behind it.
            Event::Text(_) => {
                let is_close =
                    |at: &usize| matches!(text.as_bytes().get(*at), Some(b'`' | b'<' | b'['));
                let found = range.clone().filter(is_close);
                if found.into_iter().any(|at| may_open(text, at, end))
                    && let Some(element) = elements.last()
                {
                    open = open.min(element.start);
                }
            }
            _ if depth == 0 => elements.push(range.clone()),
            _ => {}
        }
    }
    // What ends here may end later: a code span by more backticks, emphasis by more asterisks.
    let last = elements.iter().find(|element| element.end >= end);
    (
        elements.clone(),
        open.min(last.map_or(end, |last| last.start)),
    )
}

/// Whether the character there, which stands for itself so far, may be the beginning of something.
fn may_open(text: &str, at: usize, end: usize) -> bool {
    let rest = text.get(at..end).unwrap_or_default();
    let mut rest = rest.chars();
    let first = rest.next();
    let next = rest.next();
    let is_before_text = next.is_none_or(|next| next != ' ');
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    match first {
        Some('`') => true,
        Some('*') => is_before_text,
        Some('_') => is_before_text && !before.is_some_and(char::is_alphanumeric),
        Some('~') => next.is_none_or(|next| next == '~'),
        Some('<') => next.is_none_or(|next| next.is_ascii_alphabetic() || next == '/'),
        Some('[') => {
            let rest = text.get(at..end).unwrap_or_default();
            let after = rest.split_once(']').map(|(_, after)| after);
            after.is_none_or(|after| after.is_empty() || after.starts_with('('))
        }
        _ => false,
    }
}

/// Events as they become spans.
struct Spans<'a> {
    text: &'a str,
    /// What comes after that is left out.
    until: usize,
    styles: Vec<Style>,
    links: Vec<Link>,
    spans: Vec<Span>,
}

struct Link {
    url: String,
    /// How many spans there were before it.
    first: usize,
}

impl<'a> Spans<'a> {
    fn new(text: &'a str, until: usize, base: Style) -> Self {
        Self {
            text,
            until,
            styles: vec![base],
            links: Vec::new(),
            spans: Vec::new(),
        }
    }

    fn read(mut self, events: Vec<(Event<'_>, Range<usize>)>) -> Vec<Span> {
        for (event, range) in events {
            if range.start >= self.until && !matches!(event, Event::End(_)) {
                break;
            }
            match event {
                Event::Start(tag) => self.start(&tag, &range),
                Event::End(tag) => self.end(tag),
                Event::Text(text) => self.text(&text, range),
                Event::Code(text) => {
                    let style = Style {
                        colour: Some(Colour::Cyan),
                        ..self.style()
                    };
                    self.spans.push(Span::new(&*text, style));
                }
                Event::Html(text) | Event::InlineHtml(text) => {
                    let style = self.style();
                    self.spans.push(Span::new(&*text, style));
                }
                Event::SoftBreak | Event::HardBreak => {
                    let style = self.style();
                    self.spans.push(Span::new(" ", style));
                }
                _ => {}
            }
        }
        self.spans
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    fn start(&mut self, tag: &Tag<'_>, range: &Range<usize>) {
        let mut style = self.style();
        match tag {
            Tag::Emphasis => style.italic = true,
            Tag::Strong => style.bold = true,
            Tag::Strikethrough if self.source(range).starts_with("~~") => style.struck = true,
            Tag::Strikethrough => self.spans.push(Span::new("~", style)),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                style.underlined = true;
                self.links.push(Link {
                    url: dest_url.to_string(),
                    first: self.spans.len(),
                });
            }
            _ => {}
        }
        self.styles.push(style);
    }

    fn source(&self, range: &Range<usize>) -> &'a str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    fn end(&mut self, tag: TagEnd) {
        let ended = self.styles.pop().unwrap_or_default();
        match tag {
            TagEnd::Strikethrough if !ended.struck => {
                let style = self.style();
                self.spans.push(Span::new("~", style));
            }
            TagEnd::Link | TagEnd::Image => {
                let Some(link) = self.links.pop() else { return };
                let shown = self.spans.get(link.first..).unwrap_or_default();
                let shown: String = shown.iter().map(|span| span.text.as_str()).collect();
                // Where it leads is always seen: the text may say something else.
                if shown != link.url && format!("mailto:{shown}") != link.url {
                    self.spans
                        .push(Span::new(format!(" ({})", link.url), Style::DIM));
                }
            }
            _ => {}
        }
    }

    /// What stands between the additions around the line, and before the end.
    fn text(&mut self, text: &str, range: Range<usize>) {
        let end = self.until;
        let text = if text.len() == range.len() {
            let from = BEFORE.len().saturating_sub(range.start);
            let to = end.saturating_sub(range.start).min(text.len());
            text.get(from..to).unwrap_or_default()
        } else {
            text
        };
        if !text.is_empty() {
            let style = self.style();
            self.spans.push(Span::new(text, style));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spans, in letters: b bold, i italic, c code, u underlined, s struck, d dim.
    fn shown(source: &str) -> String {
        let spans = read(source, true, Style::PLAIN).spans;
        let mut shown = String::new();
        for Span { text, style } in spans {
            let marks = [
                (style.bold, 'b'),
                (style.italic, 'i'),
                (style.colour.is_some(), 'c'),
                (style.underlined, 'u'),
                (style.struck, 's'),
                (style.dim, 'd'),
            ];
            let marks: String = marks
                .into_iter()
                .filter_map(|(is_set, mark)| is_set.then_some(mark))
                .collect();
            shown.push_str(&match marks.as_str() {
                "" => text,
                marks => format!("<{marks}:{text}>"),
            });
        }
        shown
    }

    #[test]
    fn marks_become_styles() {
        for (source, expected) in [
            ("a **b** *c* `d`", "a <b:b> <i:c> <c:d>"),
            ("***x***", "<bi:x>"),
            ("~~no~~ ~5 to ~6", "<s:no> ~5 to ~6"),
            ("2 * 3 * 4, snake_case_name", "2 * 3 * 4, snake_case_name"),
            ("[t](http://x/y)", "<u:t><d: (http://x/y)>"),
            ("<http://x/y>", "<u:http://x/y>"),
            ("![alt](a.png)", "<u:alt><d: (a.png)>"),
            ("`a *b*`", "<c:a *b*>"),
            ("\\*a\\*", "*a*"),
            ("<br> &amp; &lt;", "<br> & <"),
            ("# no heading", "# no heading"),
            ("- no list ", "- no list "),
            ("**open", "**open"),
            ("[1] [x]: y", "[1] [x]: y"),
        ] {
            assert_eq!(shown(source), expected, "{source}");
        }
    }

    #[test]
    fn what_may_still_change_waits() {
        for (source, used) in [
            ("a word", "a "),
            ("a **bold te", "a "),
            ("a **bold** ", "a **bold** "),
            ("a **bold**", "a "),
            ("2 * 3 ", "2 * 3 "),
            ("see [the text", "see "),
            ("see [the text](http://x", "see "),
            ("see [1] and ", "see [1] and "),
            ("`a b` c ", "`a b` c "),
            ("`a ", ""),
            ("x < y and ", "x < y and "),
        ] {
            let inline = read(source, false, Style::PLAIN);
            assert_eq!(source.get(..inline.used), Some(used), "{source}");
        }
        // And not without end.
        let long = format!("`{}", "word ".repeat(100));
        assert_eq!(read(&long, false, Style::PLAIN).used, long.len());
        let long = "x".repeat(1000);
        assert_eq!(read(&long, false, Style::PLAIN).used, long.len());
    }
}
