//! Pure: emphasis, code, links within a line, by pulldown-cmark.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::certain::certain;
use super::style::{Colour, Span, Style};

/// What is longer is not looked at for marks.
pub(super) const MAX_PARSED: usize = 64 << 10;
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
    if source.len() > MAX_PARSED {
        return Inline {
            spans: vec![Span::new(source, base)],
            used: source.len(),
        };
    }
    let text = format!("{BEFORE}{source}{AFTER}");
    let events: Vec<(Event<'_>, Range<usize>)> =
        Parser::new_ext(&text, Options::ENABLE_STRIKETHROUGH)
            .into_offset_iter()
            .collect();
    let end = BEFORE.len() + source.len();
    let used = if is_whole {
        end
    } else {
        certain(&text, BEFORE.len()..end, &events)
    };
    Inline {
        spans: Spans::new(&text, used, base).read(events),
        used: used - BEFORE.len(),
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
                let address = link.url.strip_prefix("mailto:");
                // Where it leads is always seen: the text may say something else.
                if !says(shown, &link.url) && !address.is_some_and(|it| says(shown, it)) {
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

/// Whether the spans come to this text. No more of them is looked at than the text is long: images may be within images,
/// and all that is within each of them would be as much as the square of their number.
fn says(spans: &[Span], text: &str) -> bool {
    let mut rest = text;
    for span in spans {
        match rest.strip_prefix(span.text.as_str()) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
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
            ("<a@b.example>", "<u:a@b.example>"),
            ("![alt](a.png)", "<u:alt><d: (a.png)>"),
            ("![a ![b](c)](a)", "<u:a ><u:b><d: (c)><d: (a)>"),
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
