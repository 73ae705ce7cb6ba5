//! Counts the pieces of output in an answer, and how much text is in them. Pure.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::inspect::json::rest_of_string;

/// The member that holds the text, up to its value. Within a string its quotes would be escaped.
const MEMBER: &[u8] = b"\"delta\":";

const MEMBER_OF_TEXT: &[u8; 9] = b"\"delta\":\"";

/// The text of so many whole events is looked at, and after those that of one in [`SAMPLED`]. Of the others what is not
/// text is taken to be as long as in the last one: mostly it is, and what is asked for is an estimate.
const ALL_UP_TO: u64 = 32;
const SAMPLED: u64 = 8;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MEMBER));

/// The events that were whole so far, and the text of the one under way.
#[derive(Debug, Default)]
pub(super) struct Deltas {
    counts_text: bool,
    events: u64,
    bytes: u64,
    /// Of the event under way.
    text: u64,
    at: At,
    /// Where the member was in the last event that it was searched in: mostly it is there again, and to look takes a
    /// fraction of a search. Of data that has the member twice, any of them may be the one that counts.
    place: usize,
    /// How much of the data of the last whole event that was looked at is not text, in bytes; `None` before the first.
    not_text: Option<u64>,
}

/// Where in the data of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the member, of which the last so many bytes are the beginning.
    Member {
        matched: usize,
    },
    /// Behind its colon.
    Colon,
    Text {
        escaped: bool,
    },
    /// Behind the text.
    Rest,
}

impl Default for At {
    fn default() -> Self {
        Self::Member { matched: 0 }
    }
}

impl Deltas {
    /// From now on text is counted too.
    pub(super) fn count_text(&mut self) {
        self.counts_text = true;
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// See [`AnswerMeter::output_bytes`](super::AnswerMeter::output_bytes).
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The data of an event begins that may be a piece of output.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.text = 0;
        self.at = if self.counts_text {
            At::default()
        } else {
            At::Rest
        };
    }

    /// The next bytes of its data.
    #[inline]
    pub(super) fn data(&mut self, piece: &[u8]) {
        if self.counts_text {
            self.text_in(piece);
        }
    }

    #[inline(never)]
    fn text_in(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let taken = match self.at {
                At::Member { matched } => self.member(matched, piece),
                At::Colon => self.colon(piece),
                At::Text { mut escaped } => {
                    let (taken, is_closed) = rest_of_string(piece, &mut escaped);
                    self.text += (taken - usize::from(is_closed)) as u64;
                    self.at = if is_closed {
                        At::Rest
                    } else {
                        At::Text { escaped }
                    };
                    taken
                }
                At::Rest => return,
            };
            piece = piece.get(taken..).unwrap_or_default();
        }
    }

    /// An event that is whole, and is a piece of output, has all of this data.
    #[inline]
    pub(super) fn whole(&mut self, data: &[u8]) {
        self.events += 1;
        if self.counts_text {
            let length = data.len() as u64;
            match self.not_text {
                Some(not_text)
                    if self.events > ALL_UP_TO && !self.events.is_multiple_of(SAMPLED) =>
                {
                    self.text = length.saturating_sub(not_text);
                }
                _ => {
                    self.whole_text(data);
                    self.not_text = Some(length.saturating_sub(self.text));
                }
            }
            self.bytes = self.bytes.saturating_add(self.text);
        }
    }

    fn whole_text(&mut self, data: &[u8]) {
        self.begin();
        let text = data
            .get(self.place..)
            .and_then(<[u8]>::split_first_chunk)
            .filter(|(member, _)| *member == MEMBER_OF_TEXT);
        if let Some((_, text)) = text {
            let (taken, is_closed) = rest_of_string(text, &mut false);
            self.text = (taken - usize::from(is_closed)) as u64;
        } else {
            self.data(data);
            self.place = FINDER.find(data).unwrap_or(0);
        }
    }

    /// The event is whole, and is a piece of output.
    #[inline]
    pub(super) fn end(&mut self) {
        self.events += 1;
        self.bytes = self.bytes.saturating_add(self.text);
    }

    #[inline]
    fn member(&mut self, matched: usize, piece: &[u8]) -> usize {
        if matched > 0 {
            return self.rest_of_member(matched, piece);
        }
        if let Some(found) = FINDER.find(piece) {
            self.at = At::Colon;
            return found + MEMBER.len();
        }
        let is_at_end = |&len: &usize| MEMBER.get(..len).is_some_and(|part| piece.ends_with(part));
        let matched = (1..MEMBER.len()).rev().find(is_at_end).unwrap_or(0);
        self.at = At::Member { matched };
        piece.len()
    }

    /// In data that was cut within the member, or within what looked like it.
    #[cold]
    fn rest_of_member(&mut self, matched: usize, piece: &[u8]) -> usize {
        let missing = MEMBER.get(matched..).unwrap_or_default();
        if piece.starts_with(missing) {
            self.at = At::Colon;
            missing.len()
        } else if missing.starts_with(piece) {
            self.at = At::Member {
                matched: matched + piece.len(),
            };
            piece.len()
        } else {
            // Before its colon the member ends as it begins: in a quote.
            let matched = usize::from(matched == MEMBER.len() - 1);
            self.at = At::Member { matched };
            0
        }
    }

    #[inline]
    fn colon(&mut self, piece: &[u8]) -> usize {
        let spaces = piece
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        match piece.get(spaces) {
            None => {}
            Some(b'"') => {
                self.at = At::Text { escaped: false };
                return spaces + 1;
            }
            // Not a text: another member may be.
            Some(_) => self.at = At::default(),
        }
        spaces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;
    use serde_json::json;

    use crate::inspect::json::tests::pieces;

    fn bytes(data: &[u8], sizes: &[usize]) -> u64 {
        let mut deltas = Deltas::default();
        deltas.count_text();
        deltas.begin();
        for piece in pieces(data, sizes) {
            deltas.data(piece);
        }
        assert_eq!(deltas.bytes(), 0);
        deltas.end();
        deltas.bytes()
    }

    #[test]
    fn the_text_of_a_delta_is_counted_as_it_is_written() {
        for (data, expected) in [
            (r#"{"type":"x","delta":"four","n":"none"}"#, 4),
            (r#"{"delta":"","n":"none"}"#, 0),
            (r#"{"delta" : "no"}"#, 0),
            ("{\"delta\": \n \"two\\n\"}", 5),
            (r#"{"delta":"\"\\\"","delta":"second"}"#, 6),
            (r#"{"n":"\"delta\":\"no","delta":"12"}"#, 2),
            (r#"{"delta":{"delta":"12"}}"#, 2),
            (r#"{"delta":null,"n":"no"}"#, 0),
            (r#"{"delta"delta":"123"}"#, 3),
            (r#"{"delta":"cu"#, 2),
            (r#"{"delta":"cut\"#, 4),
            (r#"{"delt"#, 0),
            ("", 0),
        ] {
            for size in [1, 2, 3, 7, 100] {
                assert_eq!(bytes(data.as_bytes(), &[size]), expected, "{data} {size}");
            }
        }
    }

    #[test]
    fn of_a_long_answer_text_is_counted_though_not_each_event_is_looked_at() {
        let mut deltas = Deltas::default();
        deltas.count_text();
        let mut expected = 0;
        for number in 0..400_usize {
            // Longer and longer, and longest where nobody looks.
            let text = "x".repeat(number / 4 + if number % 8 == 3 { 500 } else { 0 });
            expected += text.len() as u64;
            let data =
                format!(r#"{{"sequence_number":{number},"delta":"{text}","obfuscation":"ab"}}"#);
            deltas.whole(data.as_bytes());
        }
        assert!(deltas.bytes().abs_diff(expected) < expected / 100);
    }

    #[test]
    fn the_first_whole_event_of_an_answer_that_came_in_parts_is_looked_at() {
        let mut deltas = Deltas::default();
        deltas.count_text();
        for _ in 0..ALL_UP_TO {
            deltas.begin();
            deltas.data(br#"{"delta":"12"}"#);
            deltas.end();
        }
        deltas.whole(br#"{"delta":"34"}"#);
        assert_eq!(deltas.bytes(), 2 * (ALL_UP_TO + 1));
    }

    #[test]
    fn each_event_is_counted_by_itself() {
        let mut deltas = Deltas::default();
        deltas.count_text();
        for (data, is_output) in [
            (r#"{"delta":"12"}"#, true),
            (r#"{"delta":"1"#, false),
            (r#"{"n":"234"}"#, true),
            (r#"{"delta":"5"}"#, true),
        ] {
            deltas.begin();
            deltas.data(data.as_bytes());
            if is_output {
                deltas.end();
            }
        }
        assert_eq!((deltas.events(), deltas.bytes()), (3, 3));
    }

    proptest! {
        #[test]
        fn any_text_is_counted_however_it_is_cut(
            text in "(\\PC|[\"\\\\\n\u{1b}]|delta|\"delta\":){0,40}",
            before in "(\\PC|[\"\\\\]){0,40}",
            sizes in prop::collection::vec(1_usize..20, 1..8),
        ) {
            let written = json!(text).to_string();
            let data = json!({ "aa": before, "delta": text, "n": { "delta": before } });
            let expected = written.len() as u64 - 2;
            prop_assert_eq!(bytes(data.to_string().as_bytes(), &sizes), expected);
        }
    }
}
