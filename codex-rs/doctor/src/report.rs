//! All findings, as lines for people or as one JSON object (docs/doctor.md has its shape).

use std::io::{self, Write};

use serde::Serialize;

use crate::finding::{Finding, State};
use crate::printable::one_line;

/// The version of the JSON object. A member that is added does not change it; one that is changed or removed does.
const VERSION: u8 = 1;

/// All findings, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct AsJson<'a> {
    v: u8,
    ok: usize,
    warnings: usize,
    failed: usize,
    unknown: usize,
    checks: &'a [Finding],
}

impl Report {
    pub(crate) fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.count(State::Failed) > 0
    }

    fn count(&self, state: State) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.state == state)
            .count()
    }

    /// # Errors
    ///
    /// Those of `to`.
    pub(crate) fn print(&self, to: &mut impl Write, as_json: bool) -> io::Result<()> {
        if as_json {
            self.print_json(to)
        } else {
            self.print_lines(to)
        }
    }

    fn print_json(&self, to: &mut impl Write) -> io::Result<()> {
        let object = AsJson {
            v: VERSION,
            ok: self.count(State::Ok),
            warnings: self.count(State::Warning),
            failed: self.count(State::Failed),
            unknown: self.count(State::Unknown),
            checks: &self.findings,
        };
        serde_json::to_writer_pretty(&mut *to, &object)?;
        writeln!(to)
    }

    fn print_lines(&self, to: &mut impl Write) -> io::Result<()> {
        for finding in &self.findings {
            let Finding {
                check, found, why, ..
            } = finding;
            let mut line = format!("{:<8} {check}: {found} - {why}", finding.state.word());
            if let Some(mend) = &finding.mend {
                line.push_str(" -> ");
                line.push_str(mend);
            }
            writeln!(to, "{}", one_line(&line))?;
        }
        writeln!(
            to,
            "ok: {}; warnings: {}; FAILED: {}; unknown: {}",
            self.count(State::Ok),
            self.count(State::Warning),
            self.count(State::Failed),
            self.count(State::Unknown),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.add([
            Finding::ok("host.kernel", "Linux 6.18", "newer ones protect more"),
            Finding::failed(
                "proxy.seccomp",
                "off\n\u{1b}[2Jok",
                "an intruder could call anything",
                "start it without --sandbox=off",
            ),
        ]);
        report
    }

    fn printed(as_json: bool) -> String {
        let mut bytes = Vec::new();
        report().print(&mut bytes, as_json).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_finding_is_one_line_whatever_is_in_it() {
        assert_eq!(
            printed(false),
            "ok       host.kernel: Linux 6.18 - newer ones protect more\n\
             FAILED   proxy.seccomp: off\\n\\u{1b}[2Jok - an intruder could call anything -> start it \
             without --sandbox=off\n\
             ok: 1; warnings: 0; FAILED: 1; unknown: 0\n"
        );
        assert!(report().has_failed());
    }

    #[test]
    fn the_object_has_the_shape_that_is_documented() {
        let object: serde_json::Value = serde_json::from_str(&printed(true)).unwrap();
        assert_eq!(
            object,
            serde_json::json!({
                "v": 1, "ok": 1, "warnings": 0, "failed": 1, "unknown": 0,
                "checks": [
                    {
                        "check": "host.kernel",
                        "state": "ok",
                        "found": "Linux 6.18",
                        "why": "newer ones protect more",
                    },
                    {
                        "check": "proxy.seccomp",
                        "state": "failed",
                        "found": "off\n\u{1b}[2Jok",
                        "why": "an intruder could call anything",
                        "mend": "start it without --sandbox=off",
                    },
                ],
            })
        );
    }
}
