//! Whether lines are a chain, and if not, which line is wrong.

use std::fmt;
use std::io::{self, Read};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::chain::{LONGEST_LINE, LineHash};
use crate::lines::{Ending, Lines};

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than any line of an audit log.
    TooLong,
    /// It has no `prev` at its beginning, or is not JSON.
    NotALine,
    /// It does not have the hash of the line before it in the same file.
    DoesNotFollow,
    /// It is the line before once more.
    Repeated,
    /// It does not have the hash of the last line of the file before.
    DoesNotContinue(String),
    /// The file ends before the line does.
    CutOff,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name, as it was given.
    pub file: String,
    /// Counts from 1 in each file.
    pub line: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, fault } = self;
        write!(f, "{file}: line {line}: ")?;
        let before = line.saturating_sub(1);
        match fault {
            Fault::TooLong => write!(
                f,
                "is longer than {LONGEST_LINE} bytes, which no line of an audit log is"
            ),
            Fault::NotALine => f.write_str("is not a line of an audit log (changed, or put in)"),
            Fault::DoesNotFollow => write!(
                f,
                "does not follow from line {before} (changed, removed, or in another order)"
            ),
            Fault::Repeated => write!(f, "is line {before} once more"),
            Fault::DoesNotContinue(file) => write!(
                f,
                "does not follow from the last line of {file} (changed, removed, or files in another order)"
            ),
            Fault::CutOff => f.write_str(
                "is cut off: the disk was full, the process was killed, or the end was removed",
            ),
        }
    }
}

/// What a file comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSummary {
    /// How many whole lines it has.
    pub lines: u64,
    /// What its first line follows, as it says; `None` if it has none that says so.
    pub continues: Option<LineHash>,
}

/// What all files come to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Whole lines.
    pub lines: u64,
    /// Lines that are wrong.
    pub faults: u64,
    /// The hash of the last line; `None` if there is no line.
    pub last: Option<LineHash>,
    /// Starts of the proxy.
    pub starts: u64,
    /// Records that were dropped, as the log itself says.
    pub dropped: u64,
    /// Requests that were refused and have no record, as the log itself says.
    pub refused: u64,
    /// How many lines there are up to the expected one.
    pub expected_at: Option<u64>,
}

/// What a line says that is not a record of a request.
#[derive(Deserialize)]
struct Event {
    event: String,
    #[serde(default)]
    count: u64,
}

/// Files, one after the other.
pub struct Verification<F> {
    expected: Option<LineHash>,
    report: F,
    totals: Totals,
    /// The file before, if there was one with lines.
    file_before: Option<String>,
    /// A line without an end, at the end of the file before.
    cut_off: Option<(Finding, Vec<u8>)>,
}

impl<F: FnMut(&Finding) -> io::Result<()>> Verification<F> {
    /// `report` is told what is wrong, as it is found. Looks for the line that has the hash `expected`, too.
    pub fn new(expected: Option<LineHash>, report: F) -> Self {
        Self {
            expected,
            report,
            totals: Totals::default(),
            file_before: None,
            cut_off: None,
        }
    }

    /// Reads the next file.
    ///
    /// # Errors
    ///
    /// Those of reading and of reporting.
    pub fn read(&mut self, file: &str, input: impl Read) -> io::Result<FileSummary> {
        let mut lines = Lines::new(input, LONGEST_LINE);
        let mut summary = FileSummary {
            lines: 0,
            continues: None,
        };
        while let Some((line, ending)) = lines.next()? {
            if summary.lines == 0 {
                self.end_of_cut_off(line)?;
            }
            let number = summary.lines + 1;
            let finding = |fault| Finding {
                file: file.to_owned(),
                line: number,
                fault,
            };
            if ending == Ending::Nothing {
                self.cut_off = Some((finding(Fault::CutOff), line.to_vec()));
                continue;
            }
            let claimed = LineHash::in_line(line);
            if number == 1 {
                summary.continues = claimed.map(|(before, _)| before);
            }
            let fault = self.fault(line, ending, claimed, number);
            self.count(line, claimed.map(|(_, members)| members));
            summary.lines = number;
            if let Some(fault) = fault {
                self.totals.faults += 1;
                (self.report)(&finding(fault))?;
            }
        }
        if summary.lines > 0 {
            self.file_before = Some(file.to_owned());
        }
        Ok(summary)
    }

    /// There are no more files.
    ///
    /// # Errors
    ///
    /// Those of reporting.
    pub fn end(mut self) -> io::Result<Totals> {
        self.end_of_cut_off(b"")?;
        Ok(self.totals)
    }

    fn fault(
        &self,
        line: &[u8],
        ending: Ending,
        claimed: Option<(LineHash, &[u8])>,
        number: u64,
    ) -> Option<Fault> {
        if ending == Ending::TooLong {
            return Some(Fault::TooLong);
        }
        // The line after it would tell, but the last one has none.
        let is_json = serde_json::from_slice::<IgnoredAny>(line).is_ok();
        let Some((before, _)) = claimed.filter(|_| is_json) else {
            return Some(Fault::NotALine);
        };
        let last = self.totals.last?;
        if before == last {
            return None;
        }
        Some(match &self.file_before {
            Some(file) if number == 1 => Fault::DoesNotContinue(file.clone()),
            _ if LineHash::of(line) == last => Fault::Repeated,
            _ => Fault::DoesNotFollow,
        })
    }

    fn count(&mut self, line: &[u8], members: Option<&[u8]>) {
        let totals = &mut self.totals;
        let hash = LineHash::of(line);
        totals.lines += 1;
        totals.last = Some(hash);
        if self.expected == Some(hash) {
            totals.expected_at = Some(totals.lines);
        }
        // Records of requests begin otherwise, whatever is in them.
        if members.is_some_and(|members| members.starts_with(b"\"event\":"))
            && let Ok(Event { event, count }) = serde_json::from_slice(line)
        {
            match event.as_str() {
                "start" => totals.starts += 1,
                "dropped" => totals.dropped = totals.dropped.saturating_add(count),
                "refused" => totals.refused = totals.refused.saturating_add(count),
                _ => {}
            }
        }
    }

    /// A line that was begun in a file that was then rotated is whole in the next one.
    fn end_of_cut_off(&mut self, next: &[u8]) -> io::Result<()> {
        match self.cut_off.take() {
            Some((finding, begun)) if !next.starts_with(&begun) => {
                self.totals.faults += 1;
                (self.report)(&finding)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
