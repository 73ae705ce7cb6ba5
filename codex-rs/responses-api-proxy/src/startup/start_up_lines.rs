//! What the proxy has said at its start, for whoever asks later.

use crate::observe::printable::printable;

/// What the start-up lines say, told apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StartUpLines {
    pub(super) upstream: String,
    pub(super) protections: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl StartUpLines {
    pub(super) fn of(lines: &[String]) -> Self {
        let mut told = Self::default();
        for line in lines {
            let line = printable(line);
            if let Some(upstream) = line.strip_prefix("upstream: ") {
                told.upstream = upstream.to_owned();
            } else if let Some(warning) = line.strip_prefix("warning: ") {
                told.warnings.push(warning.to_owned());
            } else if ![
                "hint: ",
                "credential: ",
                "metrics: ",
                "control: ",
                "--ledger: ",
            ]
            .iter()
            .any(|other| line.starts_with(other))
            {
                told.protections.push(line);
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_up_lines_are_told_apart_and_keep_their_words() {
        let lines = [
            "upstream: https://api.openai.com",
            "key: in locked memory",
            "metrics: unix:/m",
            "control: unix:/c",
            "hint: look",
            "--ledger: the server is away",
            "credential: file /k",
            "warning: \u{1b}[2J",
            "callers: users 0",
            "process: no core dumps",
            "not applied: the sandbox (--sandbox=off)",
        ]
        .map(str::to_owned);
        let told = StartUpLines::of(&lines);
        assert_eq!(told.upstream, "https://api.openai.com");
        assert_eq!(told.warnings, ["\\u{1b}[2J"]);
        assert_eq!(
            told.protections,
            [
                "key: in locked memory",
                "callers: users 0",
                "process: no core dumps",
                "not applied: the sandbox (--sandbox=off)"
            ]
        );
    }
}
