//! Equal lines are written three times; from then on they are counted, and the count is written.
//!
//! An upstream that is down fails every request with the same words: a line for each would bury the rest and fill
//! the disk of whoever keeps them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// So many equal lines are written.
const WRITTEN: u32 = 3;

/// How long further ones are counted before their number is written.
pub(crate) const COUNTED_FOR: Duration = Duration::from_secs(10);

/// How many different lines are remembered.
const REMEMBERED: usize = 32;

/// What was written lately.
#[derive(Debug)]
pub(crate) struct Repeats {
    counted_for: Duration,
    seen: Vec<Seen>,
}

#[derive(Debug)]
struct Seen {
    text: String,
    written: u32,
    counted: u64,
    /// When its number is written, or when it is forgotten.
    due: Instant,
}

impl Seen {
    fn summary(&self) -> Option<String> {
        (self.counted > 0).then(|| format!("and {} more: {}", self.counted, self.text))
    }
}

impl Repeats {
    /// Further lines are counted for so long before their number is written.
    pub(crate) const fn new(counted_for: Duration) -> Self {
        Self {
            counted_for,
            seen: Vec::new(),
        }
    }

    /// Whether a line that says `text`, besides what is different every time, is to be written.
    pub(crate) fn is_written(&mut self, text: &str, now: Instant) -> bool {
        let due = now + self.counted_for;
        if let Some(seen) = self.seen.iter_mut().find(|seen| seen.text == text) {
            if seen.counted == 0 && seen.due <= now {
                // It is a while since: as if it came for the first time.
                seen.written = 0;
            }
            if seen.written < WRITTEN {
                seen.written += 1;
                seen.due = due;
                return true;
            }
            if seen.counted == 0 {
                seen.due = due;
            }
            seen.counted += 1;
            return false;
        }
        if self.seen.len() < REMEMBERED {
            self.seen.push(Seen {
                text: text.to_owned(),
                written: 1,
                counted: 0,
                due,
            });
        }
        true
    }

    /// The numbers that are to be written by now, a line each; what has not come again is forgotten.
    pub(crate) fn due(&mut self, now: Instant) -> String {
        let mut lines = String::new();
        let counted_for = self.counted_for;
        self.seen.retain_mut(|seen| {
            if seen.due > now {
                return true;
            }
            let summary = seen.summary();
            if let Some(summary) = &summary {
                let _ = writeln!(lines, "{summary}");
                seen.counted = 0;
                seen.due = now + counted_for;
            }
            summary.is_some()
        });
        lines
    }

    /// All numbers that were not written yet.
    pub(crate) fn rest(&mut self) -> String {
        let mut lines = String::new();
        for seen in std::mem::take(&mut self.seen) {
            if let Some(summary) = seen.summary() {
                let _ = writeln!(lines, "{summary}");
            }
        }
        lines
    }

    /// When [`due`](Self::due) has something to do next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.seen.iter().map(|seen| seen.due).min()
    }

    /// Whether there is a number to be written.
    pub(crate) fn has_counted(&self) -> bool {
        self.seen.iter().any(|seen| seen.counted > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_third_equal_lines_are_counted() {
        let mut repeats = Repeats::new(COUNTED_FOR);
        let start = Instant::now();
        let written = (0..43).filter(|_| repeats.is_written("no answer", start));
        assert_eq!(written.count(), 3);
        assert!(repeats.is_written("another", start));
        assert_eq!(repeats.due(start), "");
        let later = repeats.next_due().unwrap();
        assert_eq!(repeats.due(later), "and 40 more: no answer\n");
        // It goes on: no line until the next number is due.
        assert!(!repeats.is_written("no answer", later));
        assert_eq!(repeats.due(later + COUNTED_FOR), "and 1 more: no answer\n");
        assert!(!repeats.has_counted());
    }

    #[test]
    fn what_has_not_come_for_a_while_is_written_again() {
        let mut repeats = Repeats::new(COUNTED_FOR);
        let start = Instant::now();
        for _ in 0..5 {
            repeats.is_written("no answer", start);
        }
        let later = start + COUNTED_FOR;
        assert_eq!(repeats.due(later), "and 2 more: no answer\n");
        assert_eq!(repeats.due(later + COUNTED_FOR), "");
        assert!(repeats.is_written("no answer", later + COUNTED_FOR));
        // The same where nobody asks for numbers in the meantime.
        let mut repeats = Repeats::new(COUNTED_FOR);
        assert!((0..3).all(|_| repeats.is_written("no answer", start)));
        assert!(repeats.is_written("no answer", later));
    }

    #[test]
    fn at_the_end_nothing_stays_unsaid() {
        let mut repeats = Repeats::new(COUNTED_FOR);
        for text in ["a", "b"] {
            for _ in 0..4 {
                repeats.is_written(text, Instant::now());
            }
        }
        assert_eq!(repeats.rest(), "and 1 more: a\nand 1 more: b\n");
        assert_eq!(repeats.rest(), "");
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let mut repeats = Repeats::new(COUNTED_FOR);
        for number in 0..REMEMBERED * 2 {
            assert!(repeats.is_written(&number.to_string(), Instant::now()));
        }
        assert_eq!(repeats.seen.len(), REMEMBERED);
    }
}
