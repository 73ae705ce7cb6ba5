//! Pure: how much of a line that is still arriving means the same whatever comes after it.

use std::ops::Range;

use pulldown_cmark::{Event, Tag, TagEnd};

/// How many bytes may wait for the end of something that has begun, such as a link.
const MAX_HELD: usize = 200;

/// Up to where nothing changes any more, whatever follows the `line`, which is that part of the text. It is after a space,
/// outside of everything.
pub(super) fn certain(
    text: &str,
    line: Range<usize>,
    events: &[(Event<'_>, Range<usize>)],
) -> usize {
    let Range { start, end } = line;
    let (elements, open) = elements(text, end, events);
    let mut until = open;
    let bytes = text.as_bytes();
    let certain = loop {
        let before = bytes.get(start..until).unwrap_or_default();
        let Some(space) = before.iter().rposition(|byte| *byte == b' ') else {
            break start;
        };
        let after = start + space + 1;
        // They follow each other: no other than the last that begins before it can go on behind it.
        let begun = elements.partition_point(|element| element.start < after);
        let last = begun.checked_sub(1).and_then(|last| elements.get(last));
        match last.filter(|element| after < element.end) {
            Some(element) => until = element.start,
            None => break after,
        }
    };
    if end - certain > MAX_HELD {
        let before = bytes.get(start..end).unwrap_or_default();
        let space = before.iter().rposition(|byte| *byte == b' ');
        return match space.map(|space| start + space + 1) {
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
    // Looked for once: many that begin something may be far from the next that ends it.
    let closes: Vec<usize> = text
        .get(..end)
        .unwrap_or_default()
        .match_indices(']')
        .map(|(at, _)| at)
        .collect();
    let may_open = |at: usize| may_open(text, at, end, &closes);
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
                let found = range.clone().find(|at| *at < end && may_open(*at));
                open = open.min(found.unwrap_or(end));
            }
            // Code, links and tags bind closer than emphasis: what began within it may end behind it.
            Event::Text(_) => {
                let is_close =
                    |at: &usize| matches!(text.as_bytes().get(*at), Some(b'`' | b'<' | b'['));
                let found = range.clone().filter(is_close);
                if found.into_iter().any(may_open)
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
    let open = open.min(last.map_or(end, |last| last.start));
    (elements, open)
}

/// Whether the character there, which stands for itself so far, may be the beginning of something. `closes` are the
/// brackets that end something.
fn may_open(text: &str, at: usize, end: usize, closes: &[usize]) -> bool {
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
            let close = closes.get(closes.partition_point(|close| *close < at));
            let after = close.and_then(|close| text.get(close + 1..end));
            after.is_none_or(|after| after.is_empty() || after.starts_with('('))
        }
        _ => false,
    }
}
